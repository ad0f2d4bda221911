"""The durable workflow "gateway.calibration", queue "calibrations"; started by `gateway.calibration.queued`."""

from __future__ import annotations

from functools import partial
from typing import Any

from plinth.gateway.decisions.runner import CalibrationRunner
from plinth.kit.jobs import JobContext, Workflow

QUEUE = "calibrations"
CALIBRATE = "gateway.calibration"


def workflows(runner: CalibrationRunner) -> list[Workflow]:
    """The payload is {"calibration_id"}, as the event carries it; use the id as the job's id."""

    def run(context: JobContext, payload: Any) -> None:
        calibrate(context, runner, str(payload["calibration_id"]))

    return [Workflow(CALIBRATE, QUEUE, run)]


def calibrate(context: JobContext, runner: CalibrationRunner, id: str) -> None:
    """One step per chunk: a kill repeats at most the chunk it interrupted."""
    error, last = None, ""
    try:
        plan = context.step("begin", lambda: runner.begin(id))
        for position in range(plan["chunks"]):
            ended = context.step(f"chunk {position}", partial(runner.chunk, id, position, plan["size"]))
            error, last = ended["error"], ended["last"] or last
            if ended["stop"]:
                break
        context.step("finish", lambda: runner.finish(id, error, last))
    except Exception:  # a calibration must never stay "running" for ever; the failure itself goes on below
        context.step("give up", lambda: runner.give_up(id))
        raise
