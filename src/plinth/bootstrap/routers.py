"""Every slice's router, built over the platform's services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plinth.bootstrap.gateway import parts_of
from plinth.bootstrap.platform import Platform
from plinth.identity.guard import AuthGuard, build_guard

if TYPE_CHECKING:
    from fastapi import APIRouter


def guard(platform: Platform) -> AuthGuard:
    return build_guard(platform.db, platform.identity, platform.sign_in.sessions)


def routers(platform: Platform) -> list[APIRouter]:
    from plinth.catalog.http import router as catalog
    from plinth.data.http import router as data
    from plinth.evaluation.http import router as evaluation
    from plinth.identity.http import router as identity
    from plinth.identity.signin.http import router as sign_in
    from plinth.registry.http import router as registry
    from plinth.serving.http import router as serving
    from plinth.tuning.http import router as tuning

    db, allow = platform.db, guard(platform)
    public_url = platform.settings.evaluation.public_url
    return [
        identity(db, platform.identity, allow),
        sign_in(db, platform.sign_in, allow, platform.load_sample, platform.console_url),
        catalog(db, platform.catalog, allow),
        data(db, platform.data, allow),
        registry(db, platform.registry, allow, parts_of(platform).routes.names),
        tuning(db, platform.tuning, allow),
        serving(db, platform.serving, platform.registry, allow),
        evaluation(db, platform.evaluation, platform.grader_runner, allow, public_url),
        *_gateway(platform, allow),
    ]


def _gateway(platform: Platform, allow: AuthGuard) -> list[APIRouter]:
    from plinth.gateway.batches.http import router as batches
    from plinth.gateway.completions.http import router as completions
    from plinth.gateway.costs import shares_of_records
    from plinth.gateway.costs.http import router as costs
    from plinth.gateway.decisions.http import decisions_router as decisions
    from plinth.gateway.decisions.http import router as calibrations
    from plinth.gateway.limits.http import router as limits
    from plinth.gateway.moderations.http import router as moderations
    from plinth.gateway.responses.create_http import create_router as create_response
    from plinth.gateway.responses.http import router as responses
    from plinth.gateway.routes.http import router as routes
    from plinth.gateway.usage.http import organization_router as organization_usage
    from plinth.gateway.usage.http import router as usage
    from plinth.gateway.webhooks.http import router as webhooks
    from plinth.privacy.http import router as privacy

    db, clock, parts = platform.db, platform.clock, parts_of(platform)
    return [
        routes(db, parts.routes, allow),
        limits(db, parts.limits, allow),
        usage(db, clock, allow),
        organization_usage(db, clock, shares_of_records, allow),
        costs(db, parts.costs, parts.cost_reports, clock, allow),
        webhooks(db, parts.webhooks, allow),
        create_response(db, parts.responses, allow, parts.chat_stream, clock),
        responses(db, parts.responses, allow),
        batches(db, parts.batches, allow),
        completions(db, parts.completions, allow),
        moderations(parts.moderations, allow),
        decisions(db, parts.decisions, allow),
        calibrations(db, parts.calibrations, platform.data, platform.settings.decisions, allow),
        privacy(db, parts.privacy, allow),
    ]
