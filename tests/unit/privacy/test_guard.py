"""The guard decides by policy, and fails closed however it is broken."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from plinth.kit.clock import FixedClock, SystemClock
from plinth.privacy import (
    DEFAULT_POLICY,
    Action,
    AnswerBlocked,
    BlockedByPolicy,
    DataClass,
    Finding,
    GuardUnavailable,
    InMemoryDetector,
    Policy,
    PrivacyGuard,
    PrivacySettings,
    Scope,
    policy_named,
)

SECRET = "13800138000"
TWIN = InMemoryDetector({SECRET: "phone", "a@b.cn": "email", "AKIA": "credential"})
QUICK = PrivacySettings(base_seconds=0.2, seconds_per_kilocharacter=0, threads=2)


class Broken:
    """A detector that does what the test says."""

    kinds = frozenset({"phone"})

    def __init__(self, behaviour: Callable[[str], Any], *, linear_time: bool) -> None:
        self._behaviour, self.linear_time = behaviour, linear_time

    def detect(self, text: str) -> Sequence[Finding]:
        return self._behaviour(text)  # type: ignore[no-any-return]


def raises(error: BaseException) -> Callable[[str], Any]:
    def behaviour(text: str) -> Any:
        raise error

    return behaviour


NONSENSE: dict[str, Callable[[str], Any]] = {
    "raises": raises(RuntimeError(f"cannot parse {SECRET}")),
    "raises a key error": raises(KeyError(SECRET)),
    "runs out of memory": raises(MemoryError()),
    "recurses": raises(RecursionError()),
    "times out by itself": raises(TimeoutError()),
    "returns nothing": lambda text: None,
    "returns words": lambda text: ["phone"],
    "returns tuples": lambda text: [("phone", 0, 1, 1.0)],
    "ends behind the text": lambda text: [Finding("phone", 0, len(text) + 1, 1.0)],
    "starts before the text": lambda text: [Finding("phone", -1, 2, 1.0)],
    "is empty": lambda text: [Finding("phone", 2, 2, 1.0)],
    "runs backwards": lambda text: [Finding("phone", 3, 2, 1.0)],
    "counts in floats": lambda text: [Finding("phone", 0.0, 2.0, 1.0)],  # type: ignore[arg-type]
    "is not a number": lambda text: [Finding("phone", 0, 2, float("nan"))],
    "is surer than sure": lambda text: [Finding("phone", 0, 2, 7.0)],
    "invents a kind": lambda text: [Finding("mood", 0, 2, 1.0)],
    "fails half-way": lambda text: (Finding("phone", i, 10 // (3 - i), 1.0) for i in range(9)),
}


@pytest.mark.parametrize("behaviour", NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize("linear_time", [True, False], ids=["inline", "in a thread"])
async def test_a_broken_detector_refuses_the_request(
    behaviour: Callable[[str], Any], linear_time: bool, caplog: pytest.LogCaptureFixture
) -> None:
    guard = PrivacyGuard([TWIN, Broken(behaviour, linear_time=linear_time)], QUICK, SystemClock())
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(GuardUnavailable) as refused:
            await guard.outgoing([f"call {SECRET}"], DEFAULT_POLICY)
        with pytest.raises(GuardUnavailable):
            guard.check([f"call {SECRET}"], DEFAULT_POLICY)
    assert refused.value.status == 503
    assert SECRET not in refused.value.message
    assert SECRET not in caplog.text
    assert refused.value.__cause__ is None, "the cause may quote the text wherever it is logged"


async def test_a_hanging_detector_costs_its_time_and_nothing_else() -> None:
    release = threading.Event()
    calls = 0

    def hang(text: str) -> list[Finding]:
        nonlocal calls
        calls += 1
        if text == "hang":
            release.wait(30)
        return []

    guard = PrivacyGuard([Broken(hang, linear_time=False)], QUICK, SystemClock())
    try:
        started = time.monotonic()
        with pytest.raises(GuardUnavailable, match="too long"):
            await guard.outgoing(["hang"], DEFAULT_POLICY)
        assert time.monotonic() - started < 2
        assert (await guard.outgoing(["fine"], DEFAULT_POLICY)).texts == ("fine",), "a second thread is free"
        with pytest.raises(GuardUnavailable):
            guard.check(["hang"], DEFAULT_POLICY)
        before = calls
        with pytest.raises(GuardUnavailable):
            await guard.outgoing(["fine"], DEFAULT_POLICY)  # both threads hang now
        assert calls == before
    finally:
        release.set()
    async with asyncio.timeout(5):
        while True:
            try:
                await guard.outgoing(["fine"], DEFAULT_POLICY)
                break
            except GuardUnavailable:
                continue


async def test_the_event_loop_goes_on_while_a_slow_detector_works() -> None:
    def slow(text: str) -> list[Finding]:
        time.sleep(0.1)
        return []

    guard = PrivacyGuard([Broken(slow, linear_time=False)], QUICK, SystemClock())
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await guard.outgoing(["x"], DEFAULT_POLICY)
    ticking.cancel()
    assert ticks >= 3


async def test_a_fast_detector_that_was_slow_refuses_the_request() -> None:
    clock = FixedClock()
    guard = PrivacyGuard([Broken(lambda text: clock.advance(1) or [], linear_time=True)], QUICK, clock)  # type: ignore[func-returns-value]
    with pytest.raises(GuardUnavailable, match="too long"):
        await guard.outgoing(["x"], DEFAULT_POLICY)


async def test_too_much_text_is_refused_before_anyone_looks() -> None:
    guard = PrivacyGuard([TWIN], PrivacySettings(max_characters=10), FixedClock())
    assert (await guard.outgoing(["12345", "12345"], DEFAULT_POLICY)).texts == ("12345", "12345")
    with pytest.raises(GuardUnavailable, match="11 characters"):
        await guard.outgoing(["12345", "123456"], DEFAULT_POLICY)


async def test_long_texts_are_looked_at_in_a_thread() -> None:
    seen: list[str] = []

    def note(text: str) -> list[Finding]:
        seen.append(threading.current_thread().name)
        return []

    guard = PrivacyGuard([Broken(note, linear_time=True)], PrivacySettings(), SystemClock())
    await guard.outgoing(["x"], DEFAULT_POLICY)
    await guard.outgoing(["x" * 60_000], DEFAULT_POLICY)
    assert seen == [threading.current_thread().name, "privacy-detector"]


def test_a_guard_without_detectors_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="without a detector"):
        PrivacyGuard([], QUICK, FixedClock())


def test_a_broken_detector_ends_a_watched_answer() -> None:
    flaky = Broken(lambda text: [] if "x" not in text else 1 / 0, linear_time=True)
    guard = PrivacyGuard([flaky], QUICK, FixedClock())
    answer = guard.answer(guard.check(["fine"], Policy("p", answers=True)))
    assert answer.feed("good words, ") == "good words, "
    with pytest.raises(GuardUnavailable):
        answer.feed("x, ")


# policies


def guarded(policy: Policy, text: str, data_class: DataClass | None = None) -> Any:
    return PrivacyGuard([TWIN], QUICK, FixedClock()).check([text], policy, data_class)


def test_everything_is_masked_by_default() -> None:
    masked = guarded(DEFAULT_POLICY, f"{SECRET} a@b.cn AKIA")
    assert masked.texts == ("<PHONE_1> <EMAIL_1> <CREDENTIAL_1>",)
    assert masked.found == {"phone": 1, "email": 1, "credential": 1}
    assert masked.blocked == ()
    masked.require_allowed()


def test_a_kind_is_an_exception_to_its_class() -> None:
    policy = Policy("p", {DataClass.personal: Action.block}, {"email": Action.allow})
    assert guarded(policy, "a@b.cn").texts == ("a@b.cn",)
    blocked = guarded(policy, f"a@b.cn {SECRET}")
    assert blocked.texts == ()
    assert blocked.blocked == ("phone",)
    with pytest.raises(BlockedByPolicy, match="phone") as error:
        blocked.require_allowed()
    assert error.value.status == 403
    assert SECRET not in error.value.message


def test_a_declared_class_that_must_not_leave_blocks_without_any_finding() -> None:
    policy = Policy("p", {DataClass.secret: Action.block})
    assert guarded(policy, "plans", DataClass.secret).blocked == ("secret data",)
    assert guarded(policy, "plans", DataClass.internal).texts == ("plans",)


def test_scope_says_which_targets_are_guarded() -> None:
    assert DEFAULT_POLICY.guards(remote=True)
    assert not DEFAULT_POLICY.guards(remote=False)
    assert Policy("p", scope=Scope.every).guards(remote=False)


def test_a_forbidden_answer_ends() -> None:
    guard = PrivacyGuard([TWIN], QUICK, FixedClock())
    answer = guard.answer(guard.check([""], Policy("p", kinds={"phone": Action.block}, answers=True)))
    assert answer.feed("hello there, ") == "hello there, "
    with pytest.raises(AnswerBlocked, match="phone"):
        answer.feed(f"{SECRET}, ")


def test_overlapping_findings_of_two_detectors_are_masked_as_one() -> None:
    other = Broken(lambda text: [Finding("phone", 3, 8, 0.4)], linear_time=True)
    guard = PrivacyGuard([InMemoryDetector({"abcdef": "email"}), other], QUICK, FixedClock())
    masked = guard.check(["abcdefghij"], DEFAULT_POLICY)
    assert masked.texts == ("<EMAIL_1>ij",)
    assert masked.mask.unmask("<EMAIL_1>") == "abcdefgh"


def test_an_allowed_finding_does_not_shield_what_it_overlaps() -> None:
    other = Broken(lambda text: [Finding("phone", 3, 8, 0.4)], linear_time=True)
    guard = PrivacyGuard([InMemoryDetector({"abcdef": "email"}), other], QUICK, FixedClock())
    masked = guard.check(["abcdefghij"], Policy("p", kinds={"email": Action.allow}))
    assert masked.texts == ("abc<PHONE_1>ij",)


def test_a_request_gets_the_policy_its_route_names() -> None:
    own, strict = Policy("default", answers=True), Policy("strict")
    policies = {("proj_a", "default"): own, ("proj_a", "strict"): strict}
    assert policy_named(policies, "proj_a", None) is own
    assert policy_named(policies, "proj_a", "strict") is strict
    assert policy_named(policies, "proj_b", None) is DEFAULT_POLICY
    assert policy_named(policies, "proj_b", "default") is DEFAULT_POLICY
    with pytest.raises(GuardUnavailable, match="strict"):
        policy_named(policies, "proj_b", "strict")
