"""Does the deployed version answer as the trained checkpoint did? Proven on its reference prompts.

Training leaves a `parity_reference` artefact: prompts with the checkpoint's own greedy answers.
They are asked again at temperature 0 through the public API, and the report says how many answers
are the same, with an interval, and which are not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Protocol

from plinth.evaluation import reports
from plinth.evaluation.errors import CompletionFailed
from plinth.evaluation.graders import Toolbox
from plinth.evaluation.model import Json
from plinth.evaluation.ports import Completer, Question
from plinth.evaluation.sandbox import PythonSandbox
from plinth.evaluation.statistics import rate
from plinth.kit import blobs, events
from plinth.kit.blobs import Blobs
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import NotFound, PlinthError
from plinth.kit.events import Event

REPORT_KIND = "parity"
REFERENCE_KIND = "parity_reference"
PARITY_QUEUED = "evaluation.parity.queued"
MAX_REFERENCE_BYTES = 32 << 20
MAX_SHOWN = 50
SHOWN_CHARACTERS = 2000
CHUNK = 20


class Registry(Protocol):
    """The registry's service, as far as parity uses it."""

    def version(self, session: Session, project_id: str, id: str) -> Any: ...
    def reports(self, session: Session, version_id: str) -> Sequence[Any]: ...
    def add_report(self, session: Session, version_id: str, kind: str, report: Json) -> Any: ...


class ParityChecker:
    """Emits `evaluation.parity.queued` {job_id, version_id, project_id} and, when the report is
    stored, `evaluation.parity.reported` {version_id, agreement, n}.

    Args: `content` holds the artefacts' bytes; `completer` asks through the public API.
    """

    def __init__(self, db: Database, clock: Clock, registry: Registry, content: Blobs, completer: Completer) -> None:
        self._db, self._clock, self._registry, self._blobs = db, clock, registry, content
        self._completer = completer

    def on_deployment_ready(self, session: Session, event: Event) -> None:
        """Ask for the check if the deployed model is a version with a reference and no report yet.

        Args: `event` is `serving.deployment.ready`; its payload names the model as `model_id`.
        """
        model, project = str(event.payload.get("model_id") or ""), event.project_id or ""
        if not self._wanted(session, project, model):
            return
        payload = {"job_id": f"parity:{model}:{event.seq}", "version_id": model, "project_id": project}
        events.emit(session, self._clock, PARITY_QUEUED, payload, project)

    def prompts(self, version_id: str, project_id: str, limit: int) -> int:
        """How many prompts to ask; 0 when the report is there already or the version is gone."""
        with self._db.read() as session:
            if not self._wanted(session, project_id, version_id):
                return 0
        return min(limit, len(self._reference(version_id, project_id)))

    def chunk(self, version_id: str, project_id: str, position: int, stop: int) -> Json:
        """Ask prompts `position * CHUNK` and on, below `stop`.

        Returns {"agreed", "errored", "differing": [{index, prompt, expected, actual, first_difference}], "error"}.
        """
        reference = self._reference(version_id, project_id)
        indices = range(position * CHUNK, min(stop, (position + 1) * CHUNK))
        answers = self._ask(project_id, [self._question(version_id, reference[index]) for index in indices])
        agreed, errors, differing = 0, [], []
        for index, answer in zip(indices, answers, strict=True):
            expected = str(reference[index]["answer"]).strip()
            if isinstance(answer, PlinthError):
                errors.append(answer.message)
            elif answer == expected:
                agreed += 1
            else:
                differing.append(_difference(index, reference[index], expected, answer))
        return {
            "agreed": agreed,
            "errored": len(errors),
            "differing": differing,
            "error": errors[0] if errors else None,
        }

    def report(self, version_id: str, project_id: str, parts: Sequence[Json]) -> None:
        """Add up the chunks and store the report. Raises `CompletionFailed` if nothing was answered."""
        agreed = sum(part["agreed"] for part in parts)
        differing = [entry for part in parts for entry in part["differing"]]
        errored = sum(part["errored"] for part in parts)
        answered = agreed + len(differing)
        if not answered:
            reason = next((part["error"] for part in parts if part["error"]), "there are no prompts.")
            raise CompletionFailed(model=version_id, reason=reason)
        report = {
            "agreement": reports.estimate(rate(agreed, answered)),
            "prompts": answered + errored,
            "errored": errored,
            "differing": differing[:MAX_SHOWN],
            "differing_total": len(differing),
            "basis": "the same text, white space at the ends aside, as the trained checkpoint's greedy answer, "
            "asked through the public API at temperature 0",
            "created_at": self._clock.unix(),
        }
        with self._db.write() as session:
            if not self._wanted(session, project_id, version_id):
                return
            self._registry.add_report(session, version_id, REPORT_KIND, report)
            payload = {"version_id": version_id, "agreement": agreed / answered, "n": answered}
            events.emit(session, self._clock, "evaluation.parity.reported", payload, project_id)

    def _ask(self, project_id: str, questions: Sequence[Question]) -> list[str | PlinthError]:
        tools = Toolbox(self._completer, project_id, PythonSandbox())

        def one(question: Question) -> str:
            return tools.ask(question).text.strip()

        return tools.map(one, questions)

    def _question(self, version_id: str, entry: Json) -> Question:
        sampling = {"temperature": 0, "max_completion_tokens": int(entry.get("max_tokens") or 64)}
        return Question(version_id, entry["messages"], sampling)

    def _wanted(self, session: Session, project_id: str, version_id: str) -> bool:
        try:
            version = self._registry.version(session, project_id, version_id)
        except NotFound:
            return False
        if not any(str(artefact.kind) == REFERENCE_KIND for artefact in version.artefacts):
            return False
        return not any(report.kind == REPORT_KIND for report in self._registry.reports(session, version_id))

    def _reference(self, version_id: str, project_id: str) -> list[Json]:
        with self._db.read() as session:
            version = self._registry.version(session, project_id, version_id)
        files = [file for part in version.artefacts if str(part.kind) == REFERENCE_KIND for file in part.files]
        found: list[Json] = json.loads(blobs.get_bytes(self._blobs, files[0].digest, MAX_REFERENCE_BYTES))
        return found


def _difference(index: int, entry: Json, expected: str, actual: str) -> Json:
    first = next(at for at, (x, y) in enumerate(zip_longest(expected, actual)) if x != y)
    last = entry["messages"][-1]["content"] if entry["messages"] else ""
    return {
        "index": index,
        "prompt": str(last)[:SHOWN_CHARACTERS],
        "expected": expected[:SHOWN_CHARACTERS],
        "actual": actual[:SHOWN_CHARACTERS],
        "first_difference": first,
    }
