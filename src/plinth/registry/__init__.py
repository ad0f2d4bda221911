"""Immutable model versions, their lineage, artefacts and reports; names and aliases."""

from plinth.registry.errors import ModelInUse, NotModelOwner, UnknownModel
from plinth.registry.model import (
    Alias,
    Artefact,
    ArtefactFile,
    ArtefactKind,
    ListedModel,
    ModelKind,
    ModelVersion,
    PublicModel,
    Report,
    Resolved,
    Share,
    VersionDraft,
)
from plinth.registry.ports import Base, Bases, InMemoryBases, MemoryBase
from plinth.registry.service import RegistryService

__all__ = [
    "Alias",
    "Artefact",
    "ArtefactFile",
    "ArtefactKind",
    "Base",
    "Bases",
    "InMemoryBases",
    "ListedModel",
    "MemoryBase",
    "ModelInUse",
    "ModelKind",
    "ModelVersion",
    "NotModelOwner",
    "PublicModel",
    "RegistryService",
    "Report",
    "Resolved",
    "Share",
    "UnknownModel",
    "VersionDraft",
]
