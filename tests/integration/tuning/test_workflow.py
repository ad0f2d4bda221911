"""The durable workflow with the real trainer: a child killed in mid-run costs nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from plinth.adapters.trainers.process import LoraProcess, LoraTrainer
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.registry import ArtefactKind
from plinth.tuning import Hyperparameters, Job, JobStatus, MemoryBase, Outcome, RunFolder, TrainingSpec, read_progress
from plinth.tuning.settings import TuningSettings
from tuning_support import TEMPLATE, Workshop, jsonl, rows

pytestmark = pytest.mark.slow


class Assassin(LoraTrainer):
    """Kills its first child with signal 9 once it has told `after` steps."""

    def __init__(self, after: int) -> None:
        self._after, self.kills = after, 0

    def start(self, run_folder: Path, spec: TrainingSpec) -> LoraProcess:
        handle = super().start(run_folder, spec)
        if not self.kills:
            self.kills += 1
            threading.Thread(target=self._strike, args=(handle, RunFolder(run_folder))).start()
        return handle

    def _strike(self, handle: LoraProcess, folder: RunFolder) -> None:
        outcome: Outcome | None = None
        while outcome is None:
            told = [x for x in read_progress(folder.progress, 0)[0] if x.get("type") == "metrics"]
            if len(told) >= self._after:
                os.kill(handle.pid, signal.SIGKILL)
                return
            threading.Event().wait(0.01)


def tune(db: Database, clock: FixedClock, folder: Path, base: Path, trainer: LoraTrainer) -> tuple[Workshop, Job]:
    folder.mkdir()
    settings = TuningSettings(threads=1, checkpoint_seconds=0.2, min_free_bytes=0)
    shop = Workshop(db, clock, folder, trainer, settings)
    shop.bases.bases["tiny"] = MemoryBase("tiny", chat_template=TEMPLATE)
    shop.bases.folder = base
    file = shop.upload(jsonl(rows(40)))
    return shop, shop.work(shop.submit(training_file=file, seed=5, hyperparameters=Hyperparameters(6, 4, 1.0)))


def test_a_killed_trainer_makes_no_difference(db: Database, clock: FixedClock, tmp_path: Path, tiny_base: Path) -> None:
    assassin = Assassin(after=20)
    shop, killed = tune(db, clock, tmp_path / "killed", tiny_base, assassin)
    calm_shop, calm = tune(db, clock, tmp_path / "calm", tiny_base, LoraTrainer())
    assert assassin.kills == 1
    assert killed.status is calm.status is JobStatus.succeeded
    assert any("goes on from its last checkpoint" in text for text in shop.event_texts(killed))
    assert killed.trained_tokens == calm.trained_tokens

    digests = []
    with db.read() as session:
        for job, bench in ((killed, shop), (calm, calm_shop)):
            events = bench.service.job_events(session, job, None, 1000)
            steps = Counter(event.data["step"] for event in events if event.type == "metrics" and event.data)
            assert steps == Counter(range(1, 61))
            version = bench.registry.version(session, "proj_a", str(job.fine_tuned_model))
            digests.append(
                [
                    file.digest
                    for kind in (ArtefactKind.peft_adapter, ArtefactKind.gguf_adapter, ArtefactKind.parity_reference)
                    for file in version.artefact(kind).files  # type: ignore[union-attr]
                ]
            )
    assert digests[0] == digests[1]
    assert killed.cost.cpu_seconds > 0
