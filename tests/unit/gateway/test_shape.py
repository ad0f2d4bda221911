from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from plinth.gateway.dataplane.shape import Assembler, ChunkShaper, Identity, embeddings
from plinth.gateway.errors import Unsupported
from plinth.gateway.model import ModelRequest, Operation, Tally

IDENTITY = Identity("chatcmpl-1", 7, "mine", "plinth/x")
TOKEN = {"id": 57, "token": "I", "bytes": [73], "logprob": -2.5}


def request(operation: Operation = Operation.chat, **more: Any) -> ModelRequest:
    return ModelRequest(operation, "mine", {}, **more)


def shaper(operation: Operation = Operation.chat, **more: Any) -> ChunkShaper:
    return ChunkShaper(request(operation, **more), IDENTITY, Tally())


def delta(reason: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": reason}], "model": "inner", "timings": {}}


def assembled(*chunks: dict[str, Any], operation: Operation = Operation.chat) -> dict[str, Any]:
    shape, assembler = shaper(operation), Assembler(request(operation))
    for chunk in chunks:
        if piece := shape.shape(chunk):
            assembler.add(piece)
    return assembler.answer(IDENTITY, shape.tally)


def test_a_chunk_holds_exactly_what_openai_names() -> None:
    raw = {**delta(content="I", secret=1), "__verbose": {}, "id": "inner"}
    raw["choices"][0]["logprobs"] = {"content": [{**TOKEN, "top_logprobs": [TOKEN]}]}
    plain = {"token": "I", "bytes": [73], "logprob": -2.5}
    assert shaper().shape(raw) == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "mine",
        "system_fingerprint": "plinth/x",
        "choices": [
            {
                "index": 0,
                "delta": {"content": "I"},
                "logprobs": {"content": [{**plain, "top_logprobs": [plain]}], "refusal": None},
                "finish_reason": None,
            }
        ],
    }


def test_usage_is_null_on_chunks_only_when_it_was_asked_for() -> None:
    assert "usage" not in (shaper().shape(delta(content="a")) or {})
    assert (shaper(include_usage=True).shape(delta(content="a")) or {})["usage"] is None


def test_tool_calls_are_put_together() -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    answer = assembled(
        delta(role="assistant", content=None),
        delta(tool_calls=[first]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '":1}'}}]),
        delta(reason="tool_calls"),
    )
    message = answer["choices"][0]["message"]
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert message == {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    assert answer["choices"][0]["finish_reason"] == "tool_calls"


def test_several_prompts_interleave_and_their_usage_adds_up() -> None:
    def piece(index: int, text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
        return {"choices": [{"index": index, "text": text, "finish_reason": reason, "logprobs": None}], **more}

    answer = assembled(
        piece(1, "b1"),
        piece(0, "a1"),
        piece(0, "a2", "length", usage={"prompt_tokens": 2, "completion_tokens": 3}),
        piece(1, "b2", "stop", usage={"prompt_tokens": 5, "completion_tokens": 7}),
        operation=Operation.completion,
    )
    assert [(c["text"], c["finish_reason"]) for c in answer["choices"]] == [("a1a2", "length"), ("b1b2", "stop")]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (7, 10)


def test_logprobs_of_completions_take_the_older_layout() -> None:
    raw = {
        "choices": [
            {
                "index": 0,
                "text": "I",
                "finish_reason": None,
                "logprobs": {"content": [{**TOKEN, "top_logprobs": [TOKEN]}]},
            }
        ]
    }
    piece = shaper(Operation.completion).shape(raw)
    assert piece is not None
    assert piece["choices"][0]["logprobs"] == {
        "tokens": ["I"],
        "token_logprobs": [-2.5],
        "top_logprobs": [{"I": -2.5}],
        "text_offset": [0],
    }


def test_text_offsets_run_on_over_the_pieces() -> None:
    def raw(token: str) -> dict[str, Any]:
        entry = {"token": token, "logprob": -1.0, "top_logprobs": []}
        return {"choices": [{"index": 0, "text": token, "finish_reason": "stop", "logprobs": {"content": [entry]}}]}

    answer = assembled(raw("ab"), raw("c"), raw("d"), operation=Operation.completion)
    assert answer["choices"][0]["logprobs"]["text_offset"] == [0, 2, 3]


def test_logprobs_of_a_whole_chat_answer() -> None:
    raw = delta(content="I")
    raw["choices"][0]["logprobs"] = {"content": [{**TOKEN, "top_logprobs": []}]}
    answer = assembled(raw, raw, delta(reason="stop"))
    assert [token["token"] for token in answer["choices"][0]["logprobs"]["content"]] == ["I", "I"]
    assert answer["choices"][0]["logprobs"]["refusal"] is None
    assert assembled(delta(content="a", reason="stop"))["choices"][0]["logprobs"] is None


def test_finished_only_when_every_choice_has_a_reason() -> None:
    shape = shaper()
    assert not shape.finished
    shape.shape(delta(content="a"))
    shape.shape(delta(content="b", index=1))
    shape.shape(delta(reason="stop"))
    assert not shape.finished
    shape.shape(delta(reason="length", index=1))
    assert shape.finished


def test_an_engine_without_usage_is_counted_by_pieces_or_by_its_timings() -> None:
    tally = Tally(pieces=4)
    tally.settle()
    assert (tally.prompt, tally.completion) == (0, 4)
    shape = shaper()
    shape.shape({**delta(content="a"), "timings": {"cache_n": 31, "prompt_n": 2, "predicted_n": 1}})
    shape.tally.settle()
    assert (shape.tally.prompt, shape.tally.cached, shape.tally.completion) == (33, 31, 1)
    shape.shape({"choices": [], "usage": {"prompt_tokens": 33, "completion_tokens": 9}})
    assert (shape.tally.prompt, shape.tally.completion) == (33, 9)


@pytest.mark.parametrize("raw", [{"choices": 7}, {"choices": ["x"]}, {"choices": [None]}, [], "x", 5])
def test_what_is_no_chunk_raises_something_catchable(raw: Any) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
        shaper().shape(raw)


def test_embeddings_in_both_encodings() -> None:
    raw = {"data": [{"embedding": [0.5, -1.0], "index": 0, "x": 1}], "usage": {"prompt_tokens": 3}, "model": "inner"}
    plain = embeddings(raw, request(Operation.embedding), Tally())
    assert plain["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}]
    assert plain["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    encoded = embeddings(raw, request(Operation.embedding, base64=True), Tally())
    assert struct.unpack("<2f", base64.b64decode(encoded["data"][0]["embedding"])) == (0.5, -1.0)
    with pytest.raises(Unsupported):
        embeddings(raw, request(Operation.embedding, dimensions=3), Tally())
