"""Decisions about routes, and `/api/routes` as its callers see it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plinth.gateway.routes import InMemoryNames, Plan, RouteChanged, RouteService, Target, UnknownTarget, known_by
from plinth.gateway.routes import service as service_module
from plinth.gateway.routes.http import router
from plinth.identity import Role
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.events import Event
from plinth.registry import UnknownModel
from support import Caller, actor, client_for

PLAN = {"targets": [{"model": "smol", "weight": 9}, {"model": "large"}], "fallbacks": ["spare"]}


@pytest.fixture
def audited() -> list[tuple[str, str, dict[str, Any]]]:
    return []


@pytest.fixture
def names() -> InMemoryNames:
    return InMemoryNames("smol", "large", "spare", "new", "org/e5", "ft:smol:acme:x:01234567")


@pytest.fixture
def service(clock: FixedClock, names: InMemoryNames, audited: list[Any]) -> RouteService:
    def audit(_session: Any, _actor: Any, action: str, target: str, detail: dict[str, Any]) -> None:
        audited.append((action, target, detail))

    return RouteService(clock, names, audit)


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def client(db: Database, service: RouteService, caller: Caller) -> Iterator[TestClient]:
    with client_for(router(db, service, caller.guard)) as client:
        yield client


def put(client: TestClient, name: str = "support", **changes: Any) -> dict[str, Any]:
    answer = client.put(f"/api/routes/{name}", json={**PLAN, **changes})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def error(answer: Any) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["param"]


def changed(db: Database) -> list[Event]:
    found: list[Event] = []
    keep = events.Subscription(
        "test", frozenset({"gateway.route.changed"}), handler=lambda _s, event: found.append(event)
    )
    events.Dispatcher(db, FixedClock(), [keep]).run_once()
    return found


def test_a_route_is_made_read_and_listed(client: TestClient, clock: FixedClock) -> None:
    made = put(client, canary={"model": "new", "percent": 5, "sticky": "user"}, timeouts={"first_token": 2.5})
    assert (made["object"], made["name"], made["version"]) == ("route", "support", 1)
    assert made["targets"] == [{"model": "smol", "weight": 9.0}, {"model": "large", "weight": 1.0}]
    assert made["canary"] == {"model": "new", "percent": 5.0, "sticky": "user"}
    assert made["timeouts"] == {"connect": None, "first_token": 2.5, "between_tokens": None, "total": None}
    assert made["created_at"] == made["updated_at"] == int(clock.unix())
    assert client.get("/api/routes/support").json() == {**made, "missing_models": []}
    assert client.get("/api/routes").json()["data"] == [made]


def test_lists_come_in_pages(client: TestClient) -> None:
    for name in ("one", "two", "three"):
        put(client, name)
    first = client.get("/api/routes", params={"limit": 2}).json()
    assert ([route["name"] for route in first["data"]], first["has_more"]) == (["one", "two"], True)
    rest = client.get("/api/routes", params={"limit": 2, "after": first["last_id"]}).json()
    assert ([route["name"] for route in rest["data"]], rest["has_more"]) == (["three"], False)


def test_replacing_makes_a_version_and_the_same_plan_again_makes_none(client: TestClient, clock: FixedClock) -> None:
    put(client)
    clock.advance(60)
    assert put(client, retries=0)["version"] == 2
    assert put(client, retries=0)["version"] == 2
    found = client.get("/api/routes/support").json()
    assert found["updated_at"] - found["created_at"] == 60


def test_a_patch_changes_what_it_names(client: TestClient) -> None:
    before = put(client, canary={"model": "new", "percent": 5, "sticky": "user"}, concurrency=8)
    answer = client.patch("/api/routes/support", json={"canary": {"percent": 25}, "timeouts": {"total": 60}})
    after = answer.json()
    assert after["canary"] == {"model": "new", "percent": 25.0, "sticky": "user"}
    assert after["timeouts"]["total"] == 60
    assert after["version"] == 2
    same = set(before) - {"canary", "timeouts", "version"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    gone = client.patch("/api/routes/support", json={"canary": None, "concurrency": None}).json()
    assert (gone["canary"], gone["concurrency"]) == (None, None)
    weighted = client.patch("/api/routes/support", json={"targets": [{"model": "large", "weight": 2}]}).json()
    assert weighted["targets"] == [{"model": "large", "weight": 2.0}]
    assert weighted["fallbacks"] == ["spare"]


def test_a_patch_that_leaves_no_usable_plan_is_refused(client: TestClient) -> None:
    put(client)
    assert error(client.patch("/api/routes/support", json={"canary": {"percent": 5}})) == (
        400,
        "bad_route_plan",
        "canary.model",
    )
    assert error(client.patch("/api/routes/support", json={"targets": None})) == (400, "bad_route_plan", "targets")
    assert client.get("/api/routes/support").json()["version"] == 1


W = {"targets": [{"model": "large"}]}


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"targets": []}, "missing_required_parameter", "targets"),
        ({"targets": [{"model": "smol", "weight": 0}]}, "value_out_of_range", "targets.0.weight"),
        ({"targets": [{"model": "smol"}, {"model": "smol"}]}, "route_target_duplicate", "targets.1.model"),
        ({"targets": [{"model": "nobody"}]}, "route_target_unknown", "targets.0.model"),
        ({"targets": [{"model": "support"}]}, "route_target_unknown", "targets.0.model"),
        ({"targets": [{"model": "a\u0000b"}]}, "route_target_unknown", "targets.0.model"),
        ({"targets": [{"model": "smol", "wieght": 2}]}, "invalid_request", "targets.0.wieght"),
        ({"fallback": ["spare"]}, "invalid_request", "fallback"),
        ({"fallbacks": ["spare", "spare"]}, "route_target_duplicate", "fallbacks.1"),
        ({"fallbacks": ["nobody"]}, "route_target_unknown", "fallbacks.0"),
        ({"fallbacks": ["spare"] * 17}, "too_many_items", "fallbacks"),
        ({"canary": {"model": "new", "percent": 101}}, "value_out_of_range", "canary.percent"),
        ({"canary": {"model": "large", "percent": 1}}, "route_target_duplicate", "canary.model"),
        ({"canary": {"model": "nobody", "percent": 1}}, "route_target_unknown", "canary.model"),
        ({"canary": {"model": "new", "percent": 1, "sticky": "ip"}}, "invalid_request", "canary.sticky"),
        ({"mirror": {"model": "new", "percent": -1}}, "value_out_of_range", "mirror.percent"),
        ({"cascade": {"first": "new", "threshold": 1.5}}, "value_out_of_range", "cascade.threshold"),
        ({"cascade": {"first": "smol", "threshold": 0.5}}, "route_target_duplicate", "cascade.first"),
        ({"schedule": [{**W, "timezone": "Mars/Olympus"}]}, "unknown_timezone", "schedule.0.timezone"),
        ({"schedule": [{**W, "timezone": "Asia"}]}, "unknown_timezone", "schedule.0.timezone"),
        ({"schedule": [{**W, "timezone": "../etc/passwd"}]}, "unknown_timezone", "schedule.0.timezone"),
        ({"schedule": [W, {**W, "start": "8:00"}]}, "bad_time_of_day", "schedule.1.start"),
        ({"schedule": [{**W, "start": "08:00", "end": "08:00"}]}, "bad_time_of_day", "schedule.0.end"),
        ({"schedule": [{**W, "days": []}]}, "missing_required_parameter", "schedule.0.days"),
        ({"schedule": [{"targets": []}]}, "missing_required_parameter", "schedule.0.targets"),
        ({"schedule": [{"targets": [{"model": "gone"}]}]}, "route_target_unknown", "schedule.0.targets.0.model"),
        ({"timeouts": {"connect": 0}}, "value_out_of_range", "timeouts.connect"),
        ({"retries": 11}, "value_out_of_range", "retries"),
        ({"concurrency": 0}, "value_out_of_range", "concurrency"),
        ({"queue": -1}, "value_out_of_range", "queue"),
        ({"hedge_seconds": 0}, "value_out_of_range", "hedge_seconds"),
    ],
)
def test_a_bad_plan_is_refused_by_field(client: TestClient, changes: Any, code: str, param: str) -> None:
    assert error(client.put("/api/routes/support", json={**PLAN, **changes})) == (400, code, param)
    assert client.get("/api/routes").json()["data"] == []


def test_infinite_and_missing_numbers_are_out_of_range(client: TestClient) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        body = f'{{"targets": [{{"model": "smol", "weight": {number}}}]}}'
        answer = client.put("/api/routes/support", content=body, headers={"content-type": "application/json"})
        assert error(answer) == (400, "value_out_of_range", "targets.0.weight")


def test_a_route_may_have_its_targets_name_and_slashes(client: TestClient) -> None:
    for name in ("smol", "org/e5", "ft:smol:acme:x:01234567"):
        made = put(client, name, targets=[{"model": name}])
        assert (made["name"], made["targets"][0]["model"]) == (name, name)
        assert client.get(f"/api/routes/{name}").json()["id"] == made["id"]
        assert client.get(f"/api/routes/{name}/history").json()["data"][0]["version"] == 1


@pytest.mark.parametrize(
    "name", ["a b", "-a", "a%2F", "%2Fa", "a/history", "a/rollback", "a%00", "汉", "a" * 256, "a//b"]
)
def test_bad_names_are_refused(client: TestClient, name: str) -> None:
    status, code, _ = error(client.put(f"/api/routes/{name}", json=PLAN))
    assert (status, code) in ((400, "bad_route_name"), (400, "invalid_request"), (405, "method_not_allowed"))
    status, _, _ = error(client.get(f"/api/routes/{name}/history"))
    assert status in (400, 404)


def test_another_projects_route_does_not_exist(client: TestClient, caller: Caller) -> None:
    mine = put(client)
    caller.actor = actor("proj_b")
    assert client.get("/api/routes").json()["data"] == []
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/history", None),
        ("PATCH", "", {"retries": 1}),
        ("DELETE", "", None),
        ("POST", "/rollback", {"version": 1}),
    ):
        answer = client.request(method, f"/api/routes/support{path}", json=body)
        assert error(answer)[:2] == (404, "route_not_found"), (method, path)
    theirs = put(client, retries=5)
    assert (theirs["version"], theirs["id"] == mine["id"]) == (1, False)
    caller.actor = actor("proj_a")
    assert client.get("/api/routes/support").json()["retries"] == 2


def test_reading_and_changing_need_their_permission(client: TestClient, caller: Caller) -> None:
    put(client)
    caller.actor = actor(role=Role.viewer)
    assert client.get("/api/routes/support").status_code == 200
    for method, path in (("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rollback")):
        body = PLAN if method == "PUT" else {}
        assert client.request(method, f"/api/routes/support{path}", json=body).status_code == 403
    caller.actor = actor(role=Role.annotator)
    for path in ("", "/support", "/support/history"):
        assert client.get(f"/api/routes{path}").status_code == 403


def test_expected_version_stops_a_change_on_top_of_somebody_elses(client: TestClient) -> None:
    url = "/api/routes/support"
    assert error(client.put(url, json={**PLAN, "expected_version": 1})) == (
        409,
        "route_version_conflict",
        "expected_version",
    )
    assert put(client, expected_version=0)["version"] == 1
    assert client.put(url, json={**PLAN, "expected_version": 0}).status_code == 409
    assert client.patch(url, json={"retries": 1, "expected_version": 1}).json()["version"] == 2
    assert client.patch(url, json={"retries": 3, "expected_version": 1}).status_code == 409
    assert client.post(f"{url}/rollback", json={"expected_version": 1}).status_code == 409
    assert client.delete(url, params={"expected_version": 1}).status_code == 409
    assert client.get(url).json()["retries"] == 1
    assert client.delete(url, params={"expected_version": 2}).status_code == 200


def test_any_version_can_be_gone_back_to(client: TestClient) -> None:
    url = "/api/routes/support"
    put(client, retries=1)
    put(client, retries=2)
    put(client, retries=3)
    undone = client.post(f"{url}/rollback").json()
    assert (undone["version"], undone["retries"]) == (4, 2)
    back = client.post(f"{url}/rollback", json={"version": 1}).json()
    assert (back["version"], back["retries"]) == (5, 1)
    history = client.get(f"{url}/history").json()["data"]
    assert [(v["version"], v["action"], v["restored_version"], v["plan"]["retries"]) for v in history] == [
        (5, "rolled_back", 1, 1),
        (4, "rolled_back", 2, 2),
        (3, "changed", None, 3),
        (2, "changed", None, 2),
        (1, "created", None, 1),
    ]
    assert {version["changed_by"] for version in history} == {"user:user_test"}
    assert error(client.post(f"{url}/rollback", json={"version": 9})) == (404, "route_version_not_found", "version")


def test_history_comes_in_pages(client: TestClient) -> None:
    for retries in range(5):
        put(client, retries=retries)
    seen: list[int] = []
    after, more = None, True
    while more:
        params = {"limit": 2, **({"after": after} if after else {})}
        found = client.get("/api/routes/support/history", params=params).json()
        seen += [version["version"] for version in found["data"]]
        after, more = found["last_id"], found["has_more"]
    assert seen == [5, 4, 3, 2, 1]


def test_a_single_version_has_nothing_before_it(client: TestClient) -> None:
    put(client)
    assert error(client.post("/api/routes/support/rollback"))[:2] == (409, "route_has_no_earlier_version")


def test_a_rollback_to_a_model_that_is_gone_is_refused(client: TestClient, names: InMemoryNames) -> None:
    put(client, targets=[{"model": "new"}])
    put(client)
    names.names.remove("new")
    assert error(client.post("/api/routes/support/rollback")) == (400, "route_target_unknown", "targets.0.model")


def test_a_deleted_route_keeps_its_history_and_can_come_back(client: TestClient) -> None:
    url = "/api/routes/support"
    first = put(client)
    gone = client.delete(url).json()
    assert gone == {"id": first["id"], "object": "route", "deleted": True}
    assert client.get(url).status_code == client.delete(url).status_code == 404
    assert client.get("/api/routes").json()["data"] == []
    history = client.get(f"{url}/history").json()["data"]
    assert [(v["version"], v["action"], v["plan"] is None) for v in history] == [
        (2, "deleted", True),
        (1, "created", False),
    ]
    again = put(client, retries=0, expected_version=0)
    assert (again["id"], again["version"]) == (first["id"], 3)
    client.delete(url)
    back = client.post(f"{url}/rollback").json()
    assert (back["version"], back["retries"]) == (5, 0)
    assert error(client.post(f"{url}/rollback"))[:2] == (409, "route_has_no_earlier_version")
    assert client.post(f"{url}/rollback", json={"version": 2}).status_code == 404
    assert client.post(f"{url}/rollback", json={"version": 1}).json()["retries"] == 2


def test_models_that_vanish_are_named(client: TestClient, names: InMemoryNames) -> None:
    put(client, mirror={"model": "new", "percent": 1})
    names.names -= {"new", "spare"}
    assert client.get("/api/routes/support").json()["missing_models"] == ["spare", "new"]


def test_every_change_is_audited_and_announced(client: TestClient, db: Database, audited: list[Any]) -> None:
    put(client)
    put(client)
    client.patch("/api/routes/support", json={"retries": 0})
    client.post("/api/routes/support/rollback")
    client.delete("/api/routes/support")
    actions = [(action, target, detail["version"]) for action, target, detail in audited]
    assert actions == [
        ("route.created", "support", 1),
        ("route.changed", "support", 2),
        ("route.rolled_back", "support", 3),
        ("route.deleted", "support", 4),
    ]
    assert [detail["before"] and detail["before"]["retries"] for _, _, detail in audited] == [None, 2, 0, 2]
    assert [detail["after"] and detail["after"]["retries"] for _, _, detail in audited] == [2, 0, 2, None]
    told = [(event.project_id, event.payload["name"], event.payload["version"]) for event in changed(db)]
    assert told == [("proj_a", "support", version) for version in (1, 2, 3, 4)]


def test_a_refused_change_leaves_no_trace(client: TestClient, db: Database, audited: list[Any]) -> None:
    client.put("/api/routes/support", json={"targets": [{"model": "nobody"}]})
    client.delete("/api/routes/support")
    assert audited == []
    assert changed(db) == []
    assert error(client.get("/api/routes/support/history"))[:2] == (404, "route_not_found")


def test_a_project_cannot_fill_every_gateways_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "MAX_ROUTES_A_PROJECT", 2)
    put(client, "one")
    put(client, "two")
    assert error(client.put("/api/routes/three", json=PLAN))[:2] == (409, "too_many_routes")
    put(client, "one", retries=0)
    client.delete("/api/routes/two")
    put(client, "three")


def test_the_snapshot_holds_every_projects_live_routes_and_compiles_each_version_once(
    db: Database, service: RouteService
) -> None:
    with db.write() as session:
        service.put(session, actor("proj_a"), "support", Plan((Target("smol"),)))
        service.put(session, actor("proj_b"), "support", Plan((Target("large"),)))
        service.put(session, actor("proj_b"), "gone", Plan((Target("large"),)))
        service.delete(session, actor("proj_b"), "gone")
    with db.read() as session:
        first = service.snapshot(session)
        assert [(r.project_id, r.name, r.version, r.plan.targets[0].model) for r in first] == [
            ("proj_a", "support", 1, "smol"),
            ("proj_b", "support", 1, "large"),
        ]
        assert [id(route) for route in service.snapshot(session)] == [id(route) for route in first]
    with db.write() as session:
        service.change(session, actor("proj_a"), "support", lambda plan: dataclasses.replace(plan, retries=7))
        service.delete(session, actor("proj_b"), "support")
    with db.read() as session:
        assert [(r.version, r.plan.retries) for r in service.snapshot(session)] == [(2, 7)]


def test_a_lost_race_for_a_new_name_is_a_conflict(
    db: Database, service: RouteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL two writers may both find that the name is free: the second one's insert fails."""
    plan = Plan((Target("smol"),))
    with db.write() as session:
        service.put(session, actor(), "support", plan)
    with monkeypatch.context() as patched, db.write() as session:
        patched.setattr(service_module.store, "lock", lambda *_: None)
        patched.setattr(service_module.store, "route", lambda *_: None)
        with pytest.raises(RouteChanged):
            service.put(session, actor(), "support", plan)
    with db.read() as session:
        assert service.route(session, "proj_a", "support").version == 1


def test_the_registrys_answer_becomes_a_yes_or_no(db: Database, clock: FixedClock) -> None:
    def resolve(_session: Any, project_id: str, name: str) -> str:
        if (project_id, name) != ("proj_a", "smol"):
            raise UnknownModel(id=name)
        return name

    service = RouteService(clock, known_by(resolve), lambda *_: None)
    with db.write() as session:
        assert service.put(session, actor("proj_a"), "support", Plan((Target("smol"),))).version == 1
        with pytest.raises(UnknownTarget):
            service.put(session, actor("proj_b"), "support", Plan((Target("smol"),)))


def at_once(work: Callable[[int], None], threads: int = 6) -> list[Exception]:
    barrier, failures = threading.Barrier(threads), list[Exception]()

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except Exception as error:  # collected: the test looks at each
            failures.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return failures


def test_changes_at_the_same_time_are_all_kept(db: Database, service: RouteService) -> None:
    with db.write() as session:
        service.put(session, actor(), "support", Plan((Target("smol"),), queue=0))

    def change(_number: int) -> None:
        for _ in range(4):
            with db.write() as session:
                service.change(
                    session, actor(), "support", lambda plan: dataclasses.replace(plan, queue=plan.queue + 1)
                )

    assert at_once(change) == []
    with db.read() as session:
        route = service.route(session, "proj_a", "support")
    assert (route.plan.queue, route.version) == (24, 25)


def test_making_a_name_at_the_same_time_ends_in_one_route_and_no_crash(db: Database, service: RouteService) -> None:
    def make(number: int) -> None:
        with db.write() as session:
            service.put(session, actor(), "support", Plan((Target("smol"),), queue=number))

    failures = at_once(make)
    assert {type(failure) for failure in failures} <= {RouteChanged}
    with db.read() as session:
        assert service.route(session, "proj_a", "support").version == 6 - len(failures)
        numbers = [version.number for version in service.history(session, "proj_a", "support", None, 100)]
    assert numbers == list(range(6 - len(failures), 0, -1))
