"""From a run folder's progress file into the database: every fact once, every second.

The place in the file moves in the transaction that stores what was read, and every fact has a
natural key, so neither a crash of the worker nor a trainer that repeats steps doubles anything.
"""

from __future__ import annotations

from typing import Any

from plinth.kit.clock import Clock
from plinth.kit.db import Database, Session
from plinth.kit.ids import new_id
from plinth.tuning import store
from plinth.tuning.folder import RunFolder, read_progress
from plinth.tuning.model import Cost, JobEvent, JobStatus, Sample, estimate, thin, with_price
from plinth.tuning.settings import TuningSettings

WAITING = (JobStatus.validating_files, JobStatus.queued)


class Relay:
    """One job's; keeps the clock readings that the estimate is made from."""

    def __init__(self, db: Database, clock: Clock, settings: TuningSettings, job_id: str, threads: int) -> None:
        self._db, self._clock, self._settings = db, clock, settings
        self._job_id, self._threads = job_id, threads
        self._samples: list[Sample] = []
        self._run = 0

    def pass_on(self, folder: RunFolder) -> None:
        """Read what is new and store it, in one transaction."""
        with self._db.read() as session:
            if not read_progress(folder.progress, store.read_offset(session, self._job_id))[0]:
                return
        with self._db.write() as session:
            lines, offset = read_progress(folder.progress, store.read_offset(session, self._job_id))
            store.add_events(session, [self._event(line) for line in lines if "key" in line])
            store.change_job(session, self._job_id, read_offset=offset)
            if any(line.get("type") == "clock" or line.get("key") == "validated" for line in lines):
                now = self._clock.unix()
                store.change_job(session, self._job_id, WAITING, status=JobStatus.running, started_at=now)
            readings = [line for line in lines if line.get("type") == "clock"]
            if readings:
                self._update(session, readings)

    def _event(self, line: dict[str, Any]) -> JobEvent:
        metrics = line["type"] == "metrics"
        data = wire_metrics(line["data"]) | {"step": line["step"]} if metrics else None
        message = line.get("message") or f"Step {line['step']}: training loss={line['data']['train_loss']:.4f}"
        return JobEvent(
            id=new_id("ftevent-"),
            job_id=self._job_id,
            key=line["key"],
            created_at=self._clock.unix(),
            level=line.get("level", "info"),
            type="metrics" if metrics else "message",
            message=message,
            data=data,
        )

    def _update(self, session: Session, readings: list[dict[str, Any]]) -> None:
        job = store.job_by_id(session, self._job_id)
        assert job is not None
        usage = dict(job.usage)
        for line in readings:
            if line["run"] != self._run:
                self._run, self._samples = line["run"], []
            usage[str(line["run"])] = [line["wall_seconds"], line["cpu_seconds"]]
            self._samples.append(Sample(line["wall_seconds"], line["cpu_seconds"], line["work"]))
        self._samples = thin(self._samples)
        last = readings[-1]
        values: dict[str, Any] = {
            "usage": usage,
            "cost": vars(self._cost(usage)),
            "progress": {name: last[name] for name in ("step", "total_steps", "examples_per_second")},
        }
        store.change_job(session, self._job_id, **values)
        left = estimate(self._samples, last["work_total"], self._threads)
        if left is not None:
            finish = self._clock.unix() + left.likely
            fields = {"eta_low": round(left.low, 1), "eta_high": round(left.high, 1), "estimated_finish": finish}
            store.change_job(session, self._job_id, [JobStatus.running], **fields)

    def _cost(self, usage: dict[str, list[float]]) -> Cost:
        wall = sum(seconds[0] for seconds in usage.values())
        cpu = sum(seconds[1] for seconds in usage.values())
        return with_price(Cost(wall, cpu), self._settings.cpu_hour_price, self._settings.currency)


def wire_metrics(values: dict[str, Any]) -> dict[str, Any]:
    """A trainer's names to the hosted API's."""
    names = {"train_accuracy": "train_mean_token_accuracy"}
    return {names.get(name, name): value for name, value in values.items() if name != "grad_norm"}
