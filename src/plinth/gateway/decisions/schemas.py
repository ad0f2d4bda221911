"""Wire types of `/v1/decisions`: the Decisions API's shapes (openai 3.54), plus `calibration` and `mass`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictStr

from plinth.gateway.decisions.errors import BadDecisionQuestion
from plinth.gateway.decisions.model import (
    MAX_CHOICES,
    MAX_LEVELS,
    MAX_QUESTIONS,
    MIN_OPTIONS,
    TRUE_FALSE,
    Ask,
    Decided,
    Decision,
    Kind,
    Option,
    Question,
    Value,
)
from plinth.gateway.decisions.reading_input import content_text, input_text
from plinth.kit.http import Wire

NO_NUL = r"^[^\x00]*$"  # PostgreSQL has no text with NUL characters
MAX_TEXT = 20_000
ModelName = Annotated[str, Field(min_length=1, max_length=256, pattern=NO_NUL)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Content = Text | list[dict[str, Any]]
Input = str | list[dict[str, Any]]


class ChoiceOption(Wire):
    """`value` is typed: "true" and true are two choices."""

    value: StrictStr | StrictBool
    description: Text = ""


class Level(Wire):
    label: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    description: Text = ""


class PredicateQuestion(Wire):
    type: Literal["predicate"]
    instructions: Content
    name: Annotated[str, Field(max_length=512)] | None = None

    def options(self) -> list[Option]:
        return list(TRUE_FALSE)


class ChoiceQuestion(Wire):
    type: Literal["choice"]
    instructions: Content
    choices: Annotated[list[ChoiceOption], Field(min_length=MIN_OPTIONS, max_length=MAX_CHOICES)]
    name: Annotated[str, Field(max_length=512)] | None = None

    def options(self) -> list[Option]:
        return [Option(choice.value, choice.description) for choice in self.choices]


class ScoreQuestion(Wire):
    """`levels` from the lowest to the highest; their values are 0, 1, 2, …"""

    type: Literal["score"]
    instructions: Content
    levels: Annotated[list[Level], Field(min_length=MIN_OPTIONS, max_length=MAX_LEVELS)]
    name: Annotated[str, Field(max_length=512)] | None = None

    def options(self) -> list[Option]:
        return [Option(level.label, level.description) for level in self.levels]


QuestionParam = Annotated[PredicateQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")]


def question_from(given: PredicateQuestion | ChoiceQuestion | ScoreQuestion, number: int, param: str) -> Question:
    """Args: `number` counts from 1. Raises `BadDecisionQuestion`, `BadDecisionInput`, `DecisionTextOnly`."""
    options = tuple(given.options())
    if len({(type(option.value), option.value) for option in options}) < len(options):
        raise BadDecisionQuestion(number=number, reason="two of its options are the same.", param=param)
    instructions = content_text(given.instructions, f"{param}.instructions")
    if not instructions.strip():
        raise BadDecisionQuestion(number=number, reason="its instructions are empty.", param=f"{param}.instructions")
    return Question(Kind(given.type), instructions, options, given.name)


class DecisionRequest(Wire):
    """The hints for the hosted API's prompt cache (`prompt_cache_…`) and `safety_identifier` are ignored."""

    model: ModelName
    input: Input
    questions: Annotated[list[QuestionParam], Field(min_length=1, max_length=MAX_QUESTIONS)]
    calibration: Annotated[str, Field(max_length=64, pattern=NO_NUL)] | None = Field(
        None,
        description="a calibration's id, `none` for the model's own probabilities, or left out for the project's "
        "default of the model where it fits",
    )

    def ask(self) -> Ask:
        """Raises what is wrong with the input or a question."""
        questions = [
            question_from(question, number, f"questions.{number - 1}")
            for number, question in enumerate(self.questions, 1)
        ]
        return Ask(self.model, input_text(self.input), questions, self.calibration)


class _Answer(Wire):
    name: str | None
    calibration: str | None = Field(description="the calibration the probabilities went through; null: the model's own")
    mass: float = Field(description="share of the model's next-token probability that was on the labels, 0 to 1")


class PredicateAnswer(_Answer):
    type: Literal["predicate"] = "predicate"
    probability: float


class ChoiceProbability(Wire):
    value: StrictStr | StrictBool
    probability: float


class ChoiceAnswer(_Answer):
    """`confidence` is the probability of `choice`, the likeliest one (the first of equals)."""

    type: Literal["choice"] = "choice"
    choice: StrictStr | StrictBool
    confidence: float
    probabilities: list[ChoiceProbability]


class ScoreProbability(Wire):
    label: str
    value: int
    probability: float


class ScoreAnswer(_Answer):
    """`score` is the mean of the levels' values (0 for the lowest) by their probabilities; `confidence` the
    probability of the likeliest level."""

    type: Literal["score"] = "score"
    score: float
    confidence: float
    probabilities: list[ScoreProbability]


class RefusalAnswer(_Answer):
    """The model had something else in mind than an answer."""

    type: Literal["refusal"] = "refusal"


AnswerObject = PredicateAnswer | ChoiceAnswer | ScoreAnswer | RefusalAnswer


def answer_of(decided: Decided) -> AnswerObject:
    question, reading = decided.question, decided.reading
    common = {"name": question.name, "calibration": decided.calibration, "mass": reading.mass}
    if reading.refused:
        return RefusalAnswer(**common)
    shares = reading.probabilities
    if question.kind is Kind.predicate:
        return PredicateAnswer(**common, probability=shares[0])
    best = max(shares)
    if question.kind is Kind.choice:
        values: list[Value] = [option.value for option in question.options]
        return ChoiceAnswer(
            **common,
            choice=values[shares.index(best)],
            confidence=best,
            probabilities=[ChoiceProbability(value=v, probability=p) for v, p in zip(values, shares, strict=True)],
        )
    levels = [
        ScoreProbability(label=str(option.value), value=value, probability=share)
        for value, (option, share) in enumerate(zip(question.options, shares, strict=True))
    ]
    mean = sum(level.value * level.probability for level in levels)
    return ScoreAnswer(**common, score=mean, confidence=best, probabilities=levels)


class InputDetails(Wire):
    cached_tokens: int
    cache_write_tokens: int = 0


class OutputDetails(Wire):
    reasoning_tokens: int = 0


class UsageObject(Wire):
    """Summed over the calls to the model behind the answers; the calls are in the usage reports too."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class DecisionObject(Wire):
    """`calibration` is the one that at least one answer went through; each answer names its own."""

    model: str
    answers: list[AnswerObject]
    usage: UsageObject
    calibration: str | None

    @classmethod
    def of(cls, decision: Decision) -> DecisionObject:
        tokens = decision.tokens
        return cls(
            model=decision.model,
            answers=[answer_of(decided) for decided in decision.answers],
            usage=UsageObject(
                input_tokens=tokens.input,
                input_tokens_details=InputDetails(cached_tokens=tokens.cached),
                output_tokens=tokens.output,
                output_tokens_details=OutputDetails(),
                total_tokens=tokens.input + tokens.output,
            ),
            calibration=decision.calibration,
        )
