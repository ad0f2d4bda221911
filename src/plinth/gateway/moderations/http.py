"""`POST /v1/moderations`; needs `models:use`."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from plinth.gateway.moderations.schemas import ModerationObject, ModerationRequest
from plinth.gateway.moderations.service import ModerationService
from plinth.identity import Actor
from plinth.kit.http import Guard


def router(service: ModerationService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/moderations", tags=["moderations"])
    use = Depends(guard("models:use"))

    @routes.post("")
    def create_moderation(body: ModerationRequest, actor: Actor = use) -> ModerationObject:
        return ModerationObject.of(service.moderate(actor, body.texts(), body.model))

    return routes
