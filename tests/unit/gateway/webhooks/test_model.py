"""Signatures as the official SDK checks them, event bodies, pauses, names."""

from __future__ import annotations

import json
import time
from typing import get_args

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import InvalidWebhookSignatureError, OpenAI
from openai.types import webhooks as sdk_types

from plinth.gateway.webhooks import EVENT_TYPES, FACTS
from plinth.gateway.webhooks.errors import BadEndpointName, UnknownEventTypes
from plinth.gateway.webhooks.model import (
    MAX_PAUSE_SECONDS,
    Answer,
    checked_name,
    checked_types,
    event_body,
    pause_seconds,
    sample_body,
)
from plinth.gateway.webhooks.signing import hint, new_secret, signed_headers

sdk = OpenAI(api_key="none")


@given(st.text(), st.integers(1, 3))
def test_the_sdk_accepts_each_active_secret_and_no_other(text: str, count: int) -> None:
    secrets, body = [new_secret() for _ in range(count)], json.dumps({"type": "batch.completed", "text": text}).encode()
    headers = signed_headers(secrets, "wh_1", time.time(), body)
    for secret in secrets:
        sdk.webhooks.unwrap(body, headers, secret=secret)
    with pytest.raises(InvalidWebhookSignatureError):
        sdk.webhooks.unwrap(body, headers, secret=new_secret())
    with pytest.raises(InvalidWebhookSignatureError):
        sdk.webhooks.unwrap(body + b" ", headers, secret=secrets[0])
    with pytest.raises(InvalidWebhookSignatureError):
        sdk.webhooks.unwrap(body, {**headers, "webhook-id": "wh_2"}, secret=secrets[0])


@pytest.mark.parametrize("minutes", [-6, 6])
def test_the_sdk_refuses_an_old_or_early_message(minutes: int) -> None:
    secret = new_secret()
    headers = signed_headers([secret], "wh_1", time.time() + minutes * 60, b"{}")
    with pytest.raises(InvalidWebhookSignatureError):
        sdk.webhooks.unwrap(b"{}", headers, secret=secret)


def test_a_published_vector_of_standard_webhooks() -> None:
    # from the specification's example implementation
    secret, id, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    headers = signed_headers([secret], id, 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_hint_tells_secrets_apart_and_no_more() -> None:
    secret = new_secret()
    assert secret.rstrip("=").endswith(hint(secret)[-4:])
    assert len(hint(secret)) == len("whsec_") + 5


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_every_fact_becomes_an_event_in_the_sdks_shape(kind: str) -> None:
    telling = FACTS[kind]
    payload = {telling.id_field: "thing_1", "secret": "stays here", **{name: f"{name}_1" for name in telling.also}}
    body = event_body("evt_1", telling, 1_800_000_000.9, payload)
    classes = [getattr(sdk_types, name) for name in dir(sdk_types) if name.endswith("WebhookEvent")]
    fitting = [
        c
        for c in classes
        if hasattr(c, "model_fields") and get_args(c.model_fields["type"].annotation) == (telling.type,)
    ]
    parsed = fitting[0].model_validate_json(body)
    assert (parsed.id, parsed.object, parsed.created_at, parsed.data.id) == ("evt_1", "event", 1_800_000_000, "thing_1")
    assert "stays here" not in body


@pytest.mark.parametrize("type", EVENT_TYPES)
def test_there_is_a_sample_of_every_type(type: str) -> None:
    sample = json.loads(sample_body("evt_1", type, 1.0))
    assert sample["type"] == type
    assert sample["data"]["id"].endswith("sample")


def test_the_sdk_knows_every_type_we_offer() -> None:
    annotation = openai.types.webhooks.webhook_create_params.WebhookCreateParams.__annotations__["event_types"]
    text = str(annotation)
    assert all(f"'{type}'" in text or f'"{type}"' in text for type in EVENT_TYPES)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_pauses_are_positive_and_bounded_and_heed_the_receiver(attempts: int, jitter: float, asked: float) -> None:
    pause = pause_seconds(attempts, jitter, asked)
    assert 3.75 <= pause <= MAX_PAUSE_SECONDS * 1.25
    assert pause >= min(asked, MAX_PAUSE_SECONDS)


def test_pauses_grow_to_six_hours() -> None:
    pauses = [pause_seconds(attempt, 0.5) for attempt in range(1, 12)]
    assert pauses[:3] == [5, 15, 45]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 6 * 3600
    assert 15 <= sum(1 for n in range(1, 40) if sum(pause_seconds(k, 0.5) for k in range(1, n + 1)) < 72 * 3600) <= 25


@pytest.mark.parametrize("name", ["", "  ", "a" * 257, "a\x00b", "line\nbreak", "\ud800"])
def test_unusable_names(name: str) -> None:
    with pytest.raises(BadEndpointName):
        checked_name(name)


def test_types_are_kept_once_each_and_strangers_named() -> None:
    assert checked_types(("batch.failed", "batch.failed", "batch.completed")) == ("batch.failed", "batch.completed")
    with pytest.raises(UnknownEventTypes, match=r"video\.completed"):
        checked_types(("batch.failed", "video.completed"))
    with pytest.raises(UnknownEventTypes):
        checked_types(())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(200), ""), (Answer(204), ""), (Answer(301), "redirects are not followed"), (Answer(500), "status 500"),
        (Answer(error="the house is empty."), "the house is empty."), (Answer(), "no answer"),
    ],
)  # fmt: skip
def test_an_answers_problem(answer: Answer, says: str) -> None:
    assert says in answer.problem
    assert answer.delivered == (answer.problem == "")
