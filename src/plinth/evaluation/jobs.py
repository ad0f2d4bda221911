"""The durable workflows: "evaluation.run" and "evaluation.parity", queue "evaluation"."""

from __future__ import annotations

from functools import partial
from typing import Any

from plinth.evaluation.parity import CHUNK, ParityChecker
from plinth.evaluation.runner import RunExecutor
from plinth.kit.jobs import JobContext, Workflow

QUEUE = "evaluation"
RUN, PARITY = "evaluation.run", "evaluation.parity"


def workflows(executor: RunExecutor, parity: ParityChecker, parity_prompts: int = 200) -> list[Workflow]:
    """Payloads: {"run_id"} and {"version_id", "project_id"}, as the events that start them carry."""

    def run(context: JobContext, payload: Any) -> None:
        run_eval(context, executor, payload["run_id"])

    def check(context: JobContext, payload: Any) -> None:
        check_parity(context, parity, (payload["version_id"], payload["project_id"]), parity_prompts)

    return [Workflow(RUN, QUEUE, run), Workflow(PARITY, QUEUE, check)]


def run_eval(context: JobContext, executor: RunExecutor, run_id: str) -> None:
    """One step per chunk: a kill repeats at most the chunk it interrupted."""
    error = None
    try:
        plan = context.step("begin", lambda: executor.begin(run_id))
        for position in range(plan["chunks"]):
            ended = context.step(f"chunk {position}", partial(executor.chunk, run_id, position, plan["size"]))
            error = ended["error"]
            if ended["stop"]:
                break
    except Exception:  # a run must never stay "in progress" for ever; the failure itself goes on below
        problem = {"code": "internal_error", "message": "The run broke off inside Plinth; see the worker's log."}
        context.step("give up", lambda: executor.finish(run_id, problem))
        raise
    context.step("finish", lambda: executor.finish(run_id, error))


def check_parity(context: JobContext, parity: ParityChecker, target: tuple[str, str], limit: int) -> None:
    """`target` is version id and project id."""
    prompts = context.step("prompts", lambda: parity.prompts(*target, limit))
    parts = [
        context.step(f"chunk {position}", partial(parity.chunk, *target, position, prompts))
        for position in range(-(-prompts // CHUNK))
    ]
    if parts:
        context.step("report", lambda: parity.report(*target, parts))
