"""Odd inputs over HTTP, the adapter's bad days, and what is written once."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from plinth.adapters.chat_streams.http import HttpChatStream
from plinth.gateway.responses import ChatCall, ChatStream, Composer, ModelCallFailed, ScriptedChat
from plinth.kit.db import Database
from support import actor
from unit.gateway.responses.fakes import FakePort, Site, chunk, eventually, says, served

CALL = ChatCall("proj_a", {"model": "m", "messages": []})


def post(site: Site, path: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    return httpx.post(f"{site.url}{path}", content=content, headers=headers, timeout=20)


def test_errors_are_error_objects_in_the_client_s_language(site: Site) -> None:
    refused = post(site, "/v1/responses", {"model": "m", "input": "hi", "max_tokens": 3}, **{"Accept-Language": "zh"})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "moved_parameter"
    assert "max_output_tokens" in refused.json()["error"]["message"]
    assert "在这里它叫" in refused.json()["error"]["message"]
    for body in (b"{", b"[]", b"3", b'{"model":'):
        assert post(site, "/v1/responses", body).status_code in (400, 422)


def test_too_large_or_too_deep_a_body_is_refused(site: Site) -> None:
    large = json.dumps({"model": "m", "input": "x" * (9 << 20)}).encode()
    for path in ("responses", "responses/input_tokens", "conversations"):
        refused = post(site, f"/v1/{path}", large)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")
    deep = b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":' + b'{"a":' * 400
    refused = post(site, "/v1/responses", deep + b"1" + b"}" * 400 + b"}]}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "json_too_deep")


def test_two_writers_of_one_conversation_take_turns(site: Site) -> None:
    made = post(site, "/v1/conversations", {}).json()
    url = f"/v1/conversations/{made['id']}/items"

    def add(writer: int) -> None:
        for number in range(10):
            pair = [{"role": "user", "content": f"{writer} {number} {half}"} for half in (0, 1)]
            assert post(site, url, {"items": pair}).status_code == 200

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add, range(3)))
    listed = httpx.get(f"{site.url}{url}?limit=100&order=asc").json()["data"]
    texts = [item["content"][0]["text"].split() for item in listed]
    assert len(texts) == 60
    assert all(a[:2] == b[:2] and (a[2], b[2]) == ("0", "1") for a, b in zip(texts[::2], texts[1::2], strict=True))


def test_half_a_surrogate_pair_is_given_back_as_it_was_sent(site: Site) -> None:
    body = b'{"model":"m","input":"a\\ud800b","metadata":{"x":"\\ud800"}}'
    made = post(site, "/v1/responses", body)
    assert made.status_code == 200
    assert made.json()["metadata"] == {"x": "\ud800"}
    identifier = made.json()["id"]
    assert httpx.get(f"{site.url}/v1/responses/{identifier}").json()["metadata"] == {"x": "\ud800"}
    items = httpx.get(f"{site.url}/v1/responses/{identifier}/input_items").json()
    assert items["data"][0]["content"][0]["text"] == "a\ud800b"
    streamed = post(site, "/v1/responses", body.replace(b'"model"', b'"stream":true,"model"'))
    assert b"response.completed" in streamed.content


@pytest.mark.parametrize("identifier", ["resp_%00", "resp_%F0%9F%98%80", "x" * 300, "resp_1'--", "%20"])
def test_no_id_reaches_the_database_that_could_not_be_one(site: Site, identifier: str) -> None:
    for path in (f"responses/{identifier}", f"conversations/{identifier}", f"conversations/{identifier}/items"):
        assert httpx.get(f"{site.url}/v1/{path}").status_code == 404


def test_lists_refuse_an_unknown_cursor_and_limits(site: Site) -> None:
    made = post(site, "/v1/conversations", {}).json()
    url = f"{site.url}/v1/conversations/{made['id']}/items"
    assert httpx.get(f"{url}?after=msg_no").status_code == 404
    assert httpx.get(f"{url}?limit=0").status_code == 400
    assert httpx.get(f"{url}?limit=101").status_code == 400
    assert httpx.get(url).json() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert post(site, f"/v1/conversations/{made['id']}/items", {"items": []}).status_code == 400
    assert post(site, "/v1/conversations", {"items": [{"role": "user", "content": "x"}] * 21}).status_code == 400
    assert httpx.post(f"{site.url}/v1/conversations").status_code == 200


def test_file_search_without_a_knowledge_base_is_refused_clearly(site: Site) -> None:
    service = site.new_service(with_search=False)
    body = {"model": "m", "input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}
    with site.db.read() as session, pytest.raises(Exception, match="no knowledge base"):
        service.begin(session, actor(), body)


def test_an_item_reference_is_replaced_by_what_it_names(site: Site, port: FakePort) -> None:
    first = post(site, "/v1/responses", {"model": "m", "input": "hi"}).json()
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    again = {"model": "m", "input": [reference, {"role": "user", "content": "and?"}]}
    assert post(site, "/v1/responses", again).status_code == 200
    assert port.bodies[1]["messages"][0] == {"role": "assistant", "content": "Hello world"}


def test_a_quiet_stream_is_kept_alive_by_comments(site: Site) -> None:
    body = {"model": "m", "input": "hi", "background": True, "stream": True}
    with httpx.stream("POST", f"{site.url}/v1/responses", json=body, timeout=10) as response:
        for line in response.iter_lines():
            if line.startswith(": "):
                break
        else:
            pytest.fail("no comment came")


def test_a_response_is_written_once(site: Site) -> None:
    body = {"model": "m", "input": "hi", "background": True}
    with site.db.write() as session:
        prepared = site.service.begin(session, actor(), body)
        site.service.queue(session, prepared)
    first, second = Composer(prepared), Composer(prepared)
    for composer, word in ((first, "one"), (second, "two")):
        composer.start()
        for piece in says(word):
            composer.feed(piece)
        composer.finish(site.clock.unix())
        with site.db.write() as session:
            site.service.finish(session, prepared, composer)
    with site.db.read() as session:
        stored = site.service.response(session, "proj_a", prepared.response_id)
    assert stored["output"][0]["content"][0]["text"] == "one"


def test_a_database_that_fails_at_the_end_gives_an_error_event(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(site.service, "finish", fail)
    answered = post(site, "/v1/responses", {"model": "m", "input": "hi", "stream": True})
    last = json.loads(answered.text.strip().split("data: ")[-1])
    assert (last["type"], last["code"]) == ("error", "internal_error")
    assert "fire" not in answered.text
    assert post(site, "/v1/responses", {"model": "m", "input": "hi"}).status_code == 500


def test_many_turns_are_one_conversation(db: Database, site: Site) -> None:
    """The chain is read with one query, whatever its length."""
    previous = None
    for turn in range(60):
        with db.write() as session:
            body = {"model": "m", "input": f"turn {turn}", "previous_response_id": previous}
            prepared = site.service.begin(session, actor(), body)
            composer = Composer(prepared)
            for piece in says("ok"):
                composer.feed(piece)
            composer.finish(site.clock.unix())
            site.service.finish(session, prepared, composer)
            previous = prepared.response_id
    assert len(prepared.chat_body["messages"]) == 119
    assert prepared.chat_body["messages"][0]["content"] == "turn 0"


# the port: adapter and twin


def collect(chat: ChatStream) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        chunks = await chat.open(CALL)
        try:
            return [entry async for entry in chunks]
        finally:
            await chunks.close()

    return asyncio.run(run())


def over(content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> HttpChatStream:
    answer = httpx.MockTransport(lambda request: httpx.Response(status, content=content, headers=headers))
    return HttpChatStream("http://port", lambda project: f"token-{project}", transport=answer)


def test_a_call_s_answer_is_the_same_from_the_adapter_and_the_twin() -> None:
    pieces = says("a\u2028b", "\x85")
    content = b"".join(b"data: " + json.dumps(p, ensure_ascii=False).encode() + b"\r\n\r\n" for p in pieces)
    assert collect(over(b": hello\n\n" + content + b"data: [DONE]\n\n")) == pieces
    assert collect(ScriptedChat(lambda call: pieces)) == pieces


def test_a_refusal_is_told_by_the_adapter_and_the_twin() -> None:
    error = {"message": "busy", "code": "rate_limit_exceeded", "type": "rate_limit_error", "param": None}
    adapter = over(json.dumps({"error": error}).encode(), 429, {"retry-after": "7"})
    twin = ScriptedChat(lambda call: [ModelCallFailed(reason="busy", status=429, answer=error, retry_after_seconds=7)])
    for chat in (adapter, twin):
        with pytest.raises(ModelCallFailed) as refused:
            collect(chat)
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "7"})
        assert refused.value.to_openai() == {"error": error}


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"data: nonsense\n\n", 200, "not a chat completion"),
        (b"data: [1]\n\n", 200, "not a chat completion"),
        (b'data: {"error": {"message": "lost", "code": "engine_lost"}}\n\n', 200, "lost"),
        (b"<html>", 500, "status 500"),
        (b'{"error": 3}', 302, "status 302"),
        (b"x" * (9 << 20), 200, "too long"),
    ],
)
def test_a_bad_answer_is_a_clean_failure(content: bytes, status: int, words: str) -> None:
    with pytest.raises(ModelCallFailed, match=words) as failed:
        collect(over(content, status))
    assert failed.value.status >= 500


def test_half_a_surrogate_pair_of_a_model_becomes_a_question_mark() -> None:
    (entry,) = collect(over(b'data: {"choices":[{"delta":{"content":"a\\ud83db"}}]}\n\n'))
    assert entry["choices"][0]["delta"]["content"] == "a?b"


def test_nobody_listening_is_a_clean_failure() -> None:
    with pytest.raises(ModelCallFailed, match="connection"):
        collect(HttpChatStream("http://127.0.0.1:9", lambda project: "t"))


def test_giving_an_answer_up_frees_the_model_within_100_milliseconds(port: FakePort) -> None:
    port.script = lambda body: [chunk({"content": "one"}), *[0.01] * 2000]

    async def leave(chat: HttpChatStream) -> None:
        chunks = await chat.open(CALL)
        async for _ in chunks:
            break
        await chunks.close()
        await chunks.close()

    with served(port.app) as url:
        asyncio.run(leave(HttpChatStream(url, lambda project: "t")))
        eventually(lambda: port.left == 1, seconds=0.5)
