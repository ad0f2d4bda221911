"""Webhook endpoints of a project: who hears of what, and with which secret it is signed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from plinth.gateway.webhooks import signing, store
from plinth.gateway.webhooks.addresses import AddressPolicy
from plinth.gateway.webhooks.deliveries import Deliveries, sealed_for
from plinth.gateway.webhooks.errors import TooManyEndpoints
from plinth.gateway.webhooks.model import (
    OVERLAP_SECONDS,
    Endpoint,
    EndpointChange,
    EndpointDraft,
    EndpointStatus,
    IssuedEndpoint,
    Outgoing,
    checked_name,
    checked_types,
    checked_url,
)
from plinth.gateway.webhooks.ports import Audit, Sender
from plinth.gateway.webhooks.settings import WebhookSettings
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey


class WebhookService:
    """The sub-slice's door; deliveries are in `service.deliveries`.

    Emits `gateway.webhook_endpoint.created`, `.updated`, `.disabled`, `.secret_rotated` and `.deleted`, each with
    `endpoint_id`. Args: `sender` is only asked to send samples here; `audit` is identity's trail.
    """

    def __init__(self, clock: Clock, key: InstanceKey, settings: WebhookSettings, sender: Sender, audit: Audit) -> None:
        self._clock, self._key, self._settings, self._audit = clock, key, settings, audit
        self._policy = address_policy(settings)
        self.sender = sender
        self.deliveries = Deliveries(clock, key, settings)

    def create(self, session: Session, actor: Actor, draft: EndpointDraft) -> IssuedEndpoint:
        """Raises `BadEndpointName`, `BadEndpointUrl`, `UnknownEventTypes`, `TooManyEndpoints`."""
        limit = self._settings.max_endpoints_per_project
        if store.count_endpoints(session, actor.project_id) >= limit:
            raise TooManyEndpoints(limit=limit)
        id, secret, now = new_id("whe_"), signing.new_secret(), self._clock.unix()
        endpoint = Endpoint(
            id=id,
            project_id=actor.project_id,
            name=checked_name(draft.name),
            url=checked_url(draft.url, self._policy),
            event_types=checked_types(draft.event_types),
            secret_hint=signing.hint(secret),
            secret=self._key.encrypt(secret, sealed_for(id)),
            created_at=now,
            updated_at=now,
        )
        store.insert_endpoint(session, endpoint)
        self._note(session, actor, "created", endpoint, **_described(endpoint))
        return IssuedEndpoint(endpoint, secret)

    def endpoint(self, session: Session, project_id: str, endpoint_id: str) -> Endpoint:
        """Raises `NotFound`."""
        found = store.endpoint_by_id(session, endpoint_id)
        if found is None or found.project_id != project_id:
            raise NotFound(what="webhook endpoint", id=endpoint_id)
        return found

    def endpoints(self, session: Session, project_id: str, after: str | None, limit: int) -> list[Endpoint]:
        """Newest first; up to `limit` + 1, so that the caller sees whether there are more."""
        return store.endpoints_of(session, project_id, after, limit)

    def update(self, session: Session, actor: Actor, endpoint_id: str, change: EndpointChange) -> Endpoint:
        """A new URL, and enabling, make a fresh start: what waits is sent at once. An update that changes nothing
        leaves `updated_at` alone. Raises as `create` does, and `NotFound`."""
        before = self.endpoint(session, actor.project_id, endpoint_id)
        after = replace(
            before,
            name=before.name if change.name is None else checked_name(change.name),
            url=before.url if change.url is None else checked_url(change.url, self._policy),
            event_types=before.event_types if change.event_types is None else checked_types(change.event_types),
            status=change.status or before.status,
        )
        if after == before:
            return before
        values: dict[str, Any] = {"name": after.name, "url": after.url, "event_types": list(after.event_types)}
        if after.url != before.url:
            values["failing_since"] = None
        if after.status is EndpointStatus.active and before.status is EndpointStatus.disabled:
            values |= {"status": after.status, "disabled_reason": "", "failing_since": None}
        store.change_endpoint(session, endpoint_id, **values, updated_at=self._clock.unix())
        if after.status is EndpointStatus.disabled and before.status is EndpointStatus.active:
            self.deliveries.disable(session, after, "a person disabled it.")
        if after.url != before.url:
            self.deliveries.try_again_now(session, endpoint_id)
        self._note(session, actor, "updated", after, **_described(after), status=str(after.status))
        return self.endpoint(session, actor.project_id, endpoint_id)

    def delete(self, session: Session, actor: Actor, endpoint_id: str) -> None:
        """What was on its way is cancelled; what was sent stays listed. Raises `NotFound`."""
        endpoint = self.endpoint(session, actor.project_id, endpoint_id)
        store.delete_endpoint(session, endpoint_id)
        self.deliveries.cancel_all(session, endpoint_id)
        self._note(session, actor, "deleted", endpoint, **_described(endpoint))

    def rotate(self, session: Session, actor: Actor, endpoint_id: str, *, keep_old: bool) -> IssuedEndpoint:
        """A new secret. With `keep_old`, messages carry signatures of both for 24 hours, so that the receiver can
        change over without refusing any; otherwise the old one is void at once. Raises `NotFound`."""
        endpoint = self.endpoint(session, actor.project_id, endpoint_id)
        secret, now = signing.new_secret(), self._clock.unix()
        store.change_endpoint(
            session,
            endpoint_id,
            secret=self._key.encrypt(secret, sealed_for(endpoint_id)),
            secret_hint=signing.hint(secret),
            previous_secret=endpoint.secret if keep_old else None,
            previous_until=now + OVERLAP_SECONDS if keep_old else None,
            updated_at=now,
        )
        self._note(session, actor, "secret_rotated", endpoint, old_secret_kept=keep_old)
        return IssuedEndpoint(self.endpoint(session, actor.project_id, endpoint_id), secret)

    def sample(self, session: Session, project_id: str, endpoint_id: str, event_type: str) -> Outgoing:
        """A signed request for `sender`, outside the transaction; disabled endpoints can be tried too.

        Raises `NotFound`, `UnknownEventTypes`, `SecretUnreadable`.
        """
        return self.deliveries.sample(self.endpoint(session, project_id, endpoint_id), event_type)

    def _note(self, session: Session, actor: Actor, what: str, endpoint: Endpoint, **detail: Any) -> None:
        self._audit(session, actor, f"webhook_endpoint.{what}", endpoint.id, detail)
        kind, payload = f"gateway.webhook_endpoint.{what}", {"endpoint_id": endpoint.id}
        events.emit(session, self._clock, kind, payload, endpoint.project_id)


def address_policy(settings: WebhookSettings) -> AddressPolicy:
    return AddressPolicy(settings.allow_private_addresses, settings.allow_loopback_addresses)


def _described(endpoint: Endpoint) -> dict[str, Any]:
    """For the audit log: the host only, since a URL's path can be a secret of its own."""
    return {"name": endpoint.name, "host": endpoint.host, "event_types": list(endpoint.event_types)}
