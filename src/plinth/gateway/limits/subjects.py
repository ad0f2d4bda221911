"""Who can be limited: identity's organizations, projects and keys."""

from __future__ import annotations

from plinth.gateway.limits.model import Scope, Subject
from plinth.identity import Actor, IdentityService
from plinth.kit.db import Session
from plinth.kit.errors import NotFound


class IdentitySubjects:
    """The `Subjects` port on identity."""

    def __init__(self, identity: IdentityService) -> None:
        self._identity = identity

    def find(self, session: Session, actor: Actor, scope: str, id: str) -> Subject:
        if scope == Scope.organization:
            # a project's key does not see what is above its project
            if id == actor.organization_id and not actor.project_id:
                return Subject(Scope.organization, id, id)
        elif scope == Scope.project:
            project = self._identity.project(session, actor, id)
            return Subject(Scope.project, id, project.organization_id, id)
        elif found := self._key(session, actor, id):
            return found
        raise NotFound(what=scope, id=id)

    def _key(self, session: Session, actor: Actor, key_id: str) -> Subject | None:
        """A working key of a project; admin keys call no models."""
        for entry in self._identity.key_snapshot(session):
            if entry.key_id == key_id and entry.project_id and entry.organization_id == actor.organization_id:
                if actor.project_id in ("", entry.project_id):
                    return Subject(Scope.key, key_id, entry.organization_id, entry.project_id)
                return None
        return None
