"""The way of a delivery: a fact is queued, claimed by a worker, sent, and settled, again and again if need be.

A claim is a promise with an end: a worker that dies in mid-send has moved `next_attempt_at` ahead only a little,
and then the delivery is due again. The attempt's number keeps a worker that comes back late from overwriting
what a later attempt found.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement

from plinth.gateway.webhooks import signing, store
from plinth.gateway.webhooks.errors import EndpointDisabled
from plinth.gateway.webhooks.model import (
    FACTS,
    JITTER,
    MAX_PAUSE_SECONDS,
    Answer,
    Attempt,
    Delivery,
    DeliveryQuery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    Outgoing,
    event_body,
    pause_seconds,
    sample_body,
)
from plinth.gateway.webhooks.settings import WebhookSettings
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.errors import NotFound
from plinth.kit.events import Event
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey

DISABLED = "gateway.webhook_endpoint.disabled"
PER_ENDPOINT = 4
"""Deliveries to one endpoint at once; while it fails, one."""
CLAIM_MARGIN_SECONDS = 15.0
TIDY_ROWS = 500
DAY_SECONDS = 86_400.0


class Deliveries:
    """Emits `gateway.webhook_endpoint.disabled`. Args: `jitter` gives random numbers in [0, 1)."""

    def __init__(
        self, clock: Clock, key: InstanceKey, settings: WebhookSettings, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock, self._key, self._settings, self._jitter = clock, key, settings, jitter

    # what people see

    def page(self, session: Session, project_id: str, query: DeliveryQuery) -> list[Delivery]:
        """Newest first; up to `limit` + 1, so that the caller sees whether there are more."""
        return store.deliveries_of(session, project_id, query)

    def get(self, session: Session, project_id: str, delivery_id: str) -> Delivery:
        """Raises `NotFound`."""
        found = store.delivery_by_id(session, delivery_id)
        if found is None or found.project_id != project_id:
            raise NotFound(what="webhook delivery", id=delivery_id)
        return found

    def redeliver(self, session: Session, actor: Actor, delivery_id: str) -> Delivery:
        """Try it now, under the same `webhook-id`, and for the whole retry time again if need be. A delivered
        one is sent again. Raises `NotFound` (also when its endpoint was deleted), `EndpointDisabled`."""
        found = self.get(session, actor.project_id, delivery_id)
        endpoint = store.endpoint_by_id(session, found.endpoint_id)
        if endpoint is None:
            raise NotFound(what="webhook endpoint", id=found.endpoint_id)
        if endpoint.status is EndpointStatus.disabled:
            raise EndpointDisabled(id=endpoint.id, reason=endpoint.disabled_reason)
        store.start_again(session, found.id, self._clock.unix())
        return self.get(session, actor.project_id, delivery_id)

    # from fact to delivery

    def on_fact(self, session: Session, event: Event) -> None:
        """Queue one delivery per active endpoint that subscribed to this and existed when it happened."""
        telling, project_id = FACTS[event.kind], event.project_id
        if project_id is None:
            return
        listeners = [
            endpoint
            for endpoint in store.active_endpoints_of(session, project_id)
            if telling.type in endpoint.event_types and endpoint.created_at <= event.created_at
        ]
        if not listeners:
            return
        event_id, now = new_id("evt_"), self._clock.unix()
        body = event_body(event_id, telling, event.created_at, event.payload)
        store.insert_deliveries(
            session,
            [
                Delivery(new_id("wh_"), endpoint.id, project_id, event_id, telling.type, body, now, now, now)
                for endpoint in listeners
            ],
        )

    # the sender's side

    def any_due(self, session: Session, in_flight: Mapping[str, int]) -> bool:
        return bool(self._due_endpoints(session, in_flight, 1))

    def claim(self, session: Session, in_flight: Mapping[str, int], free: int) -> list[Attempt]:
        """Take up to `free` deliveries that are due, of many endpoints rather than many of one.

        Args: `in_flight` counts the caller's own attempts under way per endpoint id.
        """
        now, claimed = self._clock.unix(), list[Attempt]()
        until = now + self._settings.timeout_seconds + CLAIM_MARGIN_SECONDS
        for endpoint in self._due_endpoints(session, in_flight, free):
            at_once = 1 if endpoint.failing_since is not None else PER_ENDPOINT
            room = min(at_once - in_flight.get(endpoint.id, 0), free - len(claimed))
            if room <= 0:
                continue
            for delivery in store.due_of(session, endpoint.id, self._due(now), room):
                if store.claim(session, delivery, now, until):
                    claimed.append(Attempt(delivery, endpoint, delivery.attempts + 1))
        return claimed

    def outgoing(self, attempt: Attempt) -> Outgoing:
        """The signed request of an attempt. Raises `SecretUnreadable`."""
        return self._signed(attempt.endpoint, attempt.delivery.id, attempt.delivery.body)

    def sample(self, endpoint: Endpoint, event_type: str) -> Outgoing:
        """A signed request about nothing, which is not queued. Raises `UnknownEventTypes`, `SecretUnreadable`."""
        body = sample_body(new_id("evt_"), event_type, self._clock.unix())
        return self._signed(endpoint, new_id("wh_"), body)

    def settle(self, session: Session, attempt: Attempt, answer: Answer) -> None:
        """Write down how an attempt ended, and what follows: done, later, given up, or no more to this endpoint."""
        now, delivery = self._clock.unix(), attempt.delivery
        endpoint = store.endpoint_by_id(session, delivery.endpoint_id, lock=True)
        found: dict[str, Any] = {"last_status_code": answer.status_code, "last_error": answer.problem}
        if answer.delivered:
            done = {**found, "status": DeliveryStatus.delivered, "delivered_at": now}
            store.settle(session, delivery.id, attempt.number, only_pending=False, **done)
            store.change_endpoint(session, delivery.endpoint_id, failing_since=None, last_success_at=now)
            return
        deadline = delivery.started_at + self._settings.retry_hours * 3600
        given_up = now >= deadline
        if given_up:
            found["status"] = DeliveryStatus.failed
        else:
            tries = max(1, attempt.number - delivery.earlier_attempts)
            pause = pause_seconds(tries, self._jitter(), answer.retry_after_seconds)
            # the last attempt comes at the very end of the retry time
            found["next_attempt_at"] = min(now + pause, deadline)
        counts = store.settle(session, delivery.id, attempt.number, only_pending=True, **found)
        if counts and endpoint is not None and endpoint.status is EndpointStatus.active:
            self._failed(session, endpoint, delivery, answer, given_up=given_up)

    def _failed(
        self, session: Session, endpoint: Endpoint, delivery: Delivery, answer: Answer, *, given_up: bool
    ) -> None:
        """What a failed attempt says about its endpoint."""
        if endpoint.failing_since is None:
            store.change_endpoint(session, endpoint.id, failing_since=self._clock.unix())
        if answer.gone:
            self.disable(session, endpoint, "it answered 410 Gone, which asks for no more deliveries.")
        elif given_up and (endpoint.last_success_at or 0.0) < delivery.started_at:
            hours = f"{self._settings.retry_hours:g}"
            self.disable(session, endpoint, f"it took no delivery for {hours} hours (last: {answer.problem})")

    def disable(self, session: Session, endpoint: Endpoint, reason: str) -> None:
        """Send nothing more there. What is still on its way fails, and can be redelivered after enabling."""
        values = {"status": EndpointStatus.disabled, "disabled_reason": reason, "updated_at": self._clock.unix()}
        store.change_endpoint(session, endpoint.id, **values)
        failed = {"status": DeliveryStatus.failed, "last_error": f"the endpoint was disabled: {reason}"}
        store.change_pending(session, endpoint.id, **failed)
        events.emit(session, self._clock, DISABLED, {"endpoint_id": endpoint.id, "reason": reason}, endpoint.project_id)

    def try_again_now(self, session: Session, endpoint_id: str) -> None:
        """The endpoint has changed: what waits for it need wait no longer."""
        store.hurry(session, endpoint_id, self._clock.unix())

    def cancel_all(self, session: Session, endpoint_id: str) -> None:
        store.change_pending(session, endpoint_id, status=DeliveryStatus.cancelled, last_error="endpoint deleted.")

    def tidy(self, db: Database) -> int:
        """Forget deliveries that ended long ago; call it now and then. Returns how many, in short transactions."""
        before = self._clock.unix() - self._settings.keep_days * DAY_SECONDS
        forgotten = 0
        while True:
            with db.write() as session:
                removed = store.delete_finished(session, before, TIDY_ROWS)
            forgotten += removed
            if removed < TIDY_ROWS:
                return forgotten

    # helpers

    def _due_endpoints(self, session: Session, in_flight: Mapping[str, int], limit: int) -> list[Endpoint]:
        full = [endpoint_id for endpoint_id, count in in_flight.items() if count >= PER_ENDPOINT]
        now = self._clock.unix()
        # failing ones with an attempt under way are in the answer too, so ask for as many more
        found = store.endpoints_due(session, self._due(now), full, limit + len(in_flight))
        return [e for e in found if e.failing_since is None or not in_flight.get(e.id)][:limit]

    def _due(self, now: float) -> ColumnElement[bool]:
        furthest = MAX_PAUSE_SECONDS * (1 + JITTER) + self._settings.timeout_seconds + CLAIM_MARGIN_SECONDS
        return store.due_between(now + furthest, now)

    def _signed(self, endpoint: Endpoint, webhook_id: str, text: str) -> Outgoing:
        now, body = self._clock.unix(), text.encode()
        sealed = [endpoint.secret]
        if endpoint.previous_secret is not None and now < (endpoint.previous_until or 0.0):
            sealed.append(endpoint.previous_secret)
        secrets = [self._key.decrypt(secret, sealed_for(endpoint.id)) for secret in sealed]
        headers = signing.signed_headers(secrets, webhook_id, now, body)
        return Outgoing(endpoint.url, {**headers, "content-type": "application/json"}, body)


def sealed_for(endpoint_id: str) -> str:
    """The purpose a secret is sealed for: a row copied to another endpoint cannot be opened there."""
    return f"webhook/{endpoint_id}"
