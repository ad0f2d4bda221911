"""The page that Prometheus reads: what was counted, how the parts stand now, and the same of the
machine's other gateway processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from plinth.gateway.dataplane.breaker import Circuit
from plinth.gateway.dataplane.deliver import circuit_key
from plinth.gateway.dataplane.exposition import Family, SharedPages, labels_of, merged
from plinth.gateway.dataplane.snapshot import SnapshotKeeper
from plinth.gateway.dataplane.stages import Stages

log = logging.getLogger(__name__)

_STATES = {Circuit.closed: 0, Circuit.half_open: 1, Circuit.open: 2}
_LEAVE_SECONDS = 2.0


class Scrape:
    """Args: `folder` is where the machine's workers leave their pages for each other, None when there
    is only this one. Belongs to one event loop."""

    def __init__(self, stages: Stages, keeper: SnapshotKeeper, folder: Path | None) -> None:
        self._stages, self._keeper = stages, keeper
        self._shared = None if folder is None else SharedPages(folder, stages.metrics.worker)
        self._task: asyncio.Task[None] | None = None

    async def page(self) -> bytes:
        own = await self._own()
        if self._shared is None:
            return own.encode()
        others = await asyncio.to_thread(self._shared.others, self._stages.clock.unix())
        return merged([own, *others]).encode()

    def start(self) -> None:
        if self._shared is not None:
            self._task = asyncio.create_task(self._leave(self._shared))

    async def stop(self) -> None:
        if self._task is None or self._shared is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._shared.remove()

    async def _leave(self, shared: SharedPages) -> None:
        failing = False
        while True:
            page = await self._own()
            try:
                await asyncio.to_thread(shared.leave, page)
                failing = False
            except OSError:
                if not failing:
                    log.exception("this worker's metrics cannot be left for the others")
                failing = True
            await asyncio.sleep(_LEAVE_SECONDS)

    async def _own(self) -> str:
        """Requests get their turn between two families."""
        parts = []
        for family in chain(self._stages.metrics.families(), self._states()):
            parts.append(family.text())
            await asyncio.sleep(0)
        return "".join(parts)

    def _states(self) -> Iterator[Family]:
        yield from self._circuits()
        yield from self._turnstiles()
        stages, metrics, keeper = self._stages, self._stages.metrics, self._keeper
        text = "Retries that the budget still allows"
        yield metrics.single("plinth_retry_budget", "gauge", text, stages.retries.budget.left)
        text = "Shadow copies that were left out because too many were under way"
        yield metrics.single("plinth_mirrors_left_out", "counter", text, stages.mirrors.left_out)
        text = "Answers to keep that the disk did not take"
        yield metrics.single("plinth_kept_answers_lost", "counter", text, stages.completions.lost)
        if stages.request_log is not None:
            text = "Lines that the request log left out because of its bound"
            yield metrics.single("plinth_request_log_dropped", "counter", text, stages.request_log.dropped)
        text = "1 while the database does not answer and the last good snapshot serves"
        yield metrics.single("plinth_database_away", "gauge", text, keeper.database_away)
        if keeper.seen_at is not None:
            age = max(0.0, stages.clock.monotonic() - keeper.seen_at)
            text = "Since keys, routes and models were last known to be up to date"
            yield metrics.single("plinth_snapshot_age_seconds", "gauge", text, age)

    def _circuits(self) -> Iterator[Family]:
        """By engine group: sockets change with every restart. The worst of a group's circuits counts."""
        state = Family("plinth_circuit_state", "gauge", "0 closed, 1 half open, 2 open")
        opened = Family("plinth_circuit_opened", "counter", "How often a target's circuit was opened")
        snapshot, breakers = self._keeper.current, self._stages.breakers
        circuits, worst, times = breakers.circuits(), dict[str, int](), dict[str, int]()
        found = {} if snapshot is None else snapshot.endpoints
        groups = {circuit_key(endpoint): endpoint.group for some in found.values() for endpoint in some}
        for key, group in groups.items():
            if key in circuits:
                worst[group] = max(worst.get(group, 0), _STATES[circuits[key]])
                times[group] = times.get(group, 0) + breakers.of(key).opened
        for group, number in worst.items():
            labels = labels_of({"group": group, "worker": self._stages.metrics.worker})
            state.add(labels, number)
            opened.add(labels, times[group])
        yield from (state, opened)

    def _turnstiles(self) -> Iterator[Family]:
        working = Family("plinth_route_working", "gauge", "Requests at work on a route")
        waiting = Family("plinth_route_waiting", "gauge", "Requests that wait for a place on a route")
        snapshot = self._keeper.current
        for route in () if snapshot is None else snapshot.routes.values():
            turnstile = self._stages.turnstiles.get(route.id)
            if turnstile is not None:
                names = {"route": route.name, "route_id": route.id, "worker": self._stages.metrics.worker}
                working.add(labels_of(names), turnstile.working)
                waiting.add(labels_of(names), turnstile.waiting)
        yield from (working, waiting)
