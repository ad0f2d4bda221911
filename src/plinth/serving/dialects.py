"""One request body as each kind of engine wants it. Pure, and fast: it runs once per request.

Clients choose models by name only; fields with which a client could choose adapters or slots of an
engine are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from plinth.serving.errors import UnknownAdapter
from plinth.serving.model import REMOTE


class Target(Protocol):
    """The part of an endpoint that decides the translation."""

    @property
    def engine(self) -> str: ...
    @property
    def model_id(self) -> str: ...
    @property
    def adapter(self) -> str | None: ...
    @property
    def adapters(self) -> Sequence[str]: ...
    @property
    def target(self) -> str | None: ...


_LLAMACPP_PRIVATE = frozenset({"lora", "id_slot", "slot_id", "cache_prompt", "n_cache_reuse", "timings_per_token"})


def translate(request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
    """A new request body for the endpoint's engine; `request` is left alone.

    Raises `UnknownAdapter` when the engine does not hold the endpoint's adapter: engines tend to
    answer with their base instead.
    """
    if endpoint.adapter is not None and endpoint.adapter not in endpoint.adapters:
        raise UnknownAdapter(id=endpoint.model_id, param="model")
    return _DIALECTS.get(endpoint.engine, _plain)(request, endpoint)


def llamacpp(request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
    """llama.cpp's server.

    - `lora` always lists every adapter with its scale: without the list a request can reuse what
      was computed under another adapter.
    - `temperature` and `top_p` default to 1 as in OpenAI's API (llama.cpp: 0.8, 0.95; its top_k 40).
    - a `seed` asks for repeatable answers, so nothing computed earlier is reused: a prompt
      evaluated in other pieces gives slightly other numbers.
    """
    out = {name: value for name, value in request.items() if name not in _LLAMACPP_PRIVATE}
    if endpoint.adapters:
        chosen = endpoint.adapter
        out["lora"] = [{"id": i, "scale": 1.0 if name == chosen else 0.0} for i, name in enumerate(endpoint.adapters)]
    if out.get("seed") is not None:
        out["cache_prompt"] = False
    if "messages" in out or "prompt" in out:
        for name, value in (("temperature", 1.0), ("top_p", 1.0), ("top_k", 0)):
            if out.get(name) is None:
                out[name] = value
    return out


def remote(request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
    """A provider knows the model by its own name."""
    return {**request, "model": endpoint.target or endpoint.model_id}


def _plain(request: dict[str, Any], endpoint: Target) -> dict[str, Any]:
    return {**request, "model": endpoint.adapter or endpoint.model_id}


_DIALECTS: dict[str, Callable[[dict[str, Any], Target], dict[str, Any]]] = {"llamacpp": llamacpp, REMOTE: remote}
