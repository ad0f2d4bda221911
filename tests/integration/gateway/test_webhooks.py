"""Webhooks over real sockets: what the official SDK sees, receivers that misbehave, a sender that is killed."""

from __future__ import annotations

import asyncio
import datetime
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from openai import OpenAI

from integration.gateway.conftest import wait_for
from integration.gateway.fakes import AppThread
from plinth.adapters.webhooks.http import HttpSender
from plinth.gateway.webhooks import (
    AddressPolicy,
    Answer,
    EndpointDraft,
    Outgoing,
    WebhookService,
    WebhookSettings,
    address_policy,
)
from plinth.gateway.webhooks import jobs as jobs_module
from plinth.gateway.webhooks.http import router
from plinth.gateway.webhooks.jobs import DeliveryLoop
from plinth.gateway.webhooks.model import Delivery, DeliveryQuery
from plinth.kit import http as kit_http
from plinth.kit.clock import Clock, FixedClock, SystemClock
from plinth.kit.db import Database
from plinth.kit.events import Event
from plinth.kit.secrets import InstanceKey
from support import Caller, actor

pytestmark = pytest.mark.once

HERE = AddressPolicy(allow_loopback=True)
KEY = InstanceKey(b"k" * 32)


class Receiver:
    """Answers by path: /status/500, /moved, /hang, /drip, /garbage, /flood, else 200. Keeps every request."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append((self.path, dict(self.headers), body))
                outer.answer(self)

            def do_GET(self) -> None:
                outer.seen.append((self.path, dict(self.headers), b""))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = handler.path
        if path == "/hang":
            self.released.wait(30)
        elif path == "/drip":
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"a" * 1000:
                handler.wfile.write(bytes([byte]))
                if self.released.wait(0.05):
                    return
        elif path == "/garbage":
            handler.wfile.write(b"\x00\xffSSH-2.0-nothing to see\r\n\r\n")
        elif path == "/headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n")
        elif path == "/flood":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n")
            while not self.released.is_set():
                handler.wfile.write(b"a" * 65536)
        else:
            status = 302 if path == "/moved" else int(path.removeprefix("/status/")) if "/status/" in path else 200
            handler.send_response(status)
            if path == "/moved":
                handler.send_header("location", f"http://127.0.0.1:{self.port}/stolen")
            if status == 429:
                handler.send_header("retry-after", "120")
            body = b"" if status == 204 else b"ok"
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def stop(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def post(url: str, policy: AddressPolicy = HERE, seconds: float = 5.0, ca_file: str = "") -> Answer:
    sender = HttpSender(policy, seconds, ca_file)
    return asyncio.run(sender.post(Outgoing(url, {"content-type": "application/json"}, b"{}")))


# the sender


def test_a_request_arrives_as_it_was_signed(receiver: Receiver) -> None:
    outgoing = Outgoing(receiver.url("/a%2Fb?c=d%20e&token=x=="), {"webhook-id": "wh_1"}, '{"a": "é"}'.encode())
    assert asyncio.run(HttpSender(HERE).post(outgoing)) == Answer(200)
    path, headers, body = receiver.seen[0]
    assert (path, body) == ("/a%2Fb?c=d%20e&token=x==", outgoing.body)
    assert headers["webhook-id"] == "wh_1"
    assert headers["user-agent"] == "Plinth-Webhooks/1"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"


def test_statuses_come_back_and_redirects_are_not_followed(receiver: Receiver) -> None:
    assert post(receiver.url("/status/204")).delivered
    assert post(receiver.url("/status/500")) == Answer(500)
    assert post(receiver.url("/status/429")) == Answer(429, retry_after_seconds=120.0)
    assert "redirects are not followed" in post(receiver.url("/moved")).problem
    assert [path for path, _, _ in receiver.seen] == ["/status/204", "/status/500", "/status/429", "/moved"]


@pytest.mark.parametrize("path", ["/hang", "/drip"])
def test_a_receiver_that_takes_its_time_is_left_in_time(receiver: Receiver, path: str) -> None:
    started = time.monotonic()
    assert post(receiver.url(path), seconds=0.5) == Answer(error="no answer within 0.5 seconds.")
    assert time.monotonic() - started < 1.5


def test_a_flood_is_cut_off_and_its_status_counts(receiver: Receiver) -> None:
    started = time.monotonic()
    assert post(receiver.url("/flood")) == Answer(200)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("path", ["/garbage", "/headers"])
def test_what_is_no_http_is_a_failure(receiver: Receiver, path: str) -> None:
    assert "no HTTP answer" in post(receiver.url(path)).problem


def test_nobody_there(receiver: Receiver) -> None:
    receiver.stop()
    assert "could not connect" in post(receiver.url()).problem
    assert post("http://no-such-host.invalid/").problem == "the host name 'no-such-host.invalid' is not known."


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_by_default_in_every_spelling(receiver: Receiver, host: str) -> None:
    refused = post(receiver.url(host=host), AddressPolicy())
    assert refused.status_code is None
    assert receiver.seen == []


def fake_names(monkeypatch: pytest.MonkeyPatch, lookups: list[list[str]]) -> list[str]:
    """Name lookups that answer in turn, the last one for ever; returns the names asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "rebind.test":
            return real(host, port, *args, **options)
        asked.append(host)
        found = lookups.pop(0) if len(lookups) > 1 else lookups[0]
        six = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (a, port, 0, 0)) for a in found if ":" in a]
        return six + [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found if ":" not in a]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::ffff:169.254.169.254"])
def test_a_name_that_leads_to_a_metadata_service_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    fake_names(monkeypatch, [[address]])
    started = time.monotonic()
    assert "never used for webhooks" in post("http://rebind.test/latest/meta-data").problem
    assert time.monotonic() - started < 1


def test_the_address_that_was_judged_is_the_one_that_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_names(monkeypatch, [["127.0.0.1"], ["169.254.169.254"]])
    assert post(receiver.url(host="rebind.test")) == Answer(200)
    assert asked == ["rebind.test"]
    assert "never used" in post(receiver.url(host="rebind.test")).problem
    assert len(receiver.seen) == 1


def test_of_several_addresses_only_the_allowed_ones_are_tried(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_names(monkeypatch, [["169.254.169.254", "127.0.0.1"]])
    assert post(receiver.url(host="rebind.test")) == Answer(200)


def test_a_proxy_of_the_environment_sees_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url()) == Answer(200)


@pytest.fixture
def tls_files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """(CA certificate, certificate for localhost, its key), of an authority that no system knows."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name: str, issuer: str, key: Any, signer: Any, *extensions: Any) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = (x509.BasicConstraints(ca=True, path_length=None), True)
    names = x509.SubjectAlternativeName([x509.DNSName("rebind.test")])
    paths = tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key"
    paths[0].write_bytes(certificate("In-house CA", "In-house CA", authority, authority, ca))
    paths[1].write_bytes(certificate("rebind.test", "In-house CA", server, authority, (names, False)))
    paths[2].write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_tls_is_checked_against_the_name_not_the_address(
    tls_files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, certificate, key = tls_files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver = Receiver(context)
    fake_names(monkeypatch, [["127.0.0.1"]])
    try:
        assert post(receiver.url(host="rebind.test", scheme="https"), ca_file=str(ca)) == Answer(200)
        unknown = post(receiver.url(host="rebind.test", scheme="https")).problem
        assert "TLS failed" in unknown
        assert "webhooks.ca_file" in unknown
        assert "TLS failed" in post(receiver.url(host="localhost", scheme="https"), ca_file=str(ca)).problem
        assert len(receiver.seen) == 1
    finally:
        receiver.stop()


# deliveries


def webhooks(clock: Clock, **settings: Any) -> WebhookService:
    chosen = WebhookSettings(**{"allow_loopback_addresses": True, "timeout_seconds": 2.0, **settings})
    sender = HttpSender(address_policy(chosen), chosen.timeout_seconds, chosen.ca_file)
    return WebhookService(clock, KEY, chosen, sender, lambda *_: None)


def endpoint(db: Database, service: WebhookService, url: str, *types: str) -> tuple[str, str]:
    """(id, signing secret)"""
    draft = EndpointDraft("Test", url, types or ("batch.completed",))
    with db.write() as session:
        issued = service.create(session, actor(), draft)
    return issued.endpoint.id, issued.signing_secret


def complete_batch(db: Database, service: WebhookService, number: int = 1, id: str = "batch_1") -> None:
    for _ in range(number):
        fact = Event(1, "gateway.batch.completed", "proj_a", {"batch_id": id}, time.time() + 60)
        with db.write() as session:
            service.deliveries.on_fact(session, fact)


def delivered(db: Database, service: WebhookService, **query: Any) -> list[Delivery]:
    with db.read() as session:
        found = service.deliveries.page(session, "proj_a", DeliveryQuery(**{"limit": 100, **query}))
    return [delivery for delivery in found if delivery.status == "delivered"]


@pytest.fixture
def running() -> Iterator[Callable[[Database, WebhookService], threading.Event]]:
    """Starts a sender's loop in a thread; stops all of them at the end."""
    stop, threads = threading.Event(), []

    def start(db: Database, service: WebhookService) -> threading.Event:
        loop = DeliveryLoop(db, service.deliveries, service.sender)
        threads.append(threading.Thread(target=loop.run, args=(stop,)))
        threads[-1].start()
        return stop

    yield start
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_the_official_sdk_from_creation_to_unwrapping(db: Database, receiver: Receiver) -> None:
    service, app = webhooks(SystemClock()), FastAPI()
    kit_http.install(app)
    app.include_router(router(db, service, Caller().guard))
    server = AppThread(lambda: app)
    try:
        with OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="x", max_retries=0) as client:
            drive_the_sdk(client, receiver)
    finally:
        server.stop()


def drive_the_sdk(client: OpenAI, receiver: Receiver) -> None:
    types = client.webhooks.event_types.list()
    assert {"batch.completed", "eval.run.canceled", "fine_tuning.job.failed", "response.incomplete"} <= set(types.data)
    created = client.webhooks.create(name="Mine", url=receiver.url("/hook"), event_types=["batch.completed"])
    others = [client.webhooks.create(name=f"n{n}", url=receiver.url(), event_types=["batch.failed"]) for n in range(3)]
    assert client.webhooks.retrieve(created.id).signing_secret_hint == created.signing_secret_hint
    assert [found.id for found in client.webhooks.list(limit=2)] == [e.id for e in reversed([created, *others])]
    updated = client.webhooks.update(created.id, name="Ours", event_types=["batch.completed", "batch.failed"])
    assert (updated.name, updated.event_types) == ("Ours", ["batch.completed", "batch.failed"])

    result = client.webhooks.test(created.id, event_type="batch.failed")
    assert (result.status_code, result.success, result.webhook_endpoint_id) == (200, True, created.id)
    _, headers, body = receiver.seen[-1]
    event = client.webhooks.unwrap(body, headers, secret=created.signing_secret)
    assert (event.type, event.data.id) == ("batch.failed", "batch_sample")

    rotated = client.webhooks.rotate_secret(created.id, keep_old_secret_active_for_24_hours=True)
    assert rotated.signing_secret != created.signing_secret
    client.webhooks.test(created.id, event_type="batch.completed")
    _, headers, body = receiver.seen[-1]
    for secret in (created.signing_secret, rotated.signing_secret):
        client.webhooks.unwrap(body, headers, secret=secret)
    client.webhooks.rotate_secret(created.id)
    client.webhooks.test(created.id, event_type="batch.completed")
    _, headers, body = receiver.seen[-1]
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(body, headers, secret=rotated.signing_secret)

    with pytest.raises(openai.BadRequestError, match="metadata"):
        client.webhooks.create(name="x", url="http://169.254.169.254/", event_types=["batch.completed"])
    with pytest.raises(openai.BadRequestError, match=r"video\.completed"):
        client.webhooks.create(name="x", url=receiver.url(), event_types=["video.completed"])
    assert client.webhooks.delete(created.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.webhooks.retrieve(created.id)


def test_facts_arrive_soon_and_slow_receivers_delay_nobody(
    db: Database, receiver: Receiver, running: Callable[[Database, WebhookService], threading.Event]
) -> None:
    service = webhooks(SystemClock(), timeout_seconds=20.0)
    for _ in range(5):
        endpoint(db, service, receiver.url("/hang"))
    complete_batch(db, service, 20)  # a hundred that hang
    quick, secret = endpoint(db, service, receiver.url("/quick"))
    running(db, service)
    wait_for(lambda: sum(path == "/hang" for path, _, _ in receiver.seen) == 5 * 4, seconds=10)
    started = time.monotonic()
    complete_batch(db, service, 30)
    wait_for(lambda: len(delivered(db, service, endpoint_id=quick)) == 30, seconds=10)
    assert time.monotonic() - started < 5
    arrived = [(headers, body) for path, headers, body in receiver.seen if path == "/quick"]
    sdk = OpenAI(api_key="none")
    assert {sdk.webhooks.unwrap(body, headers, secret=secret).type for headers, body in arrived} == {"batch.completed"}
    assert len({headers["webhook-id"] for headers, _ in arrived}) == 30
    receiver.released.set()


def test_a_receiver_that_comes_back_gets_what_it_missed(db: Database, receiver: Receiver, clock: FixedClock) -> None:
    service = webhooks(clock)
    id, _ = endpoint(db, service, receiver.url("/status/503"))
    loop = DeliveryLoop(db, service.deliveries, service.sender)
    fact = Event(1, "gateway.batch.completed", "proj_a", {"batch_id": "batch_1"}, clock.unix())
    with db.write() as session:
        service.deliveries.on_fact(session, fact)
    for _ in range(4):
        loop.run_once()
        clock.advance(200)
    assert len(receiver.seen) == 4
    receiver.answer = lambda handler: (handler.send_response(200), handler.end_headers())  # type: ignore[method-assign]
    assert loop.run_once() == 1
    assert [delivery.attempts for delivery in delivered(db, service, endpoint_id=id)] == [5]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.seen}) == 1


def test_stopping_waits_a_little_and_loses_nothing(
    db: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "STOP_SECONDS", 0.2)
    service = webhooks(SystemClock(), timeout_seconds=30.0)
    endpoint(db, service, receiver.url("/hang"))
    complete_batch(db, service)
    stop = threading.Event()
    thread = threading.Thread(target=DeliveryLoop(db, service.deliveries, service.sender).run, args=(stop,))
    thread.start()
    wait_for(lambda: len(receiver.seen) == 1, seconds=10)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    receiver.released.set()
    receiver.answer = lambda handler: (handler.send_response(200), handler.end_headers())  # type: ignore[method-assign]
    later = webhooks(FixedClock(time.time() + 46), timeout_seconds=30.0)
    assert DeliveryLoop(db, later.deliveries, later.sender).run_once() == 1
    assert len(delivered(db, later)) == 1


CHILD = """
import sys, threading
sys.path.insert(0, {tests!r})
from integration.gateway.test_webhooks import DeliveryLoop, Database, SystemClock, webhooks
db, service = Database({url!r}), webhooks(SystemClock(), timeout_seconds=30.0)
DeliveryLoop(db, service.deliveries, service.sender).run(threading.Event())
"""


@pytest.mark.slow
def test_a_killed_senders_deliveries_are_sent_again(db: Database, receiver: Receiver) -> None:
    service = webhooks(SystemClock(), timeout_seconds=30.0)
    _, secret = endpoint(db, service, receiver.url("/hang"))
    complete_batch(db, service, 3)
    program = CHILD.format(tests=str(Path(__file__).parents[2]), url=db.url)
    child = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONWARNINGS": "ignore"})
    try:
        wait_for(lambda: len(receiver.seen) == 3, seconds=30)  # all three in mid-send
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert delivered(db, service) == []
    receiver.released.set()
    receiver.answer = lambda handler: (handler.send_response(200), handler.end_headers())  # type: ignore[method-assign]
    # another worker, when the dead one's claims (time-out + margin) have run out
    assert DeliveryLoop(db, service.deliveries, service.sender).run_once() == 0
    later = webhooks(FixedClock(time.time() + 46), timeout_seconds=30.0)
    assert DeliveryLoop(db, later.deliveries, later.sender).run_once() == 3
    assert len(delivered(db, later)) == 3
    ids = [headers["webhook-id"] for _, headers, _ in receiver.seen]
    assert sorted(ids[:3]) == sorted(ids[3:])
    sdk = OpenAI(api_key="none")
    for _, headers, body in receiver.seen:
        assert json.loads(body) == sdk.webhooks.unwrap(body, headers, secret=secret).to_dict()


def test_a_database_that_is_away_for_a_while_stops_nothing(
    db: Database,
    receiver: Receiver,
    running: Callable[[Database, WebhookService], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs_module, "OUTAGE_PAUSE_SECONDS", 0.05)
    service = webhooks(SystemClock())
    endpoint(db, service, receiver.url("/"))
    away, real, failures = threading.Event(), db.read, []

    def read() -> Any:
        if away.is_set():
            failures.append(1)
            raise OSError("database away")
        return real()

    away.set()
    monkeypatch.setattr(db, "read", read)
    running(db, service)
    complete_batch(db, service)
    wait_for(lambda: len(failures) > 3, seconds=10)
    away.clear()
    wait_for(lambda: len(delivered(db, service)) == 1, seconds=10)
