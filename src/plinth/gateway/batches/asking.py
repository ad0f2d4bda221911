"""Asking the models: many lines side by side, each until it has an answer that counts.

Knows neither the database nor where answers are kept; the runner hands both in.

What is tried again: 429 and an unreachable gateway until the batch ends, because neither is the
line's fault; 503 (a model that is starting, an engine that was lost) for `patience_seconds`; a
connection that broke, 500, 502 and 504 `request_attempts` times. A server that asks for a pause
holds back all lines of the batch, not only the one that was told.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import orjson

from plinth.gateway.batches.model import Batch, Line, token_counts
from plinth.gateway.batches.ports import UNREACHED, Caller, CallFailed, ModelCall, Reply
from plinth.gateway.batches.settings import BatchSettings
from plinth.gateway.batches.spool import Record
from plinth.kit.ids import new_id

FIRST_PAUSE_SECONDS = 0.5
EXHAUSTED = "insufficient_quota"
"""A budget that is used up: waiting for the next period would hold the batch, so the line fails."""
_SHAKY = (500, 502, 504)


@dataclass(slots=True)
class _Tries:
    """How one line has fared: `count` all tries, `shaky` those that may be the line's own fault."""

    began: float
    count: int = 0
    shaky: int = 0


class Asker:
    """Answers lines of one batch; belongs to one event loop."""

    def __init__(self, caller: Caller, batch: Batch, settings: BatchSettings) -> None:
        self._caller, self._batch, self._settings = caller, batch, settings
        self._hold_until = 0.0

    async def ask(self, line: Line) -> Record:
        """The line's record, good or bad. Only cancelling ends it otherwise."""
        request_id = new_id("batch_req_")
        tries = _Tries(_now())
        while True:
            await self._held()
            tries.count += 1
            reply = reason = None
            try:
                reply = await self._caller.call(self._call(line, request_id))
            except CallFailed as failure:
                reason = failure
            pause = self._pause(tries, reply, reason)
            if pause is None:
                return _answered(line, request_id, reply) if reply else _broken(line, request_id, str(reason))
            self._hold_until = max(self._hold_until, _now() + pause)

    def _call(self, line: Line, request_id: str) -> ModelCall:
        batch = self._batch
        return ModelCall(batch.project_id, batch.key_id, batch.principal, batch.endpoint, line.body, request_id)

    async def _held(self) -> None:
        while (wait := self._hold_until - _now()) > 0:
            # not all at once when the time has come
            await asyncio.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - jitter, not a secret

    def _pause(self, tries: _Tries, reply: Reply | None, failure: CallFailed | None) -> float | None:
        """Seconds to hold back before the next try; None when this was the last."""
        if failure is not None:
            tries.shaky += failure.kind != UNREACHED
            again = failure.kind == UNREACHED or tries.shaky < self._settings.request_attempts
        else:
            assert reply is not None
            tries.shaky += reply.status in _SHAKY
            again = self._worth_another(tries, reply)
        if not again:
            return None
        wanted = reply.retry_after_seconds if reply else None
        if wanted is None:
            wanted = FIRST_PAUSE_SECONDS * 2.0 ** min(tries.count - 1, 10)
        return min(wanted, self._settings.max_pause_seconds)

    def _worth_another(self, tries: _Tries, reply: Reply) -> bool:
        if reply.status == 429:
            return error_code(reply.body) != EXHAUSTED
        if reply.status == 503:
            return _now() - tries.began < self._settings.patience_seconds
        return reply.status in _SHAKY and tries.shaky < self._settings.request_attempts


def error_code(body: Any) -> str:
    """The stable code of an OpenAI error object, else an empty text."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def left_over(line: Line, code: str, message: str) -> bytes:
    """The error-file line of a request that was never asked."""
    return orjson.dumps(_wire(new_id("batch_req_"), line, None, {"code": code, "message": message}))


def _answered(line: Line, request_id: str, reply: Reply) -> Record:
    good = 200 <= reply.status < 300
    response = {"status_code": reply.status, "request_id": reply.request_id, "body": reply.body}
    usage = reply.body.get("usage") if good and isinstance(reply.body, dict) else None
    content = orjson.dumps(_wire(request_id, line, response, None))
    return Record(line.number, good, token_counts(usage), content)


def _broken(line: Line, request_id: str, reason: str) -> Record:
    error = {"code": "request_broken", "message": f"No answer came, however often it was tried: {reason}"}
    return Record(line.number, False, (0, 0, 0, 0), orjson.dumps(_wire(request_id, line, None, error)))


def _wire(request_id: str, line: Line, response: Any, error: Any) -> dict[str, Any]:
    return {"id": request_id, "custom_id": line.custom_id, "response": response, "error": error}


def _now() -> float:
    return asyncio.get_running_loop().time()
