"""A provider's event stream passed on as bytes, without decoding every event.

Decoding and encoding each chunk would cost ten times what the rest of a chunk costs. A chunk is
looked into only when it must be: the first one (which model name does the provider use?), those
that carry usage, errors and the end. The provider's model name is replaced by the public one.
"""

from __future__ import annotations

from typing import Any

import orjson

from plinth.gateway.dataplane.translator import NotAStream, ProviderError, Translator
from plinth.gateway.model import Tally

_LIMIT_BYTES = 8 * 1024 * 1024
_USAGE = (b'"usage":{', b'"usage": {')
_NO_USAGE = (b',"usage":null', b', "usage": null')


class Relay(Translator):
    """Args: `public_name` goes into every chunk; `include_usage`: whether the client asked for the usage chunk."""

    def __init__(self, public_name: str, include_usage: bool, tally: Tally) -> None:
        super().__init__()
        self._public, self._include_usage, self._tally = orjson.dumps(public_name), include_usage, tally
        self._rest = b""
        self._theirs: tuple[bytes, bytes] | None = None

    def _translate(self, data: bytes, ready: list[bytes]) -> None:
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        end = data.rfind(b"\n\n")
        if end < 0:
            if len(data) > _LIMIT_BYTES:
                raise NotAStream("an event is too long")
            self._rest = data
            return
        self._rest, data = data[end + 2 :], data[: end + 2]
        events = data.count(b"\n\n")
        if self._theirs is None or events != data.count(b"data: {") or self._is_special(data):
            for event in data[:-2].split(b"\n\n"):
                ready.append(self._event(event))
            return
        self._tally.pieces += events
        ready.append(self._renamed(data))

    @staticmethod
    def _is_special(data: bytes) -> bool:
        return _USAGE[0] in data or _USAGE[1] in data or b'"error"' in data

    def _event(self, event: bytes) -> bytes:
        """One event, looked at closely."""
        start = event.find(b"data:")
        if start < 0 or (start and event[start - 1] != 0x0A):
            return b""  # a comment, or an event without data
        payload = event[start + 5 :].strip()
        if payload == b"[DONE]":
            self.finished = True
            return b""  # the reply writes its own end, after what is still to be said
        chunk = self._decoded(payload)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._tally.report(usage)
            if not chunk["choices"]:
                if not self._include_usage:
                    return b""
            elif not self._include_usage:
                del chunk["usage"]
                payload = orjson.dumps(chunk)
        else:
            self._tally.pieces += 1
        return self._renamed(b"data: " + payload + b"\n\n")

    def _decoded(self, payload: bytes) -> dict[str, Any]:
        try:
            chunk = orjson.loads(payload)
            if "error" in chunk and not chunk.get("choices"):
                raise ProviderError(chunk)
            if not isinstance(chunk["choices"], list):
                raise TypeError
        except (KeyError, TypeError, AttributeError, ValueError):
            raise NotAStream("it sent garbage") from None
        if self._theirs is None:
            name = orjson.dumps(chunk.get("model"))
            self._theirs = (b'"model":' + name, b'"model": ' + name)
        return chunk  # type: ignore[no-any-return]

    def _renamed(self, data: bytes) -> bytes:
        # a raw `"model":` can only be a key: inside a JSON string its quotes would be escaped
        assert self._theirs is not None
        for theirs in self._theirs:
            data = data.replace(theirs, b'"model":' + self._public)
        if not self._include_usage:
            for absent in _NO_USAGE:
                data = data.replace(absent, b"")
        return data
