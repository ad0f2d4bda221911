"""What makes an ID token worth believing: every check, with real keys, on a clock that the test moves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import ValidationError

from plinth.identity.signin import InMemoryWeb, OidcProvider, OidcSettings, OpenId, SessionSettings
from plinth.identity.signin.errors import ProviderAnswerWrong, ProviderUnavailable
from plinth.identity.signin.model import ProviderPerson
from plinth.identity.signin.oidc import Arrival
from plinth.kit.clock import FixedClock
from plinth.kit.secrets import InstanceKey

ISSUER = "https://id.example.com"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


def ec_jwk(kid: str) -> dict[str, Any]:
    return {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": kid, "use": "sig"}


class Provider:
    """The far side: publishes keys and answers the token request with `claims`, signed as told."""

    def __init__(self, clock: FixedClock, secret_file: Path | None = None, **settings: Any) -> None:
        self.clock, self.web = clock, InMemoryWeb()
        self.settings = OidcProvider(
            id="corp", name="Corp", issuer=ISSUER, client_id="plinth", client_secret_file=secret_file, **settings
        )
        self.document: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?tenant=7",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.web.documents[f"{ISSUER}/.well-known/openid-configuration"] = self.document
        self.web.documents[f"{ISSUER}/keys"] = {"keys": [rsa_jwk(RSA_KEY, "r1"), ec_jwk("e1")]}
        self.web.handlers[f"{ISSUER}/token"] = self._token
        self.openid = OpenId([self.settings], self.web, clock, InstanceKey(b"k" * 32))
        self.key: Any = RSA_KEY
        self.algorithm, self.headers = "RS256", {"kid": "r1"}
        self.changes: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}
        self.form: Mapping[str, str] = {}
        self.basic: tuple[str, str] | None = None
        self.nonce = ""

    def _token(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> dict[str, Any]:
        self.form, self.basic = form, basic
        now = int(self.clock.unix())
        claims = {
            "iss": ISSUER,
            "sub": "s-1",
            "aud": "plinth",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "email": "Olga@Example.com",
            "email_verified": True,
            "name": "Olga",
            **self.changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, self.key, algorithm=self.algorithm, headers=self.headers)
        return {"id_token": token, "access_token": "at", "token_type": "Bearer", **self.answer}

    def sign_in(self, **arrival: Any) -> ProviderPerson:
        departure = self.openid.depart(self.settings, "https://plinth.example.com/cb")
        asked = parse_qs(urlsplit(departure.url).query)
        self.nonce = self.changes.get("nonce", asked["nonce"][0])
        self.challenge = asked["code_challenge"][0]
        state = asked["state"][0]
        return self.openid.arrive(
            self.settings, Arrival(**{"state": state, "code": "c", "journey": departure.journey, **arrival})
        )


@pytest.fixture
def provider(clock: FixedClock) -> Provider:
    return Provider(clock)


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r1"), (EC_KEY, "ES256", "e1")])
def test_a_good_answer_names_the_person(provider: Provider, key: Any, algorithm: str, kid: str) -> None:
    provider.key, provider.algorithm, provider.headers = key, algorithm, {"kid": kid}
    assert provider.sign_in() == ProviderPerson(ISSUER, "s-1", "olga@example.com", "Olga")
    # PKCE: the provider compares the verifier with what the browser brought (RFC 7636, section 4.6)
    digest = hashlib.sha256(provider.form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == provider.challenge
    assert (provider.form["redirect_uri"], provider.form["client_id"]) == ("https://plinth.example.com/cb", "plinth")
    assert provider.basic is None


def test_the_way_there_keeps_the_providers_own_query(provider: Provider) -> None:
    url = provider.openid.depart(provider.settings, "https://plinth.example.com/cb").url
    assert url.startswith(f"{ISSUER}/authorize?tenant=7&response_type=code&")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.com"},
        {"aud": "somebody else"},
        {"aud": ["plinth", "other"]},
        {"aud": ["plinth", "other"], "azp": "other"},
        {"azp": "other"},
        {"nonce": "of another sign-in"},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 256},
        {"exp": "soon"},
        {"email": None},
        {"email": "nobody"},
        {"email": ["olga@example.com"]},
    ],
)
def test_a_claim_that_is_wrong(provider: Provider, changes: dict[str, Any]) -> None:
    provider.changes = changes
    with pytest.raises(ProviderAnswerWrong):
        provider.sign_in()


def test_several_audiences_are_fine_when_it_was_made_for_us(provider: Provider) -> None:
    provider.changes = {"aud": ["other", "plinth"], "azp": "plinth"}
    assert provider.sign_in().subject == "s-1"


@pytest.mark.parametrize(("field", "by"), [("exp", -61), ("iat", 61), ("nbf", 61)])
def test_times_are_compared_on_our_clock(provider: Provider, clock: FixedClock, field: str, by: int) -> None:
    provider.changes = {field: int(clock.unix()) + by}
    with pytest.raises(ProviderAnswerWrong, match="clocks"):
        provider.sign_in()
    # a minute of difference is forgiven
    provider.changes = {field: int(clock.unix()) + by - (1 if by > 0 else -2)}
    assert provider.sign_in().subject == "s-1"


class TestSignatures:
    def test_of_another_key(self, provider: Provider) -> None:
        provider.key = OTHER_KEY
        with pytest.raises(ProviderAnswerWrong, match="InvalidSignature"):
            provider.sign_in()

    def test_with_a_secret_made_of_the_public_key(self, provider: Provider) -> None:
        pem = RSA_KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

        def part(content: bytes) -> str:
            return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

        # by hand: the library does not sign with such a secret
        signed = f"{part(json.dumps({'alg': 'HS256', 'kid': 'r1'}).encode())}.{part(b'{}')}"
        provider.answer = {"id_token": f"{signed}.{part(hmac.digest(pem, signed.encode(), 'sha256'))}"}
        with pytest.raises(ProviderAnswerWrong, match="RS256 or ES256"):
            provider.sign_in()

    @pytest.mark.parametrize(("key", "algorithm"), [(None, "none"), (RSA_KEY, "RS512"), (RSA_KEY, "PS256")])
    def test_with_another_algorithm(self, provider: Provider, key: Any, algorithm: str) -> None:
        provider.key, provider.algorithm = key, algorithm
        with pytest.raises(ProviderAnswerWrong, match="RS256 or ES256"):
            provider.sign_in()

    def test_with_a_key_of_the_other_kind(self, provider: Provider) -> None:
        provider.headers = {"kid": "e1"}
        with pytest.raises(ProviderAnswerWrong, match="does not publish"):
            provider.sign_in()

    def test_with_an_encryption_key(self, provider: Provider) -> None:
        provider.web.documents[f"{ISSUER}/keys"] = {"keys": [{**rsa_jwk(RSA_KEY, "r1"), "use": "enc"}]}
        with pytest.raises(ProviderAnswerWrong, match="does not publish"):
            provider.sign_in()

    def test_without_a_key_id_the_only_key_is_meant(self, provider: Provider) -> None:
        provider.headers = {}
        assert provider.sign_in().subject == "s-1"
        provider.web.documents[f"{ISSUER}/keys"] = {"keys": [rsa_jwk(RSA_KEY, "a"), rsa_jwk(OTHER_KEY, "b")]}
        provider.clock.advance(3600)
        with pytest.raises(ProviderAnswerWrong, match="does not publish"):
            provider.sign_in()

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", 7, "eyJhbGciOiJSUzI1NiJ9.e30."])
    def test_no_token_at_all(self, provider: Provider, token: Any) -> None:
        provider.answer = {"id_token": token}
        with pytest.raises(ProviderAnswerWrong):
            provider.sign_in()

    def test_a_key_that_is_new(self, provider: Provider, clock: FixedClock) -> None:
        assert provider.sign_in().subject == "s-1"
        provider.web.documents[f"{ISSUER}/keys"] = {"keys": [rsa_jwk(OTHER_KEY, "r2")]}
        provider.key, provider.headers = OTHER_KEY, {"kid": "r2"}
        # strangers who invent key ids do not make us ask without end
        with pytest.raises(ProviderAnswerWrong):
            provider.sign_in()
        assert provider.web.calls.count(f"{ISSUER}/keys") == 1
        clock.advance(30)
        assert provider.sign_in().subject == "s-1"
        assert provider.web.calls.count(f"{ISSUER}/keys") == 2

    def test_keys_that_are_no_keys(self, provider: Provider) -> None:
        for published in ({}, {"keys": None}, {"keys": [1, {}]}, {"keys": [{"kty": "RSA", "kid": "r1"}]}):
            provider.web.documents[f"{ISSUER}/keys"] = published
            provider.clock.advance(3600)
            with pytest.raises(ProviderAnswerWrong):
                provider.sign_in()


class TestClientSecret:
    def secretive(self, clock: FixedClock, tmp_path: Path) -> Provider:
        file = tmp_path / "secret"
        file.write_text("s:e/c r\n")
        return Provider(clock, file)

    def test_it_travels_in_the_header_as_rfc_6749_encodes_it(self, clock: FixedClock, tmp_path: Path) -> None:
        provider = self.secretive(clock, tmp_path)
        provider.sign_in()
        assert provider.basic == ("plinth", "s%3Ae%2Fc%20r")
        assert "client_secret" not in provider.form

    def test_or_in_the_form_where_the_provider_takes_only_that(self, clock: FixedClock, tmp_path: Path) -> None:
        provider = self.secretive(clock, tmp_path)
        provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        provider.sign_in()
        assert provider.basic is None
        assert provider.form["client_secret"] == "s:e/c r"

    def test_a_file_that_is_missing(self, clock: FixedClock, tmp_path: Path) -> None:
        provider = Provider(clock, tmp_path / "missing")
        with pytest.raises(ProviderUnavailable, match="client secret"):
            provider.sign_in()


class TestUserinfo:
    def test_completes_what_the_token_leaves_out(self, provider: Provider) -> None:
        provider.changes = {"email": None, "email_verified": None}
        provider.document["userinfo_endpoint"] = f"{ISSUER}/me"
        told = {"sub": "s-1", "email": "olga@example.com", "email_verified": True, "iss": "x", "aud": "y"}
        provider.web.documents[f"{ISSUER}/me"] = told
        assert provider.sign_in().email == "olga@example.com"

    def test_about_somebody_else_is_refused(self, provider: Provider) -> None:
        provider.changes = {"email": None}
        provider.document["userinfo_endpoint"] = f"{ISSUER}/me"
        provider.web.documents[f"{ISSUER}/me"] = {"sub": "s-2", "email": "x@example.com", "email_verified": True}
        with pytest.raises(ProviderAnswerWrong, match="somebody else"):
            provider.sign_in()


class TestDiscovery:
    def test_is_read_once_an_hour(self, provider: Provider, clock: FixedClock) -> None:
        for _ in range(3):
            provider.sign_in()
        clock.advance(3600)
        provider.sign_in()
        assert provider.web.calls.count(f"{ISSUER}/.well-known/openid-configuration") == 2

    def test_must_name_the_issuer(self, provider: Provider) -> None:
        provider.document["issuer"] = ISSUER + "/"
        with pytest.raises(ProviderUnavailable, match="calls itself"):
            provider.sign_in()

    @pytest.mark.parametrize("address", [None, "", "http://id.example.com/token", "ftp://x", "//x", "https://"])
    def test_must_lead_to_safe_addresses(self, provider: Provider, address: Any) -> None:
        provider.document["token_endpoint"] = address
        with pytest.raises(ProviderUnavailable, match="token_endpoint"):
            provider.sign_in()

    def test_of_a_provider_that_is_away(self, provider: Provider) -> None:
        provider.web.away = True
        with pytest.raises(ProviderUnavailable, match="no connection"):
            provider.sign_in()


def test_an_answer_of_another_issuer_is_refused(provider: Provider) -> None:
    assert provider.sign_in(issuer=ISSUER).subject == "s-1"
    with pytest.raises(ProviderAnswerWrong, match="another issuer"):
        provider.sign_in(issuer="https://evil.example.com")


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://id.example.com"},
        {"issuer": "https://id.example.com?x=1"},
        {"issuer": "id.example.com"},
        {"id": "Corp"},
        {"id": "a/b"},
        {"scopes": ("email",)},
        {"role": "owner"},
        {"client_id": ""},
        {"secret": "x"},
    ],
)
def test_settings_that_would_be_unsafe_or_mistaken(wrong: dict[str, Any]) -> None:
    good = {"id": "corp", "name": "Corp", "issuer": ISSUER, "client_id": "plinth"}
    OidcSettings.model_validate({"providers": [good]})
    with pytest.raises(ValidationError):
        OidcSettings.model_validate({"providers": [{**good, **wrong}]})
    with pytest.raises(ValidationError, match="same id"):
        OidcSettings.model_validate({"providers": [good, good]})


@pytest.mark.parametrize("address", ["plinth.example.com", "https://x/console", "ftp://x", "https://x?y=1"])
def test_a_public_address_is_an_origin(address: str) -> None:
    with pytest.raises(ValidationError):
        SessionSettings(public_url=address)
    assert SessionSettings(public_url="https://plinth.example.com/").public_url == "https://plinth.example.com"
