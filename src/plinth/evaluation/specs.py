"""Grader specifications as they are written: the Graders API's own shapes, plus `label_match`.

`parse(spec)` checks one and returns it typed; `dump` gives back the wire form. Source of the shapes:
the `openai` SDK's `types/graders` (3.54). Ours: `label_match`, a `model` for the cosine metric, and
`pass_threshold` on a multi grader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from plinth.evaluation import formula, templates
from plinth.evaluation.errors import InvalidGrader
from plinth.evaluation.tokens import normalise_label

MAX_TEXT = 65_536
MAX_SOURCE = 262_144

Name = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Label = Annotated[str, Field(min_length=1, max_length=512)]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Name

    def texts(self) -> Iterator[str]:
        """Every text of this grader that may hold templates."""
        return iter(())


class StringCheck(_Spec):
    """1 if `input` is (eq), is not (ne), contains (like) or contains ignoring case (ilike) `reference`."""

    type: Literal["string_check"]
    input: Text
    reference: Text
    operation: Literal["eq", "ne", "like", "ilike"]

    def texts(self) -> Iterator[str]:
        return iter((self.input, self.reference))


class TextSimilarity(_Spec):
    type: Literal["text_similarity"]
    input: Text
    reference: Text
    evaluation_metric: Literal[
        "cosine", "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5",
        "rouge_l",
    ]  # fmt: skip
    pass_threshold: float | None = None
    model: ModelName | None = None

    def texts(self) -> Iterator[str]:
        return iter((self.input, self.reference))


class LabelMatch(_Spec):
    """1 if `input` names the label `reference` and no other of `labels` (case, width,
    punctuation, quotes, underscores and a leading "label:" do not matter; a longer answer is no label)."""

    type: Literal["label_match"]
    input: Text
    reference: Text
    labels: Annotated[list[Label], Field(min_length=2, max_length=2000)]

    def texts(self) -> Iterator[str]:
        return iter((self.input, self.reference))

    @model_validator(mode="after")
    def _check_labels(self) -> LabelMatch:
        seen: dict[str, str] = {}
        for label in self.labels:
            if (twin := seen.setdefault(normalise_label(label), label)) != label:
                raise ValueError(f"the labels '{twin}' and '{label}' cannot be told apart")
        return self


class GraderMessage(BaseModel):
    """Text only: images and audio are refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["user", "assistant", "system", "developer"]
    content: Any
    type: Literal["message"] | None = None

    @property
    def text(self) -> str:
        return plain_text(self.content)

    @model_validator(mode="after")
    def _check_content(self) -> GraderMessage:
        if len(plain_text(self.content)) > MAX_TEXT:
            raise ValueError(f"a message has more than {MAX_TEXT} characters")
        return self


Messages = Annotated[list[GraderMessage], Field(min_length=1, max_length=100)]


class LabelModel(_Spec):
    """A model picks one of `labels`; passes if it is one of `passing_labels`."""

    type: Literal["label_model"]
    model: ModelName
    input: Messages
    labels: Annotated[list[Label], Field(min_length=1, max_length=500)]
    passing_labels: Annotated[list[Label], Field(min_length=1, max_length=500)]

    def texts(self) -> Iterator[str]:
        return (message.text for message in self.input)

    @model_validator(mode="after")
    def _check_labels(self) -> LabelModel:
        if unknown := [label for label in self.passing_labels if label not in self.labels]:
            raise ValueError(f"passing_labels has '{unknown[0]}', which is not in labels")
        return self


class GraderSampling(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    max_completions_tokens: Annotated[int, Field(ge=1)] | None = None
    reasoning_effort: str | None = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None


class ScoreModel(_Spec):
    """A model gives a number within `range`; passes from `pass_threshold` (else the middle) up."""

    type: Literal["score_model"]
    model: ModelName
    input: Messages
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    sampling_params: GraderSampling | None = None
    pass_threshold: float | None = None

    def texts(self) -> Iterator[str]:
        return (message.text for message in self.input)

    @property
    def bounds(self) -> tuple[float, float]:
        low, high = self.range or (0.0, 1.0)
        return low, high

    @model_validator(mode="after")
    def _check_range(self) -> ScoreModel:
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError("range must be [smallest, largest]")
        return self


class PythonCode(_Spec):
    """`source` defines `grade(sample, item) -> float`; runs in the sandbox."""

    type: Literal["python"]
    source: Annotated[str, Field(min_length=1, max_length=MAX_SOURCE)]
    image_tag: Annotated[str, Field(max_length=256)] | None = None
    pass_threshold: float | None = None


SingleGrader = Annotated[
    StringCheck | TextSimilarity | LabelMatch | LabelModel | ScoreModel | PythonCode, Field(discriminator="type")
]


class Multi(_Spec):
    """A formula over the scores of named sub-graders.

    `graders` may be an object of graders by variable name, a list, or one grader (then their
    `name`s are the variables).
    """

    type: Literal["multi"]
    graders: Annotated[dict[str, SingleGrader], Field(min_length=1, max_length=20)]
    calculate_output: Annotated[str, Field(min_length=1, max_length=formula.MAX_CHARACTERS)]
    pass_threshold: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        graders = given.get("graders") if isinstance(given, Mapping) else None
        if isinstance(graders, Mapping) and isinstance(graders.get("type"), str):
            graders = [graders]
        if isinstance(graders, list):
            named = {str(grader.get("name")): grader for grader in graders if isinstance(grader, Mapping)}
            if len(named) != len(graders):
                raise ValueError("each of the graders needs a name of its own")
            return {**given, "graders": named}
        return given

    def texts(self) -> Iterator[str]:
        return (text for grader in self.graders.values() for text in grader.texts())


GraderSpec = StringCheck | TextSimilarity | LabelMatch | LabelModel | ScoreModel | PythonCode | Multi
_ADAPTER: TypeAdapter[GraderSpec] = TypeAdapter(Annotated[GraderSpec, Field(discriminator="type")])
TYPES = ("string_check", "text_similarity", "label_match", "label_model", "score_model", "python", "multi")


def parse(spec: Any) -> GraderSpec:
    """Check everything that can be checked without running it. Raises `InvalidGrader` and its kin."""
    name = str(spec.get("name", "?"))[:256] if isinstance(spec, Mapping) else "?"
    try:
        grader = _ADAPTER.validate_python(spec)
    except ValidationError as error:
        raise InvalidGrader(name=name, reason=_explain(error)) from error
    for text in grader.texts():
        templates.parse(text)
    if isinstance(grader, Multi):
        unknown = formula.parse(grader.calculate_output).names - set(grader.graders)
        if unknown:
            reason = f"the formula uses '{min(unknown)}', which is not one of the graders."
            raise InvalidGrader(name=name, reason=reason)
    return grader


def dump(grader: GraderSpec) -> dict[str, Any]:
    return grader.model_dump(mode="json", exclude_none=True)


def parts(grader: GraderSpec) -> list[GraderSpec]:
    """The grader itself, or a multi grader's parts."""
    return list(grader.graders.values()) if isinstance(grader, Multi) else [grader]


def plain_text(content: Any) -> str:
    """The text of a message's `content`: a string, a text block, or a list of them.

    Raises `ValueError` for anything else (images, audio).
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(plain_text(part) for part in content if not isinstance(part, list) or _refuse())
    if isinstance(content, Mapping) and content.get("type") in ("input_text", "output_text", "text"):
        text = content.get("text")
        if isinstance(text, str):
            return text
    return _refuse()


def _refuse() -> str:
    raise ValueError("message content must be text (input_text, output_text); images and audio are not supported")


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if part not in TYPES)
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where or 'type'} must be one of {', '.join(TYPES)}."
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}." if where else f"{message}."


__all__ = [
    "GraderMessage",
    "GraderSpec",
    "LabelMatch",
    "LabelModel",
    "Multi",
    "PythonCode",
    "ScoreModel",
    "StringCheck",
    "TextSimilarity",
    "dump",
    "parse",
    "parts",
    "plain_text",
]
