"""From chat chunks to Responses events and the finished Response object. Pure: no clock, no I/O.

Consecutive pieces of one kind (reasoning, text, refusal) form one output item; when the kind
changes, the item is closed. Function calls are told apart by their index and stay open until the
end, because engines may write several at once. So the result does not depend on where an engine
cuts its answer into chunks. Event shapes: OpenAI API reference, "Responses streaming events".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from plinth.gateway.responses.errors import ModelCallFailed
from plinth.gateway.responses.model import SEARCH_RESULTS, Item, Outcome, Prepared, Status, response_object
from plinth.kit.errors import PlinthError

Event = dict[str, Any]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_MESSAGE_PARTS = {"content": ("output_text", "text"), "refusal": ("refusal", "refusal")}


class Composer:
    """Feed it the chunks of one answer. `start`, `feed` and one of `finish`, `fail` and `cancel` each
    return the events to send next; `outcome` and `response` are the result so far."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._sequence, self._base = prepared.first_sequence, prepared.first_output
        self._items: list[_Written] = []
        self._open: _Written | None = None
        self._calls: dict[int, _Call] = {}
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None
        self.outcome = Outcome(Status.in_progress)

    @property
    def response(self) -> dict[str, Any]:
        return response_object(self._prepared, self.outcome)

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has arrived."""
        return bool(self._items) or self._finish_reason is not None

    def start(self) -> list[Event]:
        """`response.created` (only of the first attempt), `response.in_progress`, and the file search."""
        created = [] if self._sequence else [self._lifecycle("created")]
        return [*created, self._lifecycle("in_progress"), *self._searched()]

    def feed(self, chunk: dict[str, Any]) -> list[Event]:
        """One `chat.completion.chunk`. Raises `ModelCallFailed` on what is no chunk."""
        try:
            if isinstance(usage := chunk.get("usage"), dict):
                self._usage = usage
            return [event for choice in chunk.get("choices") or () for event in self._choice(choice)]
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelCallFailed(reason="The model's answer is not a chat completion.") from error

    def finish(self, now: float) -> list[Event]:
        """The answer is complete; `now` in unix seconds. Raises `ModelCallFailed` when the model broke off."""
        if self._finish_reason is None:
            raise ModelCallFailed(reason="The model broke off in the middle of its answer.")
        reason = _INCOMPLETE.get(self._finish_reason)
        status = Status.incomplete if reason else Status.completed
        events = []
        if not self._items:  # a model may say nothing; clients still look for a message
            events += self._begin(_Message(self._next_id("msg"), self._next_index()))
            events += self._open_part("output_text")
        events += self._close_all("incomplete" if reason else "completed")
        completed_at = None if reason else now
        return [*events, *self._end(Outcome(status, incomplete_reason=reason, completed_at=completed_at))]

    def fail(self, error: PlinthError) -> list[Event]:
        """The model or Plinth failed."""
        return [*self._close_all("incomplete"), *self._end(Outcome(Status.failed, error=response_error(error)))]

    def cancel(self) -> list[Event]:
        return [*self._close_all("incomplete"), *self._end(Outcome(Status.cancelled))]

    def error(self, error: PlinthError) -> Event:
        """The last event when not even a failed response can be told."""
        return self._event("error", code=error.code, message=error.message, param=error.param)

    # one choice of one chunk

    def _choice(self, choice: dict[str, Any]) -> Iterator[Event]:
        delta = choice.get("delta") or {}
        logprobs = _logprobs(choice.get("logprobs"))
        if piece := delta.get("reasoning_content"):
            yield from self._text("reasoning_content", piece, [])
        if piece := delta.get("content"):
            yield from self._text("content", piece, logprobs)
        if piece := delta.get("refusal"):
            yield from self._text("refusal", piece, [])
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)
        self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def _text(self, key: str, piece: str, logprobs: list[dict[str, Any]]) -> Iterator[Event]:
        if not isinstance(piece, str):
            raise TypeError(key)
        kind = _Reasoning if key == "reasoning_content" else _Message
        if not isinstance(self._open, kind):
            yield from self._close_open("completed")
            prefix = "rs" if kind is _Reasoning else "msg"
            yield from self._begin(kind(self._next_id(prefix), self._next_index()))
        part = "reasoning_text" if kind is _Reasoning else _MESSAGE_PARTS[key][0]
        item = self._open
        assert item is not None
        if item.part != part:
            yield from self._open_part(part)
        item.pieces.append(piece)
        item.logprobs += logprobs
        more = {"logprobs": logprobs} if part == "output_text" else {}
        yield self._event(f"response.{part}.delta", **item.place(), delta=piece, **more)

    def _call(self, call: dict[str, Any]) -> Iterator[Event]:
        index, function = call.get("index") or 0, call.get("function") or {}
        item = self._calls.get(index)
        if item is None:
            yield from self._close_open("completed")
            item_id = self._next_id("fc")
            item = self._calls[index] = _Call(item_id, self._next_index(), call.get("id"), function.get("name"))
            self._items.append(item)
            yield self._event("response.output_item.added", output_index=item.index, item=item.item("in_progress"))
        item.name = item.name or function.get("name") or ""
        if piece := function.get("arguments"):
            item.pieces.append(piece)
            where = {"item_id": item.id, "output_index": item.index}
            yield self._event("response.function_call_arguments.delta", **where, delta=piece)

    # opening and closing items

    def _begin(self, item: _Written) -> list[Event]:
        self._open = item
        self._items.append(item)
        return [self._event("response.output_item.added", output_index=item.index, item=item.item("in_progress"))]

    def _open_part(self, kind: str) -> list[Event]:
        item = self._open
        assert item is not None
        closed = self._close_part(item)
        part = item.begin_part(kind)
        return [*closed, self._event("response.content_part.added", **item.place(), part=part)]

    def _close_part(self, item: _Written) -> list[Event]:
        if item.part is None:
            return []
        kind, place, part = item.part, item.place(), item.end_part()
        field = "refusal" if kind == "refusal" else "text"
        more = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
        return [
            self._event(f"response.{kind}.done", **place, **{field: part[field]}, **more),
            self._event("response.content_part.done", **place, part=part),
        ]

    def _close_open(self, status: str) -> list[Event]:
        item, self._open = self._open, None
        return [] if item is None else [*self._close_part(item), self._item_done(item, status)]

    def _close_all(self, status: str) -> list[Event]:
        events = self._close_open(status)
        for _, call in sorted(self._calls.items()):
            if status == "completed":  # half a JSON object is not done
                fields = {"item_id": call.id, "output_index": call.index, "name": call.name}
                events.append(self._event("response.function_call_arguments.done", **fields, arguments=call.arguments))
            events.append(self._item_done(call, status))
        self._calls = {}
        return events

    def _item_done(self, item: _Written, status: str) -> Event:
        item.status = status
        return self._event("response.output_item.done", output_index=item.index, item=item.item(status))

    def _end(self, outcome: Outcome) -> list[Event]:
        output = tuple(item.item(item.status) for item in self._items)
        self.outcome = replace(outcome, output=output, usage=_usage(self._usage) if self._usage else None)
        return [self._lifecycle(last_event(outcome.status))]

    def _searched(self) -> list[Event]:
        finding = self._prepared.finding
        if finding is None:
            return []
        found = _Search(self._next_id("fs"), self._next_index(), list(finding.queries))
        added = self._event("response.output_item.added", output_index=found.index, item=found.item("in_progress"))
        where = {"item_id": found.id, "output_index": found.index}
        names = ("in_progress", "searching", "completed")
        steps = [self._event(f"response.file_search_call.{name}", **where) for name in names]
        if SEARCH_RESULTS in self._prepared.request.include:
            found.results = list(finding.results)
        self._items.append(found)
        return [added, *steps, self._item_done(found, "completed")]

    def _lifecycle(self, name: str) -> Event:
        return self._event(f"response.{name}", response=self.response)

    def _event(self, type: str, **fields: Any) -> Event:
        event = {"type": type, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event

    def _next_index(self) -> int:
        return self._base + len(self._items)

    def _next_id(self, prefix: str) -> str:
        """Made from the response's id and the item's place, so that composing is deterministic."""
        return f"{prefix}_{self._prepared.response_id.removeprefix('resp_')}{self._next_index():04x}"


class _Written:
    """One output item while it is written. `part` is the kind of its open content part."""

    def __init__(self, id: str, index: int) -> None:
        self.id, self.index, self.status = id, index, "in_progress"
        self.parts: list[dict[str, Any]] = []
        self.part: str | None = None
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []

    def item(self, status: str) -> Item:
        raise NotImplementedError

    def place(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.index, "content_index": len(self.parts)}

    def begin_part(self, kind: str) -> dict[str, Any]:
        self.part, self.pieces, self.logprobs = kind, [], []
        return self._part()

    def end_part(self) -> dict[str, Any]:
        part = self._part()
        self.parts.append(part)
        self.part = None
        return part

    def _part(self) -> dict[str, Any]:
        text = "".join(self.pieces)
        if self.part == "output_text":
            return {"type": self.part, "text": text, "annotations": [], "logprobs": self.logprobs}
        return {"type": self.part, "refusal" if self.part == "refusal" else "text": text}


class _Message(_Written):
    def item(self, status: str) -> Item:
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": [*self.parts]}


class _Reasoning(_Written):
    def item(self, status: str) -> Item:
        return {"id": self.id, "type": "reasoning", "status": status, "summary": [], "content": [*self.parts]}


class _Call(_Written):
    def __init__(self, id: str, index: int, call_id: str | None, name: str | None) -> None:
        super().__init__(id, index)
        self.name = name or ""
        # some engines name no call: its output needs something to refer to
        self.call_id = call_id or f"call_{id.removeprefix('fc_')}"

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def item(self, status: str) -> Item:
        fields = {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function_call", "status": status, **fields}


class _Search(_Written):
    def __init__(self, id: str, index: int, queries: list[str]) -> None:
        super().__init__(id, index)
        self.queries = queries
        self.results: list[dict[str, Any]] | None = None

    def item(self, status: str) -> Item:
        fields = {"queries": self.queries, "results": self.results}
        return {"id": self.id, "type": "file_search_call", "status": status, **fields}


def abandoned(events: list[Event], next_sequence: int) -> list[Event]:
    """What closes the items that an interrupted attempt left open, so that followers drop them."""
    done = {event["output_index"] for event in events if event["type"] == "response.output_item.done"}
    left = [event for event in events if event["type"] == "response.output_item.added"]
    return [
        {
            "type": "response.output_item.done",
            "sequence_number": next_sequence + position,
            "output_index": event["output_index"],
            "item": {**event["item"], "status": "incomplete"},
        }
        for position, event in enumerate(event for event in left if event["output_index"] not in done)
    ]


def last_event(status: Status) -> str:
    """The last event's name after `response.`. The API has none for a cancelled response, and strict clients
    refuse names that they do not know: its `status` says that it was cancelled."""
    return Status.incomplete.value if status is Status.cancelled else status.value


def response_error(error: PlinthError) -> dict[str, Any]:
    """The `error` of a failed Response; its codes are fewer than ours, so the message says the rest."""
    code = "rate_limit_exceeded" if error.status == 429 else "invalid_prompt" if error.status < 500 else "server_error"
    return {"code": code, "message": error.message}


def wire(event: Event) -> bytes:
    """One server-sent event, as the hosted API writes it."""
    return f"event: {event['type']}\ndata: ".encode() + dump(event) + b"\n\n"


def dump(value: Any) -> bytes:
    """JSON; also of half a surrogate pair, which a client may have sent and orjson refuses."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def _logprobs(raw: Any) -> list[dict[str, Any]]:
    entries = raw.get("content") if isinstance(raw, dict) else None
    return [
        {**_token(entry), "top_logprobs": [_token(other) for other in entry.get("top_logprobs") or ()]}
        for entry in entries or ()
    ]


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    return {"token": entry["token"], "logprob": entry["logprob"], "bytes": entry.get("bytes") or []}


def _usage(raw: dict[str, Any]) -> dict[str, Any]:
    prompt, completion = _count(raw.get("prompt_tokens")), _count(raw.get("completion_tokens"))
    cached, reasoning = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": _count(cached.get("cached_tokens")) if isinstance(cached, dict) else 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {
            "reasoning_tokens": _count(reasoning.get("reasoning_tokens")) if isinstance(reasoning, dict) else 0
        },
        "total_tokens": prompt + completion,
    }


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
