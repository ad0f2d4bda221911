"""Internal tokens: only ours, only in time, only for the project they were made for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.identity import PERMISSIONS, InternalTokens, Role, TokenSubject
from plinth.identity.model import MAX_TOKEN_SECONDS
from plinth.kit.errors import Unauthenticated
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey

TOKENS = InternalTokens(InstanceKey(b"a" * 32))
PROJECT = new_id("proj_")
EXPIRY = 1_800_000_000
projects = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=1, max_size=40).map(lambda tail: f"proj_{tail}")
expiries = st.integers(1, 10**11)


@given(projects, expiries, st.floats(0, 1e9, exclude_min=True))
def test_a_token_speaks_for_its_project_until_it_expires(project: str, expiry: int, early: float) -> None:
    token = TOKENS.issue(project, expiry)
    assert token.startswith(f"sk-int-{project}.{expiry}.")
    assert TOKENS.verify(token, expiry - 1) == TokenSubject(project)
    if expiry - early < expiry:
        assert TOKENS.verify(token, expiry - early).project_id == project
    for late in (expiry, expiry + early):
        with pytest.raises(Unauthenticated):
            TOKENS.verify(token, late)


@given(projects, expiries)
def test_work_in_the_background_counts_as_its_owners(project: str, expiry: int) -> None:
    key, principal = new_id("key_"), new_id("service_account:svc_")
    token = TOKENS.issue(project, expiry, key, principal)
    assert TOKENS.verify(token, 0) == TokenSubject(project, key, principal)
    actor = TOKENS.actor(token, 0, {project: "org_a"})
    assert (actor.key_id, actor.principal, actor.permissions) == (key, principal, PERMISSIONS[Role.developer])


@given(st.data())
def test_changing_any_character_breaks_it(data: st.DataObject) -> None:
    token = TOKENS.issue(PROJECT, EXPIRY)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda c: c != token[at]))
    for forged in (token[:at] + other + token[at + 1 :], token[:at] + token[at + 1 :], token[:at] + other + token[at:]):
        if forged != token:
            with pytest.raises(Unauthenticated):
                TOKENS.verify(forged, EXPIRY - 1)


@given(st.text(max_size=300))
def test_any_text_is_refused_politely(text: str) -> None:
    for forged in (text, "sk-int-" + text, f"sk-int-{PROJECT}.{text}", f"sk-int-{PROJECT}.{EXPIRY}.{text}"):
        with pytest.raises(Unauthenticated):
            TOKENS.verify(forged, 0)


@given(projects, projects)
def test_a_signature_is_good_for_one_project_only(mine: str, theirs: str) -> None:
    if mine == theirs:
        return
    signature = TOKENS.issue(mine, EXPIRY).rpartition(".")[2]
    with pytest.raises(Unauthenticated):
        TOKENS.verify(f"sk-int-{theirs}.{EXPIRY}.{signature}", 0)


def test_another_installations_token_is_refused() -> None:
    foreign = InternalTokens(InstanceKey(b"b" * 32)).issue(PROJECT, EXPIRY)
    with pytest.raises(Unauthenticated):
        TOKENS.verify(foreign, 0)


def test_a_signature_for_another_purpose_is_refused() -> None:
    message = f"{PROJECT}.{EXPIRY}"
    signature = InstanceKey(b"a" * 32).sign(message, "another-purpose")
    with pytest.raises(Unauthenticated):
        TOKENS.verify(f"sk-int-{message}.{signature}", 0)


def test_the_caller_is_a_developer_of_an_active_project() -> None:
    token = TOKENS.issue(PROJECT, EXPIRY)
    actor = TOKENS.actor(token, 0, {PROJECT: "org_a"})
    assert (actor.project_id, actor.organization_id, actor.principal) == (PROJECT, "org_a", "internal")
    assert actor.permissions == PERMISSIONS[Role.developer]
    with pytest.raises(Unauthenticated):
        TOKENS.actor(token, 0, {"proj_other": "org_a"})


@pytest.mark.parametrize("seconds", [0, -1, MAX_TOKEN_SECONDS + 1, float("nan")])
def test_a_tokens_life_is_bounded(world, seconds: float) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="ttl_seconds"):
        world.service.internal_token(world.project_id, seconds)
