"""A small OpenAI-compatible provider for the gateway's acceptance tests, in its own process.

    python gateway_provider.py PORT

What it does depends on the model that is asked, so that a test chooses its bad day by a name:
`hangs` never answers, `dies` breaks off in mid-answer, `garbage` answers no JSON, `broken` answers 500,
`slow` streams a word every 50 ms, `unsure` has low log-probabilities. Every other name answers at
once with its own name and the last message. `GET /seen` tells how often each model was asked and
the last body that it got.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections import Counter
from typing import Any, ClassVar

import httptools
import orjson
import uvloop

_SURE, _UNSURE = -0.01, -3.0
_SLOW_WORDS = 400


def tokens(text: str) -> int:
    """What this provider counts as tokens: words."""
    return len(text.split())


class Provider(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    seen: ClassVar[Counter[str]] = Counter()
    last: ClassVar[dict[str, Any]] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.task: asyncio.Task[None] | None = None

    def connection_lost(self, _error: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url, self.body = b"", b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.url == b"/seen":
            self.answer({"counts": dict(self.seen), "last": self.last})
        elif self.url == b"/v1/models":
            self.answer({"object": "list", "data": [{"id": "any", "object": "model"}]})
        else:
            self.model_call(orjson.loads(self.body))

    def model_call(self, request: dict[str, Any]) -> None:
        model = request["model"]
        self.seen[model] += 1
        self.last[model] = request
        if model == "hangs":
            return
        if model == "garbage":
            self.send(200, b"text/html", b"<html>not what you asked for</html>")
        elif model == "broken":
            self.answer({"error": {"message": "out of order", "type": "server_error", "code": None}}, 500)
        elif self.url.endswith(b"/embeddings"):
            self.answer(_embeddings(request))
        elif request.get("stream"):
            self.task = asyncio.get_running_loop().create_task(self.stream(request))
        elif model == "dies":
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            self.transport.close()
        else:
            self.answer(_completion(request))

    async def stream(self, request: dict[str, Any]) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        model, answer = request["model"], _completion(request)
        words = _said(request).split(" ")
        if model == "slow":
            words = [f"word{number}" for number in range(_SLOW_WORDS)]
        for number, word in enumerate(words):
            choice = {"index": 0, "delta": {"content": word if number == 0 else f" {word}"}, "finish_reason": None}
            if request.get("logprobs"):
                choice["logprobs"] = {"content": [_token(model, word)]}
            self.event(answer, choices=[choice])
            if model == "dies" and number == 1:
                self.transport.close()
                return
            if model == "slow":
                await asyncio.sleep(0.05)
        self.event(answer, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
        if (request.get("stream_options") or {}).get("include_usage"):
            self.event(answer, choices=[], usage=answer["usage"])
        self.chunk(b"data: [DONE]\n\n")
        self.transport.write(b"0\r\n\r\n")

    def event(self, answer: dict[str, Any], **fields: Any) -> None:
        head = {name: answer[name] for name in ("id", "created", "model")}
        self.chunk(b"data: " + orjson.dumps({**head, "object": "chat.completion.chunk", **fields}) + b"\n\n")

    def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        self.send(status, b"application/json", orjson.dumps(content))

    def send(self, status: int, kind: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(body))
        self.transport.write(head + body)


def _said(request: dict[str, Any]) -> str:
    content = request["messages"][-1]["content"] if "messages" in request else request["prompt"]
    return f"{request['model']} says: {content}"


def _completion(request: dict[str, Any]) -> dict[str, Any]:
    said, model = _said(request), request["model"]
    prompt = sum(tokens(str(message["content"])) for message in request.get("messages", [])) or tokens(said) - 2
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if "messages" in request:
        choice["message"] = {"role": "assistant", "content": said, "refusal": None}
        if request.get("logprobs"):
            choice["logprobs"] = {"content": [_token(model, word) for word in said.split()], "refusal": None}
    else:
        choice["text"] = said
    return {
        "id": f"chatcmpl-{time.monotonic_ns()}",
        "object": "chat.completion" if "messages" in request else "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": tokens(said),
            "total_tokens": prompt + tokens(said),
        },
    }


def _token(model: str, word: str) -> dict[str, Any]:
    logprob = _UNSURE if model == "unsure" else _SURE
    return {"token": word, "logprob": logprob, "bytes": list(word.encode()), "top_logprobs": []}


def _embeddings(request: dict[str, Any]) -> dict[str, Any]:
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    vectors = [[byte / 255 for byte in hashlib.sha256(str(text).encode()).digest()[:8]] for text in texts]
    used = sum(tokens(str(text)) for text in texts)
    return {
        "object": "list",
        "model": request["model"],
        "data": [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
