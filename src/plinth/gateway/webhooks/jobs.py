"""The sender: one loop in the worker that claims what is due and sends it, many at once.

Waiting costs nothing here, so that receivers that hang hold up only themselves: a few slots each
(`deliveries.PER_ENDPOINT`), out of `concurrency`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from plinth.gateway.webhooks.deliveries import Deliveries
from plinth.gateway.webhooks.model import Answer, Attempt
from plinth.gateway.webhooks.ports import Sender
from plinth.kit.db import Database, Session
from plinth.kit.secrets import SecretUnreadable

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL_SECONDS = 0.5
OUTAGE_PAUSE_SECONDS = 1.0
STOP_SECONDS = 8.0
NAME_LOOKUPS = 32
"""Threads for host names, which the system library can only look up by waiting."""


class DeliveryLoop:
    """At-least-once: an attempt is claimed before and settled after it is sent; dying in between repeats it.

    Any number of workers may run one; none needs to know of the others.
    """

    def __init__(self, db: Database, deliveries: Deliveries, sender: Sender, concurrency: int = 128) -> None:
        self._db, self._deliveries, self._sender, self._concurrency = db, deliveries, sender, concurrency
        self._in_flight: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop; then wait a little for what is under way."""
        asyncio.run(self._run(stop))

    def run_once(self) -> int:
        """Send what is due now and wait for the answers; returns the number of attempts."""
        return asyncio.run(self._run_once())

    async def _run(self, stop: threading.Event) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(NAME_LOOKUPS, "webhook-names"))
        under_way: set[asyncio.Task[None]] = set()
        with ThreadPoolExecutor(1, "webhook-database") as database:
            while not stop.is_set():
                try:
                    claimed = await self._claim(database)
                except Exception:  # the loop must outlive a database outage; nothing is lost meanwhile
                    log.exception("webhook deliveries could not be claimed; trying again")
                    claimed = []
                    await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
                for attempt in claimed:
                    task = asyncio.create_task(self._deliver(attempt, database))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if not claimed:
                    await _first_of(under_way)
            if under_way:
                _, late = await asyncio.wait(under_way, timeout=STOP_SECONDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    async def _run_once(self) -> int:
        attempts = 0
        with ThreadPoolExecutor(1, "webhook-database") as database:
            while claimed := await self._claim(database):
                attempts += len(claimed)
                await asyncio.gather(*(self._deliver(attempt, database) for attempt in claimed))
        return attempts

    async def _claim(self, database: ThreadPoolExecutor) -> list[Attempt]:
        free, in_flight = self._concurrency - self._in_flight.total(), dict(self._in_flight)
        if free <= 0:
            return []

        def work() -> list[Attempt]:
            # looking takes no write lock, and mostly there is nothing to claim
            with self._db.read() as session:
                if not self._deliveries.any_due(session, in_flight):
                    return []
            with self._db.write() as session:
                return self._deliveries.claim(session, in_flight, free)

        claimed = await asyncio.get_running_loop().run_in_executor(database, work)
        self._in_flight.update(attempt.endpoint.id for attempt in claimed)
        return claimed

    async def _deliver(self, attempt: Attempt, database: ThreadPoolExecutor) -> None:
        try:
            answer = await self._send(attempt)
            await self._settle(attempt, answer, database)
        except Exception:  # whatever it is, the claim lapses and the delivery is tried again
            log.exception("a webhook delivery was not settled", extra={"delivery_id": attempt.delivery.id})
        finally:
            self._in_flight[attempt.endpoint.id] -= 1
            self._in_flight += Counter()  # drops what has come to zero

    async def _send(self, attempt: Attempt) -> Answer:
        try:
            outgoing = self._deliveries.outgoing(attempt)
        except SecretUnreadable as error:
            return Answer(error=error.message)
        return await self._sender.post(outgoing)

    async def _settle(self, attempt: Attempt, answer: Answer, database: ThreadPoolExecutor) -> None:
        def work(session: Session) -> None:
            self._deliveries.settle(session, attempt, answer)

        await asyncio.get_running_loop().run_in_executor(database, self._write, work)
        if answer.problem:
            extra = {"delivery_id": attempt.delivery.id, "attempt": attempt.number, "problem": answer.problem}
            log.info("a webhook was not delivered", extra={**extra, "endpoint_id": attempt.endpoint.id})

    def _write(self, work: Callable[[Session], T]) -> T:
        with self._db.write() as session:
            return work(session)


async def _first_of(tasks: set[asyncio.Task[None]]) -> None:
    """Until one of them ends, or it is time to look again."""
    if tasks:
        await asyncio.wait(tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(POLL_SECONDS)
