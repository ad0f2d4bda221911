"""A steady load of chat requests from a process of its own.

    python gateway_load.py URL KEY MODEL REQUESTS_PER_SECOND [--streams]

Every second request is a stream; with `--streams` all are. Starts a request on schedule however long the others take
(an open loop, so a stall is seen and not waited out). Prints `began`, reads a line to stop, lets the
last requests end, and prints one JSON object for each request.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import orjson
import uvloop

_PATIENCE = aiohttp.ClientTimeout(total=30)


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str, model: str, only_streams: bool) -> None:
        self._session, self._url, self._model = session, f"{url}/v1/chat/completions", model
        self._only_streams = only_streams
        self.outcomes: list[dict[str, Any]] = []

    async def ask(self, number: int) -> None:
        streamed = self._only_streams or number % 2 == 1
        body: dict[str, Any] = {"model": self._model, "messages": [{"role": "user", "content": f"number {number}"}]}
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        seen = {"status": 0, "request_id": "", "said": "", "tokens": 0, "problem": ""}
        began = time.monotonic()
        try:
            async with self._session.post(self._url, data=orjson.dumps(body)) as answer:
                seen["status"], seen["request_id"] = answer.status, answer.headers.get("x-request-id", "")
                content = await answer.read()
            if answer.status != 200:
                seen["problem"] = content.decode()[:300]
            elif streamed:
                _read_stream(content, seen)
            else:
                _read_whole(content, seen)
        except (TimeoutError, aiohttp.ClientError, ValueError, KeyError) as error:
            seen["problem"] = f"{type(error).__name__}: {error}"
        times = {"began": began, "ended": time.monotonic()}
        self.outcomes.append({**times, **seen, "model": self._model, "streamed": streamed})


def _read_whole(content: bytes, seen: dict[str, Any]) -> None:
    answer = orjson.loads(content)
    seen["said"], seen["tokens"] = answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"]


def _read_stream(content: bytes, seen: dict[str, Any]) -> None:
    """A good stream ends with `[DONE]` and has told its usage; an error event is a failure."""
    events = [line[6:] for line in content.split(b"\n") if line.startswith(b"data: ")]
    if not events or events[-1] != b"[DONE]":
        seen["problem"] = f"the stream broke off after {len(events)} events: {events[-1:]!r}"
        return
    for event in map(orjson.loads, events[:-1]):
        if "error" in event:
            seen["problem"] = json.dumps(event["error"])
            return
        for choice in event["choices"]:
            seen["said"] += choice["delta"].get("content") or ""
        if event.get("usage"):
            seen["tokens"] = event["usage"]["total_tokens"]
    if not seen["tokens"]:
        seen["problem"] = "the stream told no usage"


async def main(url: str, key: str, model: str, per_second: float, only_streams: bool) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, timeout=_PATIENCE, connector=connector) as session:
        client = Client(session, url, model, only_streams)
        stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print("began", flush=True)
        tasks: set[asyncio.Task[None]] = set()
        number, start = 0, time.monotonic()
        while not stop.done():
            due = start + number / per_second
            if (pause := due - time.monotonic()) > 0:
                await asyncio.wait([stop], timeout=pause)
            if stop.done():
                break
            task = asyncio.create_task(client.ask(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.gather(*tasks)
    sys.stdout.writelines(json.dumps(outcome) + "\n" for outcome in client.outcomes)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), "--streams" in sys.argv))
