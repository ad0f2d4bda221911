"""The training loop: from encoded rows to checkpoints. Bit-equal for equal spec, threads and versions.

Only answer tokens reach the output layer. Nothing here talks to the parent process except
through the `Reporter` it is given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from plinth.adapters.trainers import checkpoints
from plinth.adapters.trainers.chat import EncodedRow
from plinth.adapters.trainers.checkpoints import Place
from plinth.adapters.trainers.network import Network
from plinth.adapters.trainers.plan import Plan, by_length, learning_rate, split
from plinth.adapters.trainers.prefix import Prefix
from plinth.tuning import RunFailed, RunFolder, TrainingSpec

# layer-tokens of one trained token, in layers: forward, and two matrix products backward
TRAIN_FACTOR = 3
VALIDATION_SAMPLE = 64


class Reporter(Protocol):
    def metrics(self, step: int, values: dict[str, Any]) -> None: ...
    def message(self, key: str, text: str) -> None: ...
    def clock(self, place: Place, **facts: Any) -> None:
        """A reading of the clock; the reporter decides how often one is worth writing."""
        ...

    def stop_if_asked(self, save: Callable[[], None]) -> None:
        """Raises when the run is to stop; calls `save` first when it is to go on later."""
        ...


@dataclass(frozen=True)
class Material:
    """`rows` holds the training rows first, then the validation rows, as `Prefix` sees them."""

    rows: Sequence[EncodedRow]
    training: int
    plan: Plan

    @property
    def lengths(self) -> list[int]:
        return [row.input_length for row in self.rows]

    @property
    def validation(self) -> range:
        return range(self.training, len(self.rows))


def train(
    network: Network, prefix: Prefix, material: Material, spec: TrainingSpec, folder: RunFolder, report: Reporter
) -> Place:
    """Run the plan from the newest checkpoint to its end; returns the final place.

    Raises: RunFailed (loss not finite), OSError (no space for a checkpoint).
    """
    recipe, limits = spec.recipe, spec.limits
    optimizer = torch.optim.AdamW(
        list(network.parameters().values()), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    found = checkpoints.restore(folder.checkpoints, network, optimizer, material.plan.digest)
    place = found or Place(seed=spec.seed, plan=material.plan.digest)
    if found is not None:
        report.message(f"resumed:{place.step}:{time.time_ns()}", f"Going on after step {place.step}.")
    sample = _sample(material, spec.seed)
    step_of = _Step(network, prefix, material, spec, optimizer)
    saved_at, saved_step = time.monotonic(), place.step

    def save() -> None:
        nonlocal saved_at, saved_step
        checkpoints.write(folder.checkpoints, network, optimizer, place, spec.base_id)
        checkpoints.prune(folder.checkpoints, limits.keep_checkpoints)
        saved_at, saved_step = time.monotonic(), place.step

    while place.step < material.plan.steps:
        report.stop_if_asked(save)
        values, tokens = step_of(place.step)
        if not math.isfinite(values["grad_norm"]) or not math.isfinite(values["train_loss"]):
            raise RunFailed(
                "loss_not_finite",
                f"The loss stopped being a number at step {place.step + 1}. Lower learning_rate_multiplier "
                f"(it is {recipe.learning_rate_multiplier}). "
                + (f"The checkpoint of step {saved_step} was kept." if saved_step else "There was no checkpoint yet."),
                param="hyperparameters",
            )
        step = place.step + 1
        ends = step in material.plan.epoch_ends
        if len(material.validation) and (ends or step % recipe.validate_every == 0):
            values |= _validation(network, prefix, material, spec, sample, whole=ends)
        epoch = material.plan.epoch_ends.index(step) + 1 if ends else None
        factor = TRAIN_FACTOR * (network.layers - network.first) + (0 if prefix.cached else network.first)
        place = replace(
            place, step=step, tokens=place.tokens + tokens, work=place.work + tokens * factor, epoch=epoch,
            metrics=values,
        )  # fmt: skip
        report.metrics(step, values)
        due = (
            step % limits.checkpoint_steps == 0
            if limits.checkpoint_steps
            else time.monotonic() - saved_at >= limits.checkpoint_seconds
        )
        if due or ends:
            save()
        if epoch is not None:
            report.message(f"epoch:{epoch}", f"Epoch {epoch} of {recipe.n_epochs} is done.")
        report.clock(place)
    return place


def work_of_training(network: Network, material: Material, cached: bool) -> float:
    """Layer-tokens of the whole plan."""
    lengths = material.lengths
    tokens = sum(lengths[row] for batch in material.plan.batches for row in batch)
    return float(tokens) * (TRAIN_FACTOR * (network.layers - network.first) + (0 if cached else network.first))


class _Step:
    """One optimizer step."""

    def __init__(
        self,
        network: Network,
        prefix: Prefix,
        material: Material,
        spec: TrainingSpec,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._network, self._prefix, self._material = network, prefix, material
        self._spec, self._optimizer = spec, optimizer
        self._lengths = material.lengths

    def __call__(self, step: int) -> tuple[dict[str, Any], int]:
        """Returns the metrics and the number of tokens that were trained on."""
        recipe, rows = self._spec.recipe, self._material.plan.batches[step]
        targets = sum(len(self._material.rows[row].targets) for row in rows)
        loss_sum, hits = 0.0, 0
        for part in split(rows, self._lengths, self._spec.limits.batch_tokens):
            logits, labels = _answer_logits(self._network, self._prefix, self._material.rows, part)
            loss = F.cross_entropy(logits, labels, reduction="sum") / targets
            loss.backward()
            loss_sum += float(loss.detach())
            hits += int((logits.detach().argmax(1) == labels).sum())
        norm = torch.nn.utils.clip_grad_norm_(list(self._network.parameters().values()), recipe.clip_norm)
        if torch.isfinite(norm) and math.isfinite(loss_sum):
            rate = learning_rate(
                step,
                self._material.plan.steps,
                recipe.learning_rate,
                recipe.warmup_fraction,
                recipe.final_rate_fraction,
            )
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        values = {"train_loss": loss_sum, "train_accuracy": hits / targets, "grad_norm": float(norm)}
        return values, sum(self._lengths[row] for row in rows)


def _answer_logits(
    network: Network, prefix: Prefix, rows: Sequence[EncodedRow], part: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Logits (answer tokens, vocabulary) and the right tokens (answer tokens)."""
    hidden = network.run(prefix.hidden(part), network.first, network.layers)
    row_index = [place for place, row in enumerate(part) for _ in rows[row].targets]
    position = [target - 1 for row in part for target in rows[row].targets]
    labels = [rows[row].ids[target] for row in part for target in rows[row].targets]
    return network.logits(hidden[torch.tensor(row_index), torch.tensor(position)]), torch.tensor(labels)


def _validation(
    network: Network, prefix: Prefix, material: Material, spec: TrainingSpec, sample: Sequence[int], whole: bool
) -> dict[str, Any]:
    """Loss and token accuracy on the sample, and at an epoch's end on every validation row."""
    losses, counts, hits = {}, {}, {}
    rows = list(material.validation) if whole else list(sample)
    lengths = material.lengths
    with torch.no_grad():
        for group in by_length([lengths[row] for row in rows], spec.limits.batch_tokens):
            for_rows = [rows[i] for i in group]
            logits, labels = _answer_logits(network, prefix, material.rows, for_rows)
            each = F.cross_entropy(logits, labels, reduction="none")
            right = logits.argmax(1) == labels
            start = 0
            for row in for_rows:
                stop = start + len(material.rows[row].targets)
                losses[row], hits[row] = float(each[start:stop].sum()), int(right[start:stop].sum())
                counts[row] = stop - start
                start = stop
    result = _mean("valid_loss", "valid_mean_token_accuracy", sample, losses, hits, counts)
    if whole:
        result |= _mean("full_valid_loss", "full_valid_mean_token_accuracy", rows, losses, hits, counts)
    return result


def _mean(
    loss_name: str,
    accuracy_name: str,
    rows: Sequence[int],
    losses: dict[int, float],
    hits: dict[int, int],
    counts: dict[int, int],
) -> dict[str, Any]:
    tokens = sum(counts[row] for row in rows)
    return {
        loss_name: sum(losses[row] for row in rows) / tokens,
        accuracy_name: sum(hits[row] for row in rows) / tokens,
    }


def _sample(material: Material, seed: int) -> list[int]:
    """The same few validation rows at every look, so that the curve is comparable with itself."""
    rows = list(material.validation)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(rows[i] for i in order[:VALIDATION_SAMPLE])
