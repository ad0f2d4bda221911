"""People who sign in: their sessions, attempts and one-time links, and the rules that need no database."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from plinth.identity.model import SESSION_PREFIX, Organization, Role, User

Language = Literal["zh", "en"]

PLAYGROUND_TOKEN_SECONDS = 600
RESET_SECONDS = 24 * 3600
SESSION_SECRET_BYTES = 32
DEVICE_CHARACTERS = 120

# in this order: most browsers also claim to be others
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True)
class SessionRules:
    """A session ends after so many seconds without use, and after so many in any case."""

    idle_seconds: float = 12 * 3600.0
    absolute_seconds: float = 30 * 86_400.0


@dataclass(frozen=True)
class AttemptRules:
    """How many sign-ins may fail within the window: for one account, and from one client network."""

    per_account: int = 10
    per_network: int = 50
    window_seconds: float = 900.0


@dataclass(frozen=True)
class Visitor:
    """Who is at the door. `network` is of `network_of`, `device` of `device_of`."""

    network: str
    device: str = ""


@dataclass(frozen=True)
class UserSession:
    """A signed-in browser. `method` is how: `password`, `oidc:<provider>`, `setup`, `invite` or `reset`;
    `ends_at` is the absolute end. Times are unix seconds."""

    id: str
    organization_id: str
    user_id: str
    method: str
    device: str
    created_at: float
    last_seen_at: float
    ends_at: float

    @property
    def key_id(self) -> str:
        return SESSION_PREFIX + self.id

    def alive(self, now: float, rules: SessionRules) -> bool:
        return now < self.ends_at and now < self.last_seen_at + rules.idle_seconds


@dataclass(frozen=True)
class OpenedSession:
    """A session together with the cookie's value: the only moment it is known."""

    session: UserSession
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Attempt:
    """A sign-in that counts as failed until it succeeds. `user` and `password_hash` are None where
    nobody has that address or they have no password; the work is the same."""

    id: str
    user: User | None
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True)
class ProjectRole:
    """A project that a person can work in, and as what."""

    id: str
    name: str
    role: Role


@dataclass(frozen=True)
class Standing:
    """A signed-in person and what they can reach. `language` is None until they have chosen one."""

    session: UserSession
    csrf_token: str = field(repr=False)
    user: User
    language: Language | None
    organization: Organization
    projects: list[ProjectRole]


@dataclass(frozen=True)
class IssuedToken:
    """A secret that is shown once. `expires_at` is unix seconds."""

    token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True)
class Invited:
    """What the page behind an invitation says."""

    email: str
    organization: Organization
    status: str


@dataclass(frozen=True)
class Setup:
    """What the first page asks for."""

    organization: str
    name: str
    email: str
    language: Language


@dataclass(frozen=True)
class ProviderPerson:
    """Whom a sign-in provider says it saw; `issuer` and `subject` name them for good, `email` is
    verified as far as the provider's settings ask."""

    issuer: str
    subject: str
    email: str
    name: str


def network_of(address: str) -> str:
    """What one client can easily call from: an IPv4 address, or the /64 around an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def device_of(user_agent: str) -> str:
    """`Firefox on Linux`, as far as the header tells; enough to recognise one's own devices."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    plain = "".join(c for c in user_agent if c.isprintable()).strip()
    return browser or plain[:DEVICE_CHARACTERS]
