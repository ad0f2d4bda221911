"""A run's data source: where rows come from, and the question each row becomes.

Shapes as in the `openai` SDK's `types/evals` (3.54): `jsonl` grades samples that the rows carry,
`completions` and `responses` ask a model. A `developer` message is sent as `system`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from plinth.evaluation import templates
from plinth.evaluation.errors import InvalidItems, UnsupportedSource
from plinth.evaluation.json_schema import Schema
from plinth.evaluation.model import Json, Row
from plinth.evaluation.ports import Question
from plinth.evaluation.specs import GraderMessage
from plinth.kit.errors import BadInput, TooLarge

MAX_SHOWN_PROBLEMS = 10
ROLES = ("system", "user", "assistant", "developer", "tool")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class FileId(_Part):
    type: Literal["file_id"]
    id: Annotated[str, Field(min_length=1, max_length=128)]


class FileContent(_Part):
    type: Literal["file_content"]
    content: list[Any] = Field(default_factory=list)


Source = Annotated[FileId | FileContent, Field(discriminator="type")]


class MessageTemplate(_Part):
    type: Literal["template"]
    template: Annotated[list[GraderMessage], Field(min_length=1, max_length=200)]


class ItemReference(_Part):
    type: Literal["item_reference"]
    item_reference: Annotated[str, Field(min_length=1, max_length=512)]


class _Sampling(_Part):
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_completions_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    reasoning_effort: Annotated[str, Field(max_length=32)] | None = None
    seed: int | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None


class CompletionsSampling(_Sampling):
    response_format: Json | None = None
    tools: Annotated[list[Json], Field(max_length=128)] | None = None


class ResponsesSampling(_Sampling):
    text: Json | None = None
    tools: Annotated[list[Json], Field(max_length=128)] | None = None


class JsonlSource(_Part):
    type: Literal["jsonl"]
    source: Source


class _ModelSource(_Part):
    source: Source
    input_messages: Annotated[MessageTemplate | ItemReference, Field(discriminator="type")]
    model: Annotated[str, Field(min_length=1, max_length=256)]


class CompletionsSource(_ModelSource):
    type: Literal["completions"]
    sampling_params: CompletionsSampling = CompletionsSampling()


class ResponsesSource(_ModelSource):
    type: Literal["responses"]
    sampling_params: ResponsesSampling = ResponsesSampling()


RunSource = JsonlSource | CompletionsSource | ResponsesSource
_ADAPTER: TypeAdapter[RunSource] = TypeAdapter(Annotated[RunSource, Field(discriminator="type")])


@dataclass(frozen=True)
class RowLimits:
    rows: int
    source_bytes: int
    row_bytes: int


def parse(given: Any) -> RunSource:
    """Raises `BadInput` naming the field, `UnsupportedSource` for stored completions and responses."""
    source = given.get("source") if isinstance(given, Mapping) else None
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind in ("stored_completions", "responses", "logs"):
        raise UnsupportedSource(type=kind, param="data_source.source.type")
    try:
        parsed = _ADAPTER.validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(["data_source", *(str(part) for part in first["loc"][1:])])
        raise BadInput(param=where, reason=f"'{where}': {first['msg']}.") from error
    if not isinstance(parsed, JsonlSource):
        _check_messages(parsed.input_messages)
        _chat_tools(parsed)
        _response_format(parsed)
    return parsed


def dump(source: RunSource) -> Json:
    """The wire form, without inline content."""
    wire: Json = source.model_dump(mode="json", exclude_none=True)
    if isinstance(source.source, FileContent):
        wire["source"].pop("content")
    return wire


def lines_of(stream: BinaryIO, limits: RowLimits) -> Iterator[tuple[int, Any]]:
    """Number and JSON value of each line that is not blank; a `ValueError` as value says what is wrong.

    Raises `TooLarge`.
    """
    total = number = 0
    while line := stream.readline(limits.row_bytes + 1):
        total, number = total + len(line), number + 1
        if total > limits.source_bytes:
            raise TooLarge(limit_bytes=limits.source_bytes, setting="evaluation.max_source_bytes")
        if len(line) > limits.row_bytes:
            raise TooLarge(limit_bytes=limits.row_bytes, setting="evaluation.max_item_bytes")
        try:
            text = line.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            yield number, ValueError("it is not UTF-8 text.")
            continue
        if text:
            yield number, _json(text)


def checked_rows(
    numbered: Iterable[tuple[int, Any]], schema: Schema, needs_sample: bool, limits: RowLimits
) -> list[Row]:
    """Every value as a row that fits the schema; numbers count lines from 1, for the reader.

    Raises `InvalidItems` with the first problems.
    """
    rows: list[Row] = []
    problems: list[str] = []
    broken = 0
    for number, value in numbered:
        if len(rows) + broken >= limits.rows:
            raise BadInput(reason=f"A run may have at most {limits.rows} rows. Send fewer.", param="data_source.source")
        reason = _problem(value, schema, needs_sample)
        if reason is None:
            rows.append(Row(value["item"], value.get("sample")))
            continue
        broken += 1
        if len(problems) < MAX_SHOWN_PROBLEMS:
            problems.append(f"Line {number}: {reason}")
    if broken:
        raise InvalidItems(count=broken, details=" ".join(problems), param="data_source.source")
    if not rows:
        raise InvalidItems(count=0, details="There is no row at all.", param="data_source.source")
    return rows


def digest(item: Json) -> str:
    """Names an item's content: two runs graded the same item if this is equal."""
    text = json.dumps(item, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def question(source: CompletionsSource | ResponsesSource, item: Json, default_tokens: int) -> Question:
    """What the model is asked for this item. Raises `MissingValue`, `BadInput`."""
    given = source.sampling_params
    sampling: Json = {
        "max_completion_tokens": given.max_completion_tokens or given.max_completions_tokens or default_tokens
    }
    for name in ("reasoning_effort", "seed", "temperature", "top_p"):
        if (value := getattr(given, name)) is not None:
            sampling[name] = value
    if tools := _chat_tools(source):
        sampling["tools"] = tools
    if form := _response_format(source):
        sampling["response_format"] = form
    return Question(source.model, _messages(source.input_messages, item), sampling)


def _messages(template: MessageTemplate | ItemReference, item: Json) -> list[Json]:
    namespace = {"item": item}
    if isinstance(template, ItemReference):
        found = templates.parse_path(template.item_reference).resolve(namespace)
        return [_message(part) for part in found] if isinstance(found, list) and found else _no_messages(template)
    return [
        {"role": _role(message.role), "content": templates.parse(message.text).render(namespace)}
        for message in template.template
    ]


def _message(given: Any) -> Json:
    if not isinstance(given, dict) or given.get("role") not in ROLES or "content" not in given:
        raise BadInput(reason="Every message needs a role (system, user, assistant) and a content.")
    return {**given, "role": _role(given["role"])}


def _no_messages(reference: ItemReference) -> list[Json]:
    raise BadInput(reason=f"'{reference.item_reference}' is not a list of messages.")


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _check_messages(template: MessageTemplate | ItemReference) -> None:
    if isinstance(template, ItemReference):
        paths = [templates.parse_path(template.item_reference)]
    else:
        paths = [path for message in template.template for path in templates.parse(message.text).paths]
    if any(path.root != "item" for path in paths):
        raise BadInput(
            reason="Input messages are made before there is a sample: use {{ item.… }} only.",
            param="data_source.input_messages",
        )


def _chat_tools(source: CompletionsSource | ResponsesSource) -> list[Json]:
    """Function tools in Chat Completions form; the Responses API writes them flat."""
    tools = source.sampling_params.tools or []
    if any(tool.get("type") != "function" for tool in tools):
        raise BadInput(reason="Only function tools can be used in a run.", param="data_source.sampling_params.tools")
    if isinstance(source, CompletionsSource):
        return tools
    names = ("name", "description", "parameters", "strict")
    return [{"type": "function", "function": {name: tool[name] for name in names if name in tool}} for tool in tools]


def _response_format(source: CompletionsSource | ResponsesSource) -> Json | None:
    if isinstance(source, CompletionsSource):
        return source.sampling_params.response_format
    form = (source.sampling_params.text or {}).get("format")
    if not isinstance(form, dict) or form.get("type") == "text":
        return None
    if form.get("type") != "json_schema":
        return form
    return {"type": "json_schema", "json_schema": {name: value for name, value in form.items() if name != "type"}}


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return ValueError("it is nested too deeply.")
    except ValueError as error:
        return ValueError(f"it is not JSON ({error}).")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _problem(value: Any, schema: Schema, needs_sample: bool) -> str | None:
    if isinstance(value, ValueError):
        return str(value)
    if not isinstance(value, dict) or not isinstance(value.get("item"), dict):
        return 'write {"item": {…}}.'
    sample = value.get("sample")
    if sample is not None and not isinstance(sample, dict):
        return "'sample' must be an object."
    if needs_sample and not (isinstance(sample, dict) and isinstance(sample.get("output_text"), str)):
        return "a jsonl run of this eval needs a 'sample' with an 'output_text' in every row."
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return "it has text or numbers that JSON cannot carry."
    return next(iter(schema.errors(value["item"])), None)
