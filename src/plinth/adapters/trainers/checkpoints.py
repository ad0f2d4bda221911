"""Checkpoints: adapter, optimizer and place in the plan; complete or absent, never half.

A checkpoint is a folder written under a temporary name, synced, then renamed. `state.json` holds
the SHA-256 of its files, so a damaged one is recognised and the one before it used. There is no
random state to keep: the plan is a function of the seed, and nothing else is random.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from plinth.adapters.trainers.network import Network
from plinth.tuning import read_json, sync_folder, write_bytes, write_json

ADAPTER, CONFIG, OPTIMIZER, STATE = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "optimizer.safetensors",
    "state.json",
)


@dataclass
class Place:
    """Where a run stands after `step` steps."""

    step: int = 0
    tokens: int = 0
    work: float = 0.0
    seed: int = 0
    plan: str = ""
    epoch: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)


def folder_of(root: Path, step: int) -> Path:
    return root / f"checkpoint-{step}"


def write(root: Path, network: Network, optimizer: torch.optim.Optimizer, place: Place, base_id: str) -> Path:
    """Raises: OSError (no space left); then nothing of it stays behind."""
    root.mkdir(exist_ok=True)
    target = folder_of(root, place.step)
    if target.exists():
        return target
    temporary = root / f".writing-{place.step}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        files = {
            ADAPTER: network.adapter_tensors(),
            CONFIG: network.adapter_config(base_id),
            OPTIMIZER: bytes(save(_moments(network, optimizer))),
        }
        for name, data in files.items():
            write_bytes(temporary / name, data)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        write_json(temporary / STATE, {"place": asdict(place), "sha256": digests})
        temporary.rename(target)
        sync_folder(root)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def steps(root: Path) -> list[int]:
    """The steps of complete checkpoints, rising."""
    return sorted(int(path.name.removeprefix("checkpoint-")) for path in root.glob("checkpoint-*"))


def place_of(root: Path, step: int) -> Place:
    state = read_json(folder_of(root, step) / STATE)
    assert state is not None, "a renamed checkpoint is complete"
    return Place(**state["place"])


def restore(root: Path, network: Network, optimizer: torch.optim.Optimizer, plan: str) -> Place | None:
    """Load the newest undamaged checkpoint of this plan; None when there is none."""
    for step in reversed(steps(root)):
        try:
            place = _restore(folder_of(root, step), network, optimizer, plan)
        except (OSError, ValueError, KeyError, SafetensorError):
            continue  # damaged: the one before it is good
        if place is not None:
            return place
    return None


def prune(root: Path, keep: int, keep_epochs: int = 3) -> None:
    """Keep the last `keep` checkpoints and those that end the last `keep_epochs` epochs."""
    known = steps(root)
    epochs = [step for step in known if place_of(root, step).epoch is not None][-keep_epochs:]
    for step in set(known) - set(known[-keep:]) - set(epochs):
        shutil.rmtree(folder_of(root, step))
    for leftover in root.glob(".writing-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _moments(network: Network, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    result = {}
    for name, parameter in network.parameters().items():
        for moment, value in optimizer.state[parameter].items():
            result[f"{name}|{moment}"] = value.detach().contiguous()
    return result


def _restore(folder: Path, network: Network, optimizer: torch.optim.Optimizer, plan: str) -> Place | None:
    state = read_json(folder / STATE)
    if state is None or state["place"]["plan"] != plan:
        return None
    files = {name: (folder / name).read_bytes() for name in (ADAPTER, OPTIMIZER)}
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != state["sha256"][name]:
            raise ValueError(f"{name} is damaged")
    weights, moments = load(files[ADAPTER]), load(files[OPTIMIZER])
    with torch.no_grad():
        for name, parameter in network.parameters().items():
            parameter.copy_(weights[name])
    for key, value in moments.items():
        name, _, moment = key.partition("|")
        optimizer.state[network.parameters()[name]][moment] = value
    return Place(**state["place"])
