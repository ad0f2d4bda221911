"""Routes on a request's way: fallbacks, canary, cascade, hedging, limits, the guard, money."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import openai
import pytest

from integration.gateway.conftest import World, wait_for
from integration.gateway.test_remote import Provider
from plinth.gateway.costs import PriceTable
from plinth.gateway.costs.model import Price
from plinth.gateway.dataplane.ports import MemoryEndpoint, MemoryModel
from plinth.gateway.limits import Limit, LimitTable, Scope, Subject
from plinth.gateway.routes import Canary, Cascade, Mirror, Plan, RoutePlan, Sticky, Target, Timeouts
from plinth.privacy import Action, Policy

PHONE = "13812345678"


class Two:
    """Two providers behind the models `one` and `two`, and the fake engine behind `own`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.one, self.two = Provider(), Provider()
        endpoints = [
            MemoryEndpoint(f"model-{name}", name, url=found.url, target=name, engine="remote", egress=True)
            for name, found in (("one", self.one), ("two", self.two))
        ]
        own = MemoryEndpoint("model-own", "own", socket_path=str(world.engine.path), engine="llamacpp")
        world.facts.change(
            "serving.endpoints.changed",
            endpoints=[*endpoints, own],
            models=[MemoryModel("proj_a", name, f"model-{name}") for name in ("one", "two", "own")],
        )

    def route(self, plan: Plan, **more: Any) -> None:
        route = RoutePlan("route_1", "proj_a", "assistant", 1, plan)
        self.world.facts.change("gateway.route.changed", routes=[route], **more)
        current = self.world.app._keeper
        wait_for(lambda: current.current is not None and current.current.routes.get(("proj_a", "assistant")) is route)

    def stop(self) -> None:
        self.one.stop()
        self.two.stop()


@pytest.fixture
def two(world: World) -> Iterator[Two]:
    found = Two(world)
    yield found
    found.stop()


def targets(*names: str) -> tuple[Target, ...]:
    return tuple(Target(name) for name in names)


@pytest.mark.parametrize("mode", ["broken", "garbage", "limited", "denied"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_answers_when_the_target_cannot(two: Two, mode: str, stream: bool) -> None:
    two.one.mode = mode
    two.route(Plan(targets("one"), fallbacks=("two",)))
    answer = two.world.ask(stream=stream)
    text = "".join(c.choices[0].delta.content or "" for c in answer) if stream else answer.choices[0].message.content
    assert text == "Hello you"
    lost, counted = sorted(two.world.records(2), key=lambda record: record.kind)
    assert (lost.kind, lost.target, lost.prompt_tokens) == ("attempt", "one", 0)
    assert (counted.kind, counted.target, counted.route, counted.status) == ("request", "two", "route_1", 200)


def test_what_the_client_has_seen_is_never_tried_again(two: Two) -> None:
    two.one.mode = "die_mid"
    two.route(Plan(targets("one"), fallbacks=("two",)))
    with pytest.raises(openai.APIError):
        list(two.world.ask(stream=True))
    assert len(two.two.bodies) == 0


def test_a_wrong_request_is_wrong_everywhere(two: Two) -> None:
    two.one.mode = "wrong"
    two.route(Plan(targets("one"), fallbacks=("two",)))
    with pytest.raises(openai.BadRequestError):
        two.world.ask()
    assert len(two.two.bodies) == 0


def test_a_dead_target_is_left_alone_after_a_few_failures(two: Two) -> None:
    two.one.mode = "broken"
    two.route(Plan(targets("one"), fallbacks=("two",)))
    for _ in range(12):
        two.world.ask()
    assert len(two.one.bodies) == 5  # then its circuit is open


def test_a_slow_target_is_given_up_in_time(two: Two) -> None:
    two.one.mode, two.one.pause = "hang", 3
    two.route(Plan(targets("one"), fallbacks=("two",), timeouts=Timeouts(first_token=0.2)))
    began = time.monotonic()
    assert two.world.ask().choices[0].message.content == "Hello you"
    assert time.monotonic() - began < 2


def test_data_that_must_stay_goes_to_no_provider(two: Two) -> None:
    two.route(Plan(targets("one"), fallbacks=("own",), stay_on_machine=True))
    assert two.world.ask().choices[0].message.content == "Hello dear world"
    assert two.one.bodies == []
    two.route(Plan(targets("one"), stay_on_machine=True))
    with pytest.raises(openai.InternalServerError) as caught:
        two.world.ask()
    assert caught.value.code == "no_target_on_this_machine"


def test_a_canary_is_sticky_by_user(two: Two) -> None:
    two.route(Plan(targets("one"), canary=Canary("two", 50, Sticky.user)))
    for _ in range(3):
        for user in range(10):
            two.world.ask(user=f"user-{user}")
    by_user: dict[str, set[str]] = {}
    for record in two.world.records(30):
        by_user.setdefault(record.end_user, set()).add(record.target)
    assert all(len(chosen) == 1 for chosen in by_user.values())
    assert set().union(*by_user.values()) == {"one", "two"}


def test_a_route_changes_under_load_without_a_failed_request(two: Two) -> None:
    for number in range(40):
        two.route(Plan(targets("one" if number % 2 else "two")))
        assert two.world.ask().choices


def answered_by(world: World, target: str) -> bool:
    return any(r.kind == "request" and r.target == target for r in world.usage.records.values())


@pytest.mark.parametrize("stream", [False, True])
def test_a_cascade_keeps_sure_answers_cheap(two: Two, stream: bool) -> None:
    for logprob, target in ((-0.01, "one"), (-3.0, "two")):
        two.one.logprob = logprob
        two.route(Plan(targets("two"), cascade=Cascade("one", 0.8)))
        answer = two.world.ask(stream=stream)
        if stream:
            chunks = list(answer)
            assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello you"
            assert chunks[-1].choices[0].finish_reason == "stop"
        else:
            assert answer.choices[0].message.content == "Hello you"
            assert answer.choices[0].logprobs is None
        wait_for(partial(answered_by, two.world, target))
    assert two.one.bodies[0]["logprobs"] is True
    kinds = sorted((r.kind, r.target) for r in two.world.usage.records.values())
    assert kinds == [("attempt", "one"), ("request", "one"), ("request", "two")]


def test_slow_embeddings_are_hedged(two: Two) -> None:
    two.one.mode, two.one.pause = "hang", 1.5
    two.route(Plan(targets("one"), fallbacks=("two",), hedge_seconds=0.1))
    began = time.monotonic()
    found = two.world.client.embeddings.create(model="assistant", input="x", encoding_format="float")
    assert found.data[0].embedding == [0.5, 0.25]
    assert time.monotonic() - began < 1.2
    kinds = {(record.kind, record.target) for record in two.world.records(2)}
    assert kinds == {("request", "two"), ("attempt", "one")}


def test_limits_answer_429_with_the_hosted_headers(two: Two) -> None:
    limit = Limit("limit_1", Subject(Scope.project, "proj_a", "org_a", "proj_a"), requests_per_minute=3)
    two.route(Plan(targets("one")), limits=LimitTable.of([limit], [], []))
    left = [two.world.client.chat.completions.with_raw_response.create(**QUESTION).headers for _ in range(3)]
    assert [headers["x-ratelimit-remaining-requests"] for headers in left] == ["2", "1", "0"]
    with pytest.raises(openai.RateLimitError) as caught:
        two.world.ask()
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) > 0
    refused = [record for record in two.world.records(4) if record.status == 429]
    assert [record.dispatched_at for record in refused] == [None]


def test_a_providers_work_is_priced_at_once_and_our_own_later(two: Two) -> None:
    # half price for a provider's own batches, which a low-priority call of ours is not
    price = Price("price_1", "", "model-one", 0.0, "USD", 1_000_000_000, 500_000_000, 2_000_000_000, 5000, 0.0)
    two.route(Plan(targets("one")), prices=PriceTable([price]))
    two.world.ask(extra_headers={"X-Plinth-Priority": "batch"})
    two.world.client.chat.completions.create(model="own", messages=QUESTION["messages"])
    by_target = {record.target: record for record in two.world.records(2)}
    assert (by_target["one"].cost_nanos, by_target["one"].currency) == (7 * 1000 + 2 * 2000, "USD")
    assert by_target["own"].cost_nanos is None
    assert by_target["own"].occupied_seconds > 0


QUESTION: dict[str, Any] = {"model": "assistant", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("stream", [False, True])
def test_personal_data_leaves_masked_and_comes_back(two: Two, stream: bool) -> None:
    two.one.mode = "echo"
    two.route(Plan(targets("one")))
    answer = two.world.ask(f"我的手机号是{PHONE}，请回拨", stream=stream)
    text = "".join(c.choices[0].delta.content or "" for c in answer) if stream else answer.choices[0].message.content
    assert text == f"我的手机号是{PHONE}，请回拨"
    sent = json.dumps(two.one.bodies[0], ensure_ascii=False)
    assert PHONE not in sent
    assert "PHONE_1" in sent


def test_what_stays_on_the_machine_is_not_masked(two: Two) -> None:
    two.route(Plan(targets("own")))
    two.world.ask(f"call {PHONE}")
    assert PHONE in json.dumps(two.world.engine.requests[0])


def test_a_policy_can_forbid(two: Two) -> None:
    strict = Policy("default", kinds={"phone": Action.block})
    two.route(Plan(targets("one")), policies={("proj_a", "default"): strict})
    with pytest.raises(openai.PermissionDeniedError):
        two.world.ask(f"我的手机号是{PHONE}")
    assert two.one.bodies == []
    assert two.world.ask("no number here").choices


@pytest.mark.parametrize("stream", [False, True])
def test_the_guard_fails_closed(two: Two, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        kinds = frozenset({"phone"})
        linear_time = True

        def detect(self, text: str) -> Any:
            raise RuntimeError(text)

    guard = two.world.app._stages.guard
    monkeypatch.setattr(guard, "_detectors", (Broken(),))
    two.route(Plan(targets("one"), fallbacks=("two",)))
    with pytest.raises(openai.InternalServerError) as caught:
        list(two.world.ask(f"call {PHONE}", stream=stream))
    assert caught.value.status_code == 503
    assert PHONE not in str(caught.value)
    assert two.one.bodies == two.two.bodies == []


def test_token_ids_cannot_leave_unseen(two: Two) -> None:
    two.route(Plan(targets("one")))
    with pytest.raises(openai.BadRequestError) as caught:
        two.world.client.embeddings.create(model="assistant", input=[[1, 2, 3]])
    assert caught.value.param == "input"
    assert two.one.bodies == []


@pytest.mark.parametrize("stream", [False, True])
def test_store_keeps_the_answer_with_its_labels(two: Two, stream: bool) -> None:
    two.route(Plan(targets("one")))
    answer = two.world.ask(stream=stream, store=True, metadata={"ticket": "42"})
    identifier = {chunk.id for chunk in answer}.pop() if stream else answer.id
    (record,) = two.world.kept(1)
    assert (record.id, record.project_id, record.metadata) == (identifier, "proj_a", {"ticket": "42"})
    assert record.request["messages"] == [{"role": "user", "content": "Hi"}]
    assert record.response["choices"][0]["message"]["content"] == "Hello you"
    assert record.response["usage"]["completion_tokens"] == 2


def test_a_mirror_is_asked_and_kept_and_never_returned(two: Two) -> None:
    two.two.mode = "echo"
    two.route(Plan(targets("one"), mirror=Mirror("two", 100)))
    assert two.world.ask("shadow me").choices[0].message.content == "Hello you"
    (record,) = two.world.kept(1)
    assert record.metadata["plinth_mirror"] == "two"
    assert record.response["choices"][0]["message"]["content"] == "shadow me"
    kinds = {(r.kind, r.target, r.status) for r in two.world.records(2)}
    assert kinds == {("request", "one", 200), ("mirror", "two", 200)}


def test_a_mirror_that_fails_harms_nobody(two: Two) -> None:
    two.two.mode = "broken"
    two.route(Plan(targets("one"), mirror=Mirror("two", 100)))
    assert two.world.ask().choices
    assert {(r.kind, r.status) for r in two.world.records(2)} == {("request", 200), ("mirror", 503)}
