"""Every slice's router, built over the platform's services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plinth.bootstrap.platform import Platform
from plinth.identity.guard import AuthGuard, build_guard

if TYPE_CHECKING:
    from fastapi import APIRouter


def guard(platform: Platform) -> AuthGuard:
    return build_guard(platform.db, platform.identity)


def routers(platform: Platform) -> list[APIRouter]:
    from plinth.catalog.http import router as catalog
    from plinth.data.http import router as data
    from plinth.evaluation.http import router as evaluation
    from plinth.gateway.usage.http import router as usage
    from plinth.identity.http import router as identity
    from plinth.registry.http import router as registry
    from plinth.serving.http import router as serving
    from plinth.tuning.http import router as tuning

    db, allow = platform.db, guard(platform)
    public_url = platform.settings.evaluation.public_url
    return [
        identity(db, platform.identity, allow),
        catalog(db, platform.catalog, allow),
        data(db, platform.data, allow),
        registry(db, platform.registry, allow),
        tuning(db, platform.tuning, allow),
        serving(db, platform.serving, platform.registry, allow),
        evaluation(db, platform.evaluation, platform.grader_runner, allow, public_url),
        usage(db, platform.clock, allow),
    ]
