"""Every `Completer` asks, embeds and fails in the same way: the HTTP adapter and the twin."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from plinth.adapters.completers.http import HttpCompleter, Policy
from plinth.evaluation.errors import CompletionFailed, ModelUnreachable
from plinth.evaluation.model import Usage
from plinth.evaluation.ports import Completer, Question, ScriptedCompleter
from plinth.evaluation.tokens import tokens
from plinth.kit.clock import FixedClock

MODELS = frozenset({"m", "embedder"})


def script(question: Question) -> str:
    text = str(question.messages[-1]["content"])
    if text == "too long":
        raise CompletionFailed(model=question.model, reason="the prompt is too long.")
    if "response_format" in question.sampling:
        return json.dumps({"echo": text}, ensure_ascii=False)
    return f"echo {text}"


class FakeServer:
    """A small OpenAI server. `trouble` is a list of (status, headers) or "drop" to answer with first."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.trouble: list[Any] = []
        self.replace: bytes | None = None
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.seen.append((self.path, dict(self.headers), body))
                    server.in_flight += 1
                    server.most_in_flight = max(server.most_in_flight, server.in_flight)
                    trouble = server.trouble.pop(0) if server.trouble else None
                try:
                    if trouble == "drop":
                        self.close_connection = True
                        return
                    status, headers, answer = server.answer(self.path, body) if trouble is None else (*trouble, b"{}")
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)
                finally:
                    with server._lock:
                        server.in_flight -= 1

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if self.replace is not None:
            return 200, {}, self.replace
        if body["model"] not in MODELS:
            return 404, {}, _error("The model does not exist.")
        if path.endswith("/embeddings"):
            return self._embeddings(body["input"])
        question = Question(body["model"], body["messages"], body)
        try:
            text = script(question)
        except CompletionFailed as error:
            return 400, {}, _error(str(error))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        prompt = sum(len(tokens(message["content"])) for message in body["messages"])
        usage = {"prompt_tokens": prompt, "completion_tokens": len(tokens(text)), "total_tokens": 0}
        return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()

    def _embeddings(self, texts: Sequence[str]) -> tuple[int, dict[str, str], bytes]:
        if not texts:
            return 400, {}, _error("there is nothing to embed.")
        vectors = ScriptedCompleter(script).embed("", "embedder", texts).vectors
        data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        usage = {"prompt_tokens": sum(len(tokens(text)) for text in texts)}
        return 200, {}, json.dumps({"data": data[::-1], "usage": usage}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def adapter(server: FakeServer, clock: FixedClock) -> Iterator[HttpCompleter]:
    completer = HttpCompleter(server.url, lambda project: f"sk-int-{project}", clock, Policy(2, 3, 20.0))
    yield completer
    completer.close()


@pytest.fixture(params=["http", "twin"])
def completer(request: pytest.FixtureRequest) -> Completer:
    if request.param == "twin":
        return ScriptedCompleter(script, MODELS)
    found: HttpCompleter = request.getfixturevalue("adapter")
    return found


def question(text: str, model: str = "m", **sampling: Any) -> Question:
    return Question(model, [{"role": "system", "content": "be kind"}, {"role": "user", "content": text}], sampling)


# both


def test_an_answer_with_its_usage(completer: Completer) -> None:
    found = completer.complete("proj_a", question("你好 world"))
    assert (found.text, found.finish_reason) == ("echo 你好 world", "stop")
    assert found.usage == Usage(5, 4, 0)
    assert found.choices[0]["message"]["content"] == "echo 你好 world"
    assert found.latency_seconds >= 0


def test_sampling_parameters_arrive(completer: Completer) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    found = completer.complete("proj_a", question("a", response_format=form, temperature=0))
    assert json.loads(found.text) == {"echo": "a"}


def test_an_unknown_model_is_hopeless(completer: Completer) -> None:
    with pytest.raises(ModelUnreachable, match="nobody"):
        completer.complete("proj_a", question("a", model="nobody"))
    with pytest.raises(ModelUnreachable):
        completer.embed("proj_a", "nobody", ["a"])


def test_one_bad_request_is_not(completer: Completer) -> None:
    with pytest.raises(CompletionFailed, match="too long") as caught:
        completer.complete("proj_a", question("too long"))
    assert not isinstance(caught.value, ModelUnreachable)
    assert completer.complete("proj_a", question("short")).text == "echo short"


def test_embeddings_come_in_order(completer: Completer) -> None:
    found = completer.embed("proj_a", "embedder", ["退款", "余额 查询", "退款"])
    assert len(found.vectors) == 3
    assert found.vectors[0] == found.vectors[2] != found.vectors[1]
    assert found.usage.prompt_tokens == 8
    with pytest.raises(CompletionFailed):
        completer.embed("proj_a", "embedder", [])


# the adapter alone


def test_the_token_of_the_project_is_sent(server: FakeServer, adapter: HttpCompleter) -> None:
    adapter.complete("proj_b", question("a"))
    path, headers, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-int-proj_b"
    assert body["model"] == "m"
    assert "stream" not in body


@pytest.mark.parametrize("trouble", [(503, {}), (429, {"Retry-After": "7"}), "drop"])
def test_passing_trouble_is_tried_again(
    trouble: Any, server: FakeServer, adapter: HttpCompleter, clock: FixedClock
) -> None:
    server.trouble = [trouble, trouble]
    before = clock.unix()
    assert adapter.complete("proj_a", question("a")).text == "echo a"
    assert len(server.seen) == 3
    waited = clock.unix() - before
    assert waited == 14 if trouble != "drop" and trouble[0] == 429 else 1.0 < waited < 2.0


def test_lasting_trouble_ends(server: FakeServer, adapter: HttpCompleter) -> None:
    server.trouble = [(503, {})] * 10
    with pytest.raises(CompletionFailed, match="3 attempts"):
        adapter.complete("proj_a", question("a"))
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 422, 500, 502])
def test_other_failures_are_not_tried_again(status: int, server: FakeServer, adapter: HttpCompleter) -> None:
    server.trouble = [(status, {})] * 2
    with pytest.raises(CompletionFailed, match=str(status)) as caught:
        adapter.complete("proj_a", question("a"))
    assert not isinstance(caught.value, ModelUnreachable)
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_no_permission_is_hopeless(status: int, server: FakeServer, adapter: HttpCompleter) -> None:
    server.trouble = [(status, {})]
    with pytest.raises(ModelUnreachable):
        adapter.complete("proj_a", question("a"))


STRANGE = [
    b"", b"[]", b"{}", b"<html>", b"[" * 100_000, b'{"choices": []}', b'{"choices": [3]}', b'{"choices": null}',
    b'{"choices": {"0": {}}}', b'{"choices": [{"message": 3}]}', b'{"choices": [{"message": {"content": 3}}]}',
]  # fmt: skip
STRANGE_VECTORS = [b'{"data": 3}', b'{"data": [{}]}', b'{"data": [{"index": 0, "embedding": ["x"]}]}', b'{"data": [3]}']


@pytest.mark.parametrize("answer", STRANGE)
def test_a_strange_answer_is_a_failure(answer: bytes, server: FakeServer, adapter: HttpCompleter) -> None:
    server.replace = answer
    with pytest.raises(CompletionFailed):
        adapter.complete("proj_a", question("a"))


@pytest.mark.parametrize("answer", [*STRANGE, *STRANGE_VECTORS])
def test_strange_embeddings_are_a_failure(answer: bytes, server: FakeServer, adapter: HttpCompleter) -> None:
    server.replace = answer
    with pytest.raises(CompletionFailed):
        adapter.embed("proj_a", "embedder", ["a"])


def test_strange_usage_counts_nothing(server: FakeServer, adapter: HttpCompleter) -> None:
    usage = {"prompt_tokens": "many", "completion_tokens": -1, "prompt_tokens_details": {"cached_tokens": 3}}
    server.replace = json.dumps({"choices": [{"message": {"content": "x"}}], "usage": usage}).encode()
    assert adapter.complete("proj_a", question("a")).usage == Usage(0, 0, 3)


def test_half_a_surrogate_pair_becomes_a_question_mark(server: FakeServer, adapter: HttpCompleter) -> None:
    server.replace = b'{"choices": [{"message": {"content": "a\\ud800b \\ud83d\\ude00"}, "finish_reason": "stop"}]}'
    assert adapter.complete("proj_a", question("\ud800")).text == "a?b 😀"


def test_tool_calls_have_no_text(server: FakeServer, adapter: HttpCompleter) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    server.replace = json.dumps({"choices": [choice]}).encode()
    found = adapter.complete("proj_a", question("a"))
    assert (found.text, found.finish_reason, found.usage) == ("", "tool_calls", Usage())


def test_an_endless_answer_is_cut_off(
    server: FakeServer, adapter: HttpCompleter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plinth.adapters.completers.http.MAX_RESPONSE_BYTES", 1000)
    server.replace = b'{"choices": "' + b"x" * 5000 + b'"}'
    with pytest.raises(CompletionFailed):
        adapter.complete("proj_a", question("a"))


def test_no_server_is_trouble(clock: FixedClock) -> None:
    completer = HttpCompleter("http://127.0.0.1:9", lambda project: "t", clock, Policy(1, 2, 5.0))
    with pytest.raises(CompletionFailed, match="connection failed"):
        completer.complete("proj_a", question("a"))
    completer.close()


def test_concurrency_is_bounded(server: FakeServer, adapter: HttpCompleter) -> None:
    asks: list[Callable[[], Any]] = [lambda n=n: adapter.complete("proj_a", question(str(n))) for n in range(12)]
    threads = [threading.Thread(target=ask) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.seen) == 12
    assert server.most_in_flight <= 2
