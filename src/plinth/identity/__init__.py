"""Organizations, projects, people, service accounts, API keys, roles, audit."""

from plinth.identity.audit import KEY_CHANGED, PROJECT_CHANGED, Change
from plinth.identity.audit_store import protect_audit_log
from plinth.identity.keys import KeyDraft
from plinth.identity.model import (
    INTERNAL_PREFIX,
    PERMISSIONS,
    Actor,
    AuditQuery,
    FirstOrganization,
    InternalTokens,
    IssuedKey,
    KeyEntry,
    Paging,
    Project,
    Role,
    TokenSubject,
    User,
)
from plinth.identity.service import IdentityService
from plinth.identity.signin import SignInParts, SignInService

__all__ = [
    "INTERNAL_PREFIX",
    "KEY_CHANGED",
    "PERMISSIONS",
    "PROJECT_CHANGED",
    "Actor",
    "AuditQuery",
    "Change",
    "FirstOrganization",
    "IdentityService",
    "InternalTokens",
    "IssuedKey",
    "KeyDraft",
    "KeyEntry",
    "Paging",
    "Project",
    "Role",
    "SignInParts",
    "SignInService",
    "TokenSubject",
    "User",
    "protect_audit_log",
]
