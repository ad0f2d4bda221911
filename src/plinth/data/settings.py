"""Limits and lifetimes of uploaded data."""

from __future__ import annotations

from pydantic import Field

from plinth.kit.settings import Section

MIB = 1 << 20


class DataSettings(Section):
    """`[data]` in plinth.toml, `PLINTH_DATA__…` in the environment."""

    max_file_bytes: int = Field(default=512 * MIB, gt=0)
    """The largest file that `POST /v1/files` takes, in bytes."""

    max_upload_bytes: int = Field(default=8192 * MIB, gt=0)
    """The largest file that can be put together from parts with `/v1/uploads`, in bytes."""

    max_part_bytes: int = Field(default=64 * MIB, gt=0)
    """The largest part of an upload, in bytes."""

    upload_seconds: int = Field(default=3600, gt=0)
    """How long an upload waits for its parts, in seconds after it was created."""

    max_decompressed_bytes: int = Field(default=2048 * MIB, gt=0)
    """The most that a `.gz` file may decompress to when a dataset is made from it, in bytes."""

    max_dataset_bytes: int = Field(default=8192 * MIB, gt=0)
    """The most that the rows of one dataset version may take, in bytes of canonical JSON."""

    max_row_bytes: int = Field(default=8 * MIB, gt=0, le=64 * MIB)
    """The longest row of a dataset, in bytes."""

    max_labels: int = Field(default=10_000, gt=0)
    """How many different labels a classification dataset may have."""
