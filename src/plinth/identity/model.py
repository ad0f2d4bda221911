"""Who may do what: roles, permissions, and the authenticated caller.

Permissions are `area:verb`. An API key acts with the permissions of its role inside exactly one
project (`sk-proj-…`) or on the organization (`sk-admin-…`), never both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    developer = "developer"
    annotator = "annotator"
    agent = "agent"
    viewer = "viewer"


_READ = frozenset({"models:read", "data:read", "tuning:read", "evals:read", "serving:read", "usage:read"})
_DEVELOP = _READ | {"models:use", "models:write", "data:write", "tuning:write", "evals:write", "serving:write"}
_ADMINISTER = _DEVELOP | {"project:write", "catalog:write"}

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.owner: _ADMINISTER,
    Role.admin: _ADMINISTER,
    Role.developer: _DEVELOP,
    Role.annotator: frozenset({"models:read", "data:read", "labels:write"}),
    Role.agent: frozenset({"models:read", "models:use", "desk:write"}),
    Role.viewer: _READ,
}
ORGANIZATION_PERMISSIONS = frozenset({"organization:read", "organization:write", "catalog:write"})


@dataclass(frozen=True)
class Actor:
    """The authenticated caller of one request.

    `project_id` is empty for an organization admin key. `principal` is `user:<id>`,
    `service_account:<id>`, `admin_key:<id>` or `internal`.
    """

    organization_id: str
    project_id: str
    key_id: str
    principal: str
    permissions: frozenset[str] = field(default_factory=frozenset)

    def may(self, permission: str) -> bool:
        return permission in self.permissions
