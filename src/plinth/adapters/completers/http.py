"""`Completer` over HTTP: our own public API, as a client would use it.

Each call carries a short-lived internal token of the project it works for. 429, 503 and broken
connections are tried again with growing pauses (or what `Retry-After` asks for); nothing else is.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from plinth.evaluation.errors import CompletionFailed, ModelUnreachable
from plinth.evaluation.model import Usage
from plinth.evaluation.ports import Answer, Embeddings, Question
from plinth.kit.clock import Clock

MAX_RESPONSE_BYTES = 32 << 20
MAX_PAUSE_SECONDS = 30.0
RETRIED = (429, 503)
HOPELESS = (401, 403, 404)


@dataclass(frozen=True)
class Policy:
    """`concurrency` bounds all requests in flight; `attempts` counts the first try too."""

    concurrency: int = 4
    attempts: int = 6
    timeout_seconds: float = 600.0


class HttpCompleter:
    """Thread-safe.

    Args:
        base_url: where `/v1` is, for example `http://127.0.0.1:8000`.
        token: gives a bearer token for a project id; asked before every request.
        transport: for tests.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[str], str],
        clock: Clock,
        policy: Policy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._token, self._clock, self._policy = token, clock, policy or Policy()
        self._slots = threading.BoundedSemaphore(self._policy.concurrency)
        # trust_env off: a proxy from the environment must not see what stays on this machine
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(self._policy.timeout_seconds, connect=10.0),
            limits=httpx.Limits(max_connections=self._policy.concurrency),
            transport=transport,
            trust_env=False,
        )

    def complete(self, project_id: str, question: Question) -> Answer:
        body = {**question.sampling, "model": question.model, "messages": list(question.messages)}
        found, seconds = self._post("/v1/chat/completions", project_id, question.model, body)
        choices = _objects(found.get("choices"))
        message = choices[0].get("message") if choices else None
        if not isinstance(message, dict):
            raise CompletionFailed(model=question.model, reason="the answer has no choices.")
        text, reason = message.get("content"), choices[0].get("finish_reason")
        if text is not None and not isinstance(text, str):
            raise CompletionFailed(model=question.model, reason="the answer's content is not text.")
        return Answer(text or "", str(reason or ""), choices, _usage(found), seconds)

    def embed(self, project_id: str, model: str, texts: Sequence[str]) -> Embeddings:
        body = {"model": model, "input": list(texts), "encoding_format": "float"}
        found, _ = self._post("/v1/embeddings", project_id, model, body)
        try:
            ordered = sorted(found["data"], key=lambda entry: int(entry["index"]))
            vectors = [[float(value) for value in entry["embedding"]] for entry in ordered]
        except (KeyError, TypeError, ValueError):
            vectors = []
        if len(vectors) != len(texts) or not vectors:
            raise CompletionFailed(model=model, reason="the embeddings do not match the texts.")
        return Embeddings(vectors, _usage(found))

    def close(self) -> None:
        self._client.close()

    def _post(self, path: str, project_id: str, model: str, body: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """The JSON answer and the seconds its successful try took."""
        content = json.dumps(body).encode()
        reason = ""
        with self._slots:
            for attempt in range(self._policy.attempts):
                started = self._clock.monotonic()
                try:
                    response = self._send(path, project_id, content)
                except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.RemoteProtocolError) as error:
                    reason, pause = f"the connection failed ({type(error).__name__}).", _pause(attempt, None)
                except httpx.HTTPError as error:
                    raise CompletionFailed(model=model, reason=f"{type(error).__name__}.") from error
                else:
                    if response.status_code not in RETRIED:
                        return _parsed(response, model), self._clock.monotonic() - started
                    reason = _reason(response)
                    pause = _pause(attempt, response.headers.get("retry-after"))
                if attempt + 1 < self._policy.attempts:
                    self._clock.sleep(pause)
        raise CompletionFailed(model=model, reason=f"{reason} ({self._policy.attempts} attempts)")

    def _send(self, path: str, project_id: str, content: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token(project_id)}", "Content-Type": "application/json"}
        request = self._client.build_request("POST", path, content=content, headers=headers)
        response = self._client.send(request, stream=True)
        try:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_RESPONSE_BYTES:
                    raise httpx.DecodingError("the answer is too long", request=request)
        finally:
            response.close()
        return httpx.Response(
            response.status_code, headers={"retry-after": response.headers.get("retry-after", "")}, content=bytes(data)
        )


def _parsed(response: httpx.Response, model: str) -> dict[str, Any]:
    if response.status_code in HOPELESS:
        raise ModelUnreachable(model=model, reason=_reason(response))
    if response.status_code != 200:
        raise CompletionFailed(model=model, reason=_reason(response))
    try:
        found = json.loads(response.content)
        # half a surrogate pair can be stored nowhere and shown to nobody: it becomes "?"
        found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise CompletionFailed(model=model, reason="the answer is not JSON.") from error
    if not isinstance(found, dict):
        raise CompletionFailed(model=model, reason="the answer is not a JSON object.")
    return found


def _reason(response: httpx.Response) -> str:
    """The server's own sentence, if it has one."""
    try:
        message = json.loads(response.content)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        message = ""
    return str(message)[:500] or f"status {response.status_code}."


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: what the server asked for, else 0.5, 1, 2, … with jitter."""
    if retry_after and retry_after.isdecimal():
        return min(MAX_PAUSE_SECONDS, float(retry_after))
    return min(8.0, 0.5 * 2.0**attempt) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret


def _objects(value: Any) -> list[dict[str, Any]]:
    """The value if it is a list of JSON objects, else an empty list."""
    return value if isinstance(value, list) and all(isinstance(entry, dict) for entry in value) else []


def _usage(found: Mapping[str, Any]) -> Usage:
    """The answer's token counts; what is missing or no number counts as 0."""
    given = found.get("usage")
    usage = given if isinstance(given, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"), cached)
    return Usage(*(count if isinstance(count, int) and count >= 0 else 0 for count in counts))
