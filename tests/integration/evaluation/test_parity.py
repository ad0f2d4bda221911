"""A deployed version is asked its reference prompts once, and the registry gets the report."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from integration.evaluation.conftest import Site
from plinth.evaluation.errors import CompletionFailed
from plinth.evaluation.ports import Question
from plinth.kit import events
from plinth.kit.blobs import put_bytes
from plinth.kit.clock import SystemClock


def reference(count: int) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": f"q{n}"}], "answer": f"a{n}", "max_tokens": 8} for n in range(count)
    ]


def add_version(site: Site, id: str, prompts: list[dict[str, Any]] | None) -> None:
    artefacts = []
    if prompts is not None:
        blob = put_bytes(site.blobs, json.dumps(prompts).encode())
        file = SimpleNamespace(path="parity.json", digest=blob.digest, size=blob.size)
        artefacts = [SimpleNamespace(kind="parity_reference", files=(file,))]
    site.registry.versions[id] = SimpleNamespace(id=id, artefacts=artefacts)


def deploy(site: Site, model: str) -> None:
    with site.db.write() as session:
        events.emit(session, SystemClock(), "serving.deployment.ready", {"model_id": model}, "proj_a")
    site.work()


def greedy(question: Question) -> str:
    return question.messages[-1]["content"].replace("q", "a")


def test_the_report(site: Site) -> None:
    add_version(site, "ft:v1", reference(45))

    def nearly(question: Question) -> str:
        text = greedy(question)
        return {"a7": "a7 and more", "a30": "b30"}.get(text, text + "\n")

    site.completer._script = nearly
    deploy(site, "ft:v1")
    ((version, kind, report),) = site.registry.stored
    assert (version, kind) == ("ft:v1", "parity")
    agreement = report["agreement"]
    assert (agreement["n"], agreement["value"]) == (45, pytest.approx(43 / 45, abs=1e-6))
    assert agreement["interval"]["method"] == "wilson"
    assert report["differing"] == [
        {"index": 7, "prompt": "q7", "expected": "a7", "actual": "a7 and more", "first_difference": 2},
        {"index": 30, "prompt": "q30", "expected": "a30", "actual": "b30", "first_difference": 0},
    ]
    sampling = {frozenset(question.sampling.items()) for _, question in site.completer.asked}
    assert sampling == {frozenset({("temperature", 0), ("max_completion_tokens", 8)})}
    assert site.kinds()[-1] == "evaluation.parity.reported"

    deploy(site, "ft:v1")
    assert len(site.registry.stored) == 1


@pytest.mark.parametrize("model", ["base-model", "ft:unknown"])
def test_nothing_is_asked_of_models_without_a_reference(site: Site, model: str) -> None:
    add_version(site, "base-model", None)
    deploy(site, model)
    assert site.completer.asked == []
    assert site.kinds() == ["serving.deployment.ready"]


def test_a_broken_endpoint_gives_no_report_and_the_next_deployment_tries_again(site: Site) -> None:
    add_version(site, "ft:v1", reference(3))

    def down(question: Question) -> str:
        raise CompletionFailed(model="ft:v1", reason="down")

    site.completer._script = down
    deploy(site, "ft:v1")
    assert site.registry.stored == []
    site.completer._script = greedy
    deploy(site, "ft:v1")
    assert [report["agreement"]["value"] for _, _, report in site.registry.stored] == [1.0]


def test_some_errors_are_counted_apart(site: Site) -> None:
    add_version(site, "ft:v1", reference(4))

    def stumbles(question: Question) -> str:
        if question.messages[-1]["content"] == "q2":
            raise CompletionFailed(model="ft:v1", reason="busy")
        return greedy(question)

    site.completer._script = stumbles
    deploy(site, "ft:v1")
    ((_, _, report),) = site.registry.stored
    assert (report["errored"], report["prompts"], report["agreement"]["n"]) == (1, 4, 3)
