"""Two app instances on one database, and browsers that visit them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.testclient import TestClient
from httpx import Response

from plinth.identity import Actor, AuditQuery, IdentityService, KeyDraft, Role, User
from plinth.identity.guard import build_guard, needs
from plinth.identity.http import router as identity_router
from plinth.identity.signin import (
    AttemptRules,
    Cost,
    OidcProvider,
    OpenId,
    Passwords,
    SessionRules,
    SignInParts,
    SignInService,
    Web,
    manager_signs_in,
)
from plinth.identity.signin.http import router as sign_in_router
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.secrets import InstanceKey, sha256_hex
from support import client_for

PASSWORD = "correct horse 电池 staple"
CHEAP = Cost(passes=1, memory_kibibytes=8, lanes=1)


def probe(guard: Any) -> APIRouter:
    """A route of some slice: reading needs `models:use`, writing `data:write`."""
    routes = APIRouter()
    user, writer = needs(guard("models:use")), needs(guard("data:write"))

    def shown(actor: Actor) -> dict[str, Any]:
        return {"project": actor.project_id, "key_id": actor.key_id, "principal": actor.principal}

    @routes.get("/probe")
    def read(actor: Actor = user) -> dict[str, Any]:
        return shown(actor)

    @routes.post("/probe")
    def write(actor: Actor = writer) -> dict[str, Any]:
        return shown(actor)

    return routes


@dataclass
class Instance:
    """One API process: its own connections and services, the common database."""

    client: TestClient
    service: SignInService
    identity: IdentityService


@dataclass
class Town:
    url: str
    clock: FixedClock
    setup_file: Path
    web: Web
    providers: tuple[OidcProvider, ...] = ()
    public_url: str = ""
    samples: list[str] = field(default_factory=list)
    attempt_rules: AttemptRules = field(default_factory=lambda: AttemptRules(5, 12, 900))
    sample_fails: bool = False
    stack: ExitStack = field(default_factory=ExitStack)
    db: Database = field(init=False)

    def __post_init__(self) -> None:
        self.db = Database(self.url)
        self.stack.callback(self.db.close)

    def instance(self, cost: Cost = CHEAP) -> Instance:
        db, key = Database(self.url), InstanceKey(b"k" * 32)
        self.stack.callback(db.close)
        identity = IdentityService(self.clock, key, manager_signs_in(self.providers))
        service = SignInService(
            identity,
            SignInParts(
                key,
                OpenId(self.providers, self.web, self.clock, key),
                self.setup_file,
                SessionRules(idle_seconds=12 * 3600, absolute_seconds=30 * 86_400),
                self.attempt_rules,
                Passwords(cost),
            ),
        )
        guard = build_guard(db, identity, service.sessions)
        client = self.stack.enter_context(
            client_for(
                identity_router(db, identity, guard),
                sign_in_router(db, service, guard, self._sample, self.public_url),
                probe(guard),
            )
        )
        # builds the routes, which two threads must not do at the same time (warnings are per process)
        client.get("/api/session").raise_for_status()
        return Instance(client, service, identity)

    def _sample(self, project_id: str) -> None:
        if self.sample_fails:
            raise OSError("no room")
        self.samples.append(project_id)

    def expect_setup(self, token: str = "the-setup-token") -> str:
        self.setup_file.write_text(sha256_hex(token))
        return token


@dataclass
class Browser:
    """Visits any instance with the cookies it was given; `csrf` is kept from what the API answered."""

    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    address: str = "192.0.2.1"

    def ask(self, at: Instance, method: str, path: str, body: Any = None, **headers: str) -> Response:
        sent = {"user-agent": self.agent, "x-forwarded-for": self.address}
        if self.csrf and method != "GET":
            sent["x-csrf-token"] = self.csrf
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        at.client.cookies.clear()
        answer = at.client.request(method, path, json=body, headers=sent, follow_redirects=False)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        for line in answer.headers.get_list("set-cookie"):
            if "Max-Age=0" in line:
                self.cookies.pop(line.partition("=")[0], None)
        if answer.headers.get("content-type", "").startswith("application/json") and answer.is_success:
            told = answer.json()
            if isinstance(told, dict) and "csrf_token" in told:
                self.csrf = told["csrf_token"]
        return answer

    def sign_in(self, at: Instance, email: str, password: str = PASSWORD, **headers: str) -> Response:
        return self.ask(at, "POST", "/api/session", {"email": email, "password": password}, **headers)


class Home:
    """An organization whose people have passwords; `one` and `other` are two processes."""

    def __init__(self, town: Town) -> None:
        self.town, self.clock = town, town.clock
        self.one = town.instance()
        with town.db.write() as session:
            first = self.one.identity.bootstrap_organization(session, "Acme", "olga@example.com", "Olga")
            self.admin = self.one.identity.authenticate(session, first.admin_key_secret)
            self.admin_key, self.project_key = first.admin_key_secret, first.project_key_secret
            self.project_id = first.project.id
            self.other_project = self.one.identity.create_project(session, self.admin, "Other").id
        with town.db.read() as session:
            self.owner = self.one.identity.people.user_with_email(session, self.admin, "olga@example.com")
        self.give_password(self.owner)

    @cached_property
    def other(self) -> Instance:
        return self.town.instance()

    def give_password(self, user: User) -> None:
        from argon2 import PasswordHasher

        hasher = PasswordHasher(CHEAP.passes, CHEAP.memory_kibibytes, CHEAP.lanes)
        with self.town.db.write() as session:
            self.one.service.accounts.set_password(session, user.id, hasher.hash(PASSWORD.encode()))

    def person(self, name: str, role: Role = Role.viewer, in_project: Role | None = None) -> User:
        people = self.one.identity.people
        with self.town.db.write() as session:
            user = people.add_user(session, self.admin, f"{name}@example.com", name.title(), role)
            if in_project:
                people.add_member(session, self.admin, self.project_id, user.id, in_project)
        self.give_password(user)
        return user

    def key_of(self, user: User) -> str:
        with self.town.db.write() as session:
            draft = KeyDraft(self.project_id, "k", user.id)
            return self.one.identity.keys.create_project_key(session, self.admin, draft).secret

    def browser(self, user: User, **more: str) -> Browser:
        visitor = Browser(**more)
        assert visitor.sign_in(self.one, user.email).status_code == 200
        return visitor

    def log(self, **filters: Any) -> list[dict[str, Any]]:
        """The newest audit lines as the API shows them."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        query = {f"{name}[]": value for name, value in filters.items()}
        self.one.client.cookies.clear()
        answer = self.one.client.get("/v1/organization/audit_logs", headers=headers, params={"limit": 100, **query})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def entries(self) -> list[str]:
        with self.town.db.read() as session:
            page = self.one.identity.log.page(session, self.admin.organization_id, AuditQuery(limit=100))
        return [entry.type for entry in page.entries]
