"""Base models: the catalogue, where their files come from, and getting them onto this machine."""

from plinth.catalog.errors import EgressDenied, FormNotAvailable, PackageMissing
from plinth.catalog.model import BaseModel, Form, RemoteTarget, Scope
from plinth.catalog.ports import ModelSource
from plinth.catalog.service import CatalogPorts, CatalogService

__all__ = [
    "BaseModel",
    "CatalogPorts",
    "CatalogService",
    "EgressDenied",
    "Form",
    "FormNotAvailable",
    "ModelSource",
    "PackageMissing",
    "RemoteTarget",
    "Scope",
]
