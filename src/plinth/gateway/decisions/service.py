"""Decisions: questions put to a model, its probabilities read, and calibrated where that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from plinth.gateway.decisions import store
from plinth.gateway.decisions.calibration import Map, map_of
from plinth.gateway.decisions.errors import (
    BadDecisionInput,
    CalibrationNotForModel,
    CalibrationNotForQuestion,
    CalibrationNotReady,
    CalibrationOutdated,
)
from plinth.gateway.decisions.labels import LabelReader, calls_of
from plinth.gateway.decisions.model import RAW, Ask, Calibration, Decided, Decision, Question, Reading, Status, Tokens
from plinth.gateway.decisions.ports import Asker, Target
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.identity import Actor
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, NotFound


@dataclass(frozen=True)
class Chosen:
    """The calibration of one request. `wanted` when the request named it."""

    calibration: Calibration
    map: Map
    wanted: bool


class DecisionService:
    """Keeps nothing of a request: neither the input nor the answers.

    Args: `asker` gives a completer that works as the caller; `target` says what a name means now.
    """

    def __init__(self, asker: Asker, target: Target, settings: DecisionSettings) -> None:
        self._asker, self._target, self._settings = asker, target, settings

    def prepare(self, session: Session, actor: Actor, ask: Ask) -> Chosen | None:
        """Which calibration the request's answers go through; None for the model's own probabilities.

        A default is passed over when it does not fit (another model behind the name, other questions); one
        that was named must fit. Raises `NotFound`, `CalibrationNotReady`, `CalibrationNotForModel`,
        `CalibrationNotForQuestion`, `CalibrationOutdated`, `BadDecisionInput` and `BadInput`.
        """
        project_id = project_of(actor)
        self._check(ask)
        if ask.calibration == RAW:
            return None
        wanted = ask.calibration is not None
        id = ask.calibration if wanted else store.default_id(session, project_id, ask.model)
        if id is None:
            return None
        found = store.by_id(session, id, project_id)
        if found is None:
            raise NotFound(what="calibration", id=id)
        current = self._target(session, project_id, ask.model) == found.target
        if not wanted:
            return Chosen(found, map_of(found.mapping or {"kind": "identity"}), False) if current else None
        if found.status is not Status.ready or found.mapping is None:
            raise CalibrationNotReady(id=id, status=found.status, param="calibration")
        if found.model != ask.model:
            raise CalibrationNotForModel(id=id, fitted=found.model, model=ask.model, param="calibration")
        if not current:
            raise CalibrationOutdated(id=id, model=ask.model, param="calibration")
        for number, question in enumerate(ask.questions, 1):
            if not found.covers(question):
                raise CalibrationNotForQuestion(id=id, number=number, param=f"questions.{number - 1}")
        return Chosen(found, map_of(found.mapping), True)

    def decide(self, actor: Actor, ask: Ask, chosen: Chosen | None) -> Decision:
        """Ask the model; no transaction is open meanwhile.

        Raises `DecisionNoProbabilities`, `DecisionsNotPossible`, and what the completer raises: a question
        that could not be asked fails the request, it is never answered with a guess.
        """
        completer = self._asker(actor.key_id, actor.principal)
        reader = LabelReader(completer, project_of(actor), ask.model, 1 - self._settings.most_other_mass)
        readings = ask_all(ask.questions, lambda question: reader.read(ask.input, question), self._settings.concurrency)
        answers = [decided(*pair, chosen) for pair in zip(ask.questions, readings, strict=True)]
        total = sum((reading.tokens for reading in readings), Tokens())
        return Decision(ask.model, answers, total)

    def _check(self, ask: Ask) -> None:
        limit = self._settings.max_input_characters
        if len(ask.input) > limit:
            raise BadDecisionInput(
                reason=f"it has {len(ask.input)} characters, and {limit} is the most.", param="input"
            )
        calls = sum(calls_of(question) for question in ask.questions)
        if calls > self._settings.max_calls:
            reason = f"its questions need {calls} calls to the model, and {self._settings.max_calls} is the most."
            raise BadDecisionInput(reason=reason, param="questions")


def decided(question: Question, reading: Reading, chosen: Chosen | None) -> Decided:
    if chosen is None or reading.refused or not chosen.calibration.covers(question):
        return Decided(question, reading)
    mapped = replace(reading, probabilities=chosen.map.apply(reading.probabilities))
    return Decided(question, mapped, chosen.calibration.id)


def ask_all(questions: Sequence[Question], read: Callable[[Question], Reading], concurrency: int) -> list[Reading]:
    """All readings in order: the first alone, so that the engine has the shared input in its prompt cache when
    the others come."""
    first, *rest = questions
    readings = [read(first)]
    if rest:
        with ThreadPoolExecutor(min(concurrency, len(rest))) as threads:
            readings += threads.map(read, rest)
    return readings


def project_of(actor: Actor) -> str:
    """The project of the caller; an organization key has none. Raises `BadInput`."""
    if not actor.project_id:
        raise BadInput(reason="Decisions belong to a project: use a project key (sk-proj-…).")
    return actor.project_id
