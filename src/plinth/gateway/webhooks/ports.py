"""What webhooks need from others: somebody who sends, and the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from plinth.gateway.webhooks.model import Answer, Outgoing
from plinth.identity import Actor
from plinth.kit.db import Session

Audit = Callable[[Session, Actor, str, str, dict[str, Any]], object]
"""`audit(session, actor, action, target, detail)`: identity's audit trail."""


class Sender(Protocol):
    async def post(self, outgoing: Outgoing) -> Answer:
        """Send once. Follows no redirect, keeps nothing of the answer but its status, ends in bounded time.

        The receiver's trouble comes back as an `Answer`, never as an exception.
        """
        ...


class InMemorySender:
    """The twin: keeps what was sent, answers what `answers` says, by default 200."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.answers: Callable[[Outgoing], Answer] = lambda _outgoing: Answer(200)

    async def post(self, outgoing: Outgoing) -> Answer:
        self.sent.append(outgoing)
        return self.answers(outgoing)
