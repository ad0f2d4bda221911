"""The benchmark's own instruments: what they count is what happened."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import machine, native
from harness.load import Load, Target, chat_body
from harness.upstream import Plan, Upstream

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="there is no C compiler")

ANYWHERE = machine.Cores.of_this_process().anywhere


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> native.Programs:
    return native.programs(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def upstream(programs: native.Programs, tmp_path: Path) -> Iterator[Upstream]:
    server = Upstream(programs.upstream, ANYWHERE, tmp_path / "log")
    yield server
    server.close()


@pytest.fixture
def load(programs: native.Programs, tmp_path: Path) -> Load:
    return Load(programs.load, ANYWHERE, tmp_path)


@pytest.mark.parametrize("stream", [False, True])
def test_every_request_and_every_chunk_is_counted_once(upstream: Upstream, load: Load, stream: bool) -> None:
    body = chat_body("m", Plan(chunks=40, size=12), stream)
    found = load.run(Target(upstream.port, "m"), body, requests=300, connections=7, expect=40)
    assert (found["requests"], found["good"], found["marks"]) == (300, 300, 12_000)
    assert upstream.stats()["requests"] == 300
    assert 0 < found["p50"] <= found["p99"] <= found["max"] * 1.01


def test_an_answer_that_lacks_a_chunk_is_bad(upstream: Upstream, load: Load) -> None:
    found = load.run(Target(upstream.port, "m"), chat_body("m", Plan(chunks=9), True), requests=5, expect=10)
    assert (found["good"], found["bad"]) == (0, 5)
    assert "9 marks" in found["complaint"]


def test_paced_chunks_come_with_their_gap(upstream: Upstream, load: Load) -> None:
    plan = Plan(chunks=10, gap_microseconds=20_000)
    found = load.run(Target(upstream.port, "m"), chat_body("m", plan, True), requests=4, connections=4, expect=10)
    assert found["good"] == 4
    assert found["p50"] >= 9 * 20
    assert found["gap_p50"] == pytest.approx(20, rel=0.5)
    assert found["first_p50"] < found["p50"] - 100


def test_an_open_run_sends_at_its_rate_and_counts_the_wait(load: Load) -> None:
    with Answering(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n~", seconds=0.05) as server:
        found = load.run(Target(server.port, "m"), chat_body("m", Plan(), False), mode="open", rate=100, seconds=0.5)
    assert found["requests"] == 50
    assert found["p50"] >= 50


def test_a_stream_that_breaks_off_is_broken(load: Load) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    with Answering(head + b"9\r\ndata: ~\n\n\r\n", closes=True) as server:
        found = load.run(Target(server.port, "m"), chat_body("m", Plan(), True), requests=1, connections=1)
    assert (found["good"], found["broken"], found["marks"]) == (0, 1, 1)


def test_a_stream_without_its_end_is_bad(load: Load) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    with Answering(head + b"9\r\ndata: ~\n\n\r\n0\r\n\r\n") as server:
        found = load.run(Target(server.port, "m"), chat_body("m", Plan(), True), requests=2, connections=1)
    assert (found["good"], found["bad"]) == (0, 2)
    assert "not done" in found["complaint"]


def test_framing_may_be_cut_anywhere(load: Load) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    event, end = b'data: {"content":"a"}\n\n', b"data: [DONE]\n\n"
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (event[:13], event[13:], event, end)) + b"0\r\n\r\n"
    with Answering(head + body, piece_bytes=1) as server:
        body_ = chat_body("m", Plan(), True)
        found = load.run(Target(server.port, "m"), body_, requests=2, connections=1, mark='"content":"', expect=2)
    assert (found["good"], found["marks"]) == (2, 4)


def test_the_upstream_knows_which_streams_were_left(upstream: Upstream, load: Load) -> None:
    body = chat_body("m", Plan(chunks=10_000, gap_microseconds=5_000), True)
    run = load.run(Target(upstream.port, "m"), body, mode="abandon", connections=2, after=3, count=6)
    deadline, seen = time.monotonic() + 5, dict[int, int]()
    while len(seen) < 6 and time.monotonic() < deadline:
        seen |= upstream.left()
        time.sleep(0.02)
    left = dict(run["left"])
    assert sorted(left) == sorted(seen) == [1, 2, 3, 4, 5, 6]
    assert all(seen[stream] >= at for stream, at in left.items())


def test_a_stalled_reader_stops_the_upstream(upstream: Upstream, load: Load) -> None:
    body = chat_body("m", Plan(chunks=10_000_000, size=8192), True)
    with load.begin(Target(upstream.port, "m"), body, mode="stall", connections=1, seconds=1.0) as process:
        assert process.stdout is not None
        assert "stalled" in process.stdout.readline()
        time.sleep(0.3)
        first = upstream.stats()["bytes_sent"]
        time.sleep(0.3)
        assert upstream.stats()["bytes_sent"] - first < 1000  # the answers to these questions


class Answering:
    """Answers every request on every connection with the same bytes, after `seconds`."""

    def __init__(self, answer: bytes, seconds: float = 0, closes: bool = False, piece_bytes: int = 1 << 20) -> None:
        self._answer, self._seconds, self._closes, self._piece_bytes = answer, seconds, closes, piece_bytes
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Answering:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while connection.recv(1 << 16):
                time.sleep(self._seconds)
                try:
                    for start in range(0, len(self._answer), self._piece_bytes):
                        connection.sendall(self._answer[start : start + self._piece_bytes])
                except OSError:
                    return
                if self._closes:
                    return
