"""What a running gateway tells about itself: its log, its spans, its page for Prometheus."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.gateway.conftest import KEY, VIEWER_KEY, World, wait_for
from integration.gateway.test_remote import Provider
from plinth.gateway.dataplane.asgi import TelemetryPorts
from plinth.gateway.dataplane.exposition import Family, SharedPages, labels_of, merged
from plinth.gateway.dataplane.ports import MemoryEndpoint, MemoryModel
from plinth.gateway.dataplane.spans import InMemorySpans
from plinth.gateway.routes import Plan, RoutePlan, Target

DOCS = Path(__file__).resolve().parents[3] / "docs"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SECRETS = ("my prompt", "Hello", "dear", KEY, VIEWER_KEY, "bob@example.com", "engine-key", "proj-nobody")


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


def samples(page: str) -> dict[tuple[str, ...], float]:
    """By name and label values, the latter sorted by label name without `worker`."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = [value for name, value in sorted(sample.labels.items()) if name != "worker"]
            key = (sample.name, *labels, sample.labels.get("worker", ""))
            assert key not in found, "the same series twice"
            found[key] = sample.value
    return found


def scrape(world: World) -> dict[tuple[str, ...], float]:
    return samples(httpx.get(f"{world.url}/metrics", headers={"authorization": f"Bearer {KEY}"}).text)


def test_the_log_has_a_line_for_each_call_and_nothing_that_was_said(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world(TelemetryPorts(logs=tmp_path))
    world.ask("my prompt", user="bob@example.com", extra_headers={"x-request-id": "mine-1"})
    list(world.ask("my prompt", stream=True, extra_headers={"x-request-id": "bob@example.com"}))
    with pytest.raises(openai.NotFoundError):
        world.ask("my prompt", model="my prompt")
    bad = world.client.with_options(api_key="sk-proj-nobody")
    with pytest.raises(openai.AuthenticationError):
        bad.embeddings.create(model="assistant", input="my prompt")
    path = tmp_path / "requests-0.jsonl"
    wait_for(lambda: path.exists() and path.read_text().count("\n") == 4)
    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["kind"], line["status"], line["error"]) for line in lines] == [
        ("request", 200, ""),
        ("request", 200, ""),
        ("request", 404, "model_not_found"),
        ("refused", 401, "invalid_api_key"),
    ]
    assert lines[0]["request_id"] == "mine-1"
    assert (lines[0]["prompt_tokens"], lines[0]["completion_tokens"], lines[0]["stream"]) == (9, 3, False)
    assert (lines[0]["key"], lines[0]["project"], lines[0]["target"]) == ("key_developer", "proj_a", "assistant")
    assert lines[0]["total_ms"] >= lines[0]["first_token_ms"] > 0
    assert len(lines[0]["user_hash"]) == 16
    assert lines[1]["stream"] is True
    assert [secret for secret in SECRETS if secret in text] == []


def test_no_log_where_it_is_switched_off(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(TelemetryPorts(logs=tmp_path), log_requests=False)
    world.ask()
    world.records(1)
    time.sleep(0.7)  # the writer looks twice a second
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_is_told_whose_child_it_is(make_world: Callable[..., World], stream: bool) -> None:
    spans = InMemorySpans()
    world = make_world(TelemetryPorts(spans=spans))
    answer = world.ask("my prompt", stream=stream, extra_headers={"traceparent": TRACEPARENT})
    if stream:
        list(answer)
    wait_for(lambda: len(spans.spans) == 2)
    attempt, root = spans.spans
    assert f"\r\ntraceparent: 00-{TRACE}-{attempt.span_id:016x}-01\r\n" in world.engine.heads[0]
    assert (f"{root.trace_id:032x}", f"{root.parent_id:016x}") == (TRACE, "b7ad6b7169203331")
    assert attempt.parent_id == root.span_id
    assert attempt.attributes["gen_ai.usage.output_tokens"] == 3
    assert ("gen_ai.response.time_to_first_chunk" in attempt.attributes) is stream
    assert root.started_at <= attempt.started_at <= attempt.ended_at <= root.ended_at + 0.001
    assert [secret for secret in SECRETS if secret in repr(spans.spans)] == []


def test_an_engine_hears_nothing_of_traces_that_are_off(world: World) -> None:
    world.ask(extra_headers={"traceparent": TRACEPARENT})
    assert "traceparent" not in world.engine.heads[0]


def test_the_page_says_how_the_parts_stand(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(TelemetryPorts(logs=tmp_path))
    route = RoutePlan("route_1", "proj_a", "chat", 1, Plan((Target("assistant"),)))
    world.facts.change("gateway.route.changed", routes=[route])
    wait_for(lambda: bool(world.app._keeper.current.routes))
    world.ask(model="chat")
    with pytest.raises(openai.NotFoundError):
        world.ask(model="nothing")
    with pytest.raises(openai.AuthenticationError):
        world.client.with_options(api_key="sk-proj-nobody").embeddings.create(model="assistant", input="x")
    world.records(2)
    page = scrape(world)
    assert page["plinth_circuit_state", "group", "0"] == 0
    assert page["plinth_circuit_opened_total", "group", "0"] == 0
    assert page["plinth_route_working", "chat", "route_1", "0"] == 0
    assert page["plinth_route_waiting", "chat", "route_1", "0"] == 0
    assert page["plinth_errors_total", "model_not_found", "0"] == 1
    assert page["plinth_errors_total", "invalid_api_key", "0"] == 1
    assert page["plinth_target_first_token_seconds_count", "assistant", "0"] == 1
    assert 0 <= page["plinth_snapshot_age_seconds", "0"] < 5
    assert page["plinth_database_away", "0"] == 0
    assert page["plinth_mirrors_left_out_total", "0"] == page["plinth_kept_answers_lost_total", "0"] == 0
    assert page["plinth_request_log_dropped_total", "0"] == 0
    assert page["plinth_retry_budget", "0"] > 1
    heads = httpx.get(f"{world.url}/metrics", headers={"authorization": f"Bearer {KEY}"}).text
    names = [line.split()[2] for line in heads.splitlines() if line.startswith("# TYPE ")]
    for language in ("en", "zh"):
        text = (DOCS / f"telemetry.{language}.md").read_text("utf-8")
        assert [name for name in names if f"| `{name}` |" not in text] == []
    world.facts.away = True
    wait_for(lambda: scrape(world)["plinth_database_away", "0"] == 1)
    before = scrape(world)["plinth_snapshot_age_seconds", "0"]
    time.sleep(0.1)
    assert scrape(world)["plinth_snapshot_age_seconds", "0"] >= before + 0.1


def test_a_target_that_dies_shows_in_retries_and_in_its_circuit(make_world: Callable[..., World]) -> None:
    world = make_world(switch_timeout_seconds=0)
    world.engine.stop()
    for _ in range(6):
        with pytest.raises(openai.APIStatusError):
            world.ask()
    page = scrape(world)
    assert page["plinth_circuit_state", "group", "0"] == 2
    assert page["plinth_circuit_opened_total", "group", "0"] == 1
    assert page["plinth_retries_total", "engine_lost", "assistant", "0"] >= 1


def test_the_guards_findings_are_counted_by_kind_and_nothing_more(
    make_world: Callable[..., World], provider: Provider
) -> None:
    world = make_world()
    remote = MemoryEndpoint("remote-1", group="theirs", url=provider.url, target="their-model", egress=True)
    world.facts.change(
        "serving.endpoints.changed",
        models=[MemoryModel("proj_a", "theirs", "remote-1")],
        endpoints=[remote],
    )
    wait_for(lambda: "remote-1" in world.app._keeper.current.endpoints)
    world.ask("Write to bob@example.com and to eve@example.com", model="theirs")
    page = scrape(world)
    found = {key[1]: value for key, value in page.items() if key[0] == "plinth_guard_findings_total"}
    assert found == {"email": 2.0}
    assert "example" not in repr(page)


def test_one_scrape_sees_all_workers(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(TelemetryPorts(pages=tmp_path))
    world.ask()
    world.records(1)
    wait_for(lambda: (tmp_path / "metrics-0.prom").exists())
    other = Family("plinth_requests", "counter", "Model calls by kind and status")
    labels = {"kind": "request", "model": "assistant", "operation": "chat/completions", "status": "200"}
    other.add(labels_of({**labels, "worker": "1"}), 41)
    SharedPages(tmp_path, "1").leave(other.text())
    page = scrape(world)
    counts = {key[-1]: value for key, value in page.items() if key[0] == "plinth_requests_total"}
    assert counts == {"0": 1, "1": 41}
    long_ago = time.time() - 60
    os.utime(tmp_path / "metrics-1.prom", (long_ago, long_ago))
    assert {key[-1] for key in scrape(world)} == {"0"}


def test_a_page_is_left_without_being_asked_and_taken_away_at_the_end(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world(TelemetryPorts(pages=tmp_path))
    path = tmp_path / "metrics-0.prom"
    wait_for(path.exists)
    first = path.stat().st_mtime_ns
    wait_for(lambda: path.stat().st_mtime_ns > first)
    asyncio.run_coroutine_threadsafe(world.app._scrape.stop(), world.app._keeper._loop).result(5)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_pages_become_one_with_each_family_once() -> None:
    pages = []
    for worker in ("0", "1"):
        some, none = Family("a", "counter", 'Says "# HELP b"'), Family("b", "gauge", "Nothing yet")
        some.add(labels_of({"model": 'x"\\\n# HELP b', "worker": worker}), 1.5)
        histogram = Family("c", "histogram", "Some")
        histogram.add_histogram(labels_of({"worker": worker}), [("0.5", 1), ("+Inf", 3)], 2.25)
        pages.append(some.text() + none.text() + histogram.text())
    page = merged(pages)
    assert [family.name for family in text_string_to_metric_families(page)] == ["a", "b", "c"]
    found: dict[Any, float] = samples(page)
    assert found["a_total", 'x"\\\n# HELP b', "1"] == 1.5
    assert found["c_bucket", "+Inf", "0"] == found["c_count", "1"] == 3
    assert found["c_sum", "0"] == 2.25
