"""A disk that fills up under a running platform: nothing breaks, nothing half-saved, and it goes on afterwards."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from acceptance.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.once]

MEGABYTE = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def rows(megabytes: int) -> io.BytesIO:
    line = b'{"messages":[{"role":"user","content":"' + b"x" * 900 + b'"},{"role":"assistant","content":"y"}]}\n'
    return io.BytesIO(line * (megabytes * MEGABYTE // len(line)))


def test_a_full_disk_refuses_what_does_not_fit_and_recovers(small_disk: Path) -> None:
    installation = Installation(small_disk / "home")
    try:
        installation.start()
        client = installation.client()
        kept = client.files.create(file=("kept.jsonl", rows(4)), purpose="user_data")
        filler = small_disk / "filler"
        free = int(subprocess.check_output(["stat", "-f", "--format=%a", str(small_disk)])) * 4096
        filler.write_bytes(b"x" * (free - 5 * MEGABYTE))

        with pytest.raises(openai.APIStatusError) as caught:
            client.files.create(file=("large.jsonl", rows(12)), purpose="user_data")
        assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
        assert "Free space" in str(caught.value)

        # reading goes on, nothing is left of what was refused, and what fits is still taken
        assert client.files.content(kept.id).read() == rows(4).getvalue()
        assert [file.id for file in client.files.list()] == [kept.id]
        small = client.files.create(file=("small.jsonl", rows(1)), purpose="user_data")
        assert client.models.list().data

        filler.unlink()
        large = client.files.create(file=("large.jsonl", rows(12)), purpose="user_data")
        assert {file.id for file in client.files.list()} == {kept.id, small.id, large.id}
        assert installation.process is not None
        assert installation.process.poll() is None
    finally:
        installation.close()
