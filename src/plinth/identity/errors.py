"""What can go wrong with organizations, people and keys.

BadInput
├── UnknownRole            400  unknown_role
├── CustomRoles            400  custom_roles_unsupported
└── KeyScopes              400  key_scopes_unsupported
Forbidden
└── OwnerOnly              403  owner_only
Conflict
├── OrganizationExists     409  organization_exists
├── LastOwner              409  last_owner
├── LastAdminKey           409  last_admin_key
├── ProjectArchived        409  project_archived
├── EmailTaken             409  email_taken
├── AlreadyMember          409  already_member
├── KeyExpired             409  key_expired
└── InviteSpent            409  invite_spent
"""

from __future__ import annotations

from plinth.kit.errors import BadInput, Conflict, Forbidden


class UnknownRole(BadInput):
    """There is no role '{role}'. Use one of: {roles}."""

    code = "unknown_role"


class CustomRoles(BadInput):
    """Roles are built in and cannot be created, changed or deleted. Use one of: {roles}."""

    code = "custom_roles_unsupported"


class KeyScopes(BadInput):
    """Keys cannot be narrowed by scopes: a key has the permissions of its owner's role in the project.
    Leave 'scopes' out and give the owner a smaller role, or use a service account."""

    code = "key_scopes_unsupported"


class OwnerOnly(Forbidden):
    """Only an owner of the organization may do that: it would give or take the rights of an owner.
    Use an admin key that belongs to an owner."""

    code = "owner_only"


class OrganizationExists(Conflict):
    """This server already has its organization '{name}'. Use its admin key to make projects, people and keys."""

    code = "organization_exists"


class LastOwner(Conflict):
    """The last owner of the organization cannot be removed or given another role.
    Make somebody else an owner first."""

    code = "last_owner"


class LastAdminKey(Conflict):
    """That would end the last admin key that works. Create another admin key first."""

    code = "last_admin_key"


class ProjectArchived(Conflict):
    """The project '{id}' is archived and cannot be changed. Create a new project instead."""

    code = "project_archived"


class EmailTaken(Conflict):
    """Somebody with the address {email} is already in the organization or invited to it."""

    code = "email_taken"


class AlreadyMember(Conflict):
    """The user '{user_id}' is already in the project. Update the user's role instead."""

    code = "already_member"


class KeyExpired(Conflict):
    """The key '{id}' has expired and cannot be changed. Create a new key instead."""

    code = "key_expired"


class InviteSpent(Conflict):
    """The invite has been accepted or has expired. Ask an owner or admin for a new one."""

    code = "invite_spent"
