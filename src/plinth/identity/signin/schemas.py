"""Signing in on the wire. Times are unix seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from plinth import __version__
from plinth.identity.model import MANAGERS, ORGANIZATION_PERMISSIONS, PERMISSIONS
from plinth.identity.schemas import Email, ReferenceWire, Text
from plinth.identity.signin.model import Invited, IssuedToken, Language, ProjectRole, Setup, Standing, UserSession
from plinth.identity.signin.passwords import MAX_CHARACTERS
from plinth.identity.signin.settings import OidcProvider
from plinth.kit.http import Wire

# how long a new password must be is said by the slice's own errors
Password = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARACTERS)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CredentialsWire(Wire):
    email: Email
    password: Password = Field(repr=False)


class UserChangeWire(Wire):
    name: Text | None = None
    language: Language | None = None


class PasswordChangeWire(Wire):
    current: Password = Field(repr=False)
    new: Password = Field(repr=False)


class PasswordResetWire(Wire):
    token: Token = Field(repr=False)
    password: Password = Field(repr=False)


class InvitationAcceptanceWire(Wire):
    token: Token = Field(repr=False)
    name: Text
    password: Password = Field(repr=False)


class SetupWire(Wire):
    token: Token = Field(repr=False)
    organization: Text
    name: Text
    email: Email
    password: Password = Field(repr=False)
    language: Language = "en"
    sample: bool = False

    def setup(self) -> Setup:
        return Setup(self.organization, self.name, self.email, self.language)


class ProviderWire(Wire):
    id: str
    name: str


class PersonWire(Wire):
    """`role` is the role in the organization."""

    id: str
    email: str
    name: str
    role: str
    language: Language


class ProjectWire(Wire):
    """`role` is what the person may be in the project; `permissions` follow from it."""

    id: str
    name: str
    role: str
    permissions: list[str]

    @classmethod
    def of(cls, project: ProjectRole) -> ProjectWire:
        return cls(id=project.id, name=project.name, role=project.role, permissions=sorted(PERMISSIONS[project.role]))


class SessionWire(Wire):
    """Who has signed in, and what they can reach; a stranger learns how to sign in and nothing else.

    `csrf_token` belongs into the header `x-csrf-token` of every request that changes something.
    """

    object: Literal["session"] = "session"
    signed_in: Literal[True] = True
    setup_needed: bool = False
    oidc: list[ProviderWire]
    version: str = __version__
    csrf_token: str
    session_id: str
    user: PersonWire
    organization: ReferenceWire
    organization_permissions: list[str]
    projects: list[ProjectWire]

    @classmethod
    def of(cls, standing: Standing, providers: Sequence[OidcProvider], negotiated: Language) -> SessionWire:
        user = standing.user
        return cls(
            oidc=_providers(providers),
            csrf_token=standing.csrf_token,
            session_id=standing.session.id,
            user=PersonWire(
                id=user.id,
                email=user.email,
                name=user.name,
                role=user.role,
                language=standing.language or negotiated,
            ),
            organization=ReferenceWire(id=standing.organization.id, name=standing.organization.name),
            organization_permissions=sorted(ORGANIZATION_PERMISSIONS) if user.role in MANAGERS else [],
            projects=[ProjectWire.of(project) for project in standing.projects],
        )


class StrangerWire(Wire):
    """Nobody has signed in."""

    object: Literal["session"] = "session"
    signed_in: Literal[False] = False
    setup_needed: bool
    oidc: list[ProviderWire]
    version: str = __version__

    @classmethod
    def of(cls, setup_needed: bool, providers: Sequence[OidcProvider]) -> StrangerWire:
        return cls(setup_needed=setup_needed, oidc=_providers(providers))


class SetupDoneWire(SessionWire):
    """`sample` says whether the sample data came along: `loaded`, `failed` (the log says why; upload it
    by hand) or `skipped`."""

    sample: Literal["loaded", "failed", "skipped"]


class OwnSessionWire(Wire):
    """One of one's own sessions; `device` is what the browser called itself."""

    id: str
    object: Literal["session"] = "session"
    device: str
    method: str
    created_at: int
    last_seen_at: int
    expires_at: int
    current: bool

    @classmethod
    def of(cls, found: UserSession, current_id: str | None) -> OwnSessionWire:
        return cls(
            id=found.id,
            device=found.device,
            method=found.method,
            created_at=int(found.created_at),
            last_seen_at=int(found.last_seen_at),
            expires_at=int(found.ends_at),
            current=found.id == current_id,
        )


class TokenWire(Wire):
    """`token` is shown once."""

    token: str
    expires_at: int

    @classmethod
    def of(cls, issued: IssuedToken) -> TokenWire:
        return cls(token=issued.token, expires_at=int(issued.expires_at))


class ResetTokenWire(TokenWire):
    """Hand the token to the person: within 24 hours it sets a new password, once, on `/console/reset#<token>`."""

    object: Literal["password_reset"] = "password_reset"
    user_id: str


class InvitationWire(Wire):
    """`organization` is its name. `expired` is true for every invitation that cannot be accepted any more;
    `status` says why."""

    object: Literal["invitation"] = "invitation"
    email: str
    organization: str
    expired: bool
    status: str

    @classmethod
    def of(cls, invited: Invited) -> InvitationWire:
        return cls(
            email=invited.email,
            organization=invited.organization.name,
            expired=invited.status != "pending",
            status=invited.status,
        )


def _providers(providers: Sequence[OidcProvider]) -> list[ProviderWire]:
    return [ProviderWire(id=provider.id, name=provider.name) for provider in providers]
