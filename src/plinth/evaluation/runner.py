"""Running an eval: begin, chunk after chunk, finish. Each is safe to repeat after a crash.

A chunk asks the model for its rows side by side, grades them criterion by criterion, and writes
rows and tally in one transaction. A chunk that was written is never asked again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from plinth.evaluation import graders, reports, sources, specs, store
from plinth.evaluation.errors import CompletionFailed, ModelUnreachable
from plinth.evaluation.graders import Case, Grade, Outcome, Toolbox
from plinth.evaluation.model import (
    CriterionTally,
    Eval,
    ItemStatus,
    Json,
    ModelUsage,
    OutputItem,
    Problem,
    Run,
    RunStatus,
    Tally,
)
from plinth.evaluation.ports import Answer, Completer, Question
from plinth.evaluation.sandbox import PythonSandbox
from plinth.evaluation.settings import EvaluationSettings
from plinth.evaluation.sources import JsonlSource, RunSource
from plinth.evaluation.specs import GraderSpec
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import PlinthError

CANCEL_POLL_SECONDS = 1.0
MAX_STORED_CHARACTERS = 200_000
LEAST_FOR_OUTAGE = 5
"""A chunk of at least so many rows without one answer is an outage: the run fails, its rows stay open."""


@dataclass(frozen=True)
class Work:
    """Everything one chunk needs, read once."""

    run: Run
    parent: Eval
    source: RunSource
    criteria: list[GraderSpec]


@dataclass(frozen=True)
class Sampled:
    """A row with the sample that its graders see, or why there is none."""

    row: OutputItem
    wire: Json
    sample: Json | None
    error: PlinthError | None = None
    answer: Answer | None = None


class RunExecutor:
    """Emits `evaluation.run.completed`, `.failed` and `.canceled` with {run_id, eval_id}."""

    def __init__(
        self, db: Database, clock: Clock, completer: Completer, sandbox: PythonSandbox, settings: EvaluationSettings
    ) -> None:
        self._db, self._clock, self._settings = db, clock, settings
        self._completer, self._sandbox = completer, sandbox

    def begin(self, run_id: str) -> Json:
        """Mark the run as in progress. Returns {"chunks", "size"}; no chunks if there is nothing to do."""
        with self._db.write() as session:
            store.start_run(session, run_id, self._clock.unix())
            run = store.run_by_id(session, run_id)
        if run is None or run.status.is_final:
            return {"chunks": 0, "size": 1}
        size = self._settings.chunk_items
        return {"chunks": -(-run.total // size), "size": size}

    def chunk(self, run_id: str, position: int, size: int) -> Json:
        """Answer and grade rows `position * size` and on. Returns {"stop": bool, "error": problem or None}."""
        work = self._work(run_id)
        if work is None:
            return {"stop": True, "error": None}
        with self._db.read() as session:
            rows = store.rows_between(session, run_id, position * size, (position + 1) * size)
            before = store.chunk_tally(session, run_id, position) or Tally()
        pending = [row for row in rows if row.status is ItemStatus.pending]
        try:
            if pending:
                self._work_on(work, pending, (position, before))
        except PlinthError as error:
            return {"stop": True, "error": {"code": error.code, "message": error.message}}
        with self._db.read() as session:
            return {"stop": store.cancel_requested(session, run_id), "error": None}

    def finish(self, run_id: str, error: Json | None) -> None:
        """Give the run its end: failed if there is an error, cancelled if rows are left, else completed."""
        with self._db.read() as session:
            run = store.run_by_id(session, run_id)
            if run is None or run.status.is_final:
                return
            parent = store.eval_by_id(session, run.project_id, run.eval_id)
            results = store.results_of(session, run_id)
            tally = store.tally(session, run_id)
        assert parent is not None  # an eval is deleted together with its runs
        names = [criterion["name"] for criterion in parent.testing_criteria]
        report = {
            "mean_scores": reports.mean_scores(results, names),
            "cost": reports.cost(tally, self._settings.machine_price_per_hour, self._settings.currency),
        }
        if error is not None:
            status = RunStatus.failed
        else:
            status = RunStatus.canceled if len(results) < run.total else RunStatus.completed
        problem = Problem(error["code"], error["message"]) if error else None
        with self._db.write() as session:
            if store.finish_run(session, run_id, status, problem, report, self._clock.unix()):
                payload = {"run_id": run_id, "eval_id": run.eval_id}
                events.emit(session, self._clock, f"evaluation.run.{status}", payload, run.project_id)

    def toolbox(self, project_id: str) -> Toolbox:
        return Toolbox(
            self._completer, project_id, self._sandbox, self._settings.embedding_model, self._settings.concurrency
        )

    def _work(self, run_id: str) -> Work | None:
        with self._db.read() as session:
            run = store.run_by_id(session, run_id)
            if run is None or run.status.is_final or run.cancel_requested:
                return None
            parent = store.eval_by_id(session, run.project_id, run.eval_id)
        assert parent is not None
        return Work(run, parent, _source_of(run), [specs.parse(given) for given in parent.testing_criteria])

    def _work_on(self, work: Work, pending: Sequence[OutputItem], chunk: tuple[int, Tally]) -> None:
        position, before = chunk
        started = self._clock.monotonic()
        sampled = self._sample(work, pending)
        occupied = 0.0 if isinstance(work.source, JsonlSource) else self._clock.monotonic() - started
        columns = self._grade(work, sampled)
        graded = [
            self._graded_row(work, entry, [column[index] for column in columns]) for index, entry in enumerate(sampled)
        ]
        fresh = Tally(occupied_seconds=occupied)
        for entry in sampled:
            if entry.answer is not None:
                fresh.answers += 1
                fresh.answer_seconds += entry.answer.latency_seconds
                fresh.count_usage(ModelUsage(work.run.model, entry.answer.usage))
        for column in columns:
            for outcome in column:
                for used in outcome.used if isinstance(outcome, Grade) else ():
                    fresh.count_usage(used)
        _count(fresh, graded)
        with self._db.write() as session:
            if store.run_by_id(session, work.run.id) is not None:
                store.store_results(session, graded, work.run.id, position, Tally.sum([before, fresh]))

    # answers

    def _sample(self, work: Work, rows: Sequence[OutputItem]) -> list[Sampled]:
        """Samples of the rows that were reached; a cancelled run leaves the rest out."""
        if isinstance(work.source, JsonlSource):
            return [_given(row) for row in rows]
        cancelled = self._cancel_check(work.run.id)

        def one(row: OutputItem) -> Sampled | None:
            return None if cancelled() else self._ask(work, row)

        answered = self.toolbox(work.run.project_id).map(one, rows)
        sampled = [entry for entry in answered if isinstance(entry, Sampled)]
        failures = [entry.error for entry in sampled if isinstance(entry.error, CompletionFailed)]
        if len(sampled) >= LEAST_FOR_OUTAGE and len(failures) == len(sampled):
            raise failures[0]
        return sampled

    def _ask(self, work: Work, row: OutputItem) -> Sampled:
        assert not isinstance(work.source, JsonlSource)
        question = Question(work.run.model, [])
        try:
            question = sources.question(work.source, row.item, self._settings.max_completion_tokens)
            answer = self._completer.complete(work.run.project_id, question)
        except ModelUnreachable:
            raise
        except PlinthError as error:
            return Sampled(row, _wire_sample(question, None, error), None, error)
        return Sampled(row, _wire_sample(question, answer, None), _namespace(answer), None, answer)

    def _cancel_check(self, run_id: str) -> Any:
        """A function that says whether to stop; it looks at the database at most once a second."""
        lock = threading.Lock()
        state = {"at": self._clock.monotonic(), "stop": False}

        def cancelled() -> bool:
            with lock:
                now = self._clock.monotonic()
                if not state["stop"] and now - state["at"] >= CANCEL_POLL_SECONDS:
                    with self._db.read() as session:
                        state.update(at=now, stop=store.cancel_requested(session, run_id))
                return bool(state["stop"])

        return cancelled

    # grades

    def _grade(self, work: Work, sampled: Sequence[Sampled]) -> list[list[Outcome]]:
        """One column of outcomes per criterion, aligned with `sampled`."""
        good = [index for index, entry in enumerate(sampled) if entry.error is None]
        cases = [Case(sampled[index].row.item, sampled[index].sample or {}) for index in good]
        columns: list[list[Outcome]] = []
        for spec in work.criteria:
            outcomes = dict(zip(good, graders.grade(spec, cases, self.toolbox(work.run.project_id)), strict=True))
            columns.append([outcomes[i] if i in outcomes else _error(entry) for i, entry in enumerate(sampled)])
        return columns

    def _graded_row(self, work: Work, entry: Sampled, outcomes: Sequence[Outcome]) -> OutputItem:
        results = [_result(spec, outcome) for spec, outcome in zip(work.criteria, outcomes, strict=True)]
        if any("error" in result for result in results):
            status = ItemStatus.errored
        else:
            status = ItemStatus.passed if all(result["passed"] for result in results) else ItemStatus.failed
        now = self._clock.unix()
        return replace(entry.row, status=status, sample=entry.wire, results=results, created_at=now)


def _source_of(run: Run) -> RunSource:
    return sources.parse(run.data_source)


def _given(row: OutputItem) -> Sampled:
    """The sample that came with the row, with `output_json` filled in where the text is JSON."""
    sample = dict(row.given_sample or {})
    text = sample.get("output_text")
    if isinstance(text, str) and "output_json" not in sample and (value := graders.output_json(text)) is not None:
        sample["output_json"] = value
    question = Question(str(sample.get("model", "")), [])
    return Sampled(row, {**_wire_sample(question, None, None), "output": _output(str(text or ""))}, sample)


def _namespace(answer: Answer) -> Json:
    """What `{{ sample.… }}` and `grade(sample, item)` see."""
    sample: Json = {"output_text": answer.text, "choices": answer.choices, "finish_reason": answer.finish_reason}
    message = answer.choices[0].get("message", {}) if answer.choices else {}
    sample["output_tools"] = message.get("tool_calls") or []
    value = graders.output_json(answer.text)
    return sample if value is None else {**sample, "output_json": value}


def _wire_sample(question: Question, answer: Answer | None, error: PlinthError | None) -> Json:
    usage = answer.usage if answer else None
    sampling = question.sampling
    return {
        "model": question.model,
        "input": [{"role": m["role"], "content": _shown(m["content"])} for m in question.messages],
        "output": _output(answer.text) if answer else [],
        "finish_reason": answer.finish_reason if answer else "",
        "error": {"code": error.code, "message": error.message} if error else None,
        "max_completion_tokens": sampling.get("max_completion_tokens"),
        "temperature": sampling.get("temperature"),
        "top_p": sampling.get("top_p"),
        "seed": sampling.get("seed"),
        "latency_seconds": round(answer.latency_seconds, 4) if answer else None,
        "usage": {
            "prompt_tokens": usage.prompt_tokens if usage else 0,
            "completion_tokens": usage.completion_tokens if usage else 0,
            "cached_tokens": usage.cached_tokens if usage else 0,
            "total_tokens": usage.total_tokens if usage else 0,
        },
    }


def _output(text: str) -> list[Json]:
    return [{"role": "assistant", "content": text[:MAX_STORED_CHARACTERS]}]


def _shown(content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return text[:MAX_STORED_CHARACTERS]


def _result(spec: GraderSpec, outcome: Outcome) -> Json:
    base: Json = {"name": spec.name, "type": f"{spec.type.replace('_', '-')}-grader"}
    if isinstance(outcome, PlinthError):
        problem = {"code": outcome.code, "message": outcome.message}
        return {**base, "passed": False, "score": 0.0, "sample": None, "error": problem}
    return {**base, "passed": outcome.passed, "score": outcome.score, "sample": outcome.detail}


def _error(entry: Sampled) -> PlinthError:
    assert entry.error is not None
    return entry.error


def _count(tally: Tally, graded: Sequence[OutputItem]) -> None:
    for row in graded:
        tally.passed += row.status is ItemStatus.passed
        tally.failed += row.status is ItemStatus.failed
        tally.errored += row.status is ItemStatus.errored
        for result in row.results:
            entry = tally.criteria.setdefault(result["name"], CriterionTally())
            if "error" in result:
                entry.errored += 1
            elif result["passed"]:
                entry.passed += 1
            else:
                entry.failed += 1
