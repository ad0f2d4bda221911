"""Deployments, engine processes, and the reconciler that keeps them as desired."""

from plinth.serving.dialects import translate
from plinth.serving.errors import EngineFailed, NotServable, UnknownAdapter
from plinth.serving.model import (
    AdapterFile,
    Deployment,
    DeploymentStatus,
    Endpoint,
    EngineHandle,
    EngineSpec,
    Health,
    HealthState,
    ModelFile,
    Role,
)
from plinth.serving.ports import Engine, InMemoryEngine
from plinth.serving.reconciler import Parts, Reconciler
from plinth.serving.service import ServingService

__all__ = [
    "AdapterFile",
    "Deployment",
    "DeploymentStatus",
    "Endpoint",
    "Engine",
    "EngineFailed",
    "EngineHandle",
    "EngineSpec",
    "Health",
    "HealthState",
    "InMemoryEngine",
    "ModelFile",
    "NotServable",
    "Parts",
    "Reconciler",
    "Role",
    "ServingService",
    "UnknownAdapter",
    "translate",
]
