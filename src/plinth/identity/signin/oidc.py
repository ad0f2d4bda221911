"""OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700).

Knows no database and no accounts: it sends a browser away and turns the provider's answer into a
`ProviderPerson`, or into an error that says why not. What must be remembered in between (state,
nonce, code verifier) travels in the browser, encrypted, so that any process can finish.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from plinth.identity.signin.errors import (
    EmailNotAllowed,
    EmailUnverified,
    ProviderAnswerWrong,
    ProviderRefused,
    ProviderUnavailable,
    SignInExpired,
    UnknownProvider,
)
from plinth.identity.signin.model import ProviderPerson
from plinth.identity.signin.ports import Json, Web, WebFailed
from plinth.identity.signin.settings import OidcProvider, safe_address
from plinth.kit.clock import Clock
from plinth.kit.ids import secret_token
from plinth.kit.secrets import InstanceKey, SecretUnreadable

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256")
JOURNEY_SECONDS = 600
CLOCK_SKEW_SECONDS = 60
_FRESH_SECONDS = 3600.0
# an unknown key id is a reason to look again, but not as often as strangers can invent one
_LOOK_AGAIN_SECONDS = 30.0
_AT_ONCE = 4
_PURPOSE = "oidc-journey"
_TO_COOKIE, _FROM_COOKIE = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and what it must carry until it comes back."""

    url: str
    journey: str = field(repr=False)


@dataclass(frozen=True)
class Arrival:
    """What the provider sent back through the browser (its `iss` is RFC 9207), and the journey."""

    state: str
    code: str = field(repr=False)
    error: str = ""
    issuer: str = ""
    journey: str = field(default="", repr=False)


@dataclass
class _Known:
    """What a provider publishes, as last read; times are monotonic seconds."""

    document: Json = field(default_factory=dict)
    document_at: float | None = None
    keys: list[Json] = field(default_factory=list)
    keys_at: float | None = None


class OpenId:
    def __init__(self, providers: Sequence[OidcProvider], web: Web, clock: Clock, key: InstanceKey) -> None:
        self.providers = {provider.id: provider for provider in providers}
        self._web, self._clock, self._key = web, clock, key
        self._known = {provider.id: _Known() for provider in providers}
        # a provider that hangs must not take every thread of the server with it
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def provider(self, provider_id: str) -> OidcProvider:
        """Raises `UnknownProvider`."""
        if provider_id not in self.providers:
            raise UnknownProvider(id=provider_id[:40])
        return self.providers[provider_id]

    def depart(self, provider: OidcProvider, redirect_uri: str) -> Departure:
        """Raises `ProviderUnavailable`."""
        endpoint = self._endpoint(provider, "authorization_endpoint")
        state, nonce, verifier = secret_token(), secret_token(), secret_token(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        remembered = {
            "provider": provider.id,
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "redirect_uri": redirect_uri,
            "until": self._clock.unix() + JOURNEY_SECONDS,
        }
        joint = "&" if "?" in endpoint else "?"
        return Departure(f"{endpoint}{joint}{urlencode(query)}", self._seal(remembered))

    def arrive(self, provider: OidcProvider, arrival: Arrival) -> ProviderPerson:
        """Who came back. Raises `SignInExpired`, `ProviderRefused`, `ProviderAnswerWrong`,
        `ProviderUnavailable`, `EmailUnverified`, `EmailNotAllowed`."""
        journey = self._journey(provider, arrival)
        if arrival.issuer and arrival.issuer != provider.issuer:
            raise ProviderAnswerWrong(reason="it came from another issuer")
        if arrival.error:
            log.info("a sign-in provider refused", extra={"provider": provider.id, "error": arrival.error[:100]})
            raise ProviderRefused
        if not arrival.code:
            raise ProviderAnswerWrong(reason="it has no code")
        tokens = self._exchange(provider, arrival.code, journey)
        claims = self._verified(provider, str(tokens.get("id_token", "")), journey["nonce"])
        if not claims.get(provider.email_claim) and tokens.get("access_token"):
            claims = self._with_userinfo(provider, claims, str(tokens["access_token"]))
        return _person(provider, claims)

    def _journey(self, provider: OidcProvider, arrival: Arrival) -> dict[str, Any]:
        try:
            journey = self._open(arrival.journey)
        except (SecretUnreadable, ValueError):  # none, or not one of ours
            raise SignInExpired from None
        same = hmac.compare_digest(journey["state"].encode(), arrival.state.encode())
        if not same or journey["provider"] != provider.id or journey["until"] < self._clock.unix():
            raise SignInExpired
        return journey

    def _seal(self, remembered: Mapping[str, Any]) -> str:
        sealed = self._key.encrypt(json.dumps(remembered), _PURPOSE)
        return sealed.translate(_TO_COOKIE).rstrip("=")  # a cookie's value needs no quotes then

    def _open(self, journey: str) -> dict[str, Any]:
        padded = journey.translate(_FROM_COOKIE) + "=" * (-len(journey) % 4)
        remembered: dict[str, Any] = json.loads(self._key.decrypt(padded, _PURPOSE))
        return remembered

    def _exchange(self, provider: OidcProvider, code: str, journey: Mapping[str, Any]) -> Json:
        endpoint = self._endpoint(provider, "token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": journey["redirect_uri"],
            "client_id": provider.client_id,
            "code_verifier": journey["verifier"],
        }
        basic = None
        if secret := _secret(provider):
            methods = self._document(provider).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if "client_secret_basic" in methods:
                basic = (quote(provider.client_id, safe=""), quote(secret, safe=""))
            else:
                form["client_secret"] = secret
        answer = self._asked(provider, lambda: self._web.post(endpoint, form, basic))
        if "id_token" not in answer:
            error = str(answer.get("error", "no ID token"))[:100]
            log.warning("a sign-in provider gave no token", extra={"provider": provider.id, "error": error})
            raise ProviderAnswerWrong(reason=f"it gave no ID token ({error})")
        return answer

    def _verified(self, provider: OidcProvider, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token after every check of Core 1.0, section 3.1.3.7."""
        import jwt

        try:
            header = jwt.get_unverified_header(id_token)
            if header.get("alg") not in ALGORITHMS:
                raise ProviderAnswerWrong(reason="its ID token is not signed with RS256 or ES256")
            key = jwt.PyJWK(self._signing_key(provider, header), algorithm=header["alg"])
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=list(ALGORITHMS),
                audience=provider.client_id,
                issuer=provider.issuer,
                options={
                    "require": ["exp", "iat", "sub", "aud", "iss"],
                    # times are compared below, on our own clock
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise ProviderAnswerWrong(reason=f"its ID token is not valid ({type(error).__name__})") from error
        self._check_times(claims)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ProviderAnswerWrong(reason="its ID token belongs to another sign-in")
        alone = isinstance(claims["aud"], str) or len(claims["aud"]) == 1
        if claims.get("azp", provider.client_id if alone else None) != provider.client_id:
            raise ProviderAnswerWrong(reason="its ID token was made for another client")
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.unix()
        try:
            begins = max(float(claims["iat"]), float(claims.get("nbf", 0)))
            ends = float(claims["exp"])
        except (TypeError, ValueError):
            raise ProviderAnswerWrong(reason="its ID token has no readable times") from None
        if not begins - CLOCK_SKEW_SECONDS <= now < ends + CLOCK_SKEW_SECONDS:
            raise ProviderAnswerWrong(reason="its ID token is not valid now; compare the clocks of both machines")

    def _signing_key(self, provider: OidcProvider, header: Mapping[str, Any]) -> Json:
        wanted, kind = header.get("kid"), "RSA" if header["alg"] == "RS256" else "EC"

        def fitting(keys: Sequence[Json]) -> list[Json]:
            usable = [key for key in keys if key.get("kty") == kind and key.get("use", "sig") == "sig"]
            return [key for key in usable if key.get("kid") == wanted] if wanted is not None else usable

        found = fitting(self._keys(provider, _FRESH_SECONDS)) or fitting(self._keys(provider, _LOOK_AGAIN_SECONDS))
        if len(found) != 1:
            raise ProviderAnswerWrong(reason="its ID token is signed with a key that it does not publish")
        return found[0]

    def _keys(self, provider: OidcProvider, fresh_seconds: float) -> list[Json]:
        known, now = self._known[provider.id], self._clock.monotonic()
        if known.keys_at is None or now - known.keys_at >= fresh_seconds:
            address = self._endpoint(provider, "jwks_uri")
            published = self._asked(provider, lambda: self._web.get(address)).get("keys")
            known.keys = [key for key in published if isinstance(key, dict)] if isinstance(published, list) else []
            known.keys_at = now
        return known.keys

    def _with_userinfo(self, provider: OidcProvider, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """The claims completed by those that the provider tells only at its userinfo endpoint."""
        if "userinfo_endpoint" not in self._document(provider):
            return claims
        endpoint = self._endpoint(provider, "userinfo_endpoint")
        told = self._asked(provider, lambda: self._web.get(endpoint, access_token))
        if told.get("sub") != claims["sub"]:
            raise ProviderAnswerWrong(reason="its userinfo is about somebody else")
        return {**told, **claims}

    def _endpoint(self, provider: OidcProvider, name: str) -> str:
        try:
            return safe_address(str(self._document(provider).get(name, "")), query=name == "authorization_endpoint")
        except ValueError as error:
            raise ProviderUnavailable(provider=provider.name, reason=f"its {name} {error}") from None

    def _document(self, provider: OidcProvider) -> Json:
        known, now = self._known[provider.id], self._clock.monotonic()
        if known.document_at is None or now - known.document_at >= _FRESH_SECONDS:
            address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
            document = self._asked(provider, lambda: self._web.get(address))
            if document.get("issuer") != provider.issuer:
                raise ProviderUnavailable(
                    provider=provider.name, reason=f"it calls itself '{str(document.get('issuer'))[:200]}'"
                )
            known.document, known.document_at = document, now
        return known.document

    def _asked(self, provider: OidcProvider, call: Callable[[], Json]) -> Json:
        if not self._slots.acquire(blocking=False):
            raise ProviderUnavailable(provider=provider.name, reason="too many people wait for it")
        try:
            return call()
        except WebFailed as error:
            log.warning("a sign-in provider failed", extra={"provider": provider.id, "reason": str(error)})
            raise ProviderUnavailable(provider=provider.name, reason=str(error)) from error
        finally:
            self._slots.release()


def _person(provider: OidcProvider, claims: Mapping[str, Any]) -> ProviderPerson:
    email = claims.get(provider.email_claim)
    verified = claims.get("email_verified")
    said_no = verified is not None and verified not in (True, "true")
    if said_no or (verified is None and provider.require_verified_email):
        raise EmailUnverified
    if not isinstance(email, str) or "@" not in email:
        raise ProviderAnswerWrong(reason=f"it names no e-mail address as '{provider.email_claim}'")
    address = email.strip().lower()
    domains = {domain.lower().removeprefix("@") for domain in provider.allowed_domains}
    if domains and address.rpartition("@")[2] not in domains:
        raise EmailNotAllowed
    subject = str(claims["sub"])
    if not 0 < len(subject) <= 255:
        raise ProviderAnswerWrong(reason="its subject is longer than 255 characters")
    name = claims.get("name") or claims.get("preferred_username") or address.partition("@")[0]
    return ProviderPerson(provider.issuer, subject, address, str(name).replace("\x00", "")[:200])


def _secret(provider: OidcProvider) -> str:
    """Read each time, so that a new secret counts without a restart."""
    if provider.client_secret_file is None:
        return ""
    try:
        return provider.client_secret_file.read_text("utf-8").strip()
    except OSError as error:
        log.error("the client secret cannot be read", extra={"provider": provider.id, "reason": error.strerror})
        raise ProviderUnavailable(provider=provider.name, reason="this server cannot read its client secret") from error
