"""Prices, pools and costs over HTTP, where it can be with the official SDK."""

from __future__ import annotations

import csv
import io

import openai
import pytest
from fastapi.testclient import TestClient

from plinth.gateway.costs import PriceTable
from unit.gateway.costs.desk import HOUR, NOON, Desk, admin, project_key, record, remote

DAY = NOON - 43_200


def fill(desk: Desk, client: TestClient) -> None:
    """A day of one machine at 0.123456789 an hour, with two projects and a provider."""
    desk.at(DAY)
    answer = client.post("/api/pools/local/prices", json={"currency": "cny", "per_hour": 0.123456789})
    assert answer.status_code == 400  # no exchange rate
    assert client.post("/api/pools/local/prices", json={"currency": "usd", "per_hour": 0.123456789}).status_code == 200
    desk.usage.add(
        [
            record("a", DAY + 10, 1800),
            record("b", DAY + 7200, 60, project_id="proj_b", principal="user:bob", key_id="key_b"),
            remote("c", DAY + 20, 2_500_000_001),
            remote("d", DAY + 30, None, model_id="new"),
        ]
    )
    desk.at(DAY + 86_400 + 300).books.run_once()


def test_costs_with_the_official_sdk(desk: Desk, client: TestClient, official: openai.OpenAI) -> None:
    fill(desk, client)
    page = official.admin.organization.usage.costs(start_time=DAY, limit=1, group_by=["line_item", "project_id"])
    assert (page.object, page.has_more, page.data[0].start_time, page.data[0].end_time) == (
        "page",
        True,
        DAY,
        DAY + 86_400,
    )
    found = {(r.line_item, r.project_id): r for r in page.data[0].results}  # type: ignore[union-attr]
    assert set(found) == {
        ("local: small", "proj_a"),
        ("local: small", "proj_b"),
        ("remote: big", "proj_a"),
        ("remote: new", "proj_a"),
        ("idle: local", None),
    }
    assert found["remote: new", "proj_a"].amount is None
    assert found["remote: big", "proj_a"].amount.currency == "usd"
    assert found["remote: big", "proj_a"].quantity == 1
    known = [r.amount.value for r in found.values() if r.amount is not None]
    assert sum(round(value * 10**9) for value in known) == 24 * 123_456_789 + 2_500_000_001
    rest = official.admin.organization.usage.costs(start_time=DAY, limit=1, page=page.next_page)
    assert (rest.data[0].start_time, rest.has_more) == (DAY + 86_400, False)


def test_amounts_are_numbers_with_every_digit(desk: Desk, client: TestClient) -> None:
    desk.usage.add([remote("a", NOON, 9_007_199_254_740_993_001)])
    answer = client.get("/v1/organization/costs", params={"start_time": DAY})
    # a float would have made ...740992 of it
    assert '"value":9007199254.740993001,"currency":"usd"' in answer.text


def test_a_day_that_is_not_over_is_provisional(desk: Desk, client: TestClient) -> None:
    client.post("/api/pools/local/prices", json={"currency": "USD", "per_hour": "3.6"})
    desk.usage.add([record("a", NOON + 100, 50)])
    desk.at(NOON + 200)
    answer = client.get("/v1/organization/costs", params={"start_time": NOON, "group_by[]": ["line_item"]}).json()
    (bucket,) = answer["data"]
    assert bucket["provisional"] is True
    amounts = {result["line_item"]: result["amount"]["value"] for result in bucket["results"]}
    assert amounts == {"local: small": 0.05, "idle: local": 0.15}


def test_a_project_key_sees_its_project_only(desk: Desk, client: TestClient) -> None:
    fill(desk, client)
    desk.door.actor = project_key("proj_b")
    params = {"start_time": DAY, "end_time": DAY + 86_400, "group_by[]": ["project_id", "line_item"]}
    (bucket,) = client.get("/v1/organization/costs", params=params).json()["data"]
    assert [(r["project_id"], r["line_item"]) for r in bucket["results"]] == [("proj_b", "local: small")]
    other = client.get("/v1/organization/costs", params={**params, "project_ids[]": ["proj_a"]}).json()
    assert other["data"][0]["results"] == []
    assert client.post("/api/pools/local/prices", json={"currency": "USD", "per_hour": 1}).status_code == 403
    assert client.post("/api/prices", json={"model": "m", "currency": "USD", "input": 1}).status_code == 403
    desk.door.actor = admin("org_b")
    assert client.get("/v1/organization/costs", params=params).json()["data"][0]["results"] == []


def test_costs_export(desk: Desk, client: TestClient) -> None:
    fill(desk, client)
    answer = client.get("/api/costs/export", params={"since": DAY, "until": DAY + 86_400})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == [
        "hour",
        "project_id",
        "user_id",
        "api_key_id",
        "line_item",
        "currency",
        "amount",
        "requests",
        "provisional",
    ]
    assert {row["provisional"] for row in rows} == {"false"}
    amounts = [row["amount"] for row in rows]
    assert amounts.count("") == 1  # the provider without a price
    nanos = sum(round(float(amount) * 10**9) for amount in amounts if amount)
    assert nanos == 24 * 123_456_789 + 2_500_000_001
    bob = next(row for row in rows if row["project_id"] == "proj_b")
    assert (bob["hour"][-9:], bob["user_id"], bob["line_item"]) == ("02:00:00Z", "bob", "local: small")


def test_prices(desk: Desk, client: TestClient) -> None:
    body = {
        "model": "big",
        "currency": "USD",
        "input": 0.27,
        "cached_input": "0.07",
        "output": 1.1,
        "batch_discount": 0.5,
    }
    made = client.post("/api/prices", json=body).json()
    assert made["object"] == "price"
    assert (made["input"], made["cached_input"], made["output"], made["batch_discount"]) == (0.27, 0.07, 1.1, 0.5)
    client.post("/api/prices", json={**body, "input": 0.5, "effective_from": NOON + HOUR})
    desk.door.actor = project_key()
    listed = client.get("/api/prices").json()
    assert [price["input"] for price in listed["data"]] == [0.27, 0.5]
    desk.door.actor = admin("org_b")
    assert client.get("/api/prices").json()["data"] == []
    table: PriceTable = desk.read(desk.service.snapshot)
    assert table.of("org_a").price("big", 1_000_000, 0, 0, False, NOON) == (270_000_000, "USD")
    assert table.of("org_a").price("big", 1_000_000, 0, 0, True, NOON + HOUR) == (250_000_000, "USD")
    assert table.of("org_b").price("big", 1, 0, 0, False, NOON) is None
    assert ("price.created", "big") in desk.trail


@pytest.mark.parametrize(
    "change",
    [
        {"input": -1},
        {"input": "1e-10"},
        {"input": 1e12},
        {"input": "NaN"},
        {"currency": "dollars"},
        {"batch_discount": 1.5},
        {"batch_discount": 0.12345},
        {"model": ""},
        {"effective_from": -1},
    ],
)
def test_bad_prices(desk: Desk, client: TestClient, change: dict[str, object]) -> None:
    body = {"model": "big", "currency": "USD", "input": 1, "output": 1, **change}
    answer = client.post("/api/prices", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_pool_is_priced_from_what_its_machine_costs(desk: Desk, client: TestClient) -> None:
    body = {
        "currency": "USD",
        "purchase": {"price": 30000, "months": 36},
        "power": {"watts": 650, "price_per_kwh": 0.3},
        "other_per_hour": "0.01",
    }
    price = client.post("/api/pools/local/prices", json=body).json()
    assert price["per_hour"] == 1.346552511
    assert price["basis"] == {
        "purchase_price": 30000,
        "months": 36,
        "hours_per_month": 730,
        "watts": 650,
        "price_per_kwh": 0.3,
        "other_per_hour": 0.01,
    }
    assert price["effective_from"] == NOON
    assert client.post("/api/pools/local/prices", json={**body, "per_hour": 1}).json()["error"]["code"] == (
        "pool_price_ambiguous"
    )
    half_past = {"currency": "USD", "per_hour": 1, "effective_from": NOON + 1800}
    assert client.post("/api/pools/local/prices", json=half_past).json()["error"]["code"] == "not_a_full_hour"


def test_pools(desk: Desk, client: TestClient) -> None:
    (local,) = client.get("/api/pools").json()["data"]
    assert (local["id"], local["prices"]) == ("local", [])
    assert client.post("/api/pools", json={"name": "gpu"}).json()["id"] == "gpu"
    assert client.post("/api/pools", json={"name": "../etc"}).status_code == 400
    mapped = client.post("/api/pools/gpu/engine_groups", json={"engine_group": "large@vllm"}).json()
    assert (mapped["pool"], mapped["effective_from"]) == ("gpu", NOON)
    assert client.get("/api/pools/gpu").json()["engine_groups"] == [mapped]
    unknown = client.post("/api/pools/gpu/prices", json={"currency": "USD"}).json()
    assert unknown["per_hour"] is None
    desk.door.actor = admin("org_b")
    assert client.get("/api/pools/gpu").status_code == 404
    assert client.post("/api/pools", json={"name": "gpu"}).status_code == 409


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, None),
        ({"start_time": NOON, "end_time": NOON}, "usage_period_empty"),
        ({"start_time": NOON, "limit": 181}, "usage_page_unknown"),
        ({"start_time": NOON, "page": "page_17"}, "usage_page_unknown"),
        ({"start_time": NOON, "page": "'; drop table"}, "usage_page_unknown"),
        ({"start_time": NOON, "group_by[]": "colour"}, "usage_group_unknown"),
        ({"start_time": NOON, "bucket_width": "1m"}, None),
    ],
)
def test_bad_questions(client: TestClient, params: dict[str, object], code: str | None) -> None:
    answer = client.get("/v1/organization/costs", params=params)
    assert answer.status_code == 400
    assert code is None or answer.json()["error"]["code"] == code


def test_an_export_of_ages_is_refused_and_the_future_costs_nothing(client: TestClient) -> None:
    assert client.get("/api/costs/export", params={"since": 0}).status_code == 400
    answer = client.get("/api/costs/export", params={"since": DAY, "until": 10**12})
    assert answer.status_code in (200, 400)
    assert client.get("/api/costs/export", params={"since": DAY, "until": DAY + 10}).status_code == 200
