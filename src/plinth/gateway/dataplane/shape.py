"""OpenAI's answer shapes, built from what an engine streams.

Every object is built anew from the fields OpenAI names, so an engine's extras (timings, internal
token ids, its own model name) never reach a client.
"""

from __future__ import annotations

import base64
import math
from array import array
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from plinth.gateway.errors import Unsupported
from plinth.gateway.model import ModelRequest, Operation, Tally

_DELTA = ("role", "content", "reasoning_content", "refusal", "tool_calls")
_TOKEN = ("token", "logprob", "bytes")


@dataclass(frozen=True, slots=True)
class Identity:
    """What every chunk of one answer says about itself. `created` is in unix seconds."""

    id: str
    created: int
    model: str
    system_fingerprint: str


class ChunkShaper:
    """Turns an engine's chunks into the client's, and counts what goes by into `tally`."""

    def __init__(self, request: ModelRequest, identity: Identity, tally: Tally) -> None:
        chat = request.operation is Operation.chat
        self.tally, self.identity = tally, identity
        self._open: dict[int, bool] = {}
        self._offsets: dict[int, int] = {}
        self._request = request
        self._choice = _chat_choice if chat else _text_choice
        self._head = {
            "id": identity.id,
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": identity.created,
            "model": identity.model,
            "system_fingerprint": identity.system_fingerprint,
        }

    def shape(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """The client's chunk, or None when this one only carried counts. Raises `KeyError`,
        `TypeError`, `AttributeError` or `ValueError` on what is no chunk at all."""
        if isinstance(usage := chunk.get("usage"), dict):
            self.tally.report(usage)
        elif isinstance(timings := chunk.get("timings"), dict):
            self.tally.progress(timings)
        choices = [self._choice(choice) for choice in chunk.get("choices") or ()]
        if not choices:
            return None
        for choice in choices:
            if logprobs := choice["logprobs"]:
                self._place(choice["index"], logprobs)
            self._open[choice["index"]] = not choice["finish_reason"] and self._open.get(choice["index"], True)
        if any(_carries_text(choice) for choice in choices):
            self.tally.pieces += 1
        shaped: dict[str, Any] = {**self._head, "choices": choices}
        if self._request.include_usage:
            shaped["usage"] = None
        return shaped

    def _place(self, index: int, logprobs: dict[str, Any]) -> None:
        """Give the tokens of the older layout their offsets in the answer's text (code points)."""
        if "text_offset" in logprobs:
            offset = self._offsets.get(index, 0)
            lengths = accumulate((len(token) for token in logprobs["tokens"]), initial=offset)
            *logprobs["text_offset"], self._offsets[index] = lengths

    @property
    def finished(self) -> bool:
        """Whether every choice has said why it ended."""
        return bool(self._open) and not any(self._open.values())

    def usage_chunk(self) -> dict[str, Any]:
        return {**self._head, "choices": [], "usage": self.tally.usage()}


class Assembler:
    """Collects shaped chunks into one complete answer."""

    def __init__(self, request: ModelRequest) -> None:
        self._chat = request.operation is Operation.chat
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        for choice in chunk["choices"]:
            self._choices.setdefault(choice["index"], _Choice()).add(choice)

    def answer(self, identity: Identity, tally: Tally) -> dict[str, Any]:
        ordered = sorted(self._choices.items())
        return {
            "id": identity.id,
            "object": "chat.completion" if self._chat else "text_completion",
            "created": identity.created,
            "model": identity.model,
            "system_fingerprint": identity.system_fingerprint,
            "choices": [choice.chat(index) if self._chat else choice.text(index) for index, choice in ordered],
            "usage": tally.usage(),
        }


class _Choice:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._tools: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, list[Any]] = {}

    def add(self, choice: dict[str, Any]) -> None:
        delta = choice["delta"] if "delta" in choice else {"content": choice["text"]}
        for key in ("content", "reasoning_content", "refusal"):
            if isinstance(piece := delta.get(key), str):
                self._texts.setdefault(key, []).append(piece)
        for call in delta.get("tool_calls") or ():
            self._add_tool(call)
        for key, values in (choice.get("logprobs") or {}).items():
            if values is not None:
                self._logprobs.setdefault(key, []).extend(values)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason

    def _add_tool(self, call: dict[str, Any]) -> None:
        known = self._tools.setdefault(call.get("index", 0), {"id": "", "type": "function", "function": {}})
        known["id"] = call.get("id") or known["id"]
        function = call.get("function") or {}
        for key in ("name", "arguments"):
            known["function"][key] = known["function"].get(key, "") + (function.get(key) or "")

    def chat(self, index: int) -> dict[str, Any]:
        texts = {key: "".join(pieces) for key, pieces in self._texts.items()}
        content = texts.get("content", "")
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not self._tools else None,
            "refusal": texts.get("refusal"),
        }
        if reasoning := texts.get("reasoning_content"):
            message["reasoning_content"] = reasoning
        if self._tools:
            message["tool_calls"] = [call for _, call in sorted(self._tools.items())]
        logprobs = {"content": self._logprobs["content"], "refusal": None} if self._logprobs else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason}

    def text(self, index: int) -> dict[str, Any]:
        text = "".join(self._texts.get("content", ()))
        logprobs = dict(self._logprobs) or None
        return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": self.finish_reason}


def _chat_choice(choice: dict[str, Any]) -> dict[str, Any]:
    raw = choice.get("delta")
    delta = {key: raw[key] for key in _DELTA if key in raw} if isinstance(raw, dict) else {}
    if "role" in delta and delta.get("content") is None and not delta.get("tool_calls"):
        delta["content"] = ""
    return {
        "index": choice.get("index", 0),
        "delta": delta,
        "logprobs": _chat_logprobs(choice.get("logprobs")),
        "finish_reason": choice.get("finish_reason"),
    }


def _text_choice(choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": choice.get("text") or "",
        "index": choice.get("index", 0),
        "logprobs": _text_logprobs(choice.get("logprobs")),
        "finish_reason": choice.get("finish_reason"),
    }


def _chat_logprobs(raw: Any) -> dict[str, Any] | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("content"), list):
        return None
    content = [
        {**_token(entry), "top_logprobs": [_token(other) for other in entry.get("top_logprobs") or ()]}
        for entry in raw["content"]
    ]
    return {"content": content, "refusal": None} if content else None


def _text_logprobs(raw: Any) -> dict[str, Any] | None:
    """The older layout of `/v1/completions`; llama.cpp answers it in the newer one."""
    if not isinstance(raw, dict):
        return None
    if "tokens" in raw:
        return {**{key: raw.get(key) for key in ("tokens", "token_logprobs", "top_logprobs")}, "text_offset": []}
    content = raw.get("content") or ()
    return {
        "tokens": [entry["token"] for entry in content],
        "token_logprobs": [entry["logprob"] for entry in content],
        "top_logprobs": [{o["token"]: o["logprob"] for o in entry.get("top_logprobs") or ()} for entry in content],
        "text_offset": [],
    }


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry.get(key) for key in _TOKEN}


def _carries_text(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    if delta is None:
        return bool(choice["text"])
    return any(delta.get(key) for key in _DELTA[1:])


def embeddings(raw: dict[str, Any], request: ModelRequest, tally: Tally) -> dict[str, Any]:
    """OpenAI's embedding list from an engine's. Raises `KeyError`, `TypeError` or `ValueError` on
    anything else, `Unsupported` when the vectors have other dimensions than were asked for."""
    if isinstance(usage := raw.get("usage"), dict):
        tally.report(usage)
    data = []
    for position, entry in enumerate(raw["data"]):
        vector = array("f", entry["embedding"])
        if request.dimensions not in (None, len(vector)):
            raise Unsupported(field="dimensions", supported=len(vector), param="dimensions")
        encoded = base64.b64encode(vector.tobytes()).decode() if request.base64 else vector.tolist()
        data.append({"object": "embedding", "index": entry.get("index", position), "embedding": encoded})
    return {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tally.prompt, "total_tokens": tally.prompt},
    }


def confidence(answer: dict[str, Any], signal: str) -> float | None:
    """How sure a model was of a chat answer, from the probabilities of its tokens; None when it does
    not say. A high number is no promise: the threshold must be chosen on labelled answers.

    Args:
        signal: `mean_token_probability` is the geometric mean, `min_token_probability` the smallest.
    """
    logprobs = answer["choices"][0].get("logprobs") or {}
    values = [float(token["logprob"]) for token in logprobs.get("content") or ()]
    if not values:
        return None
    return math.exp(min(values) if signal.startswith("min") else sum(values) / len(values))


def as_chunks(answer: dict[str, Any], include_usage: bool) -> list[dict[str, Any]]:
    """A complete chat answer as the chunks of a stream."""
    head = {key: answer.get(key) for key in ("id", "created", "model", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    usage = {"usage": None} if include_usage else {}
    chunks = []
    for choice in answer["choices"]:
        message = {key: value for key, value in choice["message"].items() if value is not None and key in _DELTA}
        if calls := message.get("tool_calls"):
            message["tool_calls"] = [{**call, "index": place} for place, call in enumerate(calls)]
        for delta, reason, logprobs in (
            (message, None, choice.get("logprobs")),
            ({}, choice.get("finish_reason") or "stop", None),
        ):
            part = {"index": choice.get("index", 0), "delta": delta, "logprobs": logprobs, "finish_reason": reason}
            chunks.append({**head, "choices": [part], **usage})
    if include_usage:
        chunks.append({**head, "choices": [], "usage": answer.get("usage")})
    return chunks
