"""What the benchmark reads from and asks of the machine: cores, CPU time, memory, who else is busy."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Place:
    """Where and how urgently a process runs. `nice` below 0 needs root; then the process also gets
    its share before other sessions, which the kernel otherwise serves in equal parts."""

    cores: frozenset[int]
    nice: int = 0

    def take(self) -> None:
        """For the child between fork and exec; its own children inherit it."""
        os.sched_setaffinity(0, self.cores)
        if self.nice:
            os.setpriority(os.PRIO_PROCESS, 0, self.nice)
            self.prefer(["self"])

    def prefer(self, pids: Iterable[int | str]) -> None:
        """For processes that began a session of their own, which starts without preference."""
        for pid in pids if self.nice else ():
            group = Path(f"/proc/{pid}/autogroup")
            if group.exists():
                group.write_text(str(self.nice))


@dataclass(frozen=True)
class Cores:
    """Which cores run what. The gateway gets the first core, or the first two for two workers; the
    upstream and the load generator get others where there are any.

    On two cores, two workers share the second one with the upstream and the load generator: their
    figure is then what the machine can do, not twice what one worker does.
    """

    all: tuple[int, ...]
    nice: int = 0

    @classmethod
    def of_this_process(cls, nice: int = 0) -> Cores:
        return cls(tuple(sorted(os.sched_getaffinity(0))), nice)

    def gateway(self, workers: int) -> Place:
        return Place(frozenset(self.all[:workers]), self.nice)

    @property
    def upstream(self) -> Place:
        return Place(frozenset({self.all[2 if len(self.all) >= 4 else -1]}), self.nice)

    @property
    def load(self) -> Place:
        return Place(frozenset({self.all[3 if len(self.all) >= 4 else -1]}), self.nice)

    @property
    def anywhere(self) -> Place:
        return Place(frozenset(self.all), self.nice)

    def in_words(self) -> str:
        def listed(place: Place) -> str:
            return ",".join(str(core) for core in sorted(place.cores))

        return (
            f"gateway on core {listed(self.gateway(1))} (two workers: {listed(self.gateway(2))}), "
            f"upstream on core {listed(self.upstream)}, load generator on core {listed(self.load)}"
            + (f"; nice {self.nice}" if self.nice else "")
        )


def start(command: list[str], place: Place, log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A process in a session of its own, held at its place with all its children."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=place.take,
            **options,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(root: int) -> list[int]:
    """`root` and everything below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far, to a clock tick (10 ms)."""
    total = 0
    for pid in pids:
        if fields := _stat(pid):
            total += int(fields[11]) + int(fields[12])
    return total / _TICK


def memory_bytes(pids: Iterable[int]) -> int:
    """Proportional set size: pages that several processes share count once in a sum. Processes that
    do not let themselves be read count with their resident set."""
    return sum(_proportional(pid) for pid in pids)


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    fields = _stat(pid)
    return int(fields[21]) * _PAGE if fields else 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on (index 0 is field 3 of the manual)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _busy_seconds() -> float:
    """CPU time of the whole machine that was not idle, stolen time included."""
    user, nice, system, _idle, _wait, interrupt, soft, steal = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + interrupt + soft + steal) / _TICK


class Watch:
    """Use as a context: how much CPU the gateway, the upstream and everyone else used meanwhile.

    `others` is in cores; it includes what the kernel does in nobody's name. A noisy machine shows here.
    """

    def __init__(self, gateway: Iterable[int], platform: Iterable[int], upstream: int) -> None:
        self._gateway, self._platform, self._upstream = list(gateway), list(platform), upstream
        self.gateway_seconds = self.platform_seconds = self.upstream_seconds = 0.0
        self.wall_seconds = self.busy_seconds = 0.0

    def __enter__(self) -> Watch:
        self._before = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        after = self._read()
        differences = [now - then for now, then in zip(after, self._before, strict=True)]
        self.gateway_seconds, self.platform_seconds, self.upstream_seconds = differences[:3]
        self.busy_seconds, self.wall_seconds = differences[3:]

    def others(self, load_seconds: float) -> float:
        known = self.platform_seconds + self.upstream_seconds + load_seconds
        return max(0.0, (self.busy_seconds - known) / self.wall_seconds)

    def _read(self) -> tuple[float, float, float, float, float]:
        return (
            cpu_seconds(self._gateway),
            cpu_seconds(self._platform),
            cpu_seconds([self._upstream]),
            _busy_seconds(),
            time.monotonic(),
        )


def description() -> dict[str, Any]:
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * _PAGE / 2**30, 1),
        "kernel": platform.release(),
        "system": _system_name(),
        "load_average": list(os.getloadavg()),
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system_name() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
