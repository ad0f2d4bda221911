"""Parts for tuning's tests: the slices below for real, small files, a tiny random Llama."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plinth.data import DataService
from plinth.data.settings import DataSettings
from plinth.identity import Actor
from plinth.kit.blobs import InMemoryBlobs, put_bytes
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.jobs import InMemoryJobs
from plinth.registry import RegistryService
from plinth.tuning import (
    InMemoryBases,
    InMemoryTrainer,
    Job,
    Limits,
    MemoryBase,
    Order,
    Recipe,
    Trainer,
    TrainingSpec,
    TuningService,
)
from plinth.tuning.jobs import TuningParts, workflows
from plinth.tuning.settings import TuningSettings
from support import actor

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WORDS = [
    "lost",
    "card",
    "send",
    "money",
    "balance",
    "please",
    "help",
    "stolen",
    "account",
    "friend",
    "卡",
    "丢",
    "转账",
    "余额",
    "查询",
]
LABELS = ("lost_card", "transfer", "balance")


def rows(count: int = 12, label: str | None = None) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": " ".join(WORDS[(i * 3 + j) % len(WORDS)] for j in range(2 + i % 4))},
                {"role": "assistant", "content": label or LABELS[i % 3]},
            ]
        }
        for i in range(count)
    ]


def jsonl(items: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


PROJECTS = {"proj_a": "org_a", "proj_b": "org_a", "proj_c": "org_c"}
BASES = {
    base.id: base
    for base in (
        MemoryBase("tiny"),
        MemoryBase("embedder", capabilities=frozenset({"embed"}), chat_template=None),
        MemoryBase("retired", shutdown_date="2020-01-31"),
        MemoryBase("leaving", shutdown_date="2099-01-31"),
    )
}


@dataclass
class Workshop:
    """Everything around `TuningService`, in memory except the database."""

    db: Database
    clock: FixedClock
    folder: Path
    trainer: Trainer = field(default_factory=InMemoryTrainer)
    settings: TuningSettings = field(default_factory=lambda: TuningSettings(min_free_bytes=0, threads=1))
    bases: InMemoryBases = field(default_factory=lambda: InMemoryBases(dict(BASES)))

    def __post_init__(self) -> None:
        for name in ("blobs", "runs"):
            (self.folder / name).mkdir(exist_ok=True)
        self.blobs = InMemoryBlobs(self.folder / "blobs")
        self.registry = RegistryService(self.clock, self.bases, lambda _: PROJECTS, lambda *_: None)
        self.data = DataService(self.blobs, self.clock, DataSettings(), others=(self.registry,))
        self.service = TuningService(
            self.clock, self.bases, self.data, self.registry, self.settings, lambda _: PROJECTS
        )
        self.runs = self.folder / "runs"
        self.parts = TuningParts(self.db, self.clock, self.blobs, self.trainer, self.service, self.runs)
        self.jobs = InMemoryJobs()
        self.jobs.start(workflows(self.parts), {"tuning": 1})

    def upload(self, content: bytes, purpose: str = "fine-tune", project: str = "proj_a") -> str:
        blob = put_bytes(self.blobs, content)
        with self.db.write() as session:
            return self.data.store_file(session, project, "rows.jsonl", purpose, blob).id

    def submit(self, who: Actor | None = None, **fields: Any) -> Job:
        if "training_file" not in fields:
            fields["training_file"] = self.upload(jsonl(rows()))
        return self.service.submit(self.db, who or actor(), Order(**{"model": "tiny", **fields}))

    def work(self, job: Job) -> Job:
        """Run the workflow of the job's current attempt, as the worker would."""
        job = self.job(job.id)
        self.jobs.enqueue("tuning.run", f"{job.id}:{job.attempt}", {"job_id": job.id, "attempt": job.attempt})
        return self.job(job.id)

    def steer(self, action: str, job_id: str) -> Job:
        """`action`: cancel, pause or resume, by the job's owner."""
        with self.db.write() as session:
            changed: Job = getattr(self.service, action)(session, actor(), job_id)
        return changed

    def job(self, job_id: str) -> Job:
        with self.db.read() as session:
            return self.service.job(session, "proj_a", job_id)

    def event_texts(self, job: Job) -> list[str]:
        with self.db.read() as session:
            return [event.message for event in reversed(self.service.job_events(session, job, None, 1000))]

    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        from sqlalchemy import select

        from plinth.kit.events import events

        with self.db.read() as session:
            found = session.execute(select(events).where(events.c.kind.like("tuning.%")).order_by(events.c.seq))
            return [(row.kind, row.payload) for row in found]


def recipe(**changes: Any) -> Recipe:
    plain = Recipe(
        name="good",
        n_epochs=2,
        batch_size=4,
        learning_rate_multiplier=1.0,
        learning_rate=0.01,
        rank=4,
        alpha=8,
        last_layers=1,
        targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        warmup_fraction=0.1,
        final_rate_fraction=0.1,
        weight_decay=0.0,
        clip_norm=1.0,
        validate_every=3,
    )
    return replace(plain, **changes)


def spec(run_folder: Path, base: Path, items: Sequence[dict[str, Any]], **changes: Any) -> TrainingSpec:
    """An order for a small run; the rows are written into its folder."""
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / "rows.jsonl"
    path.write_bytes(jsonl(items))
    plain = TrainingSpec(
        job_id="ftjob-test",
        base_id="tiny",
        base_folder=str(base),
        chat_template=TEMPLATE,
        rows=str(path),
        recipe=recipe(),
        seed=7,
        threads=1,
        precision="float32",
        limits=Limits(row_tokens=256, checkpoint_steps=2, answers=2, answer_tokens=4, free_bytes=0),
    )
    return replace(plain, **changes)


def make_tiny_base(folder: Path) -> Path:
    """A random two-layer Llama and a byte-level tokenizer, saved like any base model."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    raw.train_from_iterator([" ".join(WORDS), *LABELS, "user assistant system"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", bos_token="<|im_start|>", unk_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,  # with the usual 0.02 the frozen output layer could not say anything clearly
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


__all__ = ["BASES", "LABELS", "TEMPLATE", "Workshop", "jsonl", "make_tiny_base", "recipe", "rows", "spec"]
