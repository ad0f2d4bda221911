"""Making a calibration: begin, chunk after chunk, finish. Each is safe to repeat after a crash.

Rows that have been asked are never asked again. The model is asked as the one who asked for the calibration.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from plinth.gateway.decisions import store
from plinth.gateway.decisions.calibration import fit
from plinth.gateway.decisions.calibrations import CREATED, FAILED, check_parts
from plinth.gateway.decisions.errors import (
    CalibrationBrokeOff,
    CalibrationIncomplete,
    CalibrationOutdated,
)
from plinth.gateway.decisions.labels import LabelReader
from plinth.gateway.decisions.model import Calibration, Kind, Reading, Row, Status, question_of
from plinth.gateway.decisions.ports import Asker, Target
from plinth.gateway.decisions.reliability import Example, report
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database
from plinth.kit.errors import BadInput, PlinthError

MOST_MISSING = 0.05
"""A larger share of rows without an answer fails the calibration: what is missing is seldom missing at random."""
LEAST_FOR_OUTAGE = 5

Json = dict[str, Any]


class CalibrationRunner:
    """Emits `gateway.calibration.created` and `gateway.calibration.failed` with {calibration_id, model}."""

    def __init__(self, db: Database, clock: Clock, asker: Asker, target: Target, settings: DecisionSettings) -> None:
        self._db, self._clock, self._asker, self._target = db, clock, asker, target
        self._settings = settings

    def begin(self, id: str) -> Json:
        """Mark it as running. Returns {"chunks", "size"}; no chunks if there is nothing to do."""
        with self._db.write() as session:
            store.start(session, id)
            found = store.by_id(session, id)
        size = self._settings.chunk_rows
        open_rows = 0 if found is None or found.status.is_final else found.rows
        return {"chunks": -(-open_rows // size), "size": size}

    def chunk(self, id: str, position: int, size: int) -> Json:
        """Ask about rows `position * size` and on. Returns {"stop": bool, "error": {code, message} or None,
        "last": the last reason why a row got no answer}."""
        with self._db.read() as session:
            found = store.by_id(session, id)
            rows = store.rows_between(session, id, position * size, (position + 1) * size)
        if found is None or found.status.is_final:
            return {"stop": True, "error": None, "last": ""}
        pending = [row for row in rows if row.reading is None]
        answered, errors = self._ask(found, pending)
        if answered:
            with self._db.write() as session:
                store.keep(session, id, answered)
        hopeless: PlinthError | None = next((error for error in errors if isinstance(error, BadInput)), None)
        if hopeless is None and len(errors) >= LEAST_FOR_OUTAGE and not answered:
            hopeless = errors[-1]
        if hopeless is not None:
            return {"stop": True, "error": _problem(hopeless), "last": ""}
        return {"stop": False, "error": None, "last": errors[-1].message if errors else ""}

    def finish(self, id: str, error: Json | None, last: str = "") -> None:
        """Fit and report, or say why not. Idempotent."""
        with self._db.read() as session:
            found = store.by_id(session, id)
            rows = store.rows_between(session, id, 0, found.rows) if found else []
            if found is None or found.status.is_final:
                return
            current = self._target(session, found.project_id, found.model) == found.target
        if error is None:
            try:
                values = self._fitted(found, rows, current, last)
            except PlinthError as failure:
                error = _problem(failure)
        if error is not None:
            values = {"status": Status.failed, "problem": error}
        with self._db.write() as session:
            if store.finish(session, id, {**values, "finished_at": self._clock.unix()}):
                kind = FAILED if error else CREATED
                events.emit(session, self._clock, kind, {"calibration_id": id, "model": found.model}, found.project_id)

    def give_up(self, id: str) -> None:
        """It must never stay "running" for ever."""
        self.finish(id, _problem(CalibrationBrokeOff()))

    def _ask(self, found: Calibration, pending: list[Row]) -> tuple[dict[int, Reading], list[PlinthError]]:
        if not pending:
            return {}, []
        completer = self._asker(found.key_id, found.created_by)
        reader = LabelReader(completer, found.project_id, found.model, 1 - self._settings.most_other_mass)
        questions = [question_of(document) for document in found.questions]

        def one(row: Row) -> Reading | PlinthError:
            try:
                return reader.read(row.input or "", questions[row.question])
            except PlinthError as error:
                return error

        with ThreadPoolExecutor(self._settings.concurrency) as threads:
            results = list(zip(pending, threads.map(one, pending), strict=True))
        answered = {row.position: result for row, result in results if isinstance(result, Reading)}
        return answered, [result for _, result in results if isinstance(result, PlinthError)]

    def _fitted(self, found: Calibration, rows: list[Row], current: bool, last: str) -> Json:
        """What a ready calibration stores. Raises `CalibrationOutdated`, `CalibrationIncomplete`,
        `TooFewCalibrationRows`."""
        if not current:
            raise CalibrationOutdated(id=found.id, model=found.model)
        missing = sum(row.reading is None for row in rows)
        if missing > MOST_MISSING * len(rows):
            raise CalibrationIncomplete(missing=missing, rows=len(rows), reason=last or "unknown.")
        binary = found.kind is Kind.predicate
        usable = [
            (row.held_out, Example(row.reading.probabilities, row.answer))
            for row in rows
            if row.reading is not None and not row.reading.refused
        ]
        check_parts(found, [(held_out, example.answer) for held_out, example in usable], found.kind)
        to_fit = [example for held_out, example in usable if not held_out]
        held_out = [example for held, example in usable if held]
        mapping = fit(found.method, to_fit, binary)
        after = [Example(mapping.apply(example.probabilities), example.answer) for example in held_out]
        measured = report(held_out, after, binary, found.seed)
        refused = sum(row.reading is not None and row.reading.refused for row in rows)
        return {
            "status": Status.ready,
            "fitted": len(to_fit),
            "held_out": len(held_out),
            "mapping": mapping.document,
            "report": {**measured, "refused": refused, "unanswered": missing},
        }


def _problem(error: PlinthError) -> Json:
    return {"code": error.code, "message": error.message}
