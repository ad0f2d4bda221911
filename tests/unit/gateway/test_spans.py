"""Spans: their names and numbers, whose children they are, and what never gets into one."""

from __future__ import annotations

import gzip
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from plinth.adapters.telemetry.otel import OtlpSpans
from plinth.gateway.dataplane.meter import Meter
from plinth.gateway.dataplane.ports import MemoryEndpoint, MemoryModel
from plinth.gateway.dataplane.spans import InMemorySpans, NoSpans, Span, Tracer
from plinth.gateway.model import ModelRequest, Operation, RecordKind
from plinth.identity import Actor
from plinth.kit.clock import FixedClock
from plinth.kit.errors import MissingExtra

TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAMPLED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ACTOR = Actor("org_1", "proj_1", "key_1", "user:1", frozenset())
MODEL = MemoryModel("proj_1", "assistant", "base-1")
LOCAL = MemoryEndpoint("base-1", group="group-1", socket_path="/home/alice/run/e1.sock", engine="llamacpp")
REMOTE = MemoryEndpoint(
    "remote-1", "r", url="https://u:secret@api.openai.com/v1", target="gpt-x", engine="remote", egress=True
)
CLOCK = FixedClock()


class Case:
    """A call that is being traced."""

    def __init__(self, headers: dict[bytes, bytes] | None = None, **options: Any) -> None:
        self.clock, self.sink = FixedClock(1000.0), InMemorySpans()
        self.meter = Meter(self.clock, ACTOR, Operation.chat, "req_1")
        self.meter.model, self.meter.route = "chat", "route_1"
        self.meter.trace = Tracer(self.sink, **options).begin(headers or {})

    def attempt(self, endpoint: MemoryEndpoint, seconds: float = 1.0) -> bytes:
        """The header lines that the target gets."""
        self.meter.dispatch(MODEL, endpoint)
        headers = self.meter.trace_headers
        self.clock.advance(seconds)
        return headers

    def end(self, status: int = 200, error_code: str = "") -> list[Span]:
        self.meter.status, self.meter.error_code = status, error_code
        self.meter.record()
        return self.sink.spans


def test_a_call_and_its_attempts_make_one_tree() -> None:
    case = Case({b"traceparent": SAMPLED, b"tracestate": b"vendor=1"})
    request = ModelRequest(
        Operation.chat, "chat", {"messages": [{"content": "a secret"}], "max_tokens": 7, "temperature": 0.5, "n": 2}
    )
    assert case.meter.trace is not None
    case.meter.trace.asked(request)
    case.clock.advance(0.25)
    first = case.attempt(LOCAL)
    case.meter.lost(503, "engine_lost")
    second = case.attempt(LOCAL, seconds=0.5)
    case.meter.streamed = True
    case.meter.tally.pieces = 1
    case.meter.saw_piece()
    case.meter.tally.report({"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}})
    lost, answered, root = case.end()
    assert {span.trace_id for span in (lost, answered, root)} == {TRACE}
    assert root.parent_id == PARENT
    assert lost.parent_id == answered.parent_id == root.span_id
    assert len({lost.span_id, answered.span_id, root.span_id, PARENT}) == 4
    for line, span in ((first, lost), (second, answered)):
        assert line == b"traceparent: 00-%032x-%016x-01\r\ntracestate: vendor=1\r\n" % (TRACE, span.span_id)
    assert (root.name, root.kind, root.failed) == ("chat chat", "server", False)
    assert (root.started_at, root.ended_at) == (1000.0, 1001.75)
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.choice.count": 2,
    }
    assert root.attributes == {
        **asked,
        "gen_ai.provider.name": "plinth",
        "gen_ai.request.model": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "assistant",
        "http.response.status_code": 200,
        "plinth.request.id": "req_1",
        "plinth.organization.id": "org_1",
        "plinth.project.id": "proj_1",
        "plinth.key.id": "key_1",
        "plinth.priority": "interactive",
        "plinth.route.id": "route_1",
    }
    assert (lost.name, lost.kind, lost.failed) == ("chat assistant", "client", True)
    assert (lost.attributes["error.type"], lost.attributes["plinth.attempt.kind"]) == ("engine_lost", "attempt")
    assert (answered.started_at, answered.ended_at, answered.failed) == (1001.25, 1001.75, False)
    assert answered.attributes == {
        **asked,
        "gen_ai.provider.name": "llamacpp",
        "gen_ai.request.model": "assistant",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "server.address": "e1.sock",
        "plinth.attempt.kind": "request",
        "plinth.engine.group": "group-1",
    }
    assert "secret" not in repr(case.sink.spans)


def test_a_provider_is_named_by_its_host_and_gets_no_trace() -> None:
    case = Case({b"traceparent": SAMPLED})
    assert case.attempt(REMOTE) == b""
    attempt, _ = case.end()
    assert attempt.name == "chat gpt-x"
    assert attempt.attributes["gen_ai.provider.name"] == "openai"
    assert (attempt.attributes["server.address"], attempt.attributes["server.port"]) == ("api.openai.com", 443)
    assert "secret" not in repr(attempt)


def test_a_setting_lets_the_trace_leave_the_machine() -> None:
    assert Case({b"traceparent": SAMPLED}, outside=True).attempt(REMOTE).startswith(b"traceparent: 00-0af7651916cd43")


def test_a_call_that_reached_nobody_is_one_span_with_its_error() -> None:
    case = Case()
    case.meter.model = "what a client wrote"
    (root,) = case.end(404, "model_not_found")
    assert root.name == "chat"
    assert root.attributes["error.type"] == "model_not_found"
    assert (root.failed, root.parent_id) == (False, 0)
    assert "client wrote" not in repr(root)


def test_whose_client_left_did_not_fail() -> None:
    case = Case()
    case.attempt(LOCAL)
    attempt, root = case.end(499)
    assert (attempt.failed, root.failed) == (False, False)
    assert attempt.attributes["error.type"] == root.attributes["error.type"] == "client_gone"


def test_a_mirror_is_a_child_too() -> None:
    case = Case()
    twin = case.meter.twin()
    _ = case.end()
    twin.dispatch(MODEL, LOCAL)
    twin.lost(200, "", RecordKind.mirror)
    root, mirror = case.sink.spans
    assert mirror.parent_id == root.span_id
    assert mirror.attributes["plinth.attempt.kind"] == "mirror"


def test_the_client_decides_when_it_sent_a_trace() -> None:
    case = Case({b"traceparent": SAMPLED[:-2] + b"00"})
    assert case.attempt(LOCAL).endswith(b"-00\r\n")
    assert case.end() == []
    case = Case({b"traceparent": SAMPLED}, sample=0.0)
    case.attempt(LOCAL)
    assert len(case.end()) == 2


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"nonsense",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ],
)
def test_a_trace_that_makes_no_sense_is_not_continued(header: bytes) -> None:
    case = Case({b"traceparent": header, b"tracestate": b"vendor=1"})
    assert b"tracestate" not in case.attempt(LOCAL)
    root = case.end()[-1]
    assert root.parent_id == 0
    assert root.trace_id not in (0, TRACE)


def test_a_later_version_of_the_header_is_continued() -> None:
    assert Case({b"traceparent": b"01" + SAMPLED[2:] + b"-more"}).end()[-1].trace_id == TRACE


def test_a_share_of_the_calls_is_sampled() -> None:
    sink = InMemorySpans()
    tracer = Tracer(sink, sample=0.25)
    for number in range(4000):
        meter = Meter(CLOCK, ACTOR, Operation.embedding, f"req_{number}")
        meter.trace = tracer.begin({})
        meter.record()
    assert 900 < len(sink.spans) < 1100


def test_off_is_nothing_at_all() -> None:
    assert Tracer(NoSpans()).begin({b"traceparent": SAMPLED}) is None
    meter = Meter(CLOCK, ACTOR, Operation.chat, "req_1")
    meter.dispatch(MODEL, LOCAL)
    assert meter.trace_headers == b""


class Collector:
    """An OTLP/HTTP receiver. `status` is what it answers."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
    collector = Collector()
    yield collector
    collector.stop()


def test_a_collector_gets_what_was_added(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=1")
    spans = OtlpSpans(collector.url, "7")
    case = Case({b"traceparent": SAMPLED})
    case.attempt(LOCAL)
    for span in case.end(503, "engine_lost"):
        spans.add(span)
    spans.stop()
    (request,) = collector.requests
    assert collector.headers[0]["x-collector-key"] == "1"
    (resource,) = request.resource_spans
    about = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
    assert (about["service.name"], about["service.instance.id"]) == ("plinth-gateway", "7")
    attempt, root = resource.scope_spans[0].spans
    assert attempt.trace_id.hex() == root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert attempt.parent_span_id == root.span_id
    assert (root.kind, attempt.kind) == (2, 3)
    assert (root.name, root.status.code) == ("chat chat", 2)
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (1000 * 10**9, 1001 * 10**9)
    told = {entry.key: entry.value for entry in root.attributes}
    assert told["error.type"].string_value == "engine_lost"
    assert told["http.response.status_code"].int_value == 503


def test_a_collector_that_is_away_delays_nothing(collector: Collector) -> None:
    collector.stop()
    spans = OtlpSpans(collector.url)
    case = Case()
    (span,) = case.end()
    began = time.monotonic()
    for _ in range(5000):
        spans.add(span)
    assert time.monotonic() - began < 2
    spans.stop()
    assert time.monotonic() - began < 8


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra, match=r"plinth-maas\[otel\]"):
        OtlpSpans("http://127.0.0.1:4318/v1/traces")
