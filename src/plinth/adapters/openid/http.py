"""The `Web` port of signing in, over httpx. Goes through the machine's proxy settings, as providers
are often outside the company's network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from plinth.identity.signin import WebFailed

MAX_ANSWER_BYTES = 1 << 20
_OAUTH_REFUSALS = (400, 401)


class HttpWeb:
    def __init__(self, timeout_seconds: float = 10.0) -> None:
        self._timeout_seconds = timeout_seconds

    def get(self, url: str, bearer: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self._json("GET", url, (), headers=headers)

    def post(self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> dict[str, Any]:
        return self._json("POST", url, _OAUTH_REFUSALS, data=dict(form), auth=basic)

    def _json(self, method: str, url: str, accepted: tuple[int, ...], **more: Any) -> dict[str, Any]:
        """The JSON object of an answer with status 200 or an accepted one."""
        headers = {"Accept": "application/json", **more.pop("headers", {})}
        try:
            with (
                httpx.Client(timeout=self._timeout_seconds, follow_redirects=False) as client,
                client.stream(method, url, headers=headers, **more) as response,
            ):
                body = _bounded(response)
                if response.status_code != 200 and response.status_code not in accepted:
                    raise WebFailed(f"status {response.status_code}")
                answer = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WebFailed(type(error).__name__) from error
        except (ValueError, RecursionError) as error:
            raise WebFailed("its answer is not JSON") from error
        if not isinstance(answer, dict):
            raise WebFailed("its answer is not a JSON object")
        return answer


def _bounded(response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise WebFailed("its answer is too long")
    return body
