"""The durable workflow, against the twin trainer: every fact once, whatever happens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plinth.data.model import FileQuery
from plinth.kit.blobs import get_bytes
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.registry import ArtefactKind
from plinth.tuning import (
    Hyperparameters,
    InMemoryTrainer,
    JobStatus,
    MemoryBase,
    Outcome,
    OutcomeKind,
    RunFolder,
    TrainingSpec,
)
from plinth.tuning import jobs as tuning_jobs
from plinth.tuning.ports import InMemoryHandle
from plinth.tuning.settings import TuningSettings
from tuning_support import Workshop, jsonl, rows

SMALL = Hyperparameters(n_epochs=3, batch_size=2)  # 12 rows: 18 steps


def workshop(db: Database, clock: FixedClock, folder: Path, trainer: InMemoryTrainer) -> Workshop:
    return Workshop(db, clock, folder, trainer)


def metric_steps(shop: Workshop, job_id: str) -> Counter[int]:
    with shop.db.read() as session:
        found = shop.service.job_events(session, shop.job(job_id), None, 1000)
    return Counter(event.data["step"] for event in found if event.type == "metrics" and event.data)


def test_from_rows_to_a_registered_model(shop: Workshop) -> None:
    job = shop.work(shop.submit(hyperparameters=SMALL, suffix="bank", seed=5))
    assert job.status is JobStatus.succeeded
    assert job.error is None
    assert job.finished_at is not None
    assert job.trained_tokens == 180
    assert metric_steps(shop, job.id) == Counter(range(1, 19))
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith("ft:tiny:org_a:bank:")
    with shop.db.read() as session:
        version = shop.registry.version(session, "proj_a", job.fine_tuned_model)
        results = shop.data.file(session, "proj_a", job.result_files[0])
    assert (version.base_id, version.job_id, version.dataset_version_id) == ("tiny", job.id, job.dataset_version_id)
    assert version.recipe["seed"] == 5
    assert {artefact.kind for artefact in version.artefacts} == {
        ArtefactKind.peft_adapter,
        ArtefactKind.gguf_adapter,
        ArtefactKind.parity_reference,
    }
    assert results.purpose == "fine-tune-results"
    with shop.data.open_file(results) as source:
        assert source.read().splitlines()[0] == b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    parity = version.artefact(ArtefactKind.parity_reference)
    assert parity is not None
    (answer,) = json.loads(get_bytes(shop.blobs, parity.files[0].digest))
    assert set(answer) == {"messages", "answer", "max_tokens"}
    assert list(shop.runs.iterdir()) == []
    assert [kind for kind, _ in shop.facts()] == ["tuning.job.queued", "tuning.job.succeeded"]


def test_the_last_checkpoints_become_versions(shop: Workshop) -> None:
    job = shop.work(shop.submit(hyperparameters=SMALL))
    with shop.db.read() as session:
        found = shop.service.checkpoints(session, job, None, 10)
        assert [checkpoint.step for checkpoint in found] == [18, 15, 10, 5]
        assert found[0].version_id == job.fine_tuned_model
        for checkpoint in found[1:]:
            assert checkpoint.version_id.endswith(f":ckpt-step-{checkpoint.step}")
            version = shop.registry.version(session, "proj_a", checkpoint.version_id)
            assert version.checkpoint_step == checkpoint.step
            assert checkpoint.metrics["train_loss"] == pytest.approx(1 / checkpoint.step)


def test_progress_cost_and_estimate_are_shown(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    seen: list[Any] = []

    class Watching(InMemoryHandle):
        def wait(self, timeout_seconds: float) -> Outcome | None:
            seen.append(shop.job(job.id))
            return super().wait(timeout_seconds)

    shop = Workshop(db, clock, tmp_path, _trainer(Watching), TuningSettings(min_free_bytes=0, cpu_hour_price=3600))
    job = shop.submit(hyperparameters=SMALL)
    ended = shop.work(job)
    running = [j for j in seen if j.status is JobStatus.running]
    assert running[-1].progress == {"step": 18, "total_steps": 18, "examples_per_second": 10.0}
    middle = next(j for j in running if j.progress and j.progress["step"] == 9)
    assert middle.estimated_finish > clock.unix()
    assert 0 < middle.eta_low < middle.eta_high
    assert (ended.estimated_finish, ended.eta_low, ended.eta_high) == (None, None, None)
    assert ended.cost.cpu_seconds == pytest.approx(18 * 0.9)
    assert (ended.cost.amount, ended.cost.currency) == (16, "CNY")


def test_a_trainer_that_dies_goes_on_from_its_checkpoint(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    trainer = InMemoryTrainer(deaths=[7, 13])
    shop = workshop(db, clock, tmp_path, trainer)
    job = shop.work(shop.submit(hyperparameters=SMALL))
    assert job.status is JobStatus.succeeded
    assert trainer.starts == 3
    assert metric_steps(shop, job.id) == Counter(range(1, 19))
    assert sum("goes on from its last checkpoint" in text for text in shop.event_texts(job)) == 2
    # machine time of every start is paid for: 7, then 5 -> 13, then 10 -> 18, by the twin's clock
    assert job.cost.cpu_seconds == pytest.approx(0.9 * (7 + 13 + 18))


def test_it_gives_up_after_three_restarts(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    trainer = InMemoryTrainer(deaths=[7, 7, 7, 7])
    shop = workshop(db, clock, tmp_path, trainer)
    job = shop.work(shop.submit(hyperparameters=SMALL))
    assert job.status is JobStatus.failed
    assert job.error == {"code": "trainer_died", "message": "The trainer ended with signal 9.", "param": None}
    assert trainer.starts == 4
    assert (shop.runs / job.id / "checkpoints" / "checkpoint-5").exists()
    assert [kind for kind, _ in shop.facts()][-1] == "tuning.job.failed"


def test_a_row_that_only_the_tokenizer_can_refuse_fails_the_job(shop: Workshop) -> None:
    shop.bases.bases["tiny"] = MemoryBase("tiny", context_tokens=100)
    file = shop.upload(jsonl([*rows(4), *rows(1, label="y" * 200)]))
    job = shop.work(shop.submit(training_file=file))
    assert job.status is JobStatus.failed
    assert job.error == {
        "code": "row_too_long",
        "message": "Row 5 cannot be used: it is too long.",
        "param": "training_file",
    }


def test_a_full_disk_pauses_the_job(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    trainer = InMemoryTrainer(outcome=Outcome(OutcomeKind.storage_full))
    shop = workshop(db, clock, tmp_path, trainer)
    job = shop.work(shop.submit(hyperparameters=SMALL))
    assert job.status is JobStatus.paused
    assert "disk" in shop.event_texts(job)[-1]
    trainer.outcome = None
    shop.steer("resume", job.id)
    assert shop.work(job).status is JobStatus.succeeded


def test_too_little_free_space_pauses_before_training(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    shop = Workshop(db, clock, tmp_path, settings=TuningSettings(min_free_bytes=1 << 60))
    job = shop.work(shop.submit())
    assert job.status is JobStatus.paused
    assert not metric_steps(shop, job.id)


def test_pause_keeps_the_place_and_resume_goes_on(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    shop = Workshop(db, clock, tmp_path, _interrupting(7, lambda job_id: shop.steer("pause", job_id)))
    job = shop.submit(hyperparameters=SMALL)
    paused = shop.work(job)
    assert paused.status is JobStatus.paused
    done = metric_steps(shop, job.id)
    assert 7 <= max(done) < 12
    shop.steer("resume", job.id)
    assert shop.work(job).status is JobStatus.succeeded
    assert metric_steps(shop, job.id) == Counter(range(1, 19))


def test_cancel_stops_the_trainer_and_leaves_nothing(db: Database, clock: FixedClock, tmp_path: Path) -> None:
    shop = Workshop(db, clock, tmp_path, _interrupting(7, lambda job_id: shop.steer("cancel", job_id)))
    job = shop.work(shop.submit(hyperparameters=SMALL))
    assert job.status is JobStatus.cancelled
    assert job.fine_tuned_model is None
    assert max(metric_steps(shop, job.id)) < 18
    assert list(shop.runs.iterdir()) == []


def test_a_run_of_an_older_attempt_gives_way(shop: Workshop) -> None:
    job = shop.submit(hyperparameters=SMALL)
    shop.steer("pause", job.id)
    shop.steer("resume", job.id)
    shop.jobs.enqueue("tuning.run", f"{job.id}:1", {"job_id": job.id, "attempt": 1})
    assert not metric_steps(shop, job.id)
    assert shop.work(job).status is JobStatus.succeeded


def test_it_waits_for_a_trainer_that_is_still_ending(
    db: Database, clock: FixedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = InMemoryTrainer()
    shop = workshop(db, clock, tmp_path, trainer)
    job = shop.submit(hyperparameters=SMALL)
    folder = RunFolder(shop.runs / job.id)
    folder.root.mkdir()
    other = folder.locked()
    other.__enter__()
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            other.__exit__(None, None, None)

    monkeypatch.setattr(tuning_jobs.time, "sleep", nap)
    assert shop.work(job).status is JobStatus.succeeded
    assert len(naps) == 3


@pytest.mark.parametrize("stage", ["_prepare", "_train", "_register", "_finish"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_any_step_changes_nothing(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, stage: str, moment: str
) -> None:
    """The worker dies right before or after the work of a step; the next one repeats that step."""

    class Died(BaseException):
        pass

    original = getattr(tuning_jobs.TuningRunner, stage)
    armed = [True]

    def dies(self: Any, job: Any) -> bool:
        if armed and moment == "before":
            armed.clear()
            raise Died
        result: bool = original(self, job)
        if armed:
            armed.clear()
            raise Died
        return result

    monkeypatch.setattr(tuning_jobs.TuningRunner, stage, dies)
    job = shop.submit(hyperparameters=SMALL)
    with pytest.raises(Died):
        shop.work(job)
    shop.jobs.rerun(f"{job.id}:1")
    ended = shop.job(job.id)
    assert ended.status is JobStatus.succeeded
    assert metric_steps(shop, job.id) == Counter(range(1, 19))
    assert len(ended.result_files) == 1
    with shop.db.read() as session:
        assert len(shop.registry.versions(session, "proj_a", None, 100)) == 4
        assert len(shop.service.checkpoints(session, ended, None, 100)) == 4
        results = shop.data.files.page(session, "proj_a", FileQuery(purpose="fine-tune-results"))
    assert [file.id for file in results] == list(ended.result_files)
    assert [kind for kind, _ in shop.facts()] == ["tuning.job.queued", "tuning.job.succeeded"]


def test_an_unexpected_error_fails_the_job_without_its_text(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(base: str, form: str) -> Path:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(shop.bases, "materialise", broken)
    job = shop.work(shop.submit())
    assert job.error is not None
    assert job.error["code"] == "internal_error"
    assert "secret" not in json.dumps(job.error)


def test_old_run_folders_are_swept(shop: Workshop) -> None:
    for name in ("ftjob-gone", "ftjob-other"):
        (shop.runs / name).mkdir()
    with RunFolder(shop.runs / "ftjob-other").locked():
        shop.work(shop.submit(hyperparameters=SMALL))
        assert [path.name for path in shop.runs.iterdir()] == ["ftjob-other"]


def _trainer(handle: type[InMemoryHandle]) -> InMemoryTrainer:
    class Special(InMemoryTrainer):
        def start(self, run_folder: Path, spec: TrainingSpec) -> InMemoryHandle:
            self.starts += 1
            run_folder.mkdir(parents=True, exist_ok=True)
            return handle(self, RunFolder(run_folder), spec)

    return Special()


def _interrupting(step: int, act: Callable[[str], None]) -> InMemoryTrainer:
    """A trainer during whose n-th step the user acts, once; `act` gets the job's id."""
    acted = []

    class Interrupted(InMemoryHandle):
        def wait(self, timeout_seconds: float) -> Outcome | None:
            if self._step == step and not acted:
                acted.append(True)
                act(self._spec.job_id)
            return super().wait(timeout_seconds)

    return _trainer(Interrupted)
