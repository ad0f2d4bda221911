"""Settings of sessions and of sign-in providers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from plinth.identity.signin.model import AttemptRules, SessionRules
from plinth.kit.settings import Section

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def safe_address(url: str, query: bool = False) -> str:
    """The address, unless it would send secrets in the clear to another machine. Raises `ValueError`.

    Args: `query` allows one in the address.
    """
    parts = urlsplit(url)
    private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if private and parts.hostname and (query or not parts.query) and not parts.fragment:
        return url
    raise ValueError("must be an https:// address (http:// only on this machine) without query and fragment")


def _issuer(url: str) -> str:
    return safe_address(url)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    more = parts.path.strip("/") or parts.query or parts.fragment
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or more):
        raise ValueError("must look like https://plinth.example.com")
    return url.rstrip("/")


class SessionSettings(Section):
    public_url: Annotated[str, AfterValidator(_origin)] = ""
    """Where browsers reach the console, as in https://plinth.example.com. Needed behind a proxy that ends TLS:
    it makes cookies secure and gives sign-in providers the right way back. Empty: what the browser asked for."""

    idle_seconds: float = Field(12 * 3600, ge=60)
    """A session ends when it has not been used for so long."""

    absolute_seconds: float = Field(30 * 86_400, ge=300)
    """A session ends after so long, however much it is used."""

    attempts_per_account: int = Field(10, ge=3)
    """Sign-ins to one account that may fail within the window. Then the account waits."""

    attempts_per_address: int = Field(50, ge=3)
    """Sign-ins from one client address that may fail within the window. Raise it where many people share one."""

    attempt_window_seconds: float = Field(900, ge=10)
    """How long a failed sign-in counts."""

    def rules(self) -> SessionRules:
        return SessionRules(self.idle_seconds, self.absolute_seconds)

    def attempt_rules(self) -> AttemptRules:
        return AttemptRules(self.attempts_per_account, self.attempts_per_address, self.attempt_window_seconds)


class OidcProvider(Section):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """Short name in addresses. Tell the provider to send people back to <public url>/api/session/oidc/<id>/callback."""

    name: str = Field(min_length=1, max_length=60)
    """What the button on the sign-in page says."""

    issuer: Annotated[str, AfterValidator(_issuer)]
    """The provider's issuer address; its /.well-known/openid-configuration says the rest."""

    client_id: str = Field(min_length=1)
    """Under which name the provider knows this server."""

    client_secret_file: Path | None = None
    """File with the client secret. Leave it out for a public client."""

    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What is asked for; must contain openid."""

    email_claim: str = "email"
    """Which claim is the person's e-mail address."""

    require_verified_email: bool = True
    """Let people in only when the provider says `email_verified`. Turn it off only for a provider that
    verifies every address and does not say so: who can choose an address there becomes its owner here."""

    allowed_domains: tuple[str, ...] = ()
    """E-mail domains that may sign in; empty for all."""

    create_people: bool = False
    """Let in people who were neither added nor invited."""

    role: Literal["developer", "annotator", "agent", "viewer"] = "viewer"
    """Role in the organization of people who come in by `create_people`. It opens no project by itself."""

    @model_validator(mode="after")
    def _has_openid(self) -> OidcProvider:
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain 'openid'")
        return self


class OidcSettings(Section):
    providers: tuple[OidcProvider, ...] = ()
    """Sign-in providers (OpenID Connect): one [[oidc.providers]] table each in plinth.toml, or a JSON list."""

    timeout_seconds: float = Field(10.0, gt=0, le=60)
    """How long one call to a provider may take."""

    @model_validator(mode="after")
    def _ids_differ(self) -> OidcSettings:
        ids = [provider.id for provider in self.providers]
        if len(set(ids)) != len(ids):
            raise ValueError("two providers have the same id")
        return self
