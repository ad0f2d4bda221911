"""The `Trainer` port on a child process that runs our own LoRA loop (`plinth.adapters.trainers.lora`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from plinth.tuning import ExitStatus, Outcome, OutcomeKind, RunFolder, StopMode, TrainingSpec, read_json, write_json

# what a child may know of our environment: no keys, no database address
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")
LOG_NAME = "trainer.log"
LOG_TAIL_BYTES = 2000


class LoraTrainer:
    """Needs the extra `tune` in this Python environment; imports nothing of it here."""

    def start(self, run_folder: Path, spec: TrainingSpec) -> LoraProcess:
        folder = RunFolder(run_folder)
        run_folder.mkdir(parents=True, exist_ok=True)
        write_json(folder.spec, spec.to_dict())
        return LoraProcess(folder, _spawn(folder, spec.threads))


class LoraProcess:
    """A running child. Dropping it closes the child's standard input, which stops the child."""

    def __init__(self, folder: RunFolder, process: subprocess.Popen[bytes]) -> None:
        self._folder, self._process = folder, process

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_seconds: float) -> Outcome | None:
        try:
            status = self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        self._hang_up()
        return self._outcome(status)

    def request_stop(self, mode: StopMode) -> None:
        self._folder.ask_to_stop(mode, self.pid)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()

    def _outcome(self, status: int) -> Outcome:
        if status == ExitStatus.finished:
            return Outcome(OutcomeKind.finished)
        if status == ExitStatus.stopped:
            return Outcome(OutcomeKind.stopped)
        if status == ExitStatus.busy:
            return Outcome(OutcomeKind.busy)
        if status == ExitStatus.storage_full:
            return Outcome(OutcomeKind.storage_full)
        if status == ExitStatus.failed and (error := read_json(self._folder.error)):
            return Outcome(OutcomeKind.failed, error=error)
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return Outcome(OutcomeKind.died, detail=f"The trainer ended with {how}. {self._last_line()}".strip())

    def _last_line(self) -> str:
        try:
            with (self._folder.root / LOG_NAME).open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1] if lines else ""


def _spawn(folder: RunFolder, threads: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    command = [sys.executable, "-P", "-m", "plinth.adapters.trainers.lora", "--run-folder", str(folder.root.resolve())]
    with (folder.root / LOG_NAME).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own module, an argument list, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder.root,
            start_new_session=True,
        )
