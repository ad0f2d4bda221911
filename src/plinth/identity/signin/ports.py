"""What signing in through a provider needs from outside: three kinds of HTTP call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Json = dict[str, Any]


class WebFailed(Exception):
    """The other side could not be reached, or its answer is no JSON object; the text says what happened."""


class Web(Protocol):
    """HTTP to the sign-in providers. Redirects are not followed: they could carry secrets elsewhere.
    Each call raises `WebFailed`, also for a status of 400 and above unless said otherwise."""

    def get(self, url: str, bearer: str = "") -> Json:
        """The JSON object at `url`; `bearer` is sent as an access token."""
        ...

    def post(self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> Json:
        """The JSON answer to a form, also of a status 400 or 401, where OAuth puts its `error`.

        Args: `basic` is (client id, secret), already in the encoding of RFC 6749 section 2.3.1.
        """
        ...


class InMemoryWeb:
    """The twin: documents by address, and handlers for forms. `away` makes every call fail."""

    def __init__(self) -> None:
        self.documents: dict[str, Json] = {}
        self.handlers: dict[str, Callable[[Mapping[str, str], tuple[str, str] | None], Json]] = {}
        self.calls: list[str] = []
        self.away = False

    def get(self, url: str, bearer: str = "") -> Json:
        self.calls.append(url)
        if self.away or url not in self.documents:
            raise WebFailed("status 404" if not self.away else "no connection")
        return self.documents[url]

    def post(self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> Json:
        self.calls.append(url)
        if self.away or url not in self.handlers:
            raise WebFailed("status 404" if not self.away else "no connection")
        return self.handlers[url](form, basic)
