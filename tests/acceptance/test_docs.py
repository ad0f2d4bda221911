"""The quickstarts cannot lie: their Python blocks run, in order, against a real platform."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.installation import Installation

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return BLOCK.findall((DOCS / f"quickstart.{language}.md").read_text("utf-8"))


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_quickstart_runs(platform: Installation, language: str, tmp_path: Path) -> None:
    program = "\n".join(blocks(language))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=platform.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr + platform.logs()
    print(done.stdout)


def test_both_languages_show_the_same_steps() -> None:
    assert len(blocks("en")) == len(blocks("zh")) > 0
