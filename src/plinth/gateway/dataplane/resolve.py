"""From the name a client used to an endpoint that is ready, starting the model when it must."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from plinth.gateway.dataplane.ports import Endpoint, PublicModel, Wanted
from plinth.gateway.dataplane.snapshot import Snapshot, SnapshotKeeper
from plinth.gateway.errors import ModelFailed, ModelRetired, ModelStarting
from plinth.gateway.settings import GatewaySettings
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.registry import UnknownModel

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 5.0
_MOMENT_SECONDS = 0.5


def find_model(snapshot: Snapshot, actor: Actor, name: str, now: float) -> PublicModel:
    """What `name` means to the caller's project. Raises `UnknownModel`, `ModelRetired`.

    Args:
        now: unix seconds.
    """
    model = snapshot.names.get((actor.project_id, name))
    if model is None:
        raise UnknownModel(id=name, param="model")
    if day := is_retired(snapshot, model, now):
        raise ModelRetired(model=name, shutdown_date=day, param="model")
    return model


def is_retired(snapshot: Snapshot, model: PublicModel, now: float) -> str:
    """The day (YYYY-MM-DD) on which the model's base was shut down, "" while it is not."""
    retired_at = snapshot.retired_at.get(model.base_id)
    if retired_at is None or retired_at > now:
        return ""
    return datetime.fromtimestamp(retired_at, UTC).date().isoformat()


def _rank(endpoint: Endpoint) -> int:
    return {"ready": 0, "failed": 2}.get(str(endpoint.state), 1)


class Resolver:
    def __init__(self, keeper: SnapshotKeeper, wanted: Wanted, clock: Clock, settings: GatewaySettings) -> None:
        self._keeper, self._wanted, self._clock, self._settings = keeper, wanted, clock, settings
        self._asked: dict[str, float] = {}

    async def look_again(self) -> Snapshot:
        """The snapshot after one more look at the facts: a name that it does not know may be a moment old."""
        await self._keeper.look(LOOK_SECONDS)
        assert self._keeper.current is not None
        return self._keeper.current

    def ready(self, model: PublicModel) -> Endpoint | None:
        """A ready endpoint if there is one now."""
        endpoint = self._choose(model)
        return endpoint if endpoint is not None and endpoint.state == "ready" else None

    async def endpoint(self, model: PublicModel, patient: bool = True) -> Endpoint:
        """A ready endpoint of the model. Raises `ModelFailed`, `ModelStarting`.

        Args:
            patient: wait for a model that must be started; otherwise it is asked to start and gets a
                moment, which is all that a provider needs to become known.
        """
        seconds = self._settings.start_timeout_seconds
        seconds = seconds if patient else min(seconds, _MOMENT_SECONDS)
        deadline = self._clock.monotonic() + seconds
        while True:
            endpoint = self._choose(model)
            if endpoint is not None and endpoint.state == "ready":
                return endpoint
            if endpoint is not None and endpoint.state == "failed":
                raise ModelFailed(model=model.name, reason=endpoint.reason or "unknown", retry_after_seconds=30)
            remaining = deadline - self._clock.monotonic()
            if remaining <= 0:
                raise ModelStarting(model=model.name, retry_after_seconds=5)
            await self._ask(model)
            await self._keeper.changed(min(remaining, _ASK_AGAIN_SECONDS))

    async def replacement(self, model: PublicModel, lost: Endpoint) -> Endpoint:
        """Where to try again after `lost` broke: another ready endpoint as soon as one is known, the
        same one when nothing else turns up in `switch_timeout_seconds` (it may have been restarted).
        A provider has no successor to wait for."""
        if lost.url is not None:
            return await self.endpoint(model)
        deadline = self._clock.monotonic() + self._settings.switch_timeout_seconds
        while (remaining := deadline - self._clock.monotonic()) > 0:
            endpoint = self._choose(model)
            if endpoint is None or endpoint.state != "ready":
                return await self.endpoint(model)
            if (endpoint.socket_path, endpoint.url, endpoint.key) != (lost.socket_path, lost.url, lost.key):
                return endpoint
            await self._keeper.changed(remaining)
        return await self.endpoint(model)

    def _choose(self, model: PublicModel) -> Endpoint | None:
        """The best known endpoint: ready, else under way, else failed."""
        assert self._keeper.current is not None
        found = self._keeper.current.endpoints.get(model.id, ())
        return found[0] if len(found) == 1 else min(found, key=_rank, default=None)

    async def _ask(self, model: PublicModel) -> None:
        now = self._clock.monotonic()
        if now - self._asked.get(model.id, float("-inf")) < _ASK_AGAIN_SECONDS:
            return
        self._asked[model.id] = now
        try:
            await asyncio.to_thread(self._wanted, model.project_id, model.id)
        except Exception:  # asking is best effort (the database may be away); the wait goes on
            log.exception("a model could not be asked for", extra={"model": model.id})
