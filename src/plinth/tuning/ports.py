"""What tuning needs from others: a trainer, base models, rows, and a place to register the result.

`Trainer` is tuning's own port, with its in-memory twin; `tests/contract/test_trainers.py` holds
every adapter and the twin to the same behaviour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from plinth.kit.db import Session
from plinth.kit.errors import NotFound
from plinth.tuning.folder import Busy, ProgressLog, RunFailed, RunFolder, write_bytes, write_json
from plinth.tuning.model import Outcome, OutcomeKind, StopMode, TrainingSpec


class TrainerHandle(Protocol):
    """One trainer at work in one run folder."""

    def wait(self, timeout_seconds: float) -> Outcome | None:
        """How it ended, or None when it still works after that time."""
        ...

    def request_stop(self, mode: StopMode) -> None:
        """Ask it to stop: `pause` keeps a checkpoint, `cancel` need not. Returns at once."""
        ...

    def kill(self) -> None:
        """End it now; what the last checkpoint holds stays."""
        ...


class Trainer(Protocol):
    """Trains in a run folder (`plinth.tuning.folder` describes it); progress is read from there."""

    def start(self, run_folder: Path, spec: TrainingSpec) -> TrainerHandle:
        """Start, or go on from the folder's last checkpoint. A finished folder finishes at once; a
        folder that another trainer works in ends as `busy`."""
        ...


class BaseLike(Protocol):
    """The part of the catalogue's base model that tuning looks at."""

    @property
    def id(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def chat_template(self) -> str | None: ...
    @property
    def shutdown_date(self) -> str | None: ...


class Bases(Protocol):
    """The catalogue."""

    def get(self, session: Session, project_id: str, base_id: str) -> BaseLike:
        """Raises `NotFound`."""
        ...

    def list(self, session: Session, project_id: str) -> Sequence[BaseLike]: ...

    def materialise(self, base: str, form: str) -> Path:
        """The folder (form "huggingface") with config, safetensors and tokenizer. May take minutes."""
        ...


Projects = Callable[[Session], Mapping[str, str]]
"""Every active project's id, with its organization's."""


@dataclass(frozen=True)
class MemoryBase:
    id: str
    capabilities: frozenset[str] = frozenset({"generate", "tune"})
    context_tokens: int = 512
    chat_template: str | None = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    shutdown_date: str | None = None
    owned_by: str = "test"
    licence: str = "apache-2.0"
    created: int = 0


@dataclass
class InMemoryBases:
    """The twin of the catalogue: everyone may see every base; all have the same folder."""

    bases: dict[str, MemoryBase]
    folder: Path = field(default_factory=Path)

    def get(self, session: Session, project_id: str, base_id: str) -> MemoryBase:
        if base_id not in self.bases:
            raise NotFound(what="base model", id=base_id)
        return self.bases[base_id]

    def list(self, session: Session, project_id: str) -> Sequence[MemoryBase]:
        return list(self.bases.values())

    def materialise(self, base: str, form: str) -> Path:
        return self.folder


class InMemoryTrainer:
    """The twin: "trains" on the caller's thread, one step for every `wait`, and writes what a real
    trainer writes. `deaths` are steps at which the next runs die instead of going on."""

    CHECKPOINT_EVERY = 5

    def __init__(self, deaths: Iterable[int] = (), outcome: Outcome | None = None) -> None:
        self.deaths = list(deaths)
        self.outcome = outcome
        self.starts = 0

    def start(self, run_folder: Path, spec: TrainingSpec) -> InMemoryHandle:
        self.starts += 1
        run_folder.mkdir(parents=True, exist_ok=True)
        return InMemoryHandle(self, RunFolder(run_folder), spec)


class InMemoryHandle:
    def __init__(self, trainer: InMemoryTrainer, folder: RunFolder, spec: TrainingSpec) -> None:
        self._trainer, self._folder, self._spec = trainer, folder, spec
        self._stop: StopMode | None = None
        self._ended: Outcome | None = Outcome(OutcomeKind.finished) if folder.done.exists() else None
        self._lock = folder.locked()
        self._step, self._steps = 0, 0
        self._log: ProgressLog | None = None
        if self._ended is None:
            self._begin()

    def wait(self, timeout_seconds: float) -> Outcome | None:
        if self._ended is None:
            self._go_on()
        return self._ended

    def request_stop(self, mode: StopMode) -> None:
        self._stop = mode

    def kill(self) -> None:
        self._end(Outcome(OutcomeKind.died, detail="killed"))

    def _begin(self) -> None:
        try:
            self._lock.__enter__()
        except Busy:
            self._ended = Outcome(OutcomeKind.busy)
            return
        self._log = ProgressLog(self._folder.progress)
        try:
            rows = [json.loads(line) for line in Path(self._spec.rows).read_text(encoding="utf-8").splitlines()]
            for number, row in enumerate(rows, start=1):
                if sum(len(str(m["content"])) for m in row["messages"]) > self._spec.limits.row_tokens:
                    raise RunFailed("row_too_long", f"Row {number} cannot be used: it is too long.", "training_file")
        except RunFailed as failure:
            self._end(Outcome(OutcomeKind.failed, error=failure.to_dict()))
            return
        recipe = self._spec.recipe
        self._rows, self._steps = rows, recipe.n_epochs * -(-len(rows) // recipe.batch_size)
        kept = sorted(int(p.name.removeprefix("checkpoint-")) for p in self._folder.checkpoints.glob("checkpoint-*"))
        self._step = kept[-1] if kept else 0
        self._tell({"key": "validated", "type": "message", "level": "info", "message": f"{len(rows)} rows are valid."})

    def _go_on(self) -> None:
        if self._stop is not None:
            if self._stop is StopMode.pause:
                self._checkpoint()
            self._end(Outcome(OutcomeKind.stopped))
        elif self._trainer.outcome is not None:
            self._end(self._trainer.outcome)
        elif self._step in self._trainer.deaths:
            self._trainer.deaths.remove(self._step)
            self._end(Outcome(OutcomeKind.died, detail="The trainer ended with signal 9."))
        elif self._step < self._steps:
            self._one_step()
        else:
            self._finish()

    def _one_step(self) -> None:
        self._step += 1
        loss = round(1 / self._step, 6)
        self._tell({"key": f"step:{self._step}", "type": "metrics", "step": self._step, "data": {"train_loss": loss}})
        self._tell(
            {
                "type": "clock", "run": self._log.starts if self._log else 0, "step": self._step,
                "total_steps": self._steps, "tokens": self._step * 10, "work": self._step * 10.0,
                "work_total": self._steps * 10.0, "examples_per_second": 10.0, "wall_seconds": self._step * 0.5,
                "cpu_seconds": self._step * 0.9,
            }
        )  # fmt: skip
        if self._step % self.every == 0 or self._step == self._steps:
            self._checkpoint()

    @property
    def every(self) -> int:
        return self._spec.limits.checkpoint_steps or InMemoryTrainer.CHECKPOINT_EVERY

    def _checkpoint(self) -> None:
        self._adapter(self._folder.checkpoints / f"checkpoint-{self._step}")
        write_bytes(self._folder.checkpoints / f"checkpoint-{self._step}" / self._folder.gguf.name, b"GGUF")

    def _finish(self) -> None:
        self._adapter(self._folder.peft)
        write_bytes(self._folder.gguf, b"GGUF")
        prompt = self._rows[0]["messages"][:-1]
        write_json(self._folder.parity, [{"messages": prompt, "answer": "yes", "max_tokens": 8}])
        lines = [f"{step},{1 / step:.6g},,," for step in range(1, self._steps + 1)]
        header = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
        write_bytes(self._folder.results, ("\n".join([header, *lines]) + "\n").encode())
        steps = sorted(int(p.name.removeprefix("checkpoint-")) for p in self._folder.checkpoints.glob("checkpoint-*"))
        write_json(
            self._folder.done,
            {
                "trained_tokens": self._steps * 10,
                "steps": self._steps,
                "checkpoints": [{"step": s, "epoch": None, "metrics": {"train_loss": 1 / s}} for s in steps],
                "environment": {},
            },
        )
        self._end(Outcome(OutcomeKind.finished))

    def _adapter(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / "adapter_model.safetensors", f"weights after step {self._step}".encode())
        write_json(folder / "adapter_config.json", {"peft_type": "LORA"})

    def _tell(self, line: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.write(line)

    def _end(self, outcome: Outcome) -> None:
        if self._ended is not None:
            return
        self._ended = outcome
        if self._log is not None:
            self._log.close()
        self._lock.__exit__(None, None, None)
