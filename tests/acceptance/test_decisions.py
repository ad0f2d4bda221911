"""Decisions and a calibration on a real platform: the official SDK, a real engine, the worker."""

from __future__ import annotations

from typing import Any

import pytest

from acceptance.installation import Installation, wait_for

pytestmark = pytest.mark.slow

MODEL = "smollm2-135m-instruct"
PREDICATE: Any = {"type": "predicate", "instructions": "The message is an advertisement."}
QUESTIONS: Any = [
    PREDICATE,
    {"type": "choice", "instructions": "What is it about?", "choices": [{"value": "billing"}, {"value": "technical"}]},
    {"type": "score", "instructions": "How urgent is it?", "levels": [{"label": "low"}, {"label": "high"}]},
]


def test_decisions_are_probabilities_and_can_be_calibrated(platform: Installation) -> None:
    client = platform.client()
    found = client.decisions.create(model=MODEL, input="Free entry! Win a prize now", questions=QUESTIONS)
    predicate, choice, score = found.model_dump()["answers"]
    assert 0 < predicate["probability"] < 1
    assert sum(entry["probability"] for entry in choice["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert choice["choice"] in ("billing", "technical")
    if score["type"] != "refusal":  # a small model may find that neither level is an answer
        assert 0 <= score["score"] <= 1
    assert found.model_dump()["calibration"] is None

    # what is tested is the way, not the model: any rows will do
    texts = [f"Win prize number {n} now, free!" if n % 2 else f"See you at {n} o'clock." for n in range(130)]
    rows = [{"input": text, "question": PREDICATE, "answer": text.startswith("Win")} for text in texts]
    api = f"{platform.url}/api/calibrations"
    made: Any = client.post(api, body={"model": MODEL, "rows": rows}, cast_to=object)

    def ended() -> Any:
        state: Any = client.get(f"{api}/{made['id']}", cast_to=object)
        return state if state["status"] not in ("queued", "running") else None

    state = wait_for(ended, 240, "the calibration")
    assert state["status"] == "ready", state
    assert state["report"]["brier"]["before"]
    more: Any = {"calibration": made["id"]}
    calibrated = client.decisions.create(model=MODEL, input=texts[1], questions=[PREDICATE], extra_body=more)
    assert calibrated.model_dump()["calibration"] == made["id"]
