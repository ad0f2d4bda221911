"""Calibrations: asked for, listed, made a project's default. The work itself is `runner`'s."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import IntegrityError

from plinth.gateway.decisions import store, thresholds
from plinth.gateway.decisions.calibration import map_of
from plinth.gateway.decisions.errors import (
    BadCalibrationRows,
    CalibrationNotBinary,
    CalibrationNotReady,
    CalibrationOutdated,
    DecisionsNotPossible,
    TooFewCalibrationRows,
)
from plinth.gateway.decisions.model import LEAST_FIT_ROWS, Calibration, Draft, Kind, Question, Row, Status, split
from plinth.gateway.decisions.ports import Audit, Target
from plinth.gateway.decisions.reliability import Example
from plinth.gateway.decisions.service import project_of
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import Conflict, Forbidden, NotFound
from plinth.kit.ids import new_id

QUEUED, CREATED, FAILED = "gateway.calibration.queued", "gateway.calibration.created", "gateway.calibration.failed"


class CalibrationService:
    """Emits `gateway.calibration.queued`; the runner emits `.created` when one is ready, or `.failed`."""

    def __init__(self, clock: Clock, target: Target, audit: Audit, settings: DecisionSettings) -> None:
        self._clock, self._target, self._audit, self._settings = clock, target, audit, settings

    def create(self, session: Session, actor: Actor, draft: Draft) -> Calibration:
        """Accept a labelled set; the worker asks the model about every row and fits.

        Raises `Forbidden` for a key that may not use models, `DecisionsNotPossible` for an unknown model,
        `BadCalibrationRows`, `TooFewCalibrationRows`, `Conflict` when too many are open.
        """
        project_id = project_of(actor)
        if not actor.may("models:use"):
            raise Forbidden(permission="models:use")
        target = self._target(session, project_id, draft.model)
        if target is None:
            raise DecisionsNotPossible(model=draft.model, reason="there is no such model or route.", param="model")
        if store.count_open(session, project_id) >= self._settings.max_open_calibrations:
            limit = self._settings.max_open_calibrations
            raise Conflict(reason=f"{limit} calibrations of this project are not finished yet. Wait for one of them.")
        questions, rows = self._rows(draft)
        calibration = Calibration(
            id=new_id("calib_"),
            project_id=project_id,
            model=draft.model,
            version=store.next_version(session, project_id, draft.model),
            target=target,
            name=draft.name,
            kind=questions[0].kind,
            method=draft.method,
            questions=[question.document for question in questions],
            fingerprints=[question.fingerprint for question in questions],
            seed=draft.seed,
            held_out_share=draft.held_out_share,
            source=draft.source,
            rows=len(rows),
            status=Status.queued,
            created_at=self._clock.unix(),
            created_by=actor.principal,
            key_id=actor.key_id,
        )
        try:
            with session.begin_nested():
                store.add(session, calibration, rows)
        except IntegrityError:  # on PostgreSQL another writer can take the version in between
            raise Conflict(reason="Another calibration of this model was made at this moment. Try again.") from None
        detail = {"model": draft.model, "version": calibration.version, "method": draft.method, "rows": len(rows)}
        self._audit(session, actor, "calibration.created", calibration.id, detail)
        events.emit(session, self._clock, QUEUED, {"calibration_id": calibration.id}, project_id)
        return calibration

    def get(self, session: Session, actor: Actor, id: str) -> Calibration:
        """Raises `NotFound`, also for another project's."""
        found = store.by_id(session, id, project_of(actor))
        if found is None:
            raise NotFound(what="calibration", id=id)
        return found

    def page(
        self, session: Session, actor: Actor, model: str | None, after: str | None, limit: int
    ) -> list[Calibration]:
        """Up to `limit + 1`, newest first."""
        return store.page(session, project_of(actor), model, after, limit + 1)

    def defaults(self, session: Session, actor: Actor) -> set[str]:
        return store.default_ids(session, project_of(actor))

    def make_default(self, session: Session, actor: Actor, id: str) -> Calibration:
        """From now on requests of the project to that model go through it where they fit. Raises `NotFound`,
        `CalibrationNotReady`, `CalibrationOutdated`."""
        found = self._ready(session, actor, id)
        if self._target(session, found.project_id, found.model) != found.target:
            raise CalibrationOutdated(id=id, model=found.model)
        before = store.default_id(session, found.project_id, found.model)
        store.set_default(session, found)
        detail = {"model": found.model, "before": before, "after": id}
        self._audit(session, actor, "calibration.default_set", id, detail)
        return found

    def drop_default(self, session: Session, actor: Actor, id: str) -> Calibration:
        """The model's answers are raw again. Does nothing when it is not the default. Raises `NotFound`."""
        found = self.get(session, actor, id)
        if store.default_id(session, found.project_id, found.model) == id:
            store.remove_default(session, found.project_id, found.model)
            self._audit(session, actor, "calibration.default_dropped", id, {"model": found.model})
        return found

    def threshold(
        self, session: Session, actor: Actor, id: str, costs: thresholds.Costs
    ) -> tuple[thresholds.Rule, dict[str, Any]]:
        """When to act at these costs, and what that would have cost on the held-out rows.

        Raises `NotFound`, `CalibrationNotReady`, `CalibrationNotBinary`, `CalibrationBadCosts`.
        """
        found = self._ready(session, actor, id)
        if found.kind is not Kind.predicate:
            raise CalibrationNotBinary(id=id, kind=found.kind)
        rule = thresholds.rule(costs)
        fitted = map_of(found.mapping or {})
        rows = store.rows_between(session, id, 0, found.rows)
        examples = [
            Example(fitted.apply(row.reading.probabilities), row.answer)
            for row in rows
            if row.held_out and row.reading is not None and not row.reading.refused
        ]
        return rule, thresholds.measured(rule, costs, examples, found.seed)

    def _ready(self, session: Session, actor: Actor, id: str) -> Calibration:
        found = self.get(session, actor, id)
        if found.status is not Status.ready or found.mapping is None:
            raise CalibrationNotReady(id=id, status=found.status)
        return found

    def _rows(self, draft: Draft) -> tuple[list[Question], list[Row]]:
        if len(draft.rows) > self._settings.max_calibration_rows:
            reason = f"{self._settings.max_calibration_rows} rows are the most."
            raise BadCalibrationRows(number=self._settings.max_calibration_rows + 1, reason=reason, param="rows")
        numbers: dict[str, int] = {}
        questions: list[Question] = []
        held_out = split([text for text, _, _ in draft.rows], draft.seed, draft.held_out_share)
        rows = []
        for position, (text, question, answer) in enumerate(draft.rows):
            if questions and question.kind is not questions[0].kind:
                reason = f"it asks a {question.kind}, and the first one a {questions[0].kind}. Calibrate them apart."
                raise BadCalibrationRows(number=position + 1, reason=reason, param="rows")
            if len(text) > self._settings.max_input_characters:
                reason = f"its input is longer than {self._settings.max_input_characters} characters."
                raise BadCalibrationRows(number=position + 1, reason=reason, param="rows")
            number = numbers.setdefault(question.fingerprint, len(questions))
            if number == len(questions):
                questions.append(question)
            rows.append(Row(position, number, answer, held_out[position], text))
        check_parts(draft, [(row.held_out, row.answer) for row in rows], questions[0].kind if questions else None)
        return questions, rows


def check_parts(draft: Draft | Calibration, parts: list[tuple[bool, int]], kind: Kind | None) -> None:
    """Raises `TooFewCalibrationRows` unless both parts have enough rows, and predicates both answers in each.

    Args: `parts` are (held out, index of the right option) of the usable rows.
    """
    least = LEAST_FIT_ROWS[draft.method]
    sides = [[answer for held, answer in parts if held is side] for side in (False, True)]
    enough = all(len(side) >= least for side in sides)
    if kind is Kind.predicate:
        enough = enough and all(len(set(side)) == len({0, 1}) for side in sides)
    if not enough:
        fitted, held_out = (len(side) for side in sides)
        raise TooFewCalibrationRows(method=draft.method, least=least, fitted=fitted, held_out=held_out, param="rows")
