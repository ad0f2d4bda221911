"""Settings of evaluation (`PLINTH_EVALUATION__…`)."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section


class EvaluationSettings(Section):
    max_items_per_run: int = Field(10_000, ge=1, le=100_000)
    """The most rows one run may have."""
    max_source_bytes: int = Field(64 << 20, ge=1)
    """The most bytes a run's file or inline content may have."""
    max_item_bytes: int = Field(1 << 20, ge=1)
    """The most bytes one row may have."""
    max_criteria: int = Field(20, ge=1, le=100)
    """The most testing criteria one eval may have."""
    concurrency: int = Field(4, ge=1, le=64)
    """How many requests to models one run keeps in flight."""
    chunk_items: int = Field(20, ge=1, le=1000)
    """Rows per durable step: after a crash at most this many rows are answered again."""
    max_completion_tokens: int = Field(1024, ge=1)
    """Tokens a model may answer with when a run's sampling parameters do not say."""
    embedding_model: str = ""
    """The model behind the `cosine` metric when a grader names none; empty refuses such graders."""
    request_timeout_seconds: float = Field(600.0, gt=0)
    """How long one answer may take."""
    request_attempts: int = Field(20, ge=1, le=100)
    """Tries of one request while the server answers 429 or 503 or the connection breaks; 20 is about two minutes."""
    machine_price_per_hour: int = Field(0, ge=0)
    """What one hour of the machine costs, in minor units (fen, cents) of `currency`; 0 is unknown."""
    currency: str = Field("CNY", pattern="^[A-Z]{3}$")
    """ISO 4217 code of `machine_price_per_hour`."""
    public_url: str = ""
    """Where browsers reach this server, for absolute `report_url`s; empty keeps them relative."""
    sandbox_item_seconds: float = Field(5.0, gt=0, le=600)
    """Wall time a python grader may take for one row."""
    sandbox_cpu_seconds: int = Field(60, ge=1, le=3600)
    """CPU time one python grader process may take."""
    sandbox_memory_bytes: int = Field(512 << 20, ge=128 << 20)
    """Address space of one python grader process."""
    parity_prompts: int = Field(200, ge=1, le=5000)
    """The most reference prompts that are replayed on a new deployment."""
