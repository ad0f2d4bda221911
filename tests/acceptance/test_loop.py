"""The loop, as a user's script turns it, with every line of the official SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("sdk_loop.py")
LINES = {"1": ROOT / ".sdk" / "1", "2": ROOT / ".sdk" / "2", "3": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", [pytest.param("1", marks=pytest.mark.once), pytest.param("2", marks=pytest.mark.once), "3"]
)
def test_loop_with_sdk_line(platform: Installation, line: str) -> None:
    folder = LINES[line]
    environment = platform.environment()
    if folder is not None:
        if not (folder / "openai").is_dir():
            pytest.skip(f"openai {line}.x is not installed in {folder}; `make sdk` does it")
        environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr + platform.logs()
    seen = json.loads(done.stdout.splitlines()[-1])
    print(os.linesep + done.stdout)
    assert seen["sdk"].startswith(f"{line}.")
    assert seen["status"] == "succeeded"
    assert seen["model"].startswith("ft:smollm2-135m-instruct:")
    assert seen["trained_tokens"] > 0
    assert seen["metric_events"] > 0
    assert seen["checkpoints"] > 0
    assert seen["answer"].strip() == seen["streamed"].strip() == "lost_card"
    assert seen["usage"] > 0
    assert seen["dimensions"] == 384
    assert (seen["run"], seen["total"]) == ("completed", 12)
    assert seen["passed"] >= 10
    assert seen["listed"] is True
    assert seen["missing"] == "model_not_found"
