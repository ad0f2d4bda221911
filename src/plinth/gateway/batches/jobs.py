"""The durable workflows `gateway.batch.check` and `gateway.batch.run`; both take {"batch_id"}.

Checks have a queue of their own, so that a mistake in a file is known in seconds while the models
are busy with other batches.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from plinth.gateway.batches.checker import InputChecker
from plinth.gateway.batches.model import Ending
from plinth.gateway.batches.runner import BatchRunner
from plinth.gateway.batches.spool import SpoolBusy
from plinth.kit.clock import Clock
from plinth.kit.errors import StorageFull
from plinth.kit.jobs import JobContext, Workflow

log = logging.getLogger(__name__)
T = TypeVar("T")

CHECK, RUN = "gateway.batch.check", "gateway.batch.run"
CHECK_QUEUE, RUN_QUEUE = "batch_checks", "batches"
TRIES, PAUSE_SECONDS = 720, 5.0


def workflows(checker: InputChecker, runner: BatchRunner, clock: Clock) -> list[Workflow]:
    def check(context: JobContext, payload: Any) -> None:
        batch_id = str(payload["batch_id"])
        try:
            context.step("check", lambda: patiently(clock, lambda: checker.check(batch_id)))
        except Exception:  # a batch must never stay "validating" for ever; the failure itself goes on below
            context.step("give up", lambda: checker.give_up(batch_id))
            raise

    def run(context: JobContext, payload: Any) -> None:
        batch_id = str(payload["batch_id"])
        try:
            while (ending := context.step("work", lambda: patiently(clock, lambda: runner.work(batch_id)))) is not None:
                if context.step("finish", partial(_finish, clock, runner, batch_id, Ending(ending))):
                    break
        except Exception:  # as above: the batch must end, and the log must say why
            context.step("give up", lambda: runner.give_up(batch_id))
            raise

    return [Workflow(CHECK, CHECK_QUEUE, check), Workflow(RUN, RUN_QUEUE, run)]


def _finish(clock: Clock, runner: BatchRunner, batch_id: str, ending: Ending) -> bool:
    return patiently(clock, lambda: runner.finish(batch_id, ending))


def patiently(clock: Clock, work: Callable[[], T]) -> T:
    """Do the work, for an hour if need be, while the database, the disk or the lock is not to be had."""
    for tries in range(1, TRIES + 1):
        try:
            return work()
        except (DBAPIError, StorageFull, SpoolBusy, OSError) as error:
            if tries == TRIES or (isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT)):
                raise
            log.warning("a batch has to wait", extra={"tries": tries, "reason": str(error)})
            clock.sleep(PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")
