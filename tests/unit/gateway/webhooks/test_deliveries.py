"""From a fact to a delivery: once, again, given up, disabled, redelivered; nothing lost when a sender dies."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest

from plinth.gateway.webhooks.errors import EndpointDisabled
from plinth.gateway.webhooks.jobs import DeliveryLoop
from plinth.gateway.webhooks.model import Answer, EndpointStatus, Outgoing
from plinth.kit.errors import NotFound
from support import actor
from unit.gateway.webhooks.conftest import MakeWorld, World

HOUR = 3600.0


def ids(sent: list[Outgoing]) -> list[str]:
    return [outgoing.headers["webhook-id"] for outgoing in sent]


def fail(world: World, answer: Answer | None = None) -> None:
    world.sender.answers = lambda _outgoing: answer or Answer(500)


def recover(world: World) -> None:
    world.sender.answers = lambda _outgoing: Answer(200)


def run_for(world: World, hours: float, step: float = 60.0) -> int:
    """Let time pass; returns how many attempts were made."""
    attempts = 0
    for _ in range(int(hours * HOUR / step)):
        world.clock.advance(step)
        attempts += world.loop.run_once()
    return attempts


def test_a_fact_goes_to_every_endpoint_that_subscribed_to_it(world: World) -> None:
    one, two = world.create(), world.create(url="https://two.example/")
    world.create(event_types=("batch.failed",), url="https://deaf.example/")
    world.create(project_id="proj_b", url="https://stranger.example/")
    world.happen("tuning.job.succeeded", job_id="ftjob-1", fine_tuned_model="ft:x")
    assert world.loop.run_once() == 2
    assert {outgoing.url for outgoing in world.sender.sent} == {one.endpoint.url, two.endpoint.url}
    bodies = [json.loads(outgoing.body) for outgoing in world.sender.sent]
    assert bodies[0] == bodies[1]
    assert (bodies[0]["type"], bodies[0]["data"]) == ("fine_tuning.job.succeeded", {"id": "ftjob-1"})
    assert len(set(ids(world.sender.sent))) == 2
    assert {delivery.status for delivery in world.deliveries()} == {"delivered"}
    assert world.loop.run_once() == 0


def test_history_is_not_told_to_a_new_endpoint(world: World) -> None:
    world.clock.advance(-10)
    with world.db.write() as session:
        from plinth.kit import events

        events.emit(session, world.clock, "gateway.batch.completed", {"batch_id": "old"}, "proj_a")
    world.clock.advance(10)
    world.create()
    world.happen(batch_id="new")
    assert [json.loads(d.body)["data"]["id"] for d in world.deliveries()] == ["new"]


def test_a_failed_delivery_comes_again_under_the_same_id_and_a_new_signature(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    fail(world)
    assert world.loop.run_once() == 1
    waiting = world.deliveries()[0]
    assert (waiting.status, waiting.attempts, waiting.last_status_code) == ("pending", 1, 500)
    assert waiting.last_error == "status 500."
    assert world.endpoint(endpoint.id).failing_since == world.clock.unix()
    assert 3.75 <= waiting.next_attempt_at - world.clock.unix() <= 6.25
    recover(world)
    world.clock.advance(3)
    assert world.loop.run_once() == 0
    world.clock.advance(4)
    assert world.loop.run_once() == 1
    first, second = world.sender.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == waiting.id
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    done = world.deliveries()[0]
    assert (done.status, done.attempts, done.last_error, done.delivered_at) == ("delivered", 2, "", world.clock.unix())
    assert world.endpoint(endpoint.id).failing_since is None


def test_after_72_hours_it_is_given_up_and_the_endpoint_disabled(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    fail(world)
    attempts = run_for(world, 73, step=300)
    assert 15 <= attempts <= 25
    given_up = world.deliveries()[0]
    assert (given_up.status, given_up.attempts) == ("failed", attempts)
    assert 72 * HOUR <= given_up.last_attempt_at - given_up.created_at <= 72 * HOUR + 300
    disabled = world.endpoint(endpoint.id)
    assert disabled.status == "disabled"
    assert disabled.disabled_reason == "it took no delivery for 72 hours (last: status 500.)"
    assert "gateway.webhook_endpoint.disabled" in world.kinds()
    world.happen()
    assert len(world.deliveries()) == 1


def test_an_endpoint_that_takes_something_is_not_disabled_for_one_bad_delivery(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen(batch_id="poison")
    world.sender.answers = lambda outgoing: Answer(500 if b"poison" in outgoing.body else 200)
    run_for(world, 40, step=600)
    world.happen(batch_id="fine")
    run_for(world, 33, step=600)
    assert Counter(delivery.status for delivery in world.deliveries()) == {"failed": 1, "delivered": 1}
    assert world.endpoint(endpoint.id).status == "active"


def test_410_gone_disables_at_once_and_fails_what_waits(world: World) -> None:
    endpoint = world.create().endpoint
    fail(world)
    world.happen()
    world.loop.run_once()
    world.happen()
    fail(world, Answer(410))
    world.loop.run_once()
    assert "410" in world.endpoint(endpoint.id).disabled_reason
    assert [delivery.status for delivery in world.deliveries()] == ["failed", "failed"]
    assert all("disabled" in delivery.last_error for delivery in world.deliveries())


def test_retry_after_is_heeded(world: World) -> None:
    world.create()
    world.happen()
    fail(world, Answer(429, retry_after_seconds=900))
    world.loop.run_once()
    world.clock.advance(899)
    assert world.loop.run_once() == 0
    world.clock.advance(1)
    assert world.loop.run_once() == 1


def test_a_sender_that_dies_sends_again(world: World) -> None:
    world.create()
    world.happen()
    with world.db.write() as session:
        dead = world.service.deliveries.claim(session, {}, 8)
    assert len(dead) == 1
    assert world.loop.run_once() == 0
    world.clock.advance(31)
    assert world.loop.run_once() == 1
    assert ids(world.sender.sent) == [dead[0].delivery.id]
    # the dead one comes back: what it thinks it knows no longer counts
    with world.db.write() as session:
        world.service.deliveries.settle(session, dead[0], Answer(500))
    assert world.deliveries()[0].status == "delivered"


def test_what_a_late_worker_found_does_not_disturb_a_later_attempt(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    claims = []
    for _ in range(2):
        with world.db.write() as session:
            claims += world.service.deliveries.claim(session, {}, 8)
        world.clock.advance(31)
    assert [claim.number for claim in claims] == [1, 2]
    before = world.deliveries()[0]
    with world.db.write() as session:
        world.service.deliveries.settle(session, claims[0], Answer(500))
    assert world.deliveries()[0] == before
    assert world.endpoint(endpoint.id).failing_since is None
    with world.db.write() as session:
        world.service.deliveries.settle(session, claims[1], Answer(500))
    assert world.deliveries()[0].last_status_code == 500


def test_two_workers_never_take_the_same_delivery(world: World) -> None:
    world.create()
    for _ in range(3):
        world.happen()
    with world.db.write() as session:
        first = world.service.deliveries.claim(session, {}, 2)
    with world.db.write() as session:
        second = world.service.deliveries.claim(session, {}, 8)
    taken = [attempt.delivery.id for attempt in (*first, *second)]
    assert len(taken) == len(set(taken)) == 3


def test_workers_side_by_side_share_the_work(world: World) -> None:
    for number in range(4):
        world.create(url=f"https://e{number}.example/")
    for _ in range(15):
        world.happen()
    attempts: list[int] = []

    def work() -> None:
        attempts.append(DeliveryLoop(world.db, world.service.deliveries, world.sender, 6).run_once())

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # a worker that met only what others held has stopped early
    attempts.append(world.loop.run_once())
    assert sum(attempts) == 60
    assert len(set(ids(world.sender.sent))) == len(world.sender.sent) == 60
    assert {delivery.status for delivery in world.deliveries()} == {"delivered"}


def test_a_full_or_failing_endpoint_leaves_room_for_others(world: World) -> None:
    slow, failing, quick = (world.create(url=f"https://{name}.example/") for name in ("slow", "failing", "quick"))
    fail(world)
    world.update(failing.endpoint.id, event_types=("batch.completed",))
    for _ in range(20):
        world.happen()
    with world.db.write() as session:
        from plinth.gateway.webhooks import store

        store.change_endpoint(session, failing.endpoint.id, failing_since=world.clock.unix())
    with world.db.write() as session:
        claimed = world.service.deliveries.claim(session, {slow.endpoint.id: 4}, 100)
    taken = Counter(attempt.endpoint.id for attempt in claimed)
    assert taken == {failing.endpoint.id: 1, quick.endpoint.id: 4}
    with world.db.read() as session:
        assert not world.service.deliveries.any_due(
            session, {slow.endpoint.id: 4, quick.endpoint.id: 4, failing.endpoint.id: 1}
        )


def test_a_clock_set_back_holds_nothing_up(world: World) -> None:
    world.create()
    world.happen()
    fail(world)
    run_for(world, 20, step=600)
    recover(world)
    world.clock.advance(-19 * HOUR)
    assert world.loop.run_once() == 1
    assert world.deliveries()[0].status == "delivered"


def test_a_worker_away_for_days_still_tries(world: World) -> None:
    world.create()
    world.happen()
    world.clock.advance(100 * HOUR)
    assert world.loop.run_once() == 1
    assert world.deliveries()[0].status == "delivered"


def test_redelivery_keeps_the_id_and_starts_the_time_again(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    fail(world)
    run_for(world, 73, step=600)
    failed = world.deliveries()[0]
    with pytest.raises(EndpointDisabled):
        world.redeliver(failed.id)
    world.update(endpoint.id, status=EndpointStatus.active)
    again = world.redeliver(failed.id)
    assert (again.status, again.next_attempt_at) == ("pending", world.clock.unix())
    # pauses start small again
    assert world.loop.run_once() == 1
    world.clock.advance(7)
    recover(world)
    assert world.loop.run_once() == 1
    assert set(ids(world.sender.sent)) == {failed.id}
    # one that arrived can be sent again too
    world.redeliver(failed.id)
    assert world.loop.run_once() == 1
    assert world.deliveries()[0].status == "delivered"


def test_a_new_url_sends_what_waits_at_once(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    fail(world)
    run_for(world, 3, step=600)
    recover(world)
    world.update(endpoint.id, url="https://moved.example/")
    assert world.endpoint(endpoint.id).failing_since is None
    assert world.loop.run_once() == 1
    assert world.sender.sent[-1].url == "https://moved.example/"


def test_deleting_cancels_what_waits_and_keeps_the_list(world: World) -> None:
    endpoint = world.create().endpoint
    world.happen()
    with world.db.write() as session:
        world.service.delete(session, actor(), endpoint.id)
    assert world.loop.run_once() == 0
    assert [delivery.status for delivery in world.deliveries(endpoint_id=endpoint.id)] == ["cancelled"]
    with pytest.raises(NotFound):
        world.redeliver(world.deliveries()[0].id)


def test_lists_page_and_filter(world: World) -> None:
    world.create()
    for number in range(5):
        world.happen(batch_id=f"batch_{number}")
    fail(world)
    world.loop.run_once()
    first = world.deliveries(limit=2)
    assert len(first) == 3
    rest = world.deliveries(after=first[1].id)
    assert [d.id for d in first[:2]] + [d.id for d in rest] == [d.id for d in world.deliveries()]
    assert world.deliveries(status="delivered") == []
    assert len(world.deliveries(status="pending")) == 5


def test_finished_deliveries_are_forgotten_after_a_while(world: World) -> None:
    world.create()
    world.happen()
    world.loop.run_once()
    world.clock.advance(29 * 24 * HOUR)
    world.happen()
    assert world.service.deliveries.tidy(world.db) == 0
    world.clock.advance(2 * 24 * HOUR)
    assert world.service.deliveries.tidy(world.db) == 1
    assert [delivery.status for delivery in world.deliveries()] == ["pending"]


def test_a_sender_that_breaks_stops_nothing(world: World) -> None:
    world.create()
    world.happen(batch_id="bad"), world.happen(batch_id="good")

    def answer(outgoing: Outgoing) -> Answer:
        if b"bad" in outgoing.body:
            raise RuntimeError("a bug")
        return Answer(200)

    world.sender.answers = answer
    assert world.loop.run_once() == 2
    assert sorted(delivery.status for delivery in world.deliveries()) == ["delivered", "pending"]
    recover(world)
    world.clock.advance(31)
    assert world.loop.run_once() == 1


def test_no_more_than_the_limit_are_under_way(make_world: MakeWorld) -> None:
    world = make_world()
    for number in range(5):
        world.create(url=f"https://e{number}.example/")
    for _ in range(4):
        world.happen()
    loop: Any = DeliveryLoop(world.db, world.service.deliveries, world.sender, concurrency=3)
    with world.db.write() as session:
        assert len(world.service.deliveries.claim(session, {}, 3)) == 3
    assert loop.run_once() == 17
