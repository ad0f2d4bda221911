"""The real SDK against the gateway on a real port, with a scripted engine behind it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from integration.gateway.conftest import KEY, VIEWER_KEY, World, key_entry, wait_for
from plinth.gateway.dataplane.ports import MemoryModel


def test_chat_answers_in_openai_shape(world: World) -> None:
    answer = world.ask(temperature=0, max_tokens=50, seed=7, stop=["X"], user="u", metadata={"a": "b"}, store=True)
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == "assistant"
    assert answer.system_fingerprint.endswith("/twin")
    assert answer.choices[0].message.content == "Hello dear world"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (9, 3, 12)
    assert answer.usage.prompt_tokens_details.cached_tokens == 5
    sent = world.engine.requests[0]
    assert sent["stream"] is True
    assert sent["lora"] == []
    assert sent["seed"] == 7
    assert not {"user", "metadata", "store"} & set(sent)
    assert "authorization: bearer engine-key" in world.engine.heads[0].lower()


def test_finish_reason_length(world: World) -> None:
    assert world.ask(max_completion_tokens=3).choices[0].finish_reason == "length"


def test_stream_has_one_id_no_extras_and_usage_on_request(world: World) -> None:
    chunks = list(world.ask(stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {"assistant"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello dear world"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 3
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert not any(set(chunk.model_extra or {}) & {"timings", "__verbose"} for chunk in chunks)


def test_stream_without_usage_has_none(world: World) -> None:
    chunks = list(world.ask(stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_completions(world: World) -> None:
    answer = world.client.completions.create(model="assistant", prompt="Once", max_tokens=10)
    assert answer.id.startswith("cmpl-")
    assert answer.object == "text_completion"
    assert answer.choices[0].text == "Hello dear world"
    chunks = list(world.client.completions.create(model="assistant", prompt="Once", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello dear world"


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(world: World, encoding: Any) -> None:
    options: dict[str, Any] = {"encoding_format": "float"} if encoding == "float" else {}  # the SDK's default: base64
    answer = world.client.embeddings.create(model="assistant", input=["a", "b"], **options)
    assert [entry.embedding for entry in answer.data] == [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]]
    assert answer.model == "assistant"
    assert answer.usage.prompt_tokens == 4
    assert world.engine.requests[0]["encoding_format"] == "float"


def test_embeddings_refuse_other_dimensions(world: World) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        world.client.embeddings.create(model="assistant", input="a", dimensions=5)
    assert caught.value.param == "dimensions"


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("context", "context_length_exceeded"),
        ("schema", "engine_refused"),
        ("embed_off", "model_capability_missing"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_refuses_is_the_clients_mistake(world: World, mode: str, code: str, stream: bool) -> None:
    world.engine.mode = mode
    with pytest.raises(openai.BadRequestError) as caught:
        world.ask(stream=stream)
    assert caught.value.code == code
    assert len(world.engine.requests) == 1


def test_unknown_model_and_other_projects_model_look_the_same(world: World) -> None:
    messages = []
    for name in ("nothing", "secret-of-b"):
        with pytest.raises(openai.NotFoundError) as caught:
            world.ask(model=name)
        assert caught.value.code == "model_not_found"
        messages.append(caught.value.body["message"].replace(name, "X"))
    assert messages[0] == messages[1]


def test_what_was_made_a_moment_ago_works_at_once(make_world: Any) -> None:
    world = make_world(snapshot_poll_seconds=0.4)
    for number in range(3):
        name, secret = f"new-{number}", f"sk-proj-new-{number}"
        world.facts.change("registry.alias.changed", models=[MemoryModel("proj_a", name, "base-1", "base-1")])
        assert world.ask(model=name).model == name
        world.facts.change("identity.key.changed", keys=[key_entry(secret)])
        world.client = world.client.with_options(api_key=secret)
        assert world.ask(model=name).model == name
    assert world.facts.loads == 7  # one for each change, and the first


def test_an_unknown_name_does_not_wait_for_a_database_that_is_away(make_world: Any) -> None:
    world = make_world(snapshot_poll_seconds=0.01)
    world.facts.away = True
    wait_for(lambda: world.app._keeper.database_away)
    with pytest.raises(openai.NotFoundError):
        world.ask(model="nothing")


def test_retired_base(world: World) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        world.ask(model="veteran")
    assert caught.value.code == "model_retired"
    assert "2020-01-31" in caught.value.body["message"]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer sk-proj-old", "Basic eA==", "Bearer x y", KEY])
def test_nothing_without_a_valid_key(world: World, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    for method, path in (("POST", "/v1/chat/completions"), ("POST", "/v1/embeddings"), ("GET", "/metrics")):
        response = httpx.request(method, world.url + path, headers=headers)
        assert response.status_code == 401, path
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["x-request-id"]
    assert world.engine.requests == []


def test_a_viewer_may_read_metrics_but_not_use_models(world: World) -> None:
    client = world.client.with_options(api_key=VIEWER_KEY)
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="assistant", messages=[{"role": "user", "content": "x"}])
    world.ask()
    world.records(2)
    metrics = httpx.get(world.url + "/metrics", headers={"authorization": f"Bearer {VIEWER_KEY}"}).text
    own = 'model="assistant",operation="chat/completions"'
    assert f'plinth_requests_total{{kind="request",{own},status="200",worker="0"}} 1.0' in metrics
    assert f'plinth_tokens_total{{kind="completion",{own},worker="0"}} 3.0' in metrics


def test_internal_token(world: World) -> None:
    assert world.client.with_options(api_key="sk-int-good").chat.completions.create(
        model="assistant", messages=[{"role": "user", "content": "x"}]
    )
    with pytest.raises(openai.AuthenticationError):
        world.client.with_options(api_key="sk-int-bad").embeddings.create(model="assistant", input="x")


def test_revoked_key_stops_working(world: World) -> None:
    world.ask()
    world.facts.change("identity.key.changed", keys=[])
    wait_for(lambda: not world.app._keeper.current.keys)
    with pytest.raises(openai.AuthenticationError):
        world.ask()


def test_errors_speak_chinese_on_request(world: World) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        world.ask(model="nothing", extra_headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert "不存在" in caught.value.body["message"]


def test_request_id_is_kept_or_made(world: World) -> None:
    raw = world.client.chat.completions.with_raw_response.create(
        model="assistant", messages=[{"role": "user", "content": "x"}], extra_headers={"x-request-id": "mine-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    odd = httpx.get(world.url + "/livez", headers={"x-request-id": "x" * 65})
    assert odd.headers["x-request-id"].startswith("req_")


def post(world: World, body: bytes | str, **headers: str) -> httpx.Response:
    return httpx.post(
        world.url + "/v1/chat/completions", content=body, headers={"authorization": f"Bearer {KEY}", **headers}
    )


GOOD = {"model": "assistant", "messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"[]", "malformed_json"),
        (b'{"model": "\xff\xfe"}', "malformed_json"),
        (b'{"model": "\\ud800", "messages": []}', "malformed_json"),
        (b'{"temperature": NaN}', "malformed_json"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "json_too_deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "malformed_json"),
        (json.dumps({**GOOD, "n": 2}), "unsupported_parameter"),
        (json.dumps({**GOOD, "model": None}), "missing_required_parameter"),
        (json.dumps({**GOOD, "temperature": "hot"}), "invalid_type"),
    ],
)
def test_bad_bodies(world: World, body: bytes | str, code: str) -> None:
    response = post(world, body)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == code
    assert world.engine.requests == []


def test_large_body_is_refused_and_the_server_lives_on(world: World) -> None:
    response = post(world, b"x" * (9 * 1024 * 1024))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"

    def endless() -> Any:
        for _ in range(64):
            yield b"x" * (1024 * 1024)

    try:
        assert post(world, endless()).status_code == 413  # type: ignore[arg-type]
    except httpx.TransportError:
        pass  # an endless upload may be cut off
    assert world.ask().choices


def test_slow_body_times_out(make_world: Any) -> None:
    world = make_world(body_timeout_seconds=0.3)

    def slow() -> Any:
        yield b"{"
        wait_for(lambda: bool(world.usage.records))
        yield b"}"

    response = post(world, slow())
    assert response.status_code == 408
    assert response.json()["error"]["code"] == "request_timeout"


def test_usage_records_of_good_and_bad_ends(world: World) -> None:
    world.ask(extra_headers={"x-request-id": "first"})
    list(world.ask(stream=True))
    with pytest.raises(openai.NotFoundError):
        world.ask(model="nothing")
    good, streamed, unknown = world.records(3)
    assert (good.project_id, good.principal, good.model, good.model_id) == ("proj_a", "user:1", "assistant", "base-1")
    assert (good.prompt_tokens, good.cached_tokens, good.completion_tokens) == (9, 5, 3)
    assert good.first_token_ms <= good.total_ms
    assert (good.status, good.request_id, good.endpoint_group) == (200, "first", "group")
    assert streamed.completion_tokens == 3
    assert (unknown.status, unknown.model_id, unknown.completion_tokens) == (404, "", 0)
