"""Virtual environments in the cache folder, one for each list of pinned packages."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Venv:
    cache: Path
    name: str
    packages: tuple[str, ...]

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(" ".join((sys.version, *self.packages)).encode()).hexdigest()[:8]
        return self.cache / f"{self.name}-{digest}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self) -> None:
        """Once; a broken installation is begun anew. Raises `SystemExit` with pip's last words."""
        ready = self.folder / ".ready"
        if ready.exists():
            return
        print(f"installing {', '.join(self.packages)} …", file=sys.stderr, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *self.packages]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"cannot install {self.name}:\n{done.stderr[-2000:]}")
        ready.touch()

    def versions(self, names: tuple[str, ...]) -> dict[str, str]:
        """Installed versions of these packages."""
        return installed_versions(self.python, names)


def installed_versions(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    script = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({n: m.version(n) for n in sys.argv[1:]} | {'python': sys.version.split()[0]}))"
    )
    done = subprocess.run([str(python), "-c", script, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
