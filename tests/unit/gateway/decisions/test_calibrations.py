"""`/api/calibrations`, from labelled rows to calibrated answers, with the worker's part run at once."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from plinth.gateway.decisions import CalibrationRunner, CalibrationService, DecisionService, store
from plinth.gateway.decisions.calibration_schemas import rows_of
from plinth.gateway.decisions.errors import BadCalibrationRows
from plinth.gateway.decisions.http import decisions_router, router
from plinth.gateway.decisions.jobs import CALIBRATE, QUEUE, workflows
from plinth.gateway.decisions.ports import InMemoryTargets
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.identity import Actor, Role
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database, Session
from plinth.kit.jobs import InMemoryJobs
from support import Caller, actor, client_for
from unit.gateway.decisions.models import AnsweringModel

QUESTION = {"type": "predicate", "instructions": "The message is spam."}
SCORE = {
    "type": "score",
    "instructions": "How bad?",
    "levels": [{"label": "fine"}, {"label": "bad"}, {"label": "awful"}],
}


class Files:
    """Files of one project, in memory."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents

    def file(self, session: Session, project_id: str, file_id: str) -> str:
        assert project_id == "proj_a"
        return file_id

    def open_file(self, file: str) -> io.BytesIO:
        return io.BytesIO(self.contents[file])


class World:
    """Both routers, the runner, and a model that states p ** 0.3 where p is the truth (written in the input)."""

    def __init__(self, db: Database, clock: FixedClock, settings: DecisionSettings) -> None:
        self.db, self.clock, self.caller, self.audits = db, clock, Caller(), []
        self.model = AnsweringModel(self.opinion)
        self.targets, self.files = InMemoryTargets(m="base:m", other="base:o"), Files()
        self.asked_as: list[tuple[str, str]] = []
        self.service = CalibrationService(clock, self.targets, self._audit, settings)
        self.runner = CalibrationRunner(db, clock, self._asker, self.targets, settings)
        self.jobs = InMemoryJobs()
        self.jobs.start(workflows(self.runner), {QUEUE: 1})
        decisions = DecisionService(self._asker, self.targets, settings)
        guard = self.caller.guard
        self.routers = decisions_router(db, decisions, guard), router(db, self.service, self.files, settings, guard)

    @staticmethod
    def opinion(prompt: str) -> dict[str, float]:
        text = prompt.split("<input>\n")[1].split("\n")[0]
        if text == "off topic":
            return {"Well": 1.0}
        truth = float(text.split()[-1])
        if "Levels" in prompt:  # much too sure
            powers = [(1 - truth) ** 3, (truth * 0.75) ** 3, (truth * 0.25) ** 3]
            return dict(zip("ABC", (power / sum(powers) for power in powers), strict=True))
        return {"A": truth**0.3, "B": 1 - truth**0.3}

    def _asker(self, key_id: str, principal: str) -> AnsweringModel:
        self.asked_as.append((key_id, principal))
        return self.model

    def _audit(self, session: Session, who: Actor, action: str, target: str, detail: dict[str, Any]) -> None:
        self.audits.append((action, target))

    def kinds(self) -> list[str]:
        with self.db.read() as session:
            return [row.kind for row in session.execute(select(events.events.c.kind).order_by(events.events.c.seq))]


@pytest.fixture
def world(db: Database, clock: FixedClock) -> World:
    return World(db, clock, DecisionSettings(max_calibration_rows=2000))


@pytest.fixture
def web(world: World) -> Iterator[TestClient]:
    with client_for(*world.routers) as client:
        yield client


def labelled(n: int, seed: int = 1, question: dict[str, Any] = QUESTION) -> list[dict[str, Any]]:
    random = Random(seed)
    truths = [round(random.uniform(0.001, 0.999), 6) for _ in range(n)]
    return [
        {"input": f"row {i} {p}", "question": question, "answer": random.random() < p} for i, p in enumerate(truths)
    ]


def create(web: TestClient, **changes: Any) -> Any:
    body = {"model": "m", "method": "isotonic", "rows": labelled(1200), **changes}
    return web.post("/api/calibrations", json={key: value for key, value in body.items() if value is not None})


def made(world: World, web: TestClient, **changes: Any) -> dict[str, Any]:
    answer = create(web, **changes)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    return finished(world, web, answer.json()["id"])


def finished(world: World, web: TestClient, id: str) -> dict[str, Any]:
    world.jobs.enqueue(CALIBRATE, id, {"calibration_id": id})
    found: dict[str, Any] = web.get(f"/api/calibrations/{id}").json()
    return found


def decide(web: TestClient, text: str = "x 0.1", **changes: Any) -> Any:
    return web.post("/v1/decisions", json={"model": "m", "input": text, "questions": [QUESTION], **changes})


def test_a_calibration_makes_stated_probabilities_come_true_on_rows_it_never_saw(world: World, web: TestClient) -> None:
    found = made(world, web, name="first")
    assert (found["status"], found["version"], found["kind"], found["rows"]) == ("ready", 1, "predicate", 1200)
    assert found["fitted"] + found["held_out"] == 1200
    assert found["report"]["n"] == found["held_out"] == 600
    ece = found["report"]["ece"]
    assert ece["before"]["value"] > 0.2
    assert ece["after"]["value"] < 0.1
    assert ece["change"]["high"] < 0
    assert found["report"]["brier"]["change"]["high"] < 0
    point = found["report"]["curve"]["before"][-1]
    assert point["from"] == 0.9
    assert point["low"] <= point["observed"] <= point["high"] < point["stated"]
    assert world.kinds() == ["gateway.calibration.queued", "gateway.calibration.created"]
    assert world.audits == [("calibration.created", found["id"])]
    assert set(world.asked_as) == {("key_test", "user:user_test")}


def test_answers_are_calibrated_only_when_asked_and_always_say_so(world: World, web: TestClient) -> None:
    found = made(world, web)
    raw = decide(web).json()
    assert raw["answers"][0]["probability"] == pytest.approx(0.1**0.3)
    assert raw["calibration"] is None
    named = decide(web, calibration=found["id"]).json()
    assert named["answers"][0]["probability"] == pytest.approx(0.1, abs=0.08)
    assert (named["calibration"], named["answers"][0]["calibration"]) == (found["id"], found["id"])
    assert web.post(f"/api/calibrations/{found['id']}/default").json()["default"] is True
    assert decide(web).json() == named
    assert decide(web, calibration="none").json() == raw
    other = {"type": "predicate", "instructions": "The message is rude."}
    both = decide(web, questions=[other, QUESTION]).json()
    assert [answer["calibration"] for answer in both["answers"]] == [None, found["id"]]
    web.delete(f"/api/calibrations/{found['id']}/default")
    assert decide(web).json() == raw
    actions = [action for action, _ in world.audits]
    assert actions == ["calibration.created", "calibration.default_set", "calibration.default_dropped"]


def test_a_calibration_that_does_not_fit_is_refused_when_named(world: World, web: TestClient) -> None:
    id = made(world, web)["id"]
    web.post(f"/api/calibrations/{id}/default")
    waiting = create(web).json()["id"]
    other = {"type": "predicate", "instructions": "The message is rude."}
    for changes, status, code in (
        ({"calibration": "calib_none"}, 404, "not_found"),
        ({"calibration": waiting}, 409, "calibration_not_ready"),
        ({"calibration": id, "model": "other"}, 400, "calibration_other_model"),
        ({"calibration": id, "questions": [QUESTION, other]}, 400, "calibration_other_question"),
    ):
        answer = decide(web, **changes)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    world.targets.targets["m"] = "base:new"
    assert decide(web, calibration=id).json()["error"]["code"] == "calibration_outdated"
    assert web.post(f"/api/calibrations/{id}/default").json()["error"]["code"] == "calibration_outdated"
    assert decide(web).json()["calibration"] is None


def test_the_texts_are_gone_once_it_is_made_and_the_numbers_stay(world: World, web: TestClient) -> None:
    id = create(web).json()["id"]
    with world.db.read() as session:
        assert store.rows_between(session, id, 0, 1)[0].input is not None
    finished(world, web, id)
    with world.db.read() as session:
        rows = store.rows_between(session, id, 0, 2000)
    assert {row.input for row in rows} == {None}
    assert all(row.reading is not None and math.fsum(row.reading.probabilities) == pytest.approx(1) for row in rows)


def test_versions_count_and_a_ready_one_never_changes(world: World, web: TestClient) -> None:
    first = made(world, web)
    asked = len(world.model.asked)
    world.jobs.rerun(first["id"])
    world.runner.finish(first["id"], {"code": "x", "message": "y"})
    world.runner.give_up(first["id"])
    assert len(world.model.asked) == asked
    second = made(world, web, method="temperature", rows=labelled(300, 5))
    assert second["version"] == 2
    assert second["map"]["kind"] in ("temperature", "identity")
    assert web.get(f"/api/calibrations/{first['id']}").json() == first
    listed = web.get("/api/calibrations", params={"limit": 1}).json()
    assert ([entry["id"] for entry in listed["data"]], listed["has_more"]) == ([second["id"]], True)
    behind = web.get("/api/calibrations", params={"after": second["id"], "model": "m"}).json()
    assert [entry["id"] for entry in behind["data"]] == [first["id"]]


def test_the_same_rows_and_seed_give_the_same_calibration(world: World, web: TestClient) -> None:
    first, second = made(world, web, seed=5), made(world, web, seed=5)
    assert (first["map"], first["report"]) == (second["map"], second["report"])
    assert made(world, web, seed=6)["report"] != first["report"]


def test_work_that_broke_off_goes_on_where_it_was(world: World, web: TestClient) -> None:
    id = create(web, rows=labelled(1200)).json()["id"]
    plan = world.runner.begin(id)
    world.runner.chunk(id, 0, plan["size"])
    asked = len(world.model.asked)
    world.runner.chunk(id, 0, plan["size"])
    assert len(world.model.asked) == asked == plan["size"]
    assert finished(world, web, id)["status"] == "ready"
    assert len(world.model.asked) == 1200


def test_choices_and_scores_are_calibrated_too(world: World, web: TestClient) -> None:
    random = Random(3)
    rows = []
    for number in range(1000):
        p = round(random.uniform(0.01, 0.99), 6)
        answer = random.choices(["fine", "bad", "awful"], [1 - p, p * 0.75, p * 0.25])[0]
        given = answer if number % 2 else ["fine", "bad", "awful"].index(answer)
        rows.append({"input": f"n{number} {p}", "question": SCORE, "answer": given})
    found = made(world, web, rows=rows, method="temperature")
    assert found["kind"] == "score"
    assert found["map"]["temperature"] == pytest.approx(3, rel=0.25)
    assert found["report"]["brier"]["change"]["high"] < 0
    answer = decide(web, "x 0.2", questions=[SCORE], calibration=found["id"]).json()["answers"][0]
    assert sum(entry["probability"] for entry in answer["probabilities"]) == pytest.approx(1)
    assert answer["score"] == pytest.approx(0.2 * 1.25, abs=0.1)
    threshold = web.post(f"/api/calibrations/{found['id']}/threshold", json={"false_positive": 1, "false_negative": 1})
    assert threshold.json()["error"]["code"] == "calibration_not_binary"


def test_refusals_are_left_out_and_counted(world: World, web: TestClient) -> None:
    spare = [{"input": "off topic", "question": QUESTION, "answer": True}] * 20
    found = made(world, web, rows=[*labelled(1000), *spare])
    assert found["status"] == "ready"
    assert (found["fitted"] + found["held_out"], found["report"]["refused"]) == (1000, 20)


def test_a_model_that_fails_too_often_makes_no_calibration(world: World, web: TestClient) -> None:
    world.model.failing = lambda prompt: re.search(r"row \d*7 ", prompt) is not None
    found = made(world, web, rows=labelled(600))
    assert (found["status"], found["error"]["code"]) == ("failed", "calibration_incomplete")
    assert "not today" in found["error"]["message"]
    assert found["map"] is None
    assert world.kinds()[-1] == "gateway.calibration.failed"
    world.model.failing = lambda prompt: True
    assert made(world, web, rows=labelled(600))["error"]["code"] == "completion_failed"
    world.model.failing, world.model.silent = (lambda prompt: False), True
    assert made(world, web, rows=labelled(600))["error"]["code"] == "decision_no_probabilities"


def test_a_fault_of_ours_ends_it_and_is_not_hidden(world: World, web: TestClient) -> None:
    def broken(prompt: str) -> dict[str, float]:
        raise RuntimeError("boom")

    world.model.opinion = broken
    found = made(world, web, rows=labelled(600))
    assert (found["status"], found["error"]["code"]) == ("failed", "calibration_broke_off")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rows": None}, "invalid_request"),
        ({"rows": []}, "too_few_calibration_rows"),
        ({"rows": labelled(300)}, "too_few_calibration_rows"),
        ({"rows": [{**row, "answer": True} for row in labelled(600)]}, "too_few_calibration_rows"),
        ({"rows": [{**row, "answer": "yes"} for row in labelled(600)]}, "invalid_calibration_rows"),
        ({"rows": [*labelled(600), {"input": "x", "question": SCORE, "answer": "bad"}]}, "invalid_calibration_rows"),
        ({"rows": [*labelled(600), {**labelled(1)[0], "input": "a\0b"}]}, "invalid_calibration_rows"),
        ({"rows": [*labelled(600), {"input": " ", "question": QUESTION, "answer": True}]}, "invalid_calibration_rows"),
        ({"rows": labelled(2001)}, "invalid_calibration_rows"),
        ({"model": "nobody"}, "decision_model_unusable"),
        ({"method": "magic"}, "invalid_request"),
        ({"held_out_share": 0.95}, "invalid_request"),
    ],
)  # fmt: skip
def test_a_labelled_set_that_cannot_be_used(web: TestClient, changes: dict[str, Any], code: str) -> None:
    answer = create(web, **changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text


def test_rows_come_from_a_file_too(world: World, web: TestClient) -> None:
    lines = "\n\n".join(json.dumps(row) for row in labelled(1200))
    world.files.contents["file-1"] = b"\xef\xbb\xbf" + lines.encode()
    found = made(world, web, rows=None, file_id="file-1")
    inline = made(world, web)
    assert found["source"] == "file-1"
    assert found["map"] == inline["map"]


@pytest.mark.parametrize(
    "content", [b"{", b"[]\n", b'{"input": "x"}\n', b"\xff\n", b'{"input":"x","question":7,"answer":true}']
)
def test_a_broken_file_names_the_line(content: bytes) -> None:
    good = json.dumps(labelled(1)[0]).encode() + b"\n"
    with pytest.raises(BadCalibrationRows, match="row number 2 "):
        rows_of(io.BytesIO(good + content), 100, 10_000)


def test_a_long_file_ends_the_reading() -> None:
    good = json.dumps(labelled(1)[0]).encode() + b"\n"
    with pytest.raises(BadCalibrationRows, match="row number 4 "):
        rows_of(io.BytesIO(good * 10), 3, 10_000)
    with pytest.raises(BadCalibrationRows, match="bytes"):
        rows_of(io.BytesIO(good * 10), 100, 5 * len(good))


def test_the_threshold_weighs_the_costs(world: World, web: TestClient) -> None:
    id = made(world, web)["id"]
    body = {"false_positive": 100, "false_negative": 300, "review": 30}
    found = web.post(f"/api/calibrations/{id}/threshold", json=body).json()
    assert found["threshold"] == 0.25
    assert (found["reject_from"], found["reject_to"]) == (pytest.approx(0.1), pytest.approx(0.7))
    assert found["mean_cost"]["value"] < min(found["mean_cost_always"]["value"], found["mean_cost_never"]["value"])
    assert 0.3 < found["reviewed"] < 0.9
    nothing = web.post(f"/api/calibrations/{id}/threshold", json={"false_positive": 0, "false_negative": 0})
    assert nothing.json()["error"]["code"] == "calibration_bad_costs"


def test_nobody_else_sees_or_uses_it(world: World, web: TestClient) -> None:
    id = made(world, web)["id"]
    world.caller.actor = actor("proj_b")
    for answer in (
        web.get(f"/api/calibrations/{id}"),
        web.post(f"/api/calibrations/{id}/default"),
        web.post(f"/api/calibrations/{id}/threshold", json={"false_positive": 1, "false_negative": 1}),
        decide(web, calibration=id),
    ):
        assert answer.status_code == 404
    assert web.get("/api/calibrations").json()["data"] == []
    world.caller.actor = actor(role=Role.viewer)
    assert web.get(f"/api/calibrations/{id}").status_code == 200
    assert create(web).status_code == 403
    assert web.post(f"/api/calibrations/{id}/default").status_code == 403


def test_a_project_cannot_pile_up_calibrations(db: Database, clock: FixedClock) -> None:
    world = World(db, clock, DecisionSettings(max_open_calibrations=1))
    with client_for(*world.routers) as web:
        assert create(web).status_code == 202
        assert create(web).status_code == 409
