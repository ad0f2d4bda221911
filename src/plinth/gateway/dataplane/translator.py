"""From a target's event stream to the client's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class ProviderError(Exception):
    """The target sent an error event; `body` is its error object."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("error event")
        self.body = body


class NotAStream(Exception):
    """What arrived makes no sense as chunks of an answer."""


class Translator(ABC):
    """Feed it the body as it arrives; send on what it returns.

    `finished` turns true with `[DONE]`; only then was the answer whole. `failure` says why it cannot go
    on; what came before it was returned all the same.
    """

    def __init__(self) -> None:
        self.finished = False
        self.failure: Exception | None = None

    def feed(self, data: bytes) -> bytes:
        """Whole events ready for the client; the beginning of an incomplete one is kept."""
        ready: list[bytes] = []
        try:
            self._translate(data, ready)
        except Exception as error:  # whatever it is, it is raised once what is ready was sent
            self.failure = error
        return ready[0] if len(ready) == 1 else b"".join(ready)

    @abstractmethod
    def _translate(self, data: bytes, ready: list[bytes]) -> None:
        """Append what is ready. Raises `ProviderError`, `NotAStream` and what belongs to the answer."""
