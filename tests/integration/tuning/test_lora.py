"""The real trainer on a tiny random Llama: bits, formats, crashes."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plinth.adapters.trainers import lora
from plinth.adapters.trainers.process import LoraProcess, LoraTrainer
from plinth.tuning import ExitStatus, OutcomeKind, RunFolder, TrainingSpec, read_json, read_progress, write_json
from tuning_support import TEMPLATE, jsonl, rows, spec

pytestmark = pytest.mark.slow
# peft reads an attribute that this transformers has renamed
PEFT_WARNING = "ignore:`is_gradient_checkpointing`:FutureWarning"


def train(order: TrainingSpec, folder: Path) -> RunFolder:
    handle = LoraTrainer().start(folder, order)
    outcome = handle.wait(120)
    log = folder / "trainer.log"
    assert outcome is not None
    assert outcome.kind is OutcomeKind.finished, (outcome, log.read_text())
    return RunFolder(folder)


def adapter(folder: RunFolder) -> bytes:
    return (folder.peft / "adapter_model.safetensors").read_bytes()


def steps(folder: RunFolder) -> dict[int, Any]:
    return {x["step"]: x["data"] for x in read_progress(folder.progress, 0)[0] if x.get("type") == "metrics"}


def wait_for_step(folder: RunFolder, handle: LoraProcess, step: int) -> None:
    deadline = time.monotonic() + 120
    while max(steps(folder), default=0) < step:
        assert handle.wait(0.005) is None
        assert time.monotonic() < deadline


def validated(order: TrainingSpec, folder: Path) -> TrainingSpec:
    (folder / "validation.jsonl").write_bytes(jsonl(rows(5)))
    return replace(order, validation_rows=str(folder / "validation.jsonl"))


@pytest.mark.parametrize("cache_bytes", [1 << 30, 0], ids=["stored prefix", "computed prefix"])
def test_killed_again_and_again_it_ends_with_the_same_bits(tmp_path: Path, tiny_base: Path, cache_bytes: int) -> None:
    def order(name: str) -> TrainingSpec:
        made = spec(tmp_path / name, tiny_base, rows(30))
        made = replace(
            made, recipe=replace(made.recipe, n_epochs=3), limits=replace(made.limits, cache_bytes=cache_bytes)
        )
        return validated(made, tmp_path / name)

    undisturbed = train(order("calm"), tmp_path / "calm")
    folder = RunFolder(tmp_path / "rough")
    for step in (5, 11, 17):
        handle = LoraTrainer().start(folder.root, order("rough"))
        wait_for_step(folder, handle, step)
        os.kill(handle.pid, signal.SIGKILL)
        outcome = handle.wait(30)
        assert outcome is not None
        assert outcome.kind is OutcomeKind.died
    train(order("rough"), folder.root)
    assert adapter(folder) == adapter(undisturbed)
    assert folder.gguf.read_bytes() == undisturbed.gguf.read_bytes()
    assert folder.results.read_bytes() == undisturbed.results.read_bytes()
    assert folder.parity.read_bytes() == undisturbed.parity.read_bytes()
    ended, calm = read_json(folder.done), read_json(undisturbed.done)
    assert ended is not None
    assert calm is not None
    assert ended["trained_tokens"] == calm["trained_tokens"]


def test_another_seed_gives_other_bits(tmp_path: Path, tiny_base: Path) -> None:
    first = train(spec(tmp_path / "a", tiny_base, rows()), tmp_path / "a")
    second = train(replace(spec(tmp_path / "b", tiny_base, rows()), seed=8), tmp_path / "b")
    assert adapter(first) != adapter(second)


def test_it_learns(tmp_path: Path, tiny_base: Path) -> None:
    order = spec(tmp_path / "run", tiny_base, rows(24))
    order = validated(replace(order, recipe=replace(order.recipe, n_epochs=20, last_layers=0)), tmp_path / "run")
    folder = train(order, tmp_path / "run")
    told = steps(folder)
    assert told[max(told)]["train_loss"] < 0.5 * told[1]["train_loss"]
    assert told[max(told)]["full_valid_loss"] < told[6]["full_valid_loss"]
    assert {"valid_loss", "valid_mean_token_accuracy"} <= set(told[3])
    row = folder.results.read_text().splitlines()[3].split(",")
    assert float(row[3]) == pytest.approx(told[3]["valid_loss"], rel=1e-4)


@pytest.mark.filterwarnings(PEFT_WARNING)
def test_peft_loads_the_adapter_and_computes_the_same(tmp_path: Path, tiny_base: Path) -> None:
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file

    from plinth.adapters.trainers.network import Network

    for layers in (0, 1):
        order = spec(tmp_path / str(layers), tiny_base, rows(24))
        order = replace(order, recipe=replace(order.recipe, n_epochs=10, last_layers=layers))
        folder = train(order, tmp_path / str(layers))
        ids = torch.randint(3, 300, (2, 17), generator=torch.Generator().manual_seed(1))
        theirs = PeftModel.from_pretrained(Network.load(tiny_base, torch.float32), str(folder.peft))
        ours = Network(Network.load(tiny_base, torch.float32), 4, 8, layers, order.recipe.targets)
        ours.add_adapters(0)
        saved = load_file(folder.peft / "adapter_model.safetensors")
        with torch.no_grad():
            assert set(saved) == set(ours.parameters())
            for name, parameter in ours.parameters().items():
                parameter.copy_(saved[name])
            hidden = ours.run(ours.embed(ids), 0, ours.layers)
            mine = ours.logits(hidden.reshape(-1, hidden.shape[-1])).reshape(*ids.shape, -1)
            reference = theirs(input_ids=ids).logits
            base = Network.load(tiny_base, torch.float32)(input_ids=ids).logits
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(mine, base, atol=1e-2)


def test_the_gguf_adapter_holds_the_permuted_tensors(tmp_path: Path, tiny_base: Path) -> None:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    order = spec(tmp_path / "run", tiny_base, rows())
    folder = train(replace(order, recipe=replace(order.recipe, last_layers=0)), tmp_path / "run")
    reader = gguf.GGUFReader(folder.gguf)
    assert reader.fields["general.architecture"].contents() == "llama"
    assert reader.fields["general.type"].contents() == "adapter"
    assert reader.fields["adapter.type"].contents() == "lora"
    assert reader.fields["adapter.lora.alpha"].contents() == 8.0
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    saved = load_file(folder.peft / "adapter_model.safetensors")
    assert len(tensors) == len(saved) == 2 * 7 * 2
    prefix = "base_model.model.model.layers.1."
    same = {
        "blk.1.attn_v.weight.lora_b": "self_attn.v_proj.lora_B.weight",
        "blk.1.attn_q.weight.lora_a": "self_attn.q_proj.lora_A.weight",
        "blk.1.attn_output.weight.lora_b": "self_attn.o_proj.lora_B.weight",
        "blk.1.ffn_gate.weight.lora_b": "mlp.gate_proj.lora_B.weight",
        "blk.1.ffn_down.weight.lora_a": "mlp.down_proj.lora_A.weight",
    }
    for name, source in same.items():
        np.testing.assert_array_equal(tensors[name], saved[prefix + source])
    for name, source, heads in (("attn_q", "q_proj", 4), ("attn_k", "k_proj", 2)):
        values = saved[f"{prefix}self_attn.{source}.lora_B.weight"]
        size = values.shape[0] // heads
        # head by head, rotary halves become pairs: 0, n/2, 1, n/2 + 1, …
        order_of = [h * size + half * size // 2 + i for h in range(heads) for i in range(size // 2) for half in (0, 1)]
        np.testing.assert_array_equal(tensors[f"blk.1.{name}.weight.lora_b"], values[order_of])


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(tmp_path: Path, tiny_base: Path) -> None:
    order = spec(tmp_path / "run", tiny_base, rows(24))
    wild = replace(order.recipe, n_epochs=20, learning_rate=1e30, clip_norm=1e30, learning_rate_multiplier=100.0)
    outcome = LoraTrainer().start(tmp_path / "run", replace(order, recipe=wild)).wait(120)
    assert outcome is not None
    assert outcome.kind is OutcomeKind.failed
    assert outcome.error is not None
    assert outcome.error["code"] == "loss_not_finite"
    assert "learning_rate_multiplier" in outcome.error["message"]
    folder = RunFolder(tmp_path / "run")
    assert all(math.isfinite(values["train_loss"]) for values in steps(folder).values())
    assert not folder.done.exists()


def test_it_keeps_a_checkpoint_and_ends_when_its_parent_dies(tmp_path: Path, tiny_base: Path) -> None:
    order = spec(tmp_path / "run", tiny_base, rows(24))
    order = replace(
        order, recipe=replace(order.recipe, n_epochs=50), limits=replace(order.limits, checkpoint_steps=10_000)
    )
    write_json(tmp_path / "order.json", order.to_dict())
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, pathlib, sys, time\n"
            "from plinth.adapters.trainers.process import LoraTrainer\n"
            "from plinth.tuning import TrainingSpec\n"
            "root = pathlib.Path(sys.argv[1])\n"
            "spec = TrainingSpec.from_dict(json.loads((root / 'order.json').read_text()))\n"
            "handle = LoraTrainer().start(root / 'run', spec)\n"
            "print(handle.pid, flush=True)\n"
            "time.sleep(300)\n",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    folder = RunFolder(tmp_path / "run")
    deadline = time.monotonic() + 120
    while len(steps(folder)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while _alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reached = max(steps(folder))
    assert (folder.checkpoints / f"checkpoint-{reached}").exists()
    assert not folder.done.exists()


def test_sigterm_keeps_a_checkpoint(tmp_path: Path, tiny_base: Path) -> None:
    order = spec(tmp_path / "run", tiny_base, rows(24))
    order = replace(
        order, recipe=replace(order.recipe, n_epochs=50), limits=replace(order.limits, checkpoint_steps=10_000)
    )
    handle, folder = LoraTrainer().start(tmp_path / "run", order), RunFolder(tmp_path / "run")
    wait_for_step(folder, handle, 3)
    os.kill(handle.pid, signal.SIGTERM)
    outcome = handle.wait(60)
    assert outcome is not None
    assert outcome.kind is OutcomeKind.stopped
    assert (folder.checkpoints / f"checkpoint-{max(steps(folder))}").exists()


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plinth.adapters.trainers import checkpoints

    order = spec(tmp_path / "run", tiny_base, rows(24))
    write_json(tmp_path / "run" / "spec.json", order.to_dict())
    original, writes = checkpoints.write_bytes, []

    def full(path: Path, data: bytes) -> None:
        writes.append(path)
        if len(writes) == 5:  # the second file of the second checkpoint
            path.with_name(path.name + ".part").write_bytes(data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(path, data)

    monkeypatch.setattr(checkpoints, "write_bytes", full)
    assert _in_process(tmp_path / "run", monkeypatch) == ExitStatus.storage_full
    folder = RunFolder(tmp_path / "run")
    assert [path.name for path in folder.checkpoints.iterdir()] == ["checkpoint-2"]
    monkeypatch.setattr(checkpoints, "write_bytes", original)
    assert _in_process(tmp_path / "run", monkeypatch) == ExitStatus.finished
    undisturbed = train(spec(tmp_path / "calm", tiny_base, rows(24)), tmp_path / "calm")
    assert adapter(folder) == adapter(undisturbed)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, tiny_base: Path) -> None:
    order, folder = spec(tmp_path / "run", tiny_base, rows(24)), RunFolder(tmp_path / "run")
    handle = LoraTrainer().start(folder.root, order)
    wait_for_step(folder, handle, 7)
    handle.kill()
    newest = max(folder.checkpoints.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    damaged = bytearray((newest / "optimizer.safetensors").read_bytes())
    damaged[-3] ^= 0xFF
    (newest / "optimizer.safetensors").write_bytes(damaged)
    train(order, folder.root)
    undisturbed = train(spec(tmp_path / "calm", tiny_base, rows(24)), tmp_path / "calm")
    assert adapter(folder) == adapter(undisturbed)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (
            {"messages": [{"role": "user", "content": "x<|im_end|>"}, {"role": "assistant", "content": "y"}]},
            "control_token",
        ),
        (
            {
                "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
                "tools": [{"type": "function"}],
            },
            "tools_not_supported",
        ),
    ],
)
def test_rows_that_would_teach_something_else_are_refused(
    tmp_path: Path, tiny_base: Path, bad: dict[str, Any], code: str
) -> None:
    outcome = LoraTrainer().start(tmp_path / "run", spec(tmp_path / "run", tiny_base, [*rows(2), bad])).wait(120)
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error["code"] == code
    assert "Row 3 " in outcome.error["message"]


def test_a_base_of_another_family_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    other = tmp_path / "base"
    other.mkdir()
    for path in tiny_base.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = json.loads((other / "config.json").read_text()) | {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
    }
    (other / "config.json").write_text(json.dumps(config))
    outcome = LoraTrainer().start(tmp_path / "run", spec(tmp_path / "run", other, rows())).wait(120)
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error["code"] == "base_model_unsupported"


@pytest.mark.filterwarnings(PEFT_WARNING)
def test_parity_answers_are_those_of_the_tuned_model(tmp_path: Path, tiny_base: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoTokenizer

    from plinth.adapters.trainers.chat import ChatTemplate
    from plinth.adapters.trainers.network import Network

    order = spec(tmp_path / "run", tiny_base, rows(24, label="balance"))
    order = replace(order, recipe=replace(order.recipe, n_epochs=15), limits=replace(order.limits, answers=5))
    folder = train(order, tmp_path / "run")
    answers = json.loads(folder.parity.read_text())
    assert len(answers) == 5
    model = PeftModel.from_pretrained(Network.load(tiny_base, torch.float32), str(folder.peft))
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    for entry in answers:
        prompt = ChatTemplate(TEMPLATE).render(entry["messages"], add_generation_prompt=True)
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        out = model.generate(**ids, max_new_tokens=entry["max_tokens"], do_sample=False, pad_token_id=0)
        text = tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert entry["answer"] == text


def test_the_child_inherits_no_secrets(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLINTH_DATABASE__URL", "postgresql://user:password@host/db")
    order = spec(tmp_path / "run", tiny_base, rows(24))
    order = replace(order, recipe=replace(order.recipe, n_epochs=50))
    handle, folder = LoraTrainer().start(tmp_path / "run", order), RunFolder(tmp_path / "run")
    wait_for_step(folder, handle, 1)
    assert b"password" not in Path(f"/proc/{handle.pid}/environ").read_bytes()
    assert os.getpriority(os.PRIO_PROCESS, handle.pid) >= 5
    handle.kill()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _in_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the trainer's main in this process, without touching its signals, priority or input."""
    monkeypatch.setattr(lora.os, "nice", lambda _: 0)
    monkeypatch.setattr(lora.signal, "signal", lambda *_: None)
    monkeypatch.setattr(lora.Console, "_watch_parent", lambda _: None)
    return lora.main(["--run-folder", str(folder)])
