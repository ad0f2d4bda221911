"""From a JSON body to a `ResponseRequest`: every field checked, unknown ones refused.

Field meanings: OpenAI API reference, "Create a model response". What this server cannot do is
refused rather than ignored, so that nobody believes that it had an effect; hints without effect on
the answer are accepted and echoed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plinth.gateway.errors import MissingField, NotOneOf, TooMany, Unsupported, WrongType
from plinth.gateway.responses.errors import BackgroundNeedsStore, MovedParameter, NotTogether, UnknownParameter
from plinth.gateway.responses.fields import Fields, check_depth
from plinth.gateway.responses.items import parse_input
from plinth.gateway.responses.model import LOGPROBS, SEARCH_RESULTS, ResponseRequest

MAX_TOOLS = 128
_INCLUDABLE = (
    SEARCH_RESULTS,
    LOGPROBS,
    "message.input_image.image_url",
    "reasoning.encrypted_content",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)
_MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
}
_ECHOED = {
    "max_tool_calls": int,
    "prompt_cache_key": str,
    "prompt_cache_retention": str,
    "safety_identifier": str,
    "service_tier": str,
    "user": str,
}
_IGNORED = ("background_options", "image", "prompt_cache_options", "stream_options")
_REFUSED = ("access_programs", "context_management", "moderation", "prompt")
_READ = (
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "store",
    "stream",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
)
KNOWN = frozenset((*_READ, *_ECHOED, *_IGNORED, *_REFUSED))


def parse_request(body: Mapping[str, Any]) -> ResponseRequest:
    """Raises `BadInput` in one of its forms."""
    check_depth(body)
    fields = Fields(body)
    _check_names(fields, body)
    tools = parse_tools(fields)
    request = ResponseRequest(
        model=fields.needed("model", 256),
        items=tuple(parse_input(fields)),
        instructions=fields.text("instructions"),
        previous_response_id=fields.text("previous_response_id", 64),
        conversation_id=_conversation(fields),
        store=fields.flag("store", True),
        background=fields.flag("background", False),
        stream=fields.flag("stream", False),
        max_output_tokens=fields.integer("max_output_tokens", 1, 10_000_000),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        top_logprobs=fields.integer("top_logprobs", 0, 20),
        parallel_tool_calls=fields.flag("parallel_tool_calls", True),
        truncation=fields.choice("truncation", ("auto", "disabled")) or "disabled",
        text=_text(fields),
        tools=tools,
        tool_choice=_tool_choice(fields, tools),
        reasoning=_reasoning(fields),
        include=_include(fields),
        metadata=fields.metadata(),
        echo=_echo(fields),
    )
    if request.background and not request.store:
        raise BackgroundNeedsStore(param="store")
    if request.previous_response_id and request.conversation_id:
        raise NotTogether(field="previous_response_id", other="conversation", param="previous_response_id")
    if not request.items and not request.previous_response_id and not request.conversation_id:
        raise MissingField(field="input", param="input")
    return request


def parse_tools(fields: Fields) -> tuple[dict[str, Any], ...]:
    tools = tuple(_tool(tool) for tool in fields.each("tools", MAX_TOOLS))
    if sum(tool["type"] == "file_search" for tool in tools) > 1:
        raise TooMany(field="tools.file_search", limit=1, param="tools")
    return tools


def _check_names(fields: Fields, body: Mapping[str, Any]) -> None:
    for name in body:
        if name in _MOVED:
            raise MovedParameter(field=name, instead=_MOVED[name], param=name)
        if name not in KNOWN:
            raise UnknownParameter(field=str(name)[:64], param=str(name)[:64])
    for name in _REFUSED:
        if fields.raw(name) is not None:
            raise Unsupported(field=name, supported="null", param=name)


def _conversation(fields: Fields) -> str | None:
    """An id or `{"id": …}`."""
    if isinstance(fields.raw("conversation"), dict):
        return fields.inner("conversation").needed("id", 64)
    return fields.text("conversation", 64) or None


def _text(fields: Fields) -> dict[str, Any]:
    if fields.raw("text") is None:
        return {"format": {"type": "text"}}
    text = fields.inner("text")
    verbosity = text.choice("verbosity", ("low", "medium", "high"))
    more = {"verbosity": verbosity} if verbosity else {}
    if text.raw("format") is None:
        return {"format": {"type": "text"}, **more}
    layout = text.inner("format")
    kind = layout.choice("type", ("text", "json_object", "json_schema"))
    if kind is None:
        raise layout.missing("type")
    if kind != "json_schema":
        return {"format": {"type": kind}, **more}
    schema = layout.object("schema")
    if schema is None:
        raise layout.missing("schema")
    wanted = {
        "type": kind,
        "name": layout.needed("name", 64),
        "description": layout.text("description"),
        "schema": schema,
        "strict": layout.flag("strict", False),
    }
    return {"format": wanted, **more}


def _tool(tool: Fields) -> dict[str, Any]:
    kind = tool.choice("type", ("function", "file_search"))
    if kind is None:
        raise tool.missing("type")
    if kind == "file_search":
        return _file_search(tool)
    strict = tool.raw("strict")
    return {
        "type": "function",
        "name": tool.needed("name", 256),
        "description": tool.text("description"),
        "parameters": tool.object("parameters"),
        "strict": None if strict is None else tool.flag("strict", False),
    }


def _file_search(tool: Fields) -> dict[str, Any]:
    stores = tool.texts("vector_store_ids", 100)
    if not stores:
        raise tool.missing("vector_store_ids")
    optional = {
        "filters": tool.object("filters"),
        "max_num_results": tool.integer("max_num_results", 1, 50),
        "ranking_options": tool.object("ranking_options"),
    }
    return {"type": "file_search", "vector_store_ids": stores, **{k: v for k, v in optional.items() if v is not None}}


def _tool_choice(fields: Fields, tools: tuple[dict[str, Any], ...]) -> Any:
    value = fields.raw("tool_choice")
    if value is None:
        return "auto"
    if isinstance(value, str):
        return fields.choice("tool_choice", ("none", "auto", "required"))
    choice = fields.inner("tool_choice")
    kind = choice.choice("type", ("function", "file_search", "allowed_tools"))
    names = [tool["name"] for tool in tools if tool["type"] == "function"]
    if kind == "function":
        return {"type": kind, "name": _known(choice, "name", choice.needed("name", 256), names)}
    if kind == "allowed_tools":
        allowed = [
            {"type": "function", "name": _known(tool, "name", tool.needed("name", 256), names)}
            for tool in choice.each("tools", MAX_TOOLS)
            if tool.choice("type", ("function", "file_search")) == "function"
        ]
        return {"type": kind, "mode": choice.choice("mode", ("auto", "required")) or "auto", "tools": allowed}
    if kind is None:
        raise WrongType(field="tool_choice", expected="string or object", param="tool_choice")
    return {"type": kind}


def _known(fields: Fields, field: str, name: str, names: list[str]) -> str:
    if name not in names:
        where = fields.path + field
        raise NotOneOf(field=where, choices=", ".join(names) or "(no function in 'tools')", param=where)
    return name


def _reasoning(fields: Fields) -> dict[str, Any]:
    if fields.raw("reasoning") is None:
        return {}
    reasoning = fields.inner("reasoning")
    chosen = {
        "effort": reasoning.choice("effort", ("none", "minimal", "low", "medium", "high", "xhigh", "max")),
        "summary": reasoning.choice("summary", ("auto", "concise", "detailed")),
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _include(fields: Fields) -> tuple[str, ...]:
    values = fields.texts("include", len(_INCLUDABLE) * 4)
    for value in values:
        if value not in _INCLUDABLE:
            raise NotOneOf(field="include", choices=", ".join(_INCLUDABLE), param="include")
    return tuple(dict.fromkeys(values))


def _echo(fields: Fields) -> dict[str, Any]:
    echoed = {}
    for name, kind in _ECHOED.items():
        value = fields.raw(name)
        if value is None:
            continue
        echoed[name] = fields.text(name, 512) if kind is str else fields.integer(name, 1, 10_000)
    # only one way of serving here; saying so is what the field is for
    return {**echoed, "service_tier": "default"} if "service_tier" in echoed else echoed
