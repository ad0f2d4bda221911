"""Wire types of deployments."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.http import Wire
from plinth.serving.model import Deployment


class DeploymentRequest(Wire):
    model: str = Field(min_length=1, max_length=255, description="a base model, a version, or a name")
    name: str | None = Field(default=None, max_length=64, description="also make this name mean the model")
    context_tokens: int | None = Field(default=None, ge=128, le=1_000_000, description="prompt plus answer")
    slots: int | None = Field(default=None, ge=1, le=256, description="requests at once")


class DeploymentObject(Wire):
    id: str
    object: str = "deployment"
    model: str
    base: str
    engine: str
    status: str = Field(description="starting, ready, failed, stopping or stopped")
    reason: str | None = Field(description="why it failed, or what went wrong in the last attempt to start it")
    context_tokens: int | None
    slots: int | None
    created_at: int
    updated_at: int

    @classmethod
    def of(cls, deployment: Deployment) -> DeploymentObject:
        return cls(
            id=deployment.id,
            model=deployment.model_id,
            base=deployment.base_id,
            engine=deployment.engine,
            status=deployment.status,
            reason=deployment.reason,
            context_tokens=deployment.context_tokens,
            slots=deployment.slots,
            created_at=int(deployment.created_at),
            updated_at=int(deployment.updated_at),
        )
