"""The durable workflow "gateway.response", queue "responses"; started by `gateway.response.queued`."""

from __future__ import annotations

from typing import Any

from plinth.gateway.responses.background import BackgroundRunner
from plinth.kit.jobs import JobContext, Workflow

QUEUE = "responses"
GENERATE = "gateway.response"


def workflows(runner: BackgroundRunner) -> list[Workflow]:
    """The payload is {"response_id"}, as the event carries it; use the id as the job's id."""

    def run(context: JobContext, payload: Any) -> None:
        generate(context, runner, str(payload["response_id"]))

    return [Workflow(GENERATE, QUEUE, run)]


def generate(context: JobContext, runner: BackgroundRunner, response_id: str) -> None:
    """One step: what has been generated so far is of no use to an engine that starts again."""
    try:
        context.step("generate", lambda: runner.run(response_id))
    except Exception:  # a response must never stay "in progress" for ever; the failure itself goes on below
        context.step("give up", lambda: runner.give_up(response_id))
        raise
