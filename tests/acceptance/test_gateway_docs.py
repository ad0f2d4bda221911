"""The gateway's guide cannot lie: its shell blocks run, in order, against a real platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.gateway_support import ProviderProcess
from acceptance.installation import Installation

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"^export (\w+)=.*$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    return BLOCK.findall((DOCS / f"gateway.{language}.md").read_text("utf-8"))


@pytest.fixture
def provider() -> Iterator[ProviderProcess]:
    process = ProviderProcess()
    yield process
    process.kill()


def environment(platform: Installation, provider: ProviderProcess) -> dict[str, str]:
    """What the guide's reader sets, and what tells `plinth` which port and database the test uses."""
    flags = dict(flag.split("=", 1) for flag in platform.flags[1::2])
    settings = {f"PLINTH_{name.upper().replace('.', '__')}": value for name, value in flags.items()}
    return {
        **os.environ,
        **settings,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PLINTH_LANG": "en",
        "PLINTH_URL": platform.url,
        "PLINTH_HOME": str(platform.home),
        "OPENAI_API_KEY": platform.keys["project_key"],
        "OPENAI_ADMIN_KEY": platform.keys["admin_key"],
        "PROVIDER_URL": f"{provider.url}/v1",
        "PROVIDER_KEY": "sk-provider",
    }


@pytest.mark.once
@pytest.mark.slow
def test_guide_runs(tmp_path: Path, provider: ProviderProcess) -> None:
    """The English one; the Chinese one has the same commands (below)."""
    platform = Installation(tmp_path / "home")
    try:
        platform.start()
        known = environment(platform, provider)
        program = "set -euo pipefail\n" + "\n".join(blocks("en"))
        asked = set(EXPORT.findall(program))
        assert asked <= known.keys(), "the guide asks for something that the test does not set"
        program = EXPORT.sub("", program)
        done = subprocess.run(
            ["bash", "-c", program], env=known, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr + platform.logs()
        for shown in ("says: Number 3", "large 10 % (user)", "<EMAIL_1>", "The books close.", '"status": "ok"'):
            assert shown in done.stdout, shown
        header, *records = (tmp_path / "usage.csv").read_text().splitlines()
        assert header.startswith("id,created_at,")
        assert records, "the export has no records"
    finally:
        platform.close()


def test_both_languages_run_the_same_commands() -> None:
    """Word for word, but for what follows a `#`."""
    comment = re.compile(r"\s+# .*$", re.MULTILINE)
    english, chinese = ([comment.sub("", block) for block in blocks(language)] for language in ("en", "zh"))
    assert english == chinese
    assert len(english) > 10
