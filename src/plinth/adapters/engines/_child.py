"""What engines that are child processes of ours share: starting, finding again, asking, ending.

The child gets its work from a spec file (`--spec FILE`, JSON: see `SpecFile`) and its bearer key as
one line on standard input. Until that line comes it does nothing, and it ends when the input closes
without one: a child that was never recorded never works. It reports an expected failure in
`<id>.failed` (`{"reason", "permanent", "adapter"}`) and ends.

Linux only: a process is identified by pid and start time (/proc), and signalled through a pidfd.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from plinth.serving import EngineFailed, EngineHandle, EngineSpec, Health, HealthState
from plinth.serving.ports import Record

PROBE_SECONDS = 3.0
REAP_SECONDS = 2.0
MAX_REPLY_BYTES = 1 << 20
_OWNED = ("json", "sock", "log", "failed")


@dataclass(frozen=True)
class SpecFile:
    """The JSON in `<id>.json`. `lock` is the file whose holder the child lives for."""

    spec: EngineSpec
    socket: str
    log: str
    failed: str
    lock: str


class ChildEngine:
    """Args: `run_folder` holds sockets, specs and logs (a short path: a unix socket's may have 107
    bytes); `lock_file` is held by the platform for as long as it lives."""

    kind: str
    program: str
    terminate_seconds = 3.0
    """How long the child may take to end after SIGTERM."""

    def __init__(self, run_folder: Path, lock_file: Path) -> None:
        self._folder, self._lock_file = run_folder, lock_file
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def socket_path(self, id: str) -> Path:
        return self._file(id, "sock")

    def start(self, id: str, spec: EngineSpec, key: str, record: Record) -> EngineHandle:
        child = self._spawn(id, spec)
        try:
            started = start_time(child.pid)
            if started is None:
                raise EngineFailed(reason="its process ended at once.")
            handle = EngineHandle(id, child.pid, started, str(self.socket_path(id)), key)
            record(handle)
        except BaseException:
            child.kill()
            child.communicate()
            raise
        self._children[child.pid] = child
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead already; `probe` will say so
            child.stdin.write(key.encode() + b"\n")
            child.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        return handle

    def probe(self, handle: EngineHandle) -> Health:
        if not self._alive(handle):
            return self._post_mortem(handle)
        status = ask(handle, "/health")[0]
        if status == 200:
            return Health(HealthState.ready)
        return Health(HealthState.loading if status in (0, 503) else HealthState.degraded, f"health check: {status}")

    def stop(self, handle: EngineHandle) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self._alive(handle) or not send_signal(handle, number):
                break
            deadline = time.monotonic() + self.terminate_seconds
            while self._alive(handle) and time.monotonic() < deadline:
                time.sleep(0.02)
        self._children.pop(handle.pid, None)
        for suffix in _OWNED:
            self._file(handle.id, suffix).unlink(missing_ok=True)

    def _spawn(self, id: str, spec: EngineSpec) -> subprocess.Popen[bytes]:
        path = self.socket_path(id)
        if len(os.fsencode(path)) > 107:
            raise EngineFailed(reason=f"the socket path {path} is too long; choose a shorter run folder.")
        files = SpecFile(
            spec, str(path), str(self._file(id, "log")), str(self._file(id, "failed")), str(self._lock_file)
        )
        # none of the platform's own settings and secrets reach an engine
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLINTH_")}
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file(id, "json").write_text(json.dumps(asdict(files)), encoding="utf-8")
            with self._file(id, "log").open("ab") as log:
                return subprocess.Popen(  # noqa: S603 our own program, no shell
                    [sys.executable, "-m", self.program, "--spec", str(self._file(id, "json"))],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # Ctrl-C in our terminal is not meant for it
                )
        except OSError as error:
            raise EngineFailed(reason=f"its process could not be made ({error}).") from error

    def _alive(self, handle: EngineHandle) -> bool:
        if start_time(handle.pid) == handle.started:
            return True
        child = self._children.get(handle.pid)
        if child is not None and child.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its other threads are still ending
                child.wait(REAP_SECONDS)
        return False

    def _post_mortem(self, handle: EngineHandle) -> Health:
        try:
            report = json.loads(self._file(handle.id, "failed").read_text(encoding="utf-8"))
            return Health(HealthState.dead, report["reason"], bool(report["permanent"]), report["adapter"])
        except (OSError, ValueError, KeyError):
            pass  # it left no report: it was killed, or crashed in native code
        child = self._children.get(handle.pid)
        code = child.returncode if child is not None else None
        if code is not None and code < 0:
            how = f"was killed by signal {-code} ({signal.Signals(-code).name})"
        else:
            how = "ended" if code is None else f"ended with status {code}"
        return Health(HealthState.dead, f"The engine process {how}.")

    def _file(self, id: str, suffix: str) -> Path:
        return self._folder / f"{id}.{suffix}"


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which the process started; None when there is none, or only a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return None if fields[0] in ("Z", "X") else int(fields[19])


def send_signal(handle: EngineHandle, number: int) -> bool:
    """Signal exactly this process, never a later one with the same pid. False when it is gone."""
    try:
        descriptor = os.pidfd_open(handle.pid)
    except ProcessLookupError:
        return False
    try:
        if start_time(handle.pid) != handle.started:
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=PROBE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PROBE_SECONDS)
        self.sock.connect(self._path)


def ask(handle: EngineHandle, path: str) -> tuple[int, bytes]:
    """GET `path` from an engine: status and body; status 0 when it did not answer in time."""
    connection = _UnixConnection(handle.socket_path)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {handle.key}"})
        response = connection.getresponse()
        return response.status, response.read(MAX_REPLY_BYTES)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
