"""Usage buckets over HTTP with the official SDK, the sums behind them, and the export."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from plinth.gateway.costs import PoolPriceDraft
from plinth.gateway.usage import UsageFilter, UsageTable, Width, rebuild_hours
from plinth.gateway.usage.errors import BadPage
from plinth.gateway.usage.model import USAGE_LIMITS, Period, window
from plinth.gateway.usage.store import usage_hours, usage_records
from plinth.identity import Role
from plinth.kit.db import Database
from support import actor
from unit.gateway.costs.desk import HOUR, NOON, Desk, admin, project_key, record, remote

DAY = NOON - 43_200
ENDPOINT = "/v1/organization/usage/completions"


def some_records(count: int) -> list[Any]:
    """Reproducible; spread over a day, two projects, three users, both kinds of engine, every kind of record."""
    dice = random.Random(7)
    records = []
    for number in range(count):
        at = DAY + dice.random() * 86_400
        more: dict[str, Any] = {
            "project_id": dice.choice(["proj_a", "proj_b"]),
            "principal": dice.choice(["user:ann", "user:bob", "service_account:svc"]),
            "key_id": dice.choice(["key_1", "key_2"]),
            "model": dice.choice(["helper", "sage"]),
            "operation": dice.choice(["chat/completions", "completions", "embeddings"]),
            "priority": dice.choice(["interactive", "batch"]),
            "kind": dice.choice(["request", "request", "attempt", "mirror"]),
            "prompt_tokens": dice.randrange(100),
            "cached_tokens": 3,
            "completion_tokens": dice.randrange(50),
            "status": dice.choice([200, 499, 503]),
        }
        if number % 3:
            records.append(record(f"{number:05}", at, 2.5, **more))
        else:
            records.append(remote(f"{number:05}", at, dice.choice([None, 5, 7]), **more))
    return records


def expected(records: list[Any], width: int, *fields: str) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    sums: dict[tuple[Any, ...], tuple[int, int, int]] = {}
    for item in records:
        if item.kind != "request" or item.operation not in ("chat/completions", "completions"):
            continue
        key = (int(item.created_at) // width * width, *(getattr(item, name) for name in fields))
        requests, prompt, completion = sums.get(key, (0, 0, 0))
        sums[key] = requests + 1, prompt + item.prompt_tokens, completion + item.completion_tokens
    return sums


@pytest.mark.parametrize(("width", "limit"), [("1d", 31), ("1h", 168), ("1m", 1440)])
def test_buckets_add_up_to_the_records(desk: Desk, client: TestClient, width: str, limit: int) -> None:
    records = some_records(600)
    desk.usage.add(records[:400])
    desk.usage.add(records[350:])  # a replay of the middle
    params = {
        "start_time": DAY,
        "end_time": DAY + 86_400,
        "bucket_width": width,
        "limit": limit,
        "group_by[]": ["project_id", "user_id", "api_key_id", "model", "batch"],
    }
    answer = client.get(ENDPOINT, params=params).json()
    found = {}
    for bucket in answer["data"]:
        for r in bucket["results"]:
            principal = r["user_id"] if ":" in r["user_id"] else f"user:{r['user_id']}"
            priority = "batch" if r["batch"] else "interactive"
            key = (bucket["start_time"], r["project_id"], principal, r["api_key_id"], r["model"], priority)
            found[key] = (r["num_model_requests"], r["input_tokens"], r["output_tokens"])
    seconds = Width(width).seconds
    assert found == expected(records, seconds, "project_id", "principal", "key_id", "model", "priority")
    assert len(answer["data"]) == 86_400 // seconds
    assert answer["has_more"] is False


def test_the_official_sdk_reads_every_family(desk: Desk, official: openai.OpenAI) -> None:
    desk.usage.add(
        [
            record("a", NOON + 1, 1.0),
            record("b", NOON + 2, 1.0, operation="embeddings", completion_tokens=0),
            record("c", NOON + 3, 1.0, operation="moderations"),
            record("d", NOON + 4, 1.0, operation="decisions"),
            record("e", NOON + 5, 1.0, operation="responses"),
        ]
    )
    desk.at(NOON + 60)
    usage = official.admin.organization.usage
    for family, requests, kind in [
        (usage.completions, 2, "completions"),
        (usage.embeddings, 1, "embeddings"),
        (usage.moderations, 1, "moderations"),
        (usage.decisions, 1, "decisions"),
    ]:
        (bucket,) = family(start_time=DAY).data
        (result,) = bucket.results
        assert (result.num_model_requests, result.object) == (requests, f"organization.usage.{kind}.result")
        assert result.input_tokens == 100 * requests
        assert result.project_id is None
    for family in (
        usage.images,
        usage.audio_speeches,
        usage.audio_transcriptions,
        usage.vector_stores,
        usage.code_interpreter_sessions,
        usage.file_search_calls,
        usage.web_search_calls,
    ):
        assert [bucket.results for bucket in family(start_time=DAY).data] == [[]]


def test_pages_follow_each_other(desk: Desk, official: openai.OpenAI) -> None:
    desk.usage.add([record(str(day), DAY + day * 86_400, 1.0) for day in range(10)])
    starts, page = [], None
    while True:
        more = {} if page is None else {"page": page}
        answer = official.admin.organization.usage.completions(
            start_time=DAY, end_time=DAY + 10 * 86_400, limit=4, **more
        )
        starts += [bucket.start_time for bucket in answer.data if bucket.results]
        page = answer.next_page
        if not answer.has_more:
            break
    assert starts == [DAY + day * 86_400 for day in range(10)]
    assert page is None


def test_filters(desk: Desk, client: TestClient) -> None:
    records = some_records(300)
    desk.usage.add(records)

    def count(**params: Any) -> int:
        answer = client.get(ENDPOINT, params={"start_time": DAY, "end_time": DAY + 86_400, **params}).json()
        return sum(r["num_model_requests"] for bucket in answer["data"] for r in bucket["results"])

    counted = [r for r in records if r.kind == "request" and r.operation != "embeddings"]
    assert count() == len(counted)
    assert count(**{"user_ids[]": ["ann", "service_account:svc"]}) == sum(r.principal != "user:bob" for r in counted)
    assert count(**{"models[]": "sage"}) == sum(r.model == "sage" for r in counted)
    assert count(**{"api_key_ids[]": "key_2"}) == sum(r.key_id == "key_2" for r in counted)
    assert count(**{"project_ids[]": "proj_b"}) == sum(r.project_id == "proj_b" for r in counted)
    assert count(batch="true") == sum(r.priority == "batch" for r in counted)
    assert count(batch="false") == sum(r.priority != "batch" for r in counted)
    assert count(batch="true") + count(batch="false") == count()


def test_who_sees_what(desk: Desk, client: TestClient) -> None:
    desk.usage.add([record("a", NOON, 1.0), record("b", NOON, 1.0, project_id="proj_b")])
    params = {"start_time": DAY, "group_by[]": "project_id"}

    def projects() -> list[str]:
        (bucket,) = client.get(ENDPOINT, params=params).json()["data"]
        return [result["project_id"] for result in bucket["results"]]

    assert projects() == ["proj_a", "proj_b"]
    desk.door.actor = project_key("proj_b")
    assert projects() == ["proj_b"]
    desk.door.actor = admin("org_b")
    assert projects() == []
    desk.door.actor = actor("proj_b", role=Role.agent)
    assert client.get(ENDPOINT, params=params).status_code == 403
    assert client.get("/api/usage/export", params={"since": 0}).status_code == 403


def test_rebuilding_changes_nothing_and_repairs_what_was_lost(db: Database, desk: Desk) -> None:
    desk.usage.add(some_records(200))
    everything = select(usage_hours).order_by(usage_hours.c.id)
    before = desk.read(lambda session: session.execute(everything).all())
    assert rebuild_hours(db) == 200
    assert desk.read(lambda session: session.execute(everything).all()) == before
    with db.write() as session:
        session.execute(delete(usage_hours).where(usage_hours.c.hour == NOON))
    rebuild_hours(db, NOON, NOON + 1)
    assert desk.read(lambda session: session.execute(everything).all()) == before


def test_two_equal_ids_in_one_batch_count_once(db: Database, desk: Desk) -> None:
    UsageTable(db).add([record("a", NOON, 1.0), record("a", NOON, 1.0)])
    assert desk.read(lambda session: session.execute(select(usage_hours.c.requests)).scalars().all()) == [1]


def test_a_jumped_clock_touches_a_week_at_most(db: Database, desk: Desk) -> None:
    UsageTable(db).add([record("a", NOON, 1e12)])
    assert desk.read(lambda session: len(session.execute(select(usage_records.c.id)).all())) == 1
    assert len(desk.read(lambda session: desk.books.due(session))) == 0
    desk.at(NOON + 30 * 86_400)
    assert len(desk.read(lambda session: desk.books.due(session))) == 7 * 24 + 1


def test_export(desk: Desk, client: TestClient) -> None:
    records = some_records(2300)
    evil = record("evil", NOON, 1.0, end_user='=HYPERLINK("http://x")')
    desk.usage.add([*records, evil])
    desk.usage.add([record("before", DAY - 1, 1.0), record("after", DAY + 86_400, 1.0)])
    answer = client.get("/api/usage/export", params={"since": DAY, "until": DAY + 86_400})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 2301
    assert {row["id"] for row in rows} == {item.id for item in (*records, evil)}
    moments = [float(row["created_at"]) for row in rows]
    assert moments == sorted(moments)
    (found,) = [row for row in rows if row["id"] == evil.id]
    assert found["end_user"] == '\'=HYPERLINK("http://x")'


def test_the_export_says_what_each_request_cost(desk: Desk, client: TestClient) -> None:
    with desk.db.write() as session:
        desk.service.set_pool_price(session, admin(), "local", PoolPriceDraft("USD", 3_600_000_000))
    desk.usage.add(
        [record("long", NOON + 3550, 100), remote("far", NOON + 5, 1_500_000_000), remote("new", NOON + 6, None)]
    )
    desk.usage.add([record("open", NOON + 2 * HOUR, 5)])
    desk.at(NOON + 2 * HOUR + 300).books.run_once()
    answer = client.get("/api/usage/export", params={"since": DAY, "until": DAY + 86_400})
    costs = {row["id"]: (row["cost"], row["cost_currency"]) for row in csv.DictReader(io.StringIO(answer.text))}
    assert costs == {
        "usage_long": ("0.100000000", "USD"),
        "usage_far": ("1.500000000", "USD"),
        "usage_new": ("", ""),
        "usage_open": ("", ""),
    }


@given(
    st.integers(0, 10**9), st.integers(1, 10**7), st.sampled_from(list(Width)), st.integers(1, 31), st.floats(0, 1e9)
)
def test_pages_cover_the_period_once(start: int, length: int, width: Width, limit: int, now: float) -> None:
    seen, page = [], None
    for _ in range(40):
        found = window(Period(start, start + length, limit, page), width, USAGE_LIMITS[width], now)
        seen += list(found.buckets)
        page = found.next_page
        if page is None:
            break
    step = width.seconds
    assert seen == list(range(start // step * step, seen[-1] + step, step))
    assert page is not None or seen[-1] < start + length <= seen[-1] + step


@pytest.mark.parametrize("page", ["page_", "page_7", "x", "page_86400000000000", "page_-86400"])
def test_a_page_from_elsewhere_is_refused(page: str) -> None:
    with pytest.raises(BadPage):
        window(Period(DAY, DAY + 86_400, None, page), Width.day, USAGE_LIMITS[Width.day], NOON)


def test_user_ids_may_be_whole_principals() -> None:
    assert UsageFilter(user_ids=("ann", "service_account:x")).principals == ("user:ann", "service_account:x")


def test_hours_have_an_end(desk: Desk) -> None:
    """A request of exactly an hour touches the hours it worked in."""
    desk.usage.add([record("a", NOON, float(HOUR))])
    desk.at(NOON + 4 * HOUR).books.run_once()
    assert desk.read(lambda session: desk.books.verify(session, "local", NOON)).requests == 1
    assert desk.read(lambda session: desk.books.verify(session, "local", NOON + HOUR)).requests == 0
