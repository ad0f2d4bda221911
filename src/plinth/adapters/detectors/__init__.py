"""Detectors of personal data: our own for identifiers, others behind the same port."""
