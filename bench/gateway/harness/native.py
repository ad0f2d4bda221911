"""The two C programs: compiled once per source text, kept in the cache folder.

Without a C compiler on the machine, the package `ziglang` (a compiler in a wheel) is installed into
the cache: the same instruments everywhere, so that figures of two machines compare.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.venvs import Venv

SOURCES = Path(__file__).parents[1] / "native"
_OPTIONS = ["-O2", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Programs:
    upstream: Path
    load: Path
    compiler: str


def programs(cache: Path) -> Programs:
    """Raises `SystemExit` with the compiler's words when the sources do not compile."""
    compiler = _compiler(cache)
    text = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    folder = cache / "native" / hashlib.sha256(text + " ".join(compiler).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("upstream", "load"):
        if not (folder / name).exists():
            _compile(compiler, SOURCES / f"{name}.c", folder / name)
    return Programs(folder / "upstream", folder / "load", _version(compiler))


def _compile(compiler: list[str], source: Path, target: Path) -> None:
    made = target.with_suffix(f".{os.getpid()}")
    done = subprocess.run([*compiler, *_OPTIONS, "-o", str(made), str(source)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{source.name} does not compile with {' '.join(compiler)}:\n{done.stderr}")
    made.rename(target)


def _compiler(cache: Path) -> list[str]:
    for name in (os.environ.get("CC", ""), "gcc", "cc", "clang"):
        if name and shutil.which(name):
            return [name]
    venv = Venv(cache, "compiler", ("ziglang==0.17.1",))
    venv.install()
    return [str(venv.python), "-m", "ziglang", "cc"]


def _version(compiler: list[str]) -> str:
    done = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
