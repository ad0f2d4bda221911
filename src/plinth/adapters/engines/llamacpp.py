"""llama.cpp's server (through the package xllamacpp) in a process of its own."""

from __future__ import annotations

import re
from typing import Any

from plinth.adapters.engines._child import ChildEngine, ask
from plinth.serving import EngineHandle, EngineSpec, Role, translate
from plinth.serving.dialects import Target

_BUSY = re.compile(rb"^llamacpp:requests_(?:processing|deferred) (\d+)", re.MULTILINE)


class LlamaCpp(ChildEngine):
    kind = "llamacpp"
    program = "plinth.adapters.engines.llamacpp_server"

    def capabilities(self, spec: EngineSpec) -> frozenset[str]:
        if spec.role is Role.embed:
            return frozenset({"embed"})
        return frozenset({"stream", "json_schema", "logprobs", "seed", "cancel", "prefix_cache", "adapters"})

    def running(self, handle: EngineHandle) -> int | None:
        status, body = ask(handle, "/metrics")
        return sum(int(count) for count in _BUSY.findall(body)) if status == 200 else None

    def translate(self, request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
        return translate(request, endpoint)
