"""One behaviour for every trainer: the twin, and the real LoRA process on a tiny random model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from plinth.tuning import (
    InMemoryTrainer,
    Outcome,
    OutcomeKind,
    RunFolder,
    StopMode,
    Trainer,
    TrainerHandle,
    TrainingSpec,
    read_json,
    read_progress,
)
from tuning_support import make_tiny_base, rows, spec

pytestmark = pytest.mark.slow
STEPS = 12  # 12 rows, batches of 4, 4 epochs


@dataclass
class Bench:
    trainer: Trainer
    base: Path
    root: Path

    def order(self, name: str = "run", items: list[dict[str, Any]] | None = None, **changes: Any) -> TrainingSpec:
        order = spec(self.root / name, self.base, items or rows(12))
        return replace(order, recipe=replace(order.recipe, n_epochs=4), **changes)

    def folder(self, name: str = "run") -> RunFolder:
        return RunFolder(self.root / name)

    def start(self, order: TrainingSpec, name: str = "run") -> TrainerHandle:
        return self.trainer.start(self.root / name, order)

    def run(self, order: TrainingSpec, name: str = "run") -> Outcome:
        return finish(self.start(order, name))


def finish(handle: TrainerHandle) -> Outcome:
    return until(lambda: handle.wait(0.2))


def until(look: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
    return found


def steps_told(folder: RunFolder) -> list[int]:
    return [line["step"] for line in read_progress(folder.progress, 0)[0] if line.get("type") == "metrics"]


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return make_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(params=["twin", "lora"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "twin":
        yield Bench(InMemoryTrainer(), tmp_path, tmp_path)
        return
    from plinth.adapters.trainers.process import LoraTrainer

    yield Bench(LoraTrainer(), request.getfixturevalue("tiny_base"), tmp_path)


def test_a_run_tells_its_steps_and_leaves_its_artefacts(bench: Bench) -> None:
    folder = bench.folder()
    assert bench.run(bench.order()) == Outcome(OutcomeKind.finished)
    assert steps_told(folder) == list(range(1, STEPS + 1))
    done = read_json(folder.done)
    assert done is not None
    assert done["steps"] == STEPS
    assert done["trained_tokens"] > 0
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (folder.peft / name).stat().st_size > 0
    assert folder.gguf.read_bytes().startswith(b"GGUF")
    answers = json.loads(folder.parity.read_text())
    assert answers
    assert all(set(entry) == {"messages", "answer", "max_tokens"} for entry in answers)
    lines = folder.results.read_text().splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert [int(line.split(",")[0]) for line in lines[1:]] == list(range(1, STEPS + 1))
    for entry in done["checkpoints"]:
        kept = folder.checkpoints / f"checkpoint-{entry['step']}"
        assert (kept / "adapter_model.safetensors").exists()
        assert (kept / "adapter.gguf").read_bytes().startswith(b"GGUF")


def test_clock_readings_are_complete(bench: Bench) -> None:
    bench.run(bench.order())
    readings = [x for x in read_progress(bench.folder().progress, 0)[0] if x.get("type") == "clock"]
    assert readings[-1]["step"] == readings[-1]["total_steps"] == STEPS
    expected = {"run", "tokens", "work", "work_total", "examples_per_second", "wall_seconds", "cpu_seconds"}
    assert all(expected <= set(reading) for reading in readings)


def test_a_finished_run_finishes_at_once_and_changes_nothing(bench: Bench) -> None:
    order = bench.order()
    bench.run(order)
    before = {p: p.stat().st_mtime_ns for p in bench.folder().peft.iterdir()}
    told = bench.folder().progress.read_bytes()
    assert bench.run(order).kind is OutcomeKind.finished
    assert {p: p.stat().st_mtime_ns for p in bench.folder().peft.iterdir()} == before
    assert bench.folder().progress.read_bytes() == told


def test_pause_keeps_a_checkpoint_and_the_next_start_goes_on(bench: Bench) -> None:
    order, folder = bench.order(), bench.folder()
    order = replace(
        order, recipe=replace(order.recipe, n_epochs=20), limits=replace(order.limits, checkpoint_steps=500)
    )
    handle = bench.start(order)
    until(lambda: handle.wait(0.01) or len(steps_told(folder)) >= 2)
    handle.request_stop(StopMode.pause)
    assert finish(handle) == Outcome(OutcomeKind.stopped)
    reached = max(steps_told(folder))
    assert 2 <= reached < 60
    assert (folder.checkpoints / f"checkpoint-{reached}").exists()
    assert bench.run(order).kind is OutcomeKind.finished
    assert steps_told(folder) == list(range(1, 61))


def test_cancel_ends_it(bench: Bench) -> None:
    order, folder = bench.order(), bench.folder()
    order = replace(order, recipe=replace(order.recipe, n_epochs=50))
    handle = bench.start(order)
    until(lambda: handle.wait(0.01) or steps_told(folder))
    handle.request_stop(StopMode.cancel)
    assert finish(handle).kind is OutcomeKind.stopped
    assert not folder.done.exists()


def test_two_never_work_in_one_folder(bench: Bench) -> None:
    order = bench.order()
    order = replace(order, recipe=replace(order.recipe, n_epochs=50))
    first = bench.start(order)
    until(lambda: first.wait(0.01) or steps_told(bench.folder()))
    assert bench.run(order).kind is OutcomeKind.busy
    first.kill()
    first = bench.start(order)
    assert first.wait(0.0) is None or first.wait(0.0).kind is not OutcomeKind.busy  # type: ignore[union-attr]
    first.kill()


def test_killed_and_started_again_it_goes_on(bench: Bench) -> None:
    order, folder = bench.order(), bench.folder()
    handle = bench.start(order)
    until(lambda: handle.wait(0.01) or len(steps_told(folder)) >= 6)
    handle.kill()
    assert finish(handle).kind is OutcomeKind.died
    before = len(steps_told(folder))
    assert bench.run(order).kind is OutcomeKind.finished
    told = steps_told(folder)
    assert sorted(set(told)) == list(range(1, STEPS + 1))
    # it went on: fewer steps were told again than had been made
    assert len(told) < STEPS + before


def test_a_bad_row_fails_for_good_and_is_named(bench: Bench) -> None:
    order = bench.order(items=[*rows(3), *rows(1, label="y" * 900)])
    outcome = bench.run(order)
    assert outcome.kind is OutcomeKind.failed
    assert outcome.error is not None
    assert outcome.error["code"] == "row_too_long"
    assert outcome.error["param"] == "training_file"
    assert "Row 4 " in outcome.error["message"]
    assert not bench.folder().done.exists()
