"""Limits and prices of fine-tuning."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section

MIB = 1 << 20


class TuningSettings(Section):
    """`[tuning]` in plinth.toml, `PLINTH_TUNING__…` in the environment."""

    threads: int = Field(default=0, ge=0, le=512)
    """CPU threads a training run uses; 0 means one for every core this process may use."""

    max_rows: int = Field(default=100_000, gt=0)
    """The most rows that a training or validation file may have."""

    max_row_tokens: int = Field(default=2048, gt=0)
    """The most tokens that one row may have; the base model's context is a limit as well."""

    max_batch_tokens: int = Field(default=4096, gt=0)
    """Tokens that go through the network at once: lower needs less memory, and takes longer."""

    cache_bytes: int = Field(default=2048 * MIB, ge=0)
    """Disk space that one run may use to keep what the frozen layers computed, in bytes; 0 switches this off."""

    min_free_bytes: int = Field(default=256 * MIB, ge=0)
    """Disk space that must stay free, in bytes; a job that would go below it is paused."""

    checkpoint_seconds: float = Field(default=30.0, gt=0)
    """Time between two checkpoints, in seconds: what a crash can cost."""

    max_restarts: int = Field(default=3, ge=0)
    """How often a trainer that died is started again before its job fails."""

    keep_failed_seconds: float = Field(default=7 * 24 * 3600.0, ge=0)
    """How long the run folder of a failed job, with its last checkpoints, is kept, in seconds."""

    cpu_hour_price: int = Field(default=0, ge=0)
    """What one CPU hour costs, in minor units of the currency; 0 means unknown, and jobs show no amount."""

    currency: str = Field(default="CNY", pattern="^[A-Z]{3}$")
    """The currency of the price, as an ISO 4217 code."""
