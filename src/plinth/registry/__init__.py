"""Immutable model versions, their lineage, artefacts and reports; names and aliases."""
