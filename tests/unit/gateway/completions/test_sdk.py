"""Stored completions as the official SDK sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient

from plinth.gateway.completions import StoredCompletions
from plinth.gateway.completions.http import router
from plinth.gateway.completions.settings import CompletionSettings
from plinth.identity import Role
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from support import Caller, actor, client_for
from unit.gateway.completions.test_completions import record


@pytest.fixture
def caller() -> Caller:
    return Caller()


@pytest.fixture
def service(db: Database, clock: FixedClock) -> StoredCompletions:
    return StoredCompletions(db, clock, lambda *_: None, CompletionSettings())


@pytest.fixture
def web(db: Database, service: StoredCompletions, caller: Caller) -> Iterator[TestClient]:
    with client_for(router(db, service, caller.guard)) as client:
        yield client


@pytest.fixture
def sdk(web: TestClient) -> openai.OpenAI:
    def send(request: httpx.Request) -> httpx.Response:
        answer = web.request(request.method, str(request.url), content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return openai.OpenAI(
        base_url="http://testserver/v1",
        api_key="sk-proj-x",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(send)),
    )


def test_listing_walks_all_pages_of_a_filter(sdk: openai.OpenAI, service: StoredCompletions) -> None:
    service.add([record(n, {"team": "risk" if n % 2 else "desk", "lang": "中文"}) for n in range(12)])
    found = sdk.chat.completions.list(metadata={"team": "risk", "lang": "中文"}, limit=2, order="desc")
    assert [entry.id for entry in found] == [f"chatcmpl-{n:04}" for n in (11, 9, 7, 5, 3, 1)]
    assert [entry.id for entry in sdk.chat.completions.list(model="nobody")] == []


def test_retrieving_shows_answer_labels_and_parameters(sdk: openai.OpenAI, service: StoredCompletions) -> None:
    service.add([record(1, {"a": "b"})])
    found: Any = sdk.chat.completions.retrieve("chatcmpl-0001")
    assert (found.object, found.created, found.model) == ("chat.completion", 1_800_000_001, "m")
    assert found.choices[0].message.content == "answer 1"
    assert (found.metadata, found.request_id, found.temperature, found.tools) == ({"a": "b"}, "req_1", 0.5, None)


def test_messages(sdk: openai.OpenAI, service: StoredCompletions) -> None:
    parts = [{"type": "text", "text": "look"}]
    asked = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ]
    service.add([record(1, request={"messages": asked})])
    found: list[Any] = list(sdk.chat.completions.messages.list("chatcmpl-0001", limit=3))
    assert [message.id for message in found] == [f"chatcmpl-0001-{n}" for n in range(4)]
    assert [message.role for message in found] == ["system", "user", "assistant", "tool"]
    assert (found[0].content, found[0].content_parts) == ("be kind", None)
    assert (found[1].content, found[1].content_parts[0].text, found[1].name) == (None, "look", "ann")
    assert found[2].tool_calls[0].id == "1"
    assert found[3].tool_call_id == "1"
    backwards = sdk.chat.completions.messages.list("chatcmpl-0001", limit=2, order="desc")
    assert [message.id[-1] for message in backwards] == ["3", "2", "1", "0"]


def test_update_and_delete(sdk: openai.OpenAI, service: StoredCompletions) -> None:
    service.add([record(1, {"a": "b"})])
    changed: Any = sdk.chat.completions.update("chatcmpl-0001", metadata={"rating": "good"})
    assert changed.metadata == {"rating": "good"}
    cleared: Any = sdk.chat.completions.update("chatcmpl-0001", metadata=None)
    assert cleared.metadata == {}
    gone = sdk.chat.completions.delete("chatcmpl-0001")
    assert (gone.id, gone.object, gone.deleted) == ("chatcmpl-0001", "chat.completion.deleted", True)
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.retrieve("chatcmpl-0001")


@pytest.mark.parametrize(
    "query",
    [
        "metadata=x",
        "metadata[]=x",
        "metadata[a=x",
        "metadata[a]=1&metadata[a]=2",
        f"metadata[{'k' * 65}]=x",
        f"metadata[k]={'v' * 513}",
        "metadata[k%00]=x",
        "&".join(f"metadata[{n}]=x" for n in range(17)),
        "after=a%00",
        "limit=0",
        "order=up",
        "after=chatcmpl-nobody",
    ],
)
def test_bad_queries_are_400(web: TestClient, query: str) -> None:
    answer = web.get(f"/v1/chat/completions?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "metadata", [{"k" * 65: "v"}, {"k": "v" * 513}, {"k": 1}, {str(n): "v" for n in range(17)}, "text", {"k": "\0"}]
)
def test_bad_metadata_is_400(web: TestClient, service: StoredCompletions, metadata: Any) -> None:
    service.add([record(1)])
    assert web.post("/v1/chat/completions/chatcmpl-0001", json={"metadata": metadata}).status_code == 400


def test_a_viewer_reads_and_changes_nothing(web: TestClient, service: StoredCompletions, caller: Caller) -> None:
    service.add([record(1)])
    caller.actor = actor(role=Role.viewer)
    assert web.get("/v1/chat/completions/chatcmpl-0001").status_code == 200
    assert web.delete("/v1/chat/completions/chatcmpl-0001").status_code == 403
    caller.actor = actor(role=Role.agent)
    assert web.get("/v1/chat/completions").status_code == 403


def test_another_project_sees_404(web: TestClient, service: StoredCompletions, caller: Caller) -> None:
    service.add([record(1)])
    caller.actor = actor("proj_b")
    for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", "")):
        assert web.request(method, f"/v1/chat/completions/chatcmpl-0001{path}").status_code == 404
