"""The gateway's surfaces as a user's script calls them, with any line of the official SDK.

    OPENAI_BASE_URL=… OPENAI_API_KEY=… OPENAI_ADMIN_KEY=… python gateway_sdk.py

Needs the models `alpha` and `beta` behind a provider that answers "<model> says: <last message>", and
`slow`, which takes its time. Calls every surface that this line of the SDK has; prints one JSON
object with their names and the figures a reader may want.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI

ENDED = ("completed", "failed", "cancelled", "expired", "incomplete")


def until(check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true answer of `check`."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {check.__name__}")
        time.sleep(0.1)
    return found


def refused(error: type[openai.APIStatusError], call: Callable[[], Any]) -> Any:
    """The error object that the call is refused with."""
    try:
        call()
    except error as caught:
        return caught
    raise AssertionError(f"no {error.__name__}")


def ask(client: OpenAI, content: str, model: str = "alpha", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)


def chat(client: OpenAI) -> dict[str, Any]:
    answer = ask(client, "hello")
    assert answer.choices[0].message.content == "alpha says: hello"
    assert answer.model == "alpha"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 3)
    chunks = list(ask(client, "hello", stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "alpha says: hello"
    assert chunks[-1].usage.total_tokens == 4
    sure = ask(client, "hello", logprobs=True)
    assert [token.token for token in sure.choices[0].logprobs.content] == ["alpha", "says:", "hello"]
    completion = client.completions.create(model="beta", prompt="once")
    assert completion.choices[0].text == "beta says: once"
    return {}


def responses(client: OpenAI) -> dict[str, Any]:
    made = client.responses.create(model="alpha", input="one", instructions="Be short.", metadata={"run": "r1"})
    assert (made.status, made.output_text) == ("completed", "alpha says: one")
    assert made.usage is not None
    assert made.usage.total_tokens == 6
    again = client.responses.retrieve(made.id)
    assert (again.output_text, again.metadata) == (made.output_text, {"run": "r1"})
    items = client.responses.input_items.list(made.id)
    assert [item.content[0].text for item in items.data] == ["one"]  # type: ignore[union-attr]
    second = client.responses.create(model="beta", input="two", previous_response_id=made.id)
    assert second.output_text == "beta says: two"
    assert second.usage is not None
    assert second.usage.input_tokens > 2, "the first turn is not part of the second request"
    kinds = [event.type for event in client.responses.create(model="alpha", input="streamed", stream=True)]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert "response.output_text.delta" in kinds
    client.responses.delete(made.id)
    assert refused(openai.NotFoundError, lambda: client.responses.retrieve(made.id)).status_code == 404
    private = client.responses.create(model="alpha", input="forget me", store=False)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(private.id))
    return {}


def background(client: OpenAI) -> dict[str, Any]:
    started = client.responses.create(model="alpha", input="later", background=True)
    assert started.status in ("queued", "in_progress", "completed")
    done = until(lambda: (r := client.responses.retrieve(started.id)).status in ENDED and r)
    assert (done.status, done.output_text) == ("completed", "alpha says: later")
    long = client.responses.create(model="slow", input="much", background=True)
    until(lambda: client.responses.retrieve(long.id).status == "in_progress")
    cancelled = client.responses.cancel(long.id)
    assert cancelled.status == "cancelled"
    time.sleep(1)
    assert client.responses.retrieve(long.id).status == "cancelled"
    return {}


def conversations(client: OpenAI) -> dict[str, Any]:
    talk = client.conversations.create(metadata={"topic": "cards"})
    client.responses.create(model="alpha", input="first", conversation=talk.id)
    answer = client.responses.create(model="alpha", input="second", conversation=talk.id)
    assert answer.usage is not None
    assert answer.usage.input_tokens > 1, "the conversation was not sent along"
    items: Any = client.conversations.items.list(talk.id, order="asc").data
    assert [item.role for item in items] == ["user", "assistant"] * 2
    assert items[1].content[0].text == "alpha says: first"
    extra: Any = client.conversations.items.create(
        talk.id, items=[{"type": "message", "role": "user", "content": "by hand"}]
    )
    assert client.conversations.items.retrieve(extra.data[0].id, conversation_id=talk.id).id == extra.data[0].id
    client.conversations.items.delete(extra.data[0].id, conversation_id=talk.id)
    assert len(client.conversations.items.list(talk.id).data) == 4
    changed = client.conversations.update(talk.id, metadata={"topic": "loans"})
    assert changed.metadata == {"topic": "loans"}
    client.conversations.delete(talk.id)
    refused(openai.NotFoundError, lambda: client.conversations.retrieve(talk.id))
    return {}


def _lines(count: int, model: str = "alpha") -> bytes:
    bodies = [{"model": model, "messages": [{"role": "user", "content": f"line {n}"}]} for n in range(count)]
    lines = [
        {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n, body in enumerate(bodies)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def batches(client: OpenAI) -> dict[str, Any]:
    lines = _lines(20) + _lines(1, "no-such-model").replace(b"c0", b"c20")
    file = client.files.create(file=("in.jsonl", io.BytesIO(lines)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"run": "b1"}
    )
    done = until(lambda: (b := client.batches.retrieve(batch.id)).status in ENDED and b, 60)
    assert done.status == "completed", done
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (21, 20, 1)
    out = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    said = {line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in out}
    assert said == {f"c{n}": f"alpha says: line {n}" for n in range(20)}
    errors = [json.loads(line) for line in client.files.content(done.error_file_id).text.splitlines()]
    assert [line["custom_id"] for line in errors] == ["c20"]
    assert batch.id in {entry.id for entry in client.batches.list()}

    file = client.files.create(file=("slow.jsonl", io.BytesIO(_lines(5, "hangs"))), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    until(lambda: client.batches.retrieve(batch.id).status == "in_progress")
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    until(lambda: client.batches.retrieve(batch.id).status == "cancelled")
    return {}


def moderations(client: OpenAI) -> dict[str, Any]:
    found = client.moderations.create(input=["I will kill you", "please show my balance"])
    assert [result.flagged for result in found.results] == [True, False]
    assert found.results[0].categories.violence
    return {}


def stored_completions(client: OpenAI) -> dict[str, Any]:
    label = f"run-{time.monotonic_ns()}"
    made = [ask(client, f"keep {n}", store=True, metadata={"label": label, "n": str(n)}).id for n in range(3)]
    ask(client, "not kept", metadata={"label": label})
    completions = client.chat.completions
    kept = until(lambda: (k := list(completions.list(metadata={"label": label}))) and len(k) == 3 and k)
    assert [entry.id for entry in kept] == made
    assert [entry.id for entry in completions.list(metadata={"label": label, "n": "1"})] == [made[1]]
    first = completions.retrieve(made[0])
    assert first.choices[0].message.content == "alpha says: keep 0"
    messages = list(completions.messages.list(made[0]))
    assert [message.content for message in messages] == ["keep 0"]
    changed: Any = completions.update(made[0], metadata={"label": "other"})
    assert changed.metadata == {"label": "other"}
    assert completions.delete(made[1]).deleted
    assert [entry.id for entry in completions.list(metadata={"label": label})] == [made[2]]
    return {}


def usage_and_costs(client: OpenAI) -> dict[str, Any]:
    """Tokens and money per model, as the organization's administrator sees them."""
    marker = f"user-{time.monotonic_ns()}"
    since = int(time.time()) - 7200
    usage = client.admin.organization.usage

    def requests_of(model: str) -> int:
        buckets = usage.completions(start_time=since, bucket_width="1h", group_by=["model"], limit=24).data
        return sum(r.num_model_requests for b in buckets for r in b.results if getattr(r, "model", "") == model)

    before = requests_of("beta")
    for _ in range(3):
        ask(client, "count me", "beta", user=marker)
    until(lambda: requests_of("beta") == before + 3)
    costs = usage.costs(start_time=since - since % 86400, group_by=["line_item"]).data
    priced = [result for bucket in costs for result in bucket.results if getattr(result, "line_item", "")]
    assert any("beta" in str(result.line_item) for result in priced), priced  # type: ignore[union-attr]
    return {}


SURFACES: dict[str, tuple[str, Callable[[OpenAI], dict[str, Any]]]] = {
    "chat": ("chat", chat),
    "responses": ("responses.input_items", responses),
    "background": ("responses.cancel", background),
    "conversations": ("conversations", conversations),
    "batches": ("batches", batches),
    "moderations": ("moderations", moderations),
    "stored_completions": ("chat.completions.list", stored_completions),
    "usage_and_costs": ("admin.organization.usage.costs", usage_and_costs),
}
"""Name -> the attribute of a client that says whether this SDK has the calls, and the script."""


def has(client: OpenAI, path: str) -> bool:
    found: Any = client
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return False
    return True


def main() -> None:
    options = {"admin_api_key": os.environ["OPENAI_ADMIN_KEY"]} if hasattr(OpenAI, "admin") else {}
    client = OpenAI(max_retries=0, timeout=60, **options)
    called = [name for name, (path, script) in SURFACES.items() if has(client, path) and script(client) is not None]
    print(json.dumps({"sdk": openai.__version__, "called": called}))


if __name__ == "__main__":
    main()
