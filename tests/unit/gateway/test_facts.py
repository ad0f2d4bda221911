from __future__ import annotations

from plinth.gateway import DatabaseFacts
from plinth.gateway.costs import PriceTable
from plinth.gateway.dataplane.ports import MemoryEndpoint, MemoryModel
from plinth.gateway.dataplane.snapshot import SnapshotKeeper
from plinth.gateway.limits import LimitTable
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database


def test_events_drive_the_snapshot(db: Database, clock: FixedClock) -> None:
    endpoints = [MemoryEndpoint("model-1", state="starting")]
    facts = DatabaseFacts(
        db,
        keys=lambda session: [],
        projects=lambda session: {"proj_a": "org_a"},
        models=lambda session: [MemoryModel("proj_a", "m", "model-1")],
        endpoints=lambda session: endpoints,
        retirements=lambda session: {},
        routes=lambda session: [],
        limits=lambda session: LimitTable(),
        prices=lambda session: PriceTable(),
        policies=lambda session: {},
    )
    keeper = SnapshotKeeper(facts, 0.1)
    assert keeper.refresh()
    endpoints = [MemoryEndpoint("model-1", socket_path="/new")]
    assert not keeper.refresh()
    for kind, expected in (("tuning.job.queued", False), ("serving.endpoints.changed", True)):
        with db.write() as session:
            events.emit(session, clock, kind, {})
        assert keeper.refresh() is expected
    assert keeper.current is not None
    assert keeper.current.endpoints["model-1"] == tuple(endpoints)
    assert keeper.current.projects == {"proj_a": "org_a"}
