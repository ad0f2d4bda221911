"""The trainer's process: `python -m plinth.adapters.trainers.lora --run-folder DIR`.

Reads `spec.json`, works in the folder (see `plinth.tuning.folder`), and goes on where an earlier
process stopped. It keeps a checkpoint and ends when its standard input closes (the parent died),
on SIGTERM, or when `control` says so.

Exit status: 0 finished, 1 failed for good (`error.json` says why), 2 an unexpected error (the log
has it), 3 stopped, 4 another process works here, 5 no disk space.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plinth.tuning import (
    Busy,
    ExitStatus,
    ProgressLog,
    RunFailed,
    RunFolder,
    TrainingSpec,
    read_json,
    read_progress,
    write_bytes,
    write_json,
)

if TYPE_CHECKING:
    from plinth.adapters.trainers.chat import ChatTemplate, EncodedRow, Message
    from plinth.adapters.trainers.checkpoints import Place
    from plinth.adapters.trainers.network import Network

NICENESS = 5
CLOCK_SECONDS = 0.5
# one generated token costs about this many layer-tokens per layer: decoding is bound by memory
DECODE_FACTOR = 50


class Stopped(Exception):
    """Asked to stop; whatever is worth keeping has been kept."""


class Console:
    """What the parent hears and says. Also the loop's `Reporter`."""

    def __init__(self, folder: RunFolder, log: ProgressLog) -> None:
        self._folder, self._log = folder, log
        self._asked = threading.Event()
        self._began, self._told = time.monotonic(), 0.0
        self.total_steps, self.work_total, self.work_before = 0, 0.0, 0.0
        self._examples: list[tuple[float, int]] = []
        self.batch_size = 0
        signal.signal(signal.SIGTERM, lambda *_: self._asked.set())
        threading.Thread(target=self._watch_parent, daemon=True).start()

    def _watch_parent(self) -> None:
        while os.read(0, 4096):  # not sys.stdin: its lock would be held at interpreter shutdown
            pass
        self._asked.set()

    def stop_if_asked(self, save: Callable[[], None] | None = None) -> None:
        wanted = self._folder.wanted_stop()
        if wanted is None and not self._asked.is_set():
            return
        if save is not None and wanted != "cancel":
            save()
        raise Stopped

    def message(self, key: str, text: str, level: str = "info") -> None:
        self._log.write({"key": key, "type": "message", "level": level, "message": text})

    def metrics(self, step: int, values: dict[str, Any]) -> None:
        rounded = {name: round(value, 6) for name, value in values.items() if name != "grad_norm"}
        self._log.write({"key": f"step:{step}", "type": "metrics", "step": step, "data": rounded})

    def clock(self, place: Place, **facts: Any) -> None:
        """Written at most every half second."""
        now = time.monotonic()
        final = place.step == self.total_steps
        if now - self._told < CLOCK_SECONDS and not final:
            return
        self._told = now
        self._examples = [*self._examples[-20:], (now, place.step * self.batch_size)]
        seconds = self._examples[-1][0] - self._examples[0][0]
        rate = (self._examples[-1][1] - self._examples[0][1]) / seconds if seconds > 0 else None
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._log.write(
            {
                "type": "clock",
                "run": self._log.starts,
                "step": place.step,
                "total_steps": self.total_steps,
                "tokens": place.tokens,
                "work": self.work_before + place.work,
                "work_total": self.work_total,
                "examples_per_second": round(rate, 2) if rate else None,
                "wall_seconds": round(now - self._began, 3),
                "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
                **facts,
            }
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="plinth.adapters.trainers.lora")
    parser.add_argument("--run-folder", type=Path, required=True)
    folder = RunFolder(parser.parse_args(arguments).run_folder)
    try:
        with folder.locked():
            return _work(folder)
    except Busy:
        return ExitStatus.busy


def _work(folder: RunFolder) -> int:
    if folder.done.exists():
        return ExitStatus.finished
    os.nice(NICENESS)
    folder.error.unlink(missing_ok=True)
    log = ProgressLog(folder.progress)
    try:
        console = Console(folder, log)
        _Run(folder, TrainingSpec.from_dict(read_json(folder.spec) or {}), console).run()
        return ExitStatus.finished
    except Stopped:
        return ExitStatus.stopped
    except RunFailed as failure:
        write_json(folder.error, failure.to_dict())
        return ExitStatus.failed
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ExitStatus.storage_full
        raise
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise
        reason = "There was not enough memory. Use shorter rows, or a smaller base model."
        write_json(folder.error, {"code": "out_of_memory", "message": reason, "param": None})
        return ExitStatus.failed
    finally:
        log.close()


class _Run:
    """The stages of one run, in order: check and encode, load, prefix, train, export, answer."""

    def __init__(self, folder: RunFolder, spec: TrainingSpec, console: Console) -> None:
        self.folder, self.spec, self.console = folder, spec, console

    def run(self) -> None:
        import torch

        torch.set_num_threads(self.spec.threads)
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        tokenizer, template = self._tokenizer()
        conversations, rows = self._encode(self.spec.rows, "training_file", tokenizer, template)
        held: list[list[Message]] = []
        held_rows: list[EncodedRow] = []
        if self.spec.validation_rows:
            held, held_rows = self._encode(self.spec.validation_rows, "validation_file", tokenizer, template)
        self.console.message("validated", f"{len(rows)} training rows and {len(held_rows)} validation rows are valid.")
        network = self._network()
        place = self._train(network, rows, held_rows)
        self._export(network)
        self._answers(network, tokenizer, template, held or conversations)
        self._finish(network, place)

    def _tokenizer(self) -> tuple[Any, ChatTemplate]:
        from transformers import AutoTokenizer

        from plinth.adapters.trainers.chat import ChatTemplate

        tokenizer = AutoTokenizer.from_pretrained(self.spec.base_folder, local_files_only=True, trust_remote_code=False)
        special = tuple((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
        return tokenizer, ChatTemplate(self.spec.chat_template, special)

    def _encode(
        self, path: str, param: str, tokenizer: Any, template: ChatTemplate
    ) -> tuple[list[list[Message]], list[EncodedRow]]:
        """Raises: RunFailed naming the first row that cannot be learnt from."""
        from plinth.adapters.trainers.chat import RowRefused, control_token_in, encode, refuse_tools, segments

        def tokenize(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids

        conversations, rows = [], []
        with Path(path).open(encoding="utf-8") as source:
            for number, line in enumerate(source, start=1):
                item = json.loads(line)
                messages = item["messages"]
                try:
                    refuse_tools(item, template)
                    if token := control_token_in(messages, tokenizer.all_special_tokens):
                        raise RowRefused("control_token", f"a message contains the control token {token}; remove it")
                    row = encode(segments(template, messages, tokenizer.eos_token), tokenize)
                    if len(row.ids) > self.spec.limits.row_tokens:
                        raise RowRefused(
                            "row_too_long",
                            f"it has {len(row.ids)} tokens and a row may have {self.spec.limits.row_tokens}; "
                            "shorten it or split it",
                        )
                except RowRefused as refusal:
                    raise RunFailed(refusal.code, f"Row {number} cannot be used: {refusal.reason}.", param) from None
                conversations.append(messages)
                rows.append(row)
                if number % 500 == 0:
                    self.console.stop_if_asked()
        return conversations, rows

    def _network(self) -> Network:
        import torch

        from plinth.adapters.trainers.network import Network, UnsupportedBase, bfloat16_is_fast

        recipe = self.spec.recipe
        facts = read_json(self.folder.state) or {}
        precision = facts.get("precision") or self.spec.precision
        if precision == "auto":
            precision = "bfloat16" if bfloat16_is_fast() else "float32"
        try:
            model = Network.load(Path(self.spec.base_folder), getattr(torch, precision))
        except UnsupportedBase as error:
            reason = f"Base models of the family '{error}' cannot be tuned by this trainer."
            raise RunFailed("base_model_unsupported", reason, "model") from None
        self.console.stop_if_asked()
        return Network(model, recipe.rank, recipe.alpha, recipe.last_layers, recipe.targets)

    def _train(self, network: Network, rows: list[EncodedRow], held: list[EncodedRow]) -> Place:
        from plinth.adapters.trainers import loop
        from plinth.adapters.trainers.checkpoints import Place
        from plinth.adapters.trainers.plan import make_plan
        from plinth.adapters.trainers.prefix import Prefix

        spec, console = self.spec, self.console
        every = [*rows, *held]
        plan = make_plan([r.input_length for r in rows], spec.recipe.batch_size, spec.recipe.n_epochs, spec.seed)
        material = loop.Material(every, len(rows), plan)
        cached = self._decide(network, every)
        prefix_work = float(sum(material.lengths)) * network.first if cached else 0.0
        decoded = spec.limits.answers * (1 + sum(len(r.targets) for r in rows) / len(rows))
        answer_work = decoded * DECODE_FACTOR * network.layers
        console.total_steps, console.batch_size = plan.steps, spec.recipe.batch_size
        console.work_total = prefix_work + loop.work_of_training(network, material, cached) + answer_work
        prefix = Prefix(network, every, cached)
        if prefix.cached:
            console.message("prefix", "Computing the frozen layers once for every row.")

        def tick(tokens: int) -> None:
            console.stop_if_asked()
            console.work_before += tokens * network.first
            console.clock(Place())

        prefix.prepare(self.folder.root / "prefix.cache", spec.limits.batch_tokens, tick)
        console.work_before = prefix_work
        network.add_adapters(spec.seed)
        console.message(
            "training",
            f"Training starts: {plan.steps} steps of up to {spec.recipe.batch_size} rows, "
            f"{spec.recipe.n_epochs} epochs, {network.layers - network.first} of {network.layers} layers.",
        )
        return loop.train(network, prefix, material, spec, self.folder, console)

    def _decide(self, network: Network, rows: list[EncodedRow]) -> bool:
        """Whether to store the frozen layers' output. Decided once per run: a resumed run must follow."""
        import torch
        import transformers

        from plinth.adapters.trainers.prefix import cache_bytes

        facts = read_json(self.folder.state)
        if facts is None:
            wanted = cache_bytes(rows, network)
            room = shutil.disk_usage(self.folder.root).free - self.spec.limits.free_bytes
            facts = {
                "cached": network.first > 0 and wanted <= min(self.spec.limits.cache_bytes, room),
                "precision": str(network.dtype).removeprefix("torch."),
                "threads": self.spec.threads,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            }
            write_json(self.folder.state, facts)
        elif facts["torch"] != torch.__version__ or facts["threads"] != self.spec.threads:
            self.console.message(
                "environment", "torch or the number of threads changed since the start: bits may differ.", "warn"
            )
        return bool(facts["cached"])

    def _export(self, network: Network) -> None:
        from plinth.adapters.gguf.lora import write_adapter
        from plinth.adapters.trainers import checkpoints

        base_config = read_json(Path(self.spec.base_folder) / "config.json") or {}
        self.folder.peft.mkdir(exist_ok=True)
        write_bytes(self.folder.peft / checkpoints.ADAPTER, network.adapter_tensors())
        write_bytes(self.folder.peft / checkpoints.CONFIG, network.adapter_config(self.spec.base_id))
        write_adapter(self.folder.peft, base_config, self.folder.gguf)
        for step in checkpoints.steps(self.folder.checkpoints):
            kept = checkpoints.folder_of(self.folder.checkpoints, step)
            write_adapter(kept, base_config, kept / self.folder.gguf.name)

    def _answers(
        self, network: Network, tokenizer: Any, template: ChatTemplate, conversations: list[list[Message]]
    ) -> None:
        from plinth.adapters.trainers.answers import answer, choose

        limits = self.spec.limits
        self.console.message("answers", "Training is done; writing down reference answers.")
        result = [
            {
                "messages": prompt,
                "answer": answer(
                    network, tokenizer, template, prompt, limits.answer_tokens, self.console.stop_if_asked
                ),
                "max_tokens": limits.answer_tokens,
            }
            for prompt in choose(conversations, limits.answers)
        ]
        write_json(self.folder.parity, result)

    def _finish(self, network: Network, place: Place) -> None:
        from plinth.adapters.trainers import checkpoints

        write_bytes(self.folder.results, results_csv(self.folder.progress))
        self.console.work_total = self.console.work_before + place.work
        self.console.clock(place)
        known = checkpoints.steps(self.folder.checkpoints)
        places = [checkpoints.place_of(self.folder.checkpoints, step) for step in known]
        write_json(
            self.folder.done,
            {
                "trained_tokens": place.tokens,
                "steps": place.step,
                "trainable_parameters": sum(p.numel() for p in network.parameters().values()),
                "checkpoints": [{"step": p.step, "epoch": p.epoch, "metrics": p.metrics} for p in places],
                "environment": read_json(self.folder.state),
            },
        )


def results_csv(progress: Path) -> bytes:
    """The hosted API's result file: one line a step; empty fields where nothing was validated."""
    columns = ("train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
    by_step: dict[int, dict[str, Any]] = {}
    for line in read_progress(progress, 0)[0]:
        if line.get("type") == "metrics":
            by_step.setdefault(line["step"], line["data"])
    lines = [",".join(("step", *columns))]
    lines += [
        ",".join([str(step), *("" if (v := data.get(c)) is None else f"{v:.6g}" for c in columns)])
        for step, data in sorted(by_step.items())
    ]
    return ("\n".join(lines) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main())
