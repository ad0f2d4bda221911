"""Recipes: from `recipes.yaml` and the rows to the numbers a trainer works with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from plinth.tuning.errors import BadHyperparameter, UnknownRecipe
from plinth.tuning.model import Hyperparameters, Recipe

RANGES: dict[str, tuple[float, float]] = {
    "n_epochs": (1, 50),
    "batch_size": (1, 256),
    "learning_rate_multiplier": (0.001, 100),
}


@dataclass(frozen=True)
class Shape:
    """What the "auto" decisions look at: training rows, and how many different final answers they have."""

    rows: int
    answers: int

    @property
    def labels(self) -> bool:
        """Whether the answers look like a fixed set of labels rather than free text."""
        return self.answers <= max(2, self.rows // 3)


@cache
def book() -> dict[str, Any]:
    import yaml

    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("recipes.yaml").read_text(encoding="utf-8"))
    return loaded


def resolve(name: str | None, asked: Hyperparameters, shape: Shape) -> Recipe:
    """Raises: UnknownRecipe, BadHyperparameter."""
    recipes = book()["recipes"]
    chosen = name or book()["default"]
    if chosen not in recipes:
        raise UnknownRecipe(recipe=str(chosen)[:60], known=", ".join(recipes), param="recipe")
    for field, (low, high) in RANGES.items():
        value = getattr(asked, field)
        if value != "auto" and not low <= value <= high:
            raise BadHyperparameter(name=field, low=low, high=high, value=value, param=field)
    entry, common = recipes[chosen], book()["common"]
    epochs, batch = next((e, b) for limit, e, b in entry["by_rows"] if limit is None or shape.rows <= limit)
    few = book()["few_rows_per_answer"]
    if shape.labels and shape.rows < few["below"] * shape.answers:
        epochs = round(epochs * few["epochs_factor"])
    epochs = epochs if asked.n_epochs == "auto" else asked.n_epochs
    batch = min(batch, shape.rows) if asked.batch_size == "auto" else asked.batch_size
    multiplier = 1.0 if asked.learning_rate_multiplier == "auto" else asked.learning_rate_multiplier
    base_rate = entry["learning_rate"] * (1.0 if shape.labels else book()["generation_rate_factor"])
    steps = epochs * -(-shape.rows // batch)
    return Recipe(
        name=chosen,
        n_epochs=epochs,
        batch_size=batch,
        learning_rate_multiplier=multiplier,
        learning_rate=base_rate * multiplier,
        rank=entry["rank"],
        alpha=entry["alpha"],
        last_layers=entry["last_layers"],
        validate_every=max(10, steps // 10),
        targets=tuple(common["targets"]),
        warmup_fraction=common["warmup_fraction"],
        final_rate_fraction=common["final_rate_fraction"],
        weight_decay=common["weight_decay"],
        clip_norm=common["clip_norm"],
    )
