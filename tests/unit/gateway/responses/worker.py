"""A worker in a process of its own, to be killed: `python worker.py <database url> <port url> <response id>`."""

from __future__ import annotations

import sys
import time

from plinth.adapters.chat_streams.http import HttpChatStream
from plinth.adapters.jobs.dbos import DbosJobs
from plinth.gateway.responses import BackgroundRunner, ConversationService, ResponsesService, ResponsesSettings
from plinth.gateway.responses.jobs import GENERATE, QUEUE, workflows
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database


def main(database_url: str, port_url: str, response_id: str) -> None:
    db, clock, settings = Database(database_url), FixedClock(), ResponsesSettings(poll_seconds=0.05)

    def audit(*_: object) -> None: ...

    service = ResponsesService(clock, settings, audit, ConversationService(clock, audit))
    runner = BackgroundRunner(db, clock, service, HttpChatStream(port_url, lambda project: "t"), settings)
    jobs = DbosJobs(database_url, "test")
    jobs.start(workflows(runner), {QUEUE: 2})
    jobs.enqueue(GENERATE, response_id, {"response_id": response_id})
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
