"""/api/deployments: which models are served."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from plinth.identity import Actor
from plinth.kit.db import Database
from plinth.kit.http import Guard, ListPage, page
from plinth.registry import RegistryService
from plinth.serving.schemas import DeploymentObject, DeploymentRequest
from plinth.serving.service import ServingService


def router(db: Database, service: ServingService, registry: RegistryService, guard: Guard) -> APIRouter:
    routes = APIRouter()
    tags: list[str | Enum] = ["deployments"]
    read, write = Depends(guard("serving:read")), Depends(guard("serving:write"))

    @routes.post("/api/deployments", tags=tags)
    def create_deployment(body: DeploymentRequest, actor: Actor = write) -> DeploymentObject:
        """Serve a model. Answers at once with status `starting`; with `name`, the name means the
        model from now on."""
        with db.write() as session:
            deployment = service.deploy(
                session, actor.project_id, body.model, context_tokens=body.context_tokens, slots=body.slots
            )
            if body.name is not None:
                registry.set_alias(session, actor, body.name, deployment.model_id)
            return DeploymentObject.of(deployment)

    @routes.get("/api/deployments", tags=tags)
    def list_deployments(
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        actor: Actor = read,
    ) -> ListPage[DeploymentObject]:
        with db.read() as session:
            found = service.deployments(session, actor.project_id, after, limit)
        return page([DeploymentObject.of(deployment) for deployment in found], limit)

    @routes.get("/api/deployments/{deployment_id}", tags=tags)
    def retrieve_deployment(deployment_id: str, actor: Actor = read) -> DeploymentObject:
        with db.read() as session:
            return DeploymentObject.of(service.deployment(session, actor.project_id, deployment_id))

    @routes.delete("/api/deployments/{deployment_id}", tags=tags)
    def stop_deployment(deployment_id: str, actor: Actor = write) -> DeploymentObject:
        """Stop serving the model in this project. The deployment stays listed as `stopped`."""
        with db.write() as session:
            return DeploymentObject.of(service.stop(session, actor.project_id, deployment_id))

    return routes
