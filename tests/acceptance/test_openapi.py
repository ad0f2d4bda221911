"""The API keeps its own promises: schemathesis calls every operation of the OpenAPI document.

Checked: no 5xx and answers that match the document. Bounded in examples, with a fixed seed; it runs
against the real processes through the public port. Creating jobs, deployments and base models is
left out here: other tests do it, and random ones would keep the machine busy or ask a model hub. So is
the stream of changes, which stays open by design.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from acceptance.installation import Installation

PATHS = [("project_key", r"^/(v1/(?!organization)|api/)"), ("admin_key", "^/v1/organization")]
BUSY = (
    r"^/v1/fine_tuning/jobs$|^/api/deployments$|^/v1/evals/\{eval_id\}/runs$|/check$|^/api/base_models$|^/api/events$"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "paths"), [("project_key", r"^/(v1/(?!organization)|api/)"), ("admin_key", "^/v1/organization")]
)
def test_every_operation(platform: Installation, tmp_path: Path, key: str, paths: str) -> None:
    document = tmp_path / "openapi.json"
    request = urllib.request.Request(
        f"{platform.url}/openapi.json", headers={"Authorization": f"Bearer {platform.keys['project_key']}"}
    )
    with urllib.request.urlopen(request) as answer:
        document.write_bytes(answer.read())
    header = f"Authorization: Bearer {platform.keys[key]}"
    filters = ["--include-path-regex", paths, "--exclude-path-regex", BUSY]
    checks = ["--checks", "not_a_server_error,response_schema_conformance", "--phases", "examples,fuzzing"]
    bounds = ["--max-examples", "6", "--seed", "7", "--workers", "1", "--no-color"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", platform.url]
    done = subprocess.run(
        [*command, "--header", header, *filters, *checks, *bounds],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:] + platform.logs()
