"""Measures one model call and becomes its usage record."""

from __future__ import annotations

from plinth.gateway.model import Operation, Tally, UsageRecord
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.ids import new_id


class Meter:
    """`status` starts as 500: an end that nobody foresaw is our mistake."""

    def __init__(self, clock: Clock, actor: Actor, operation: Operation, request_id: str) -> None:
        self._clock, self._actor, self._operation, self._request_id = clock, actor, operation, request_id
        self._created_at, self._started = clock.unix(), clock.monotonic()
        self._first_token: float | None = None
        self.model = self.model_id = self.endpoint_group = ""
        self.status = 500
        self.tally = Tally()

    def restart(self, endpoint_group: str) -> None:
        """A new attempt: what a lost engine had counted is not the client's to pay."""
        self.endpoint_group, self.tally, self._first_token = endpoint_group, Tally(), None

    def saw_piece(self) -> None:
        if self._first_token is None and self.tally.pieces:
            self._first_token = self._clock.monotonic()

    def record(self) -> UsageRecord:
        self.tally.settle()
        first = self._first_token
        return UsageRecord(
            id=new_id("usage_"),
            created_at=self._created_at,
            project_id=self._actor.project_id,
            key_id=self._actor.key_id,
            principal=self._actor.principal,
            operation=self._operation.value,
            model=self.model,
            model_id=self.model_id,
            endpoint_group=self.endpoint_group,
            prompt_tokens=self.tally.prompt,
            cached_tokens=self.tally.cached,
            completion_tokens=self.tally.completion,
            first_token_ms=None if first is None else (first - self._started) * 1000,
            total_ms=(self._clock.monotonic() - self._started) * 1000,
            status=self.status,
            request_id=self._request_id,
        )
