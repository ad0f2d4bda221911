"""Signing in: the front door for people, over identity's service.

Sessions are in `service.sessions`, passwords' accounts in `service.accounts`, OpenID Connect in
`service.openid`. Hashing is asynchronous and apart (`service.passwords`): no transaction waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plinth.identity import store as identity_store
from plinth.identity.audit import Change
from plinth.identity.errors import InviteSpent
from plinth.identity.keys import ManagerSignsIn
from plinth.identity.model import MODEL_PERMISSIONS, Actor, Organization, Role, User, normal_email, normal_name
from plinth.identity.service import IdentityService
from plinth.identity.signin import store
from plinth.identity.signin.accounts import Accounts
from plinth.identity.signin.errors import LinkedToAnother, NotInvited, ProjectNeeded, SessionEnded, SetupDone
from plinth.identity.signin.model import (
    PLAYGROUND_TOKEN_SECONDS,
    AttemptRules,
    Invited,
    IssuedToken,
    Language,
    OpenedSession,
    ProviderPerson,
    SessionRules,
    Setup,
    Standing,
    UserSession,
    Visitor,
)
from plinth.identity.signin.oidc import OpenId
from plinth.identity.signin.passwords import Passwords, check_new
from plinth.identity.signin.sessions import Sessions
from plinth.identity.signin.settings import OidcProvider
from plinth.identity.signin.setup import SetupToken
from plinth.kit.db import Session
from plinth.kit.errors import Forbidden, NotFound
from plinth.kit.secrets import InstanceKey


@dataclass(frozen=True)
class SignInParts:
    """Args: `setup_file` is where `plinth up` leaves the digest of the setup token."""

    key: InstanceKey
    openid: OpenId
    setup_file: Path
    session_rules: SessionRules = field(default_factory=SessionRules)
    attempt_rules: AttemptRules = field(default_factory=AttemptRules)
    passwords: Passwords = field(default_factory=Passwords)


class SignInService:
    """Every method that touches the database takes the session of the caller's transaction first."""

    def __init__(self, identity: IdentityService, parts: SignInParts) -> None:
        self._identity, self.clock = identity, identity.clock
        self.passwords, self.openid = parts.passwords, parts.openid
        self.sessions = Sessions(self.clock, parts.key, parts.session_rules)
        self.accounts = Accounts(self.clock, parts.key, identity.log, self.sessions, parts.attempt_rules)
        self.setup_token = SetupToken(parts.setup_file)

    def organization(self, session: Session) -> Organization | None:
        return self._identity.first_organization(session)

    def standing(self, session: Session, secret: str) -> Standing | None:
        """The person behind a cookie and what they can reach; None without a living session."""
        known = self.sessions.person(session, secret)
        if known is None:
            return None
        found, user = known
        return Standing(
            session=found,
            csrf_token=self.sessions.csrf_token(found),
            user=user,
            language=store.language(session, user.id),
            organization=identity_store.organization(session, user.organization_id),
            projects=store.projects_of(session, user),
        )

    def own(self, session: Session, actor: Actor) -> tuple[UserSession, User]:
        """The session and the person behind a signed-in actor. Raises `SessionEnded`."""
        user = identity_store.user(session, actor.organization_id, _user_id(actor))
        for found in self.sessions.of_user(session, _user_id(actor)):
            if user is not None and found.id == actor.session_id:
                return found, user
        raise SessionEnded

    def replace(self, session: Session, secret: str) -> None:
        """Somebody signs in anew from this browser: its older session ends without a word."""
        if found := self.sessions.find(session, secret):
            store.end_session(session, found.id)

    def change_user(self, session: Session, actor: Actor, name: str | None, language: Language | None) -> None:
        """What people may change about themselves."""
        user_id = _user_id(actor)
        if language is not None:
            store.set_language(session, user_id, language)
        if name is not None:
            store.rename_user(session, user_id, normal_name(name))
            self._identity.log.record(session, actor, Change("user.updated", user_id, detail={"changed": ["name"]}))

    def end_own(self, session: Session, actor: Actor, session_id: str) -> None:
        """Raises `NotFound`, also for another person's session."""
        self.accounts.sign_out(session, self.sessions.own(session, _user_id(actor), session_id))

    def playground_token(self, actor: Actor) -> IssuedToken:
        """A token to call models with, in the person's name and in the project they work in. It can do
        nothing else, whatever the person may do. Raises `ProjectNeeded`, `Forbidden`."""
        if not actor.project_id:
            raise ProjectNeeded(param="x-plinth-project")
        if not actor.permissions >= MODEL_PERMISSIONS:
            raise Forbidden(permission="models:use")
        expires_at = float(int(self.clock.unix() + PLAYGROUND_TOKEN_SECONDS))
        token = self._identity.internal_token(
            actor.project_id, expires_at - self.clock.unix(), actor.key_id, actor.principal, "models"
        )
        return IssuedToken(token, expires_at)

    def reset_from_the_machine(self, session: Session, email: str | None) -> tuple[User, IssuedToken]:
        """A link to set a password for whoever runs the server and has no admin key: of that person, or
        of the first owner. Raises `NotFound`."""
        organization, people = self.organization(session), self._identity.people
        if organization is None:
            raise NotFound(what="user", id=email or "owner")
        system = Actor(organization.id, "", "", "system")
        if email is not None:
            user = people.user_with_email(session, system, email)
        else:
            owner = identity_store.first_owner(session, organization.id)
            if owner is None:
                raise NotFound(what="user", id="owner")
            user = owner
        return user, self.accounts.issue_reset(session, system, user.id)

    # invitations

    def invited(self, session: Session, token: str) -> Invited:
        """Raises `NotFound`."""
        invite = self._identity.people.invite_by_token(session, token)
        organization = identity_store.organization(session, invite.organization_id)
        return Invited(invite.email, organization, invite.status(self.clock.unix()))

    def check_invited(self, session: Session, token: str, password: str) -> None:
        """Before the password is hashed. Raises `NotFound`, `InviteSpent`, `PasswordLength`, `PasswordGuessable`."""
        found = self.invited(session, token)
        if found.status != "pending":
            raise InviteSpent
        check_new(password, found.email)

    def accept_invite(self, session: Session, token: str, name: str, hash: str, visitor: Visitor) -> OpenedSession:
        """The invited person comes in, without API keys, and is signed in.
        Raises `NotFound`, `InviteSpent`, `EmailTaken`."""
        user = self._identity.people.accept_invite(session, token, name, with_keys=False).user
        self.accounts.set_password(session, user.id, hash)
        return self.accounts.enter(session, user, "invite", visitor)

    # the first owner

    def check_setup(self, session: Session, setup: Setup, token: str, password: str) -> None:
        """Before the password is hashed. Raises `SetupDone`, `SetupTokenWrong`, `BadInput`."""
        if self.organization(session) is not None:
            raise SetupDone
        self.setup_token.check(token)
        normal_name(setup.organization)
        check_new(password, normal_email(setup.email))

    def set_up(self, session: Session, setup: Setup, hash: str, visitor: Visitor) -> tuple[OpenedSession, str]:
        """The organization, its owner (signed in) and a first project, whose id is the second part.
        Raises `SetupDone`."""
        store.hold_setup(session)
        if self.organization(session) is not None:
            raise SetupDone
        _, owner, project = self._identity.found_organization(
            session, setup.organization, setup.email, normal_name(setup.name)
        )
        self.accounts.set_password(session, owner.id, hash)
        store.set_language(session, owner.id, setup.language)
        return self.accounts.enter(session, owner, "setup", visitor), project.id

    # sign-in providers

    def enter_by_provider(
        self, session: Session, provider: OidcProvider, person: ProviderPerson, visitor: Visitor
    ) -> OpenedSession:
        """Sign in whom a provider vouches for: known by the provider's subject, else by the e-mail
        address, else invited, else (where the settings say so) new.
        Raises `NotInvited`, `LinkedToAnother`."""
        organization = self.organization(session)
        if organization is None:
            raise NotInvited
        user = store.linked_user(session, person.issuer, person.subject)
        if user is None:
            user = self._by_email(session, organization, provider, person)
            store.link(session, person.issuer, person.subject, user.id, self.clock.unix())
        return self.accounts.enter(session, user, f"oidc:{provider.id}", visitor)

    def provider_refused(self, session: Session, provider: OidcProvider, code: str) -> None:
        if organization := self.organization(session):
            self.accounts.refused(session, organization, None, f"oidc:{provider.id}", code)

    def _by_email(
        self, session: Session, organization: Organization, provider: OidcProvider, person: ProviderPerson
    ) -> User:
        email, people = normal_email(person.email), self._identity.people
        if user := identity_store.user_by_email(session, organization.id, email):
            # an address can be given to another person; the subject cannot
            if store.is_linked(session, person.issuer, user.id):
                raise LinkedToAnother
            return user
        system = Actor(organization.id, "", "", "system")
        if invite_id := store.pending_invite(session, organization.id, email, self.clock.unix()):
            invite = people.invite_of(session, system, invite_id)
            return people.accept(session, invite, normal_name(person.name), with_keys=False).user
        if not provider.create_people:
            raise NotInvited
        return people.add_user(session, system, email, normal_name(person.name), Role(provider.role))


def manager_signs_in(providers: Sequence[OidcProvider]) -> ManagerSignsIn:
    """For `IdentityService`: whether an owner or admin has a password or uses one of these providers."""
    issuers = tuple(provider.issuer for provider in providers)
    return lambda session, organization_id: store.manager_signs_in(session, organization_id, issuers)


def _user_id(actor: Actor) -> str:
    return actor.principal.removeprefix("user:")
