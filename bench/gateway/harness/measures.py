"""What is measured, one function each. Every function returns plain numbers: milliseconds,
microseconds of CPU, bytes, requests a second. A measure that fails says why instead of a number."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import machine
from harness.load import Load, chat_body, embedding_body
from harness.peers import Running
from harness.upstream import Plan, Upstream

CONNECTIONS = 32
LOW_RATE = 50.0
PACED = Plan(chunks=64, size=8, gap_microseconds=20_000)
PACED_RATE = 25.0
"""Streams a second: about 32 at a time, 1,600 chunks a second."""
FLOOD = Plan(chunks=100_000_000, size=8192)
QUIET = Plan(chunks=2, size=8, gap_microseconds=600_000_000)
ENDLESS = Plan(chunks=1_000_000, size=8, gap_microseconds=20_000)
_PLAIN = Plan()
_LEAVE_SECONDS = 5.0

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """The instruments, and how long to measure."""

    load: Load
    upstream: Upstream
    seconds: float
    warmup_seconds: float
    leavers: int
    stall_seconds: float


def warm_up(bench: Bench, peer: Running) -> None:
    """What happens only once (late imports, caches, connections) happens before anything is measured."""
    for stream in (False, True):
        body = chat_body(peer.target.model, _PLAIN, stream)
        bench.load.run(peer.target, body, connections=CONNECTIONS, seconds=max(2.0, bench.warmup_seconds))


def saturation(bench: Bench, peer: Running) -> Numbers:
    """As many requests as 32 clients get through."""
    body = chat_body(peer.target.model, _PLAIN, stream=False)
    return _loaded(bench, peer, body, mode="closed", connections=CONNECTIONS, expect=_PLAIN.chunks)


def low_rate(bench: Bench, peer: Running) -> Numbers:
    """50 requests a second, whatever happens."""
    body = chat_body(peer.target.model, _PLAIN, stream=False)
    options = {"mode": "open", "rate": LOW_RATE, "expect": _PLAIN.chunks}
    return _loaded(bench, peer, body, **options)


def burst(bench: Bench, peer: Running) -> Numbers:
    """32 streams at a time, 64 chunks each, sent as fast as they are read."""
    body = chat_body(peer.target.model, _PLAIN, stream=True)
    return _loaded(bench, peer, body, mode="closed", connections=CONNECTIONS, expect=_PLAIN.chunks)


def paced(bench: Bench, peer: Running) -> Numbers:
    """About 32 streams at a time, a chunk every 20 ms each, as an engine sends them."""
    body = chat_body(peer.target.model, PACED, stream=True)
    seconds = PACED.chunks * PACED.gap_microseconds / 1e6  # until as many streams end as begin
    return _loaded(bench, peer, body, mode="open", rate=PACED_RATE, expect=PACED.chunks, warmup=seconds * 1.2)


def embeddings(bench: Bench, peer: Running) -> Numbers:
    """As many as 32 clients get through; 384 dimensions. A good answer is one with status 200."""
    if not peer.target.embedding_model:
        return {"failed": "no embedding model"}
    return _loaded(
        bench,
        peer,
        embedding_body(peer.target.embedding_model),
        path=peer.target.embeddings_path,
        mode="closed",
        connections=CONNECTIONS,
        mark='"embedding":',
    )


def abandoned(bench: Bench, peer: Running) -> Numbers:
    """How long after a client left its stream the upstream sees its connection closed: while pieces
    come, and while the upstream is silent."""
    found: Numbers = {}
    for name, plan, after in (("talking", ENDLESS, 5), ("silent", QUIET, 1)):
        bench.upstream.left()
        body = chat_body(peer.target.model, plan, stream=True)
        run = bench.load.run(peer.target, body, mode="abandon", connections=4, after=after, count=bench.leavers)
        left = dict(run["left"])
        seen: dict[int, int] = {}
        deadline = time.monotonic() + _LEAVE_SECONDS
        while len(seen) < len(left) and time.monotonic() < deadline:
            seen |= bench.upstream.left()
            time.sleep(0.05)
        times = sorted((seen[stream] - at) / 1e6 for stream, at in left.items() if stream in seen)
        found[f"{name}_left"] = len(left)
        found[f"{name}_unseen"] = len(left) - len(times)
        found[f"{name}_p50"] = statistics.median(times) if times else None
        found[f"{name}_max"] = times[-1] if times else None
        if run["bad"] or run["broken"]:
            found["failed"] = run["complaint"]
    return found


def stalled(bench: Bench, peer: Running) -> Numbers:
    """One client asks for an endless answer, reads its beginning and stops reading: what the gateway
    takes from the upstream, and how much its memory grows."""
    gateway = peer.gateway()
    body = chat_body(peer.target.model, FLOOD, stream=True)
    before, sent = machine.memory_bytes(gateway), bench.upstream.stats()["bytes_sent"]
    with bench.load.begin(peer.target, body, mode="stall", connections=1, seconds=bench.stall_seconds) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if "stalled" not in (first := process.stdout.readline()):
            return {"failed": (first or process.stderr.read())[:300]}
        highest, deadline = before, time.monotonic() + bench.stall_seconds * 0.9
        while time.monotonic() < deadline:
            highest = max(highest, machine.memory_bytes(gateway))
            time.sleep(0.1)
        return {"growth_bytes": highest - before, "taken_bytes": bench.upstream.stats()["bytes_sent"] - sent}


def memory(bench: Bench, peer: Running, requests: int, most_seconds: float) -> Numbers:
    """Memory at 21 points while `requests` pass, and how much the last half added. A gateway that would
    need more than about `most_seconds` gets fewer requests."""
    body = chat_body(peer.target.model, _PLAIN, stream=False)
    warm = bench.load.run(peer.target, body, connections=CONNECTIONS, seconds=max(2.0, bench.warmup_seconds))
    requests = int(min(requests, max(100.0, warm["per_second"] * most_seconds)))
    start = bench.upstream.stats()["requests"]
    samples: list[Numbers] = []

    def sample() -> None:
        done = bench.upstream.stats()["requests"] - start
        gateway, platform = machine.memory_bytes(peer.gateway()), machine.memory_bytes(peer.platform())
        samples.append({"requests": done, "gateway_bytes": gateway, "platform_bytes": platform})

    sample()
    options = {"connections": CONNECTIONS, "expect": _PLAIN.chunks, "requests": max(1, requests // 20)}
    bad = 0
    for _ in range(20):
        run = bench.load.run(peer.target, body, **options)
        bad += run["requests"] - run["good"]
        sample()
    half = samples[len(samples) // 2]
    last = samples[-1]
    return {
        "requests": last["requests"],
        "bad": bad,
        "start_bytes": samples[0]["gateway_bytes"],
        "end_bytes": last["gateway_bytes"],
        "last_half_requests": last["requests"] - half["requests"],
        "last_half_bytes": last["gateway_bytes"] - half["gateway_bytes"],
        "last_half_platform_bytes": last["platform_bytes"] - half["platform_bytes"],
        "samples": samples,
    }


ONE_WORKER: dict[str, Callable[[Bench, Running], Numbers]] = {
    "saturation": saturation,
    "low_rate": low_rate,
    "burst": burst,
    "paced": paced,
    "embeddings": embeddings,
    "abandoned": abandoned,
    "stalled": stalled,
}
"""In this order: what may leave a gateway in disorder comes last."""


def _loaded(bench: Bench, peer: Running, body: dict[str, Any], **options: Any) -> Numbers:
    """A run of the load generator with what it cost. CPU is of the whole run, warm-up included, over
    all its requests; `cpu_us_per_chunk` is meant for streams."""
    watch = machine.Watch(peer.gateway(), peer.platform(), bench.upstream.pid)
    with watch:
        options = {"seconds": bench.seconds, "warmup": bench.warmup_seconds, **options}
        found = bench.load.run(peer.target, body, **options)
    load_seconds = found["busy"] * found["seconds"]
    requests, chunks = max(1, found["requests"]), max(1, found["marks"])
    found |= {
        "cpu_us_per_request": watch.gateway_seconds / requests * 1e6,
        "cpu_us_per_chunk": watch.gateway_seconds / chunks * 1e6,
        "platform_cpu_us_per_request": watch.platform_seconds / requests * 1e6,
        "gateway_cores": watch.gateway_seconds / watch.wall_seconds,
        "tools_cores": (load_seconds + watch.upstream_seconds) / watch.wall_seconds,
        "others_cores": watch.others(load_seconds),
    }
    if found["unfinished"]:
        found["failed"] = f"it could not keep up: {found['unfinished']} unfinished 10 s after the end"
    if found["good"] == 0 or found["bad"] or found["broken"]:
        found["failed"] = f"{found['bad']} bad, {found['broken']} broken of {found['requests']}: {found['complaint']}"
    return found
