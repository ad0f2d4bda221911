"""Is the platform serving? Answered from memory, with one cached probe of the control plane."""

from __future__ import annotations

import asyncio
from typing import Any

from plinth import __version__
from plinth.gateway.dataplane.proxy import Proxy
from plinth.gateway.dataplane.snapshot import SnapshotKeeper
from plinth.kit.clock import Clock

_PROBE_EVERY_SECONDS = 1.0
_PROBE_TIMEOUT_SECONDS = 0.8


class Health:
    def __init__(self, keeper: SnapshotKeeper, proxy: Proxy, clock: Clock) -> None:
        self._keeper, self._proxy, self._clock = keeper, proxy, clock
        self._probing = asyncio.Lock()
        self._probed_at = float("-inf")
        self._api_alive = False

    async def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status (200 while model calls are answered, else 503) and the body.

        `status` is `ok`, `degraded` (models answer, something else does not) or `unavailable`.
        """
        await self._probe()
        snapshot = self._keeper.current
        processes = {
            "gateway": "ok" if snapshot is not None else "starting",
            "api": "ok" if self._api_alive else "down",
            "database": "down" if self._keeper.database_away else "ok",
            "engines": self._engines(),
        }
        degraded = "down" in processes.values() or processes["engines"] == "failed"
        status = "unavailable" if snapshot is None else "degraded" if degraded else "ok"
        body = {"status": status, "version": __version__, "processes": processes}
        return (503 if snapshot is None else 200), body

    def _engines(self) -> str:
        """The worst state that any engine is in; `none` when no model has been started."""
        snapshot = self._keeper.current
        found = [] if snapshot is None else [e for group in snapshot.endpoints.values() for e in group]
        states = {str(endpoint.state) for endpoint in found}
        if not states:
            return "none"
        if "failed" in states:
            return "failed"
        return "ok" if states == {"ready"} else "starting"

    async def _probe(self) -> None:
        async with self._probing:
            if self._clock.monotonic() - self._probed_at >= _PROBE_EVERY_SECONDS:
                self._api_alive = await self._proxy.alive(_PROBE_TIMEOUT_SECONDS)
                self._probed_at = self._clock.monotonic()
