"""Decisions about policies. Every method takes the session first."""

from __future__ import annotations

from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.privacy import store
from plinth.privacy.errors import PolicyInUse
from plinth.privacy.guard import Masked, PrivacyGuard
from plinth.privacy.model import DEFAULT_NAME, DEFAULT_POLICY, DataClass, Policy, StoredPolicy, check_policy
from plinth.privacy.ports import Actor, Audit, PolicyUser

POLICY_CHANGED = "privacy.policy.changed"


class PrivacyService:
    """Args: `audit` is identity's trail; `user` says what still names a policy (the routes).

    Emits `privacy.policy.changed`.
    """

    def __init__(self, clock: Clock, guard: PrivacyGuard, audit: Audit, user: PolicyUser | None = None) -> None:
        self._clock, self._guard, self._audit, self._user = clock, guard, audit, user

    def policies(self, session: Session, project_id: str) -> list[StoredPolicy]:
        """The project's policies by name. `default` is always there: as built in until it is set."""
        found = store.policies_of(session, project_id)
        if not any(stored.policy.name == DEFAULT_NAME for stored in found):
            found.append(StoredPolicy(project_id, DEFAULT_POLICY, 0, 0))
        return sorted(found, key=lambda stored: stored.policy.name)

    def policy(self, session: Session, project_id: str, name: str) -> StoredPolicy:
        """Raises `NotFound`."""
        found = store.policy(session, project_id, name)
        if found is None and name == DEFAULT_NAME:
            return StoredPolicy(project_id, DEFAULT_POLICY, 0, 0)
        if found is None:
            raise NotFound(what="privacy policy", id=name)
        return found

    def put(self, session: Session, actor: Actor, policy: Policy) -> StoredPolicy:
        """Set a policy; it counts from the next request on. Raises `BadPolicy`."""
        check_policy(policy, self._guard.kinds)
        known = store.policy(session, actor.project_id, policy.name)
        if known is not None and known.policy.definition() == policy.definition():
            return known
        now = self._clock.unix()
        stored = StoredPolicy(actor.project_id, policy, known.created_at if known else now, now)
        store.put_policy(session, stored)
        self._record(session, actor, policy.name, known.policy if known else None, policy)
        return stored

    def delete(self, session: Session, actor: Actor, name: str) -> None:
        """Deleting `default` brings the built-in one back. Raises `NotFound`, `PolicyInUse`."""
        known = store.policy(session, actor.project_id, name)
        if known is None:
            raise NotFound(what="privacy policy", id=name)
        user = self._user(session, actor.project_id, name) if self._user and name != DEFAULT_NAME else None
        if user is not None:
            raise PolicyInUse(name=name, user=user)
        store.delete_policy(session, actor.project_id, name)
        self._record(session, actor, name, known.policy, None)

    def scan(self, policy: Policy, text: str, data_class: DataClass | None = None) -> Masked:
        """What the guard would do with a text. Nothing is stored. Raises `GuardUnavailable`."""
        return self._guard.check([text], policy, data_class)

    def snapshot(self, session: Session) -> dict[tuple[str, str], Policy]:
        """Every stored policy by (project id, name), for the data plane's memory; see `policy_named`."""
        return {(stored.project_id, stored.policy.name): stored.policy for stored in store.all_policies(session)}

    def _record(self, session: Session, actor: Actor, name: str, before: Policy | None, after: Policy | None) -> None:
        detail = {
            "previous": before.definition() if before else None,
            "definition": after.definition() if after else None,
        }
        self._audit(session, actor, POLICY_CHANGED, name, detail)
        events.emit(session, self._clock, POLICY_CHANGED, {"name": name, **detail}, actor.project_id)
