"""Signing in for people: sessions, passwords, one-time links, OpenID Connect, the first owner."""

from plinth.identity.signin.model import AttemptRules, SessionRules
from plinth.identity.signin.oidc import OpenId
from plinth.identity.signin.passwords import Cost, Passwords
from plinth.identity.signin.ports import InMemoryWeb, Web, WebFailed
from plinth.identity.signin.service import SignInParts, SignInService, manager_signs_in
from plinth.identity.signin.settings import OidcProvider, OidcSettings, SessionSettings

__all__ = [
    "AttemptRules",
    "Cost",
    "InMemoryWeb",
    "OidcProvider",
    "OidcSettings",
    "OpenId",
    "Passwords",
    "SessionRules",
    "SessionSettings",
    "SignInParts",
    "SignInService",
    "Web",
    "WebFailed",
    "manager_signs_in",
]
