"""Places, queues, priorities, deadlines, and nobody forgotten."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from plinth.gateway.dataplane.turnstile import Gate, Priority, Turnstile, Turnstiles
from plinth.gateway.errors import Busy
from plinth.kit.clock import FixedClock


@pytest.fixture
def make(clock: FixedClock) -> Callable[..., Turnstile]:
    def make(places: int | None = 1, queue: int = 10, queue_seconds: float = 30.0) -> Turnstile:
        return Turnstile(clock, Gate("support", places, queue, queue_seconds))

    return make


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Tasks that enter, note it, and stay until they are told to leave."""

    def __init__(self, turnstile: Turnstile) -> None:
        self.turnstile = turnstile
        self.inside: list[str] = []
        self.order: list[str] = []
        self._out: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, priority: Priority = Priority.interactive) -> None:
        self._out[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, priority))
        await settle()

    async def go(self, name: str) -> None:
        self._out[name].set()
        await self.tasks[name]
        await settle()

    async def _visit(self, name: str, priority: Priority) -> None:
        async with self.turnstile.passed(priority):
            self.inside.append(name)
            self.order.append(name)
            await self._out[name].wait()
            self.inside.remove(name)


async def test_no_limit_lets_everybody_in(make: Callable[..., Turnstile]) -> None:
    turnstile = make(places=None)
    for _ in range(1000):
        await turnstile.enter()
    assert (turnstile.working, turnstile.waiting) == (1000, 0)


async def test_who_comes_first_is_served_first(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make(places=2))
    for name in "abcde":
        await visitors.come(name)
    assert visitors.inside == ["a", "b"]
    assert visitors.turnstile.waiting == 3
    for name in "bacde":
        await visitors.go(name)
    assert visitors.order == ["a", "b", "c", "d", "e"]
    assert (visitors.turnstile.working, visitors.turnstile.waiting) == (0, 0)


async def test_people_go_before_batches(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make())
    await visitors.come("a")
    await visitors.come("batch 1", Priority.batch)
    await visitors.come("batch 2", Priority.batch)
    await visitors.come("b")
    await visitors.come("c")
    for name in ("a", "b", "c", "batch 1", "batch 2"):
        await visitors.go(name)
    assert visitors.order == ["a", "b", "c", "batch 1", "batch 2"]


async def test_a_full_queue_says_when_to_come_back(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make(queue=1))
    await visitors.come("a")
    await visitors.come("b")
    with pytest.raises(Busy) as refused:
        await visitors.turnstile.enter()
    assert (refused.value.status, refused.value.code) == (429, "gateway_busy")
    assert refused.value.headers == {"Retry-After": "1"}
    assert "support" in refused.value.message
    await visitors.go("a")
    await visitors.go("b")
    assert visitors.order == ["a", "b"]


async def test_without_a_queue_nobody_waits(make: Callable[..., Turnstile]) -> None:
    for turnstile in (make(queue=0), make(queue_seconds=0)):
        await turnstile.enter()
        for priority in Priority:
            with pytest.raises(Busy):
                await turnstile.enter(priority)
        turnstile.leave()
        await turnstile.enter()


async def test_a_person_takes_the_last_batchs_place_in_a_full_queue(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make(queue=2))
    await visitors.come("a")
    await visitors.come("batch 1", Priority.batch)
    await visitors.come("batch 2", Priority.batch)
    await visitors.come("b")
    with pytest.raises(Busy):
        await visitors.tasks["batch 2"]
    with pytest.raises(Busy):
        await visitors.turnstile.enter(Priority.batch)
    for name in ("a", "b", "batch 1"):
        await visitors.go(name)
    assert visitors.order == ["a", "b", "batch 1"]


async def test_waiting_ends_at_the_deadline(make: Callable[..., Turnstile]) -> None:
    turnstile = make(queue_seconds=0.02)
    await turnstile.enter()
    with pytest.raises(Busy):
        await asyncio.wait_for(turnstile.enter(), 5)
    assert (turnstile.working, turnstile.waiting) == (1, 0)
    turnstile.leave()
    await turnstile.enter()
    assert turnstile.working == 1


async def test_retry_after_follows_the_pace_at_which_places_come_free(
    make: Callable[..., Turnstile], clock: FixedClock
) -> None:
    visitors = Visitors(make(queue=4))
    for name in "abcde":
        await visitors.come(name)
    for name in "abc":
        clock.advance(3)
        await visitors.go(name)
    for name in "fgh":
        await visitors.come(name)
    with pytest.raises(Busy) as refused:
        await visitors.turnstile.enter()
    # four wait, one place comes free every 3 seconds: the fifth has its turn in 15
    assert refused.value.headers == {"Retry-After": "15"}
    for name in "defgh":
        clock.advance(600)
        await visitors.go(name)
    assert visitors.turnstile._busy().headers["Retry-After"] == "60"  # never longer than a minute


async def test_somebody_who_leaves_the_queue_is_skipped(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make())
    for name in "abc":
        await visitors.come(name)
    visitors.tasks["b"].cancel()
    await settle()
    assert visitors.turnstile.waiting == 1
    await visitors.go("a")
    assert visitors.inside == ["c"]


async def test_a_place_given_to_somebody_who_is_cancelled_at_that_moment_goes_to_the_next(
    make: Callable[..., Turnstile],
) -> None:
    """The lost wake-up: the place was handed over, and its new owner is cancelled before it runs."""
    visitors = Visitors(make())
    await visitors.turnstile.enter()
    for name in "ab":
        await visitors.come(name)
    visitors.turnstile.leave()  # the place is a's now
    visitors.tasks["a"].cancel()
    await settle()
    assert visitors.inside == ["b"]
    await visitors.go("b")
    assert (visitors.turnstile.working, visitors.turnstile.waiting) == (0, 0)


async def test_cancelled_first_and_freed_in_the_same_moment(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make())
    await visitors.turnstile.enter()
    for name in "ab":
        await visitors.come(name)
    visitors.tasks["a"].cancel()
    visitors.turnstile.leave()
    await settle()
    assert visitors.inside == ["b"]


async def test_turned_out_and_cancelled_in_the_same_moment_leaves_the_count_right(
    make: Callable[..., Turnstile],
) -> None:
    visitors = Visitors(make(queue=1))
    await visitors.come("a")
    await visitors.come("batch", Priority.batch)
    newcomer = asyncio.create_task(visitors.turnstile.enter())
    await asyncio.sleep(0)  # the batch has been turned out, and does not know it yet
    visitors.tasks["batch"].cancel()
    await settle()
    assert visitors.tasks["batch"].cancelled()
    await visitors.go("a")
    await newcomer
    assert (visitors.turnstile.working, visitors.turnstile.waiting) == (1, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_ever_lost_or_given_twice(make: Callable[..., Turnstile], seed: int) -> None:
    """Hundreds of visitors who are cancelled at any moment, or run out of patience."""
    dice = random.Random(seed)
    turnstile = make(places=3, queue=8, queue_seconds=0.005)
    inside = most = served = 0

    async def visit() -> None:
        nonlocal inside, most, served
        async with turnstile.passed(dice.choice(list(Priority))):
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(dice.choice((0, 0, 0.001, 0.002)))
                served += 1
            finally:
                inside -= 1

    tasks = []
    for _ in range(300):
        tasks.append(asyncio.create_task(visit()))
        for _ in range(dice.randrange(3)):
            dice.choice(tasks).cancel()
        if dice.random() < 0.5:
            await asyncio.sleep(dice.choice((0, 0, 0.001)))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), Busy, asyncio.CancelledError}
    assert most == 3
    assert served > 0
    assert (turnstile.working, turnstile.waiting) == (0, 0)


async def test_more_places_are_filled_at_once_and_fewer_throw_nobody_out(make: Callable[..., Turnstile]) -> None:
    visitors = Visitors(make())
    for name in "abcd":
        await visitors.come(name)
    visitors.turnstile.change(Gate("support", 3))
    await settle()
    assert visitors.inside == ["a", "b", "c"]
    visitors.turnstile.change(Gate("support", 1))
    await visitors.go("a")
    await visitors.go("b")
    assert visitors.inside == ["c"]
    await visitors.go("c")
    assert visitors.inside == ["d"]


async def test_turnstiles_follow_the_routes(clock: FixedClock) -> None:
    turnstiles = Turnstiles(clock)
    turnstiles.sync({"route_1": Gate("support", 1), "route_2": Gate("sales")})
    first = turnstiles.get("route_1")
    assert first is not None
    await first.enter()
    waiter = asyncio.create_task(first.enter())
    await settle()
    turnstiles.sync({"route_1": Gate("support", 2)})
    await waiter
    assert turnstiles.get("route_1") is first
    assert turnstiles.get("route_2") is None
    turnstiles.sync({})
    assert turnstiles.get("route_1") is None
    first.leave()
    first.leave()
    assert first.working == 0
