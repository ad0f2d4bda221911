"""How much memory this machine, or the container Plinth runs in, has."""

from __future__ import annotations

from pathlib import Path

from plinth.catalog.model import Memory

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


class LinuxMachine:
    """Reads `/proc/meminfo` and the cgroup v2 or v1 limit."""

    def __init__(self, meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> None:
        self._meminfo, self._cgroup = meminfo, cgroup

    def memory(self) -> Memory:
        total, available = self._host()
        limit = _number(self._cgroup / "memory.max") or _number(self._cgroup / "memory/memory.limit_in_bytes")
        if limit is None or limit >= total:
            return Memory(total, available)
        used = _number(self._cgroup / "memory.current") or _number(self._cgroup / "memory/memory.usage_in_bytes") or 0
        return Memory(limit, max(0, min(available, limit - used)))

    def _host(self) -> tuple[int, int]:
        values = {}
        for line in self._meminfo.read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            values[name] = int(rest.split()[0]) * 1024
        return values["MemTotal"], values.get("MemAvailable", values["MemFree"])


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None  # no such limit, or the word "max"
