"""The official SDK against /v1/responses and /v1/conversations."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from plinth.identity import Role
from support import actor
from unit.gateway.responses.fakes import FakePort, Site, chunk, eventually, says, usage

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "today's weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


def test_a_response_is_answered_stored_continued_listed_and_deleted(site: Site, sdk: OpenAI, port: FakePort) -> None:
    made = sdk.responses.create(
        model="m", input="hi", instructions="be brief", metadata={"a": "b"}, temperature=0.5, max_output_tokens=9
    )
    assert (made.output_text, made.status, made.error) == ("Hello world", "completed", None)
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (7, 2, 9)
    assert made.usage.input_tokens_details.cached_tokens == 3
    assert port.bodies[0] == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 9,
        "temperature": 0.5,
    }
    assert port.secrets == ["Bearer sk-proj-mine"]
    assert sdk.responses.retrieve(made.id) == made

    port.script = lambda body: says("again")
    second = sdk.responses.create(model="m", input="more", previous_response_id=made.id)
    assert second.previous_response_id == made.id
    # instructions are not carried over, what was said is
    assert port.bodies[1]["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Hello world"},
        {"role": "user", "content": "more"},
    ]
    items = sdk.responses.input_items.list(second.id, order="asc")
    assert [item.content[0].text for item in items.data] == ["more"]  # type: ignore[union-attr]

    sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError, match="previous response"):
        sdk.responses.create(model="m", input="x", previous_response_id=second.id)
    assert site.audits == [("response.deleted", made.id)]


def test_a_stream_has_the_hosted_events_in_order_and_is_stored_before_its_last(
    sdk: OpenAI, port: FakePort, site: Site
) -> None:
    with sdk.responses.stream(model="m", input="hi") as stream:
        seen = []
        for event in stream:
            seen.append(event)
            if event.type == "response.completed":
                assert sdk.responses.retrieve(event.response.id).output_text == "Hello world"
        final = stream.get_final_response()
    assert [event.type for event in seen] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in seen] == list(range(10))
    assert final.output_text == "Hello world"
    stored = sdk.responses.retrieve(final.id)
    assert [item.id for item in stored.output] == [item.id for item in final.output]
    assert stored.usage == final.usage


def test_a_function_call_goes_round(sdk: OpenAI, port: FakePort) -> None:
    call = [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}]
    more = [{"index": 0, "function": {"arguments": '{"city":'}}]
    rest = [{"index": 0, "function": {"arguments": '"Bern"}'}}]
    port.script = lambda body: [
        chunk({"reasoning_content": "Which city?"}),
        *(chunk({"tool_calls": calls}) for calls in (call, more, rest)),
        chunk(reason="tool_calls"),
        usage(5, 6),
    ]
    first = sdk.responses.create(model="m", input="weather in Bern?", tools=[WEATHER])  # type: ignore[list-item]
    thought, wanted = first.output
    assert thought.type == "reasoning"
    assert wanted.type == "function_call"
    assert (wanted.name, wanted.arguments, wanted.call_id) == ("weather", '{"city":"Bern"}', "call_1")
    port.script = lambda body: says("Sunny.")
    output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "sun"}
    second = sdk.responses.create(model="m", input=[output], previous_response_id=first.id)
    assert second.output_text == "Sunny."
    assert port.bodies[1]["messages"] == [
        {"role": "user", "content": "weather in Bern?"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Which city?",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Bern"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
    ]
    with pytest.raises(openai.BadRequestError, match="call_1"):
        sdk.responses.create(model="m", input="never mind", previous_response_id=first.id)


def test_structured_output_is_parsed(sdk: OpenAI, port: FakePort) -> None:
    class City(BaseModel):
        name: str

    port.script = lambda body: says('{"name":', '"Bern"}')
    made = sdk.responses.parse(model="m", input="a city", text_format=City)
    assert made.output_parsed == City(name="Bern")
    assert port.bodies[0]["response_format"]["json_schema"]["name"] == "City"


def test_too_long_an_answer_is_incomplete(sdk: OpenAI, port: FakePort) -> None:
    port.script = lambda body: says("cut", reason="length")
    made = sdk.responses.create(model="m", input="hi", max_output_tokens=1)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.output[0].status == "incomplete"  # type: ignore[union-attr]


def test_what_the_model_call_is_refused_with_reaches_the_client(sdk: OpenAI, port: FakePort) -> None:
    port.script = lambda body: (404, {"message": "no such model", "code": "model_not_found", "param": "model"})  # type: ignore[return-value]
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.responses.create(model="m", input="hi", stream=True)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert "no such model" in refused.value.message


def test_a_model_that_breaks_off_gives_a_failed_response(sdk: OpenAI, port: FakePort) -> None:
    port.script = lambda body: [chunk({"content": "Hel"}), "break"]
    events = list(sdk.responses.create(model="m", input="hi", stream=True))
    assert events[-1].type == "response.failed"
    stored = sdk.responses.retrieve(events[-1].response.id)
    assert (stored.status, stored.output_text) == ("failed", "Hel")
    assert stored.error is not None
    assert stored.error.code == "server_error"
    with pytest.raises(openai.InternalServerError):
        sdk.responses.create(model="m", input="hi")
    with pytest.raises(openai.BadRequestError, match="failed"):
        sdk.responses.create(model="m", input="x", previous_response_id=stored.id)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_model_at_once(site: Site, sdk: OpenAI, port: FakePort, stream: bool) -> None:
    port.script = lambda body: [chunk({"content": "one"}), *[0.05] * 600, *says("never")]
    if stream:
        events = sdk.responses.create(model="m", input="hi", stream=True)
        identifier = next(iter(events)).response.id  # type: ignore[union-attr]
        eventually(lambda: port.bodies)
        left_at = time.monotonic()
        events.close()
        eventually(lambda: port.left == 1)
        assert time.monotonic() - left_at < 1
        stored = eventually(lambda: _status(sdk, identifier) == "cancelled")
        assert stored
    else:
        with pytest.raises(openai.APITimeoutError):
            sdk.with_options(timeout=0.4).responses.create(model="m", input="hi")
        eventually(lambda: port.left == 1)


def _status(sdk: OpenAI, identifier: str) -> str | None:
    try:
        return sdk.responses.retrieve(identifier).status
    except openai.NotFoundError:
        return None


def test_store_false_leaves_nothing(sdk: OpenAI) -> None:
    made = sdk.responses.create(model="m", input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(made.id)


def test_another_project_and_a_reader_see_nothing(site: Site, sdk: OpenAI) -> None:
    made = sdk.responses.create(model="m", input="hi")
    conversation = sdk.conversations.create()
    site.caller.actor = actor("proj_b")
    for attempt in (
        lambda: sdk.responses.retrieve(made.id),
        lambda: sdk.responses.delete(made.id),
        lambda: sdk.responses.cancel(made.id),
        lambda: sdk.responses.input_items.list(made.id),
        lambda: sdk.responses.create(model="m", input="x", previous_response_id=made.id),
        lambda: sdk.responses.create(model="m", input="x", conversation=conversation.id),
        lambda: sdk.responses.create(model="m", input=[{"type": "item_reference", "id": made.output[0].id or ""}]),
        lambda: sdk.conversations.retrieve(conversation.id),
        lambda: sdk.conversations.delete(conversation.id),
        lambda: sdk.conversations.items.list(conversation.id),
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    site.caller.actor = actor(role=Role.viewer)
    with pytest.raises(openai.PermissionDeniedError):
        sdk.responses.retrieve(made.id)


def test_conversations(site: Site, sdk: OpenAI, port: FakePort) -> None:
    made = sdk.conversations.create(
        metadata={"topic": "x"}, items=[{"type": "message", "role": "system", "content": "be brief"}]
    )
    assert made.metadata == {"topic": "x"}
    assert made.created_at == int(site.clock.unix())
    sdk.responses.create(model="m", input="hi", conversation=made.id)
    port.script = lambda body: says("again")
    second = sdk.responses.create(model="m", input="more", conversation={"id": made.id}, store=False)
    assert second.conversation is not None
    assert second.conversation.id == made.id
    assert [message["content"] for message in port.bodies[1]["messages"]] == ["be brief", "hi", "Hello world", "more"]
    listed = list(sdk.conversations.items.list(made.id, limit=2, order="asc"))
    texts = [item.content[0].text for item in listed]  # type: ignore[union-attr]
    assert texts == ["be brief", "hi", "Hello world", "more", "again"]
    assert [i.id for i in sdk.conversations.items.list(made.id)] == [i.id for i in listed[::-1]]

    added = sdk.conversations.items.create(made.id, items=[{"role": "user", "content": "bye"}])
    found = sdk.conversations.items.retrieve(added.data[0].id or "", conversation_id=made.id)
    assert found == added.data[0]
    assert sdk.conversations.items.delete(found.id or "", conversation_id=made.id).id == made.id
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.items.retrieve(found.id or "", conversation_id=made.id)
    assert sdk.conversations.update(made.id, metadata={"topic": "y"}).metadata == {"topic": "y"}
    assert sdk.conversations.retrieve(made.id).metadata == {"topic": "y"}
    assert sdk.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.conversations.retrieve(made.id)


def test_input_tokens_are_the_engines_own_count(sdk: OpenAI, port: FakePort) -> None:
    port.script = lambda body: [chunk({"content": "x"}), chunk(reason="length"), usage(1234, 1)]
    assert sdk.responses.input_tokens.count(model="m", input="hi", instructions="brief").input_tokens == 1234
    assert port.bodies[0]["max_completion_tokens"] == 1
    port.script = lambda body: [chunk(reason="stop")]
    with pytest.raises(openai.InternalServerError, match="how many tokens"):
        sdk.responses.input_tokens.count(model="m", input="hi")


def test_file_search_is_done_before_the_answer(site: Site, sdk: OpenAI, port: FakePort) -> None:
    tool: Any = {"type": "file_search", "vector_store_ids": ["vs_1"]}
    include: Any = ["file_search_call.results"]
    made = sdk.responses.create(model="m", input="refund?", tools=[tool], include=include)
    search = made.output[0]
    assert search.type == "file_search_call"
    assert search.queries == ["refund?"]
    assert search.results is not None
    assert search.results[0].text == "Refunds take 14 days."
    assert port.bodies[0]["messages"][0] == {"role": "system", "content": "Refunds take 14 days."}
    with sdk.responses.stream(model="m", input="refund?", tools=[tool]) as stream:
        kinds = [event.type for event in stream]
        assert kinds[2:7] == [
            "response.output_item.added",
            "response.file_search_call.in_progress",
            "response.file_search_call.searching",
            "response.file_search_call.completed",
            "response.output_item.done",
        ]
        assert stream.get_final_response().output[0].results is None  # type: ignore[union-attr]


def test_too_long_an_input_is_shortened_only_when_asked(sdk: OpenAI, port: FakePort) -> None:
    def script(body: dict[str, Any]) -> Any:
        if len(body["messages"]) > 3:
            return 400, {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error"}
        return says("fits")

    port.script = script
    turns: Any = [
        {"role": role, "content": f"{role} {n} " + "x" * 40} for n in range(4) for role in ("user", "assistant")
    ]
    turns.append({"role": "user", "content": "last"})
    with pytest.raises(openai.BadRequestError, match="too long"):
        sdk.responses.create(model="m", input=turns)
    made = sdk.responses.create(model="m", input=turns, truncation="auto")
    assert made.output_text == "fits"
    assert port.bodies[-1]["messages"][-1]["content"] == "last"
    assert port.bodies[-1]["messages"][0]["role"] == "user"
