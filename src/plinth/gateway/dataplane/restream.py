"""An engine's event stream in the client's shape: every chunk decoded, built anew, encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from plinth.gateway.dataplane import sse
from plinth.gateway.dataplane.shape import ChunkShaper
from plinth.gateway.dataplane.translator import NotAStream, ProviderError, Translator


class Restream(Translator):
    """Args:
    each: called with every chunk in the client's shape, in this order, before it is encoded.
    encode: False when nobody wants the events; `feed` then returns nothing.
    """

    def __init__(
        self, shaper: ChunkShaper, each: Sequence[Callable[[dict[str, Any]], object]] = (), encode: bool = True
    ) -> None:
        super().__init__()
        self._shaper, self._each, self._encode = shaper, each, encode
        self._parser = sse.EventParser()

    def _translate(self, data: bytes, ready: list[bytes]) -> None:
        try:
            payloads = self._parser.feed(data)
        except sse.EventTooLong:
            raise NotAStream("it sent an event that is too long") from None
        for payload in payloads:
            if payload == sse.DONE:
                if not self._shaper.finished:
                    raise NotAStream("it ended without a reason")
                self.finished = True
                return
            chunk = self._shaped(payload)
            if chunk is None:
                continue
            for look in self._each:
                look(chunk)
            if self._encode:
                ready.append(sse.event(chunk))

    def _shaped(self, payload: bytes) -> dict[str, Any] | None:
        try:
            chunk = orjson.loads(payload)
            if chunk is None:  # llama.cpp opens the answer to several prompts with it
                return None
            if "error" not in chunk:
                return self._shaper.shape(chunk)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise NotAStream("it sent garbage") from None
        raise ProviderError(chunk)
