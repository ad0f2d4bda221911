"""Measures one model call and becomes its usage records: one for every attempt that reached a target."""

from __future__ import annotations

from plinth.gateway.costs import Prices
from plinth.gateway.dataplane.ports import Endpoint, PublicModel
from plinth.gateway.dataplane.spans import Attempted, Trace
from plinth.gateway.model import Operation, RecordKind, Tally, UsageRecord
from plinth.identity import Actor
from plinth.kit.clock import Clock
from plinth.kit.ids import new_id

BATCH = "batch"


class Meter:
    """`status` starts as 500: an end that nobody foresaw is our mistake."""

    def __init__(self, clock: Clock, actor: Actor, operation: Operation, request_id: str) -> None:
        self._clock, self._actor, self._operation, self._request_id = clock, actor, operation, request_id
        self._created_at, self._started = clock.unix(), clock.monotonic()
        self.model = self.route = self.end_user = self.error_code = ""
        self.priority = "interactive"
        self.streamed = False
        self.status = 500
        self.prices: Prices | None = None
        self.winner: Meter = self
        self.trace: Trace | None = None
        self._leave_target()

    def _leave_target(self) -> None:
        self._endpoint: Endpoint | None = None
        self._attempted: Attempted | None = None
        self._model_id = self._target = ""
        self._first_token: float | None = None
        self._dispatched = 0.0
        self.tally = Tally()

    def twin(self) -> Meter:
        """For a second target that is asked beside the first."""
        other = Meter(self._clock, self._actor, self._operation, self._request_id)
        other._created_at, other._started = self._created_at, self._started
        for name in ("model", "route", "end_user", "priority", "streamed", "prices", "trace"):
            setattr(other, name, getattr(self, name))
        return other

    def become(self, winner: Meter) -> None:
        """Of two targets that were asked this one's answer counts; the other one's record is an attempt."""
        self.winner = winner

    def resolved(self, model: PublicModel) -> None:
        """Which model was meant, before any target was found for it."""
        self._model_id = model.id

    def dispatch(self, model: PublicModel, endpoint: Endpoint) -> None:
        """A target gets the request now."""
        self._leave_target()
        self._endpoint, self._model_id, self._target = endpoint, model.id, model.name
        if self.trace is not None:
            self._attempted = self.trace.attempt(endpoint)
        self._dispatched = self._clock.monotonic()

    @property
    def trace_headers(self) -> bytes:
        """The header lines that tell the target whose child its spans are."""
        if self.trace is None or self._attempted is None:
            return b""
        return self.trace.headers(self._attempted)

    def lost(self, status: int, error_code: str, kind: RecordKind = RecordKind.attempt) -> UsageRecord | None:
        """The record of an attempt whose answer does not count; None when it reached no target."""
        if self._endpoint is None:
            return None
        record = self._record(kind, status, error_code)
        model_id = self._model_id
        self._leave_target()
        self._model_id = model_id
        return record

    def guess_nanos(self, prompt: int, completion: int) -> int:
        """About what the call will cost, 0 when no price is known."""
        if self.prices is None:
            return 0
        found = self.prices.price(self._model_id, prompt, 0, completion, False, self._created_at)
        return found[0] if found else 0

    def saw_piece(self) -> None:
        if self._first_token is None and self.tally.pieces:
            self._first_token = self._clock.monotonic()

    def record(self) -> UsageRecord:
        return self.winner._record(RecordKind.request, self.status, self.error_code)

    def _record(self, kind: RecordKind, status: int, error_code: str) -> UsageRecord:
        self.tally.settle()
        now, endpoint = self._clock.monotonic(), self._endpoint
        cost, currency = self._price()
        record = UsageRecord(
            id=new_id("usage_"),
            created_at=self._created_at,
            organization_id=self._actor.organization_id,
            project_id=self._actor.project_id,
            key_id=self._actor.key_id,
            principal=self._actor.principal,
            end_user=self.end_user,
            operation=self._operation.value,
            kind=kind.value,
            model=self.model,
            route=self.route,
            model_id=self._model_id,
            target=self._target,
            endpoint_group="" if endpoint is None else endpoint.group,
            engine="" if endpoint is None else endpoint.engine,
            prompt_tokens=self.tally.prompt,
            cached_tokens=self.tally.cached,
            completion_tokens=self.tally.completion,
            first_token_ms=None if self._first_token is None else (self._first_token - self._started) * 1000,
            total_ms=(now - self._started) * 1000,
            dispatched_at=None if endpoint is None else self._created_at + self._dispatched - self._started,
            occupied_seconds=0.0 if endpoint is None else now - self._dispatched,
            status=status,
            error_code=error_code,
            streamed=self.streamed,
            priority=self.priority,
            cost_nanos=cost,
            currency=currency,
            request_id=self._request_id,
        )
        if self.trace is not None:
            self.trace.ended(record, self._attempted)
        return record

    def _price(self) -> tuple[int | None, str]:
        """Of a provider's work; our own engines' hour is settled later."""
        if self._endpoint is None or not self._endpoint.url or self.prices is None:
            return None, ""
        tally, asked = self.tally, self._created_at
        # never the batch price: that is for a provider's own batches, and this was an ordinary call to it
        found = self.prices.price(self._model_id, tally.prompt, tally.cached, tally.completion, False, asked)
        return found or (None, "")
