"""What happens to running answers: clients that leave, engines that die, readers that stop, switches."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import psutil
import pytest

from integration.gateway.conftest import KEY, World, wait_for

BODY = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "x"}], "stream": True}).encode()


def raw_request(world: World, body: bytes = BODY) -> socket.socket:
    """A request on a plain socket, for clients that misbehave."""
    client = socket.create_connection(("127.0.0.1", world.thread.port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return client


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_generation(world: World, stream: bool) -> None:
    world.engine.mode, world.engine.pause = "slow", 60
    body = json.dumps({**json.loads(BODY), "stream": stream}).encode()
    client = raw_request(world, body)
    wait_for(lambda: world.engine.sent > 0)
    if stream:
        received = b""
        while b"Hello" not in received:
            received += client.recv(65536)
    else:
        time.sleep(0.3)  # nothing tells from outside that the gateway has the first word
    client.close()
    wait_for(lambda: world.engine.cancelled == 1)
    (record,) = world.records(1)
    assert record.status == 499
    assert record.completion_tokens == 1


def test_a_client_that_leaves_before_the_first_byte_ends_the_generation(world: World) -> None:
    world.engine.mode, world.engine.pause = "slow_start", 60
    client = raw_request(world)
    wait_for(lambda: len(world.engine.requests) == 1)
    client.close()
    wait_for(lambda: world.engine.cancelled == 1)


def test_sdk_stream_closed_early_reaches_the_engine(world: World) -> None:
    world.engine.mode, world.engine.pause = "slow", 60
    stream = world.ask(stream=True)
    next(iter(stream))
    stream.close()
    wait_for(lambda: world.engine.cancelled == 1)


def test_a_reader_that_stops_stops_the_engine_too(world: World) -> None:
    world.engine.mode = "flood"
    before = psutil.Process().memory_info().rss
    client = raw_request(world)
    sent, still = -1, 0
    while still < 10:  # until nothing moves for half a second
        still = still + 1 if world.engine.sent == sent else 0
        sent = world.engine.sent
        assert sent < 64 * 1024 * 1024, "the engine was never slowed down"
        time.sleep(0.05)
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024
    client.close()
    wait_for(lambda: world.engine.cancelled == 1)


def test_a_reader_that_never_goes_on_is_dropped(make_world: Any) -> None:
    world = make_world(client_stall_seconds=0.2)
    world.engine.mode = "flood"
    with raw_request(world):
        wait_for(lambda: world.engine.cancelled == 1)
        assert world.records(1)[0].status == 499


@pytest.mark.parametrize("mode", ["die_mid", "garbage", "error_mid", "no_reason"])
def test_an_engine_that_breaks_off_ends_the_stream_with_an_error_event(world: World, mode: str) -> None:
    world.engine.mode = mode
    events = raw_events(world)
    assert json.loads(events[0])["choices"][0]["delta"]["role"] == "assistant"
    last = json.loads(events[-1])
    assert last["error"]["code"] == "engine_lost"
    assert "[DONE]" not in events
    (record,) = world.records(1)
    assert record.status == 503
    assert len(world.engine.requests) == 1


def raw_events(world: World) -> list[str]:
    response = httpx.post(
        world.url + "/v1/chat/completions", content=BODY, headers={"authorization": f"Bearer {KEY}"}, timeout=20
    )
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    return [event.removeprefix("data: ") for event in response.text.strip().split("\n\n") if event.startswith("data:")]


def test_the_sdk_raises_on_an_error_event(world: World) -> None:
    world.engine.mode = "die_mid"
    with pytest.raises(openai.APIError):
        list(world.ask(stream=True))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("mode", ["die_first", "not_http", "loading"])
def test_a_lost_engine_gets_one_more_attempt_then_503(world: World, mode: str, stream: bool) -> None:
    world.engine.mode = mode
    with pytest.raises(openai.InternalServerError) as caught:
        world.ask(stream=stream)
    assert caught.value.status_code == 503
    assert caught.value.code == "engine_lost"
    assert caught.value.response.headers["retry-after"] == "1"
    assert len(world.engine.requests) == 2


def test_an_answer_in_one_piece_survives_an_engine_that_dies_in_the_middle(world: World) -> None:
    successor = world.new_engine("green")
    world.engine.mode = "die_mid"
    world.switch_to(successor)
    assert world.ask().choices[0].message.content == "Hello dear world"


def test_refused_connection_waits_for_the_refreshed_endpoint(world: World) -> None:
    successor = world.new_engine("green")
    world.engine.stop()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.ask)
        time.sleep(0.2)
        world.switch_to(successor)
        assert answer.result().choices[0].message.content == "Hello dear world"
    assert len(successor.requests) == 1


def test_switching_engines_under_load_loses_no_request(world: World) -> None:
    failures: list[BaseException] = []
    asked = iter(range(300))
    lock = threading.Lock()

    def client(stream: bool) -> None:
        while True:
            with lock:
                if next(asked, None) is None:
                    return
            try:
                answer = world.ask(stream=stream)
                if stream:
                    text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
                else:
                    text = answer.choices[0].message.content
                assert text == "Hello dear world"
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=client, args=(number % 2 == 0,)) for number in range(8)]
    for thread in threads:
        thread.start()
    current, switches = world.engine, 0
    while any(thread.is_alive() for thread in threads):
        successor = world.new_engine(f"engine-{switches}")
        # the order a reconciler keeps: announce the new one, let running answers end, stop the old one
        world.switch_to(successor)
        time.sleep(0.15)
        current.stop()
        current, switches = successor, switches + 1
    for thread in threads:
        thread.join()
    assert failures == []
    assert switches >= 2
    records = world.records(300)
    assert len(records) == 300
    assert {record.status for record in records} == {200}


def test_a_model_that_is_not_running_is_asked_for_and_waited_for(world: World) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.ask, model="sleeping")
        wait_for(lambda: bool(world.wanted))
        started = [world.endpoint, type(world.endpoint)("base-2", socket_path=str(world.engine.path), state="starting")]
        world.facts.change("serving.endpoints.changed", endpoints=started)
        ready = [world.endpoint, type(world.endpoint)("base-2", socket_path=str(world.engine.path))]
        world.facts.change("serving.deployment.ready", endpoints=ready)
        assert answer.result().model == "sleeping"
    assert world.wanted == [("proj_a", "base-2")]


def test_a_model_that_does_not_start_in_time(make_world: Any) -> None:
    world = make_world(start_timeout_seconds=0.2)
    with pytest.raises(openai.InternalServerError) as caught:
        world.ask(model="sleeping")
    assert caught.value.status_code == 503
    assert caught.value.code == "model_starting"
    assert caught.value.response.headers["retry-after"]


def test_a_failed_deployment_says_why(world: World) -> None:
    broken = type(world.endpoint)("base-2", state="failed", reason="The weights are damaged.")
    world.facts.change("serving.deployment.failed", endpoints=[world.endpoint, broken])
    wait_for(lambda: "base-2" in world.app._keeper.current.endpoints)
    with pytest.raises(openai.InternalServerError) as caught:
        world.ask(model="sleeping")
    assert caught.value.code == "model_failed"
    assert "The weights are damaged." in caught.value.body["message"]


@pytest.mark.parametrize("mode", ["slow_start", "silent"])
def test_silence_is_bridged_with_comments(make_world: Any, mode: str) -> None:
    world = make_world(keepalive_comment_seconds=0.1)
    world.engine.mode, world.engine.pause = mode, 0.5
    response = httpx.post(world.url + "/v1/chat/completions", content=BODY, headers={"authorization": f"Bearer {KEY}"})
    assert response.text.count(": keep-alive\n\n") >= 2
    assert response.text.endswith("data: [DONE]\n\n")
    assert next(iter(world.ask(stream=True))).choices  # the SDK reads over comments


def test_after_a_comment_a_failure_is_an_event(make_world: Any) -> None:
    world = make_world(keepalive_comment_seconds=0.05, engine_silence_seconds=0.3, switch_timeout_seconds=0)
    world.engine.mode, world.engine.pause = "slow_start", 60
    events = raw_events(world)
    assert json.loads(events[-1])["error"]["code"] == "engine_lost"
    assert len(world.engine.requests) == 2


def test_the_last_good_snapshot_serves_while_the_database_is_away(world: World) -> None:
    world.facts.away = world.usage.away = True
    wait_for(lambda: world.app._keeper.database_away)
    assert world.ask().choices
    assert world.usage.records == {}
    world.facts.away = world.usage.away = False
    assert len(world.records(1)) == 1
    wait_for(lambda: not world.app._keeper.database_away)


def test_a_snapshot_that_is_too_old_is_not_relied_on(make_world: Any) -> None:
    world = make_world(stale_limit_seconds=0.3)
    world.facts.away = True
    wait_for(lambda: world.app._keeper.database_away)
    assert world.ask().choices
    time.sleep(0.4)
    with pytest.raises(openai.InternalServerError) as caught:
        world.ask()
    assert caught.value.code == "gateway_not_ready"
    world.facts.away = False
    wait_for(lambda: not world.app._keeper.database_away)
    assert world.ask().choices
