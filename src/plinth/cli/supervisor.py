"""`plinth up`: starts the platform's processes, starts them again when they die, stops them together.

Standard library only: it must be the last thing to fail. It stays in memory for as long as the platform
runs, so `plinth up` reads the settings and then becomes this module (`take_over`). Children get SIGTERM
from the kernel if the supervisor itself is killed, so a new `plinth up` always finds the port free.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MODULES = {"api": "plinth.api", "gateway": "plinth.api.dataplane", "worker": "plinth.worker"}
STOP_SECONDS = {"gateway": 35.0, "worker": 20.0, "api": 10.0}
BACKLOG = 2048
PORT_TAKEN_EXIT_CODE = 78
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
STEADY_SECONDS = 30.0
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class AlreadyRunning(Exception):
    """Another supervisor holds this home's lock; `pid` is its process id."""

    def __init__(self, pid: str) -> None:
        self.pid = pid
        super().__init__(pid)


class PortTaken(Exception):
    """Something else listens on the public port."""


def listen(host: str, port: int) -> socket.socket | None:
    """The public port, bound; None when somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        return None
    return listener


@dataclass
class Child:
    role: str
    command: list[str]
    log: Path
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own modules, no shell)
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
                start_new_session=True,
                pass_fds=self.descriptors,
            )
        self.started = time.monotonic()

    def reap(self) -> None:
        """Notice a death and plan the next start, later each time while it keeps dying young."""
        if self.process is None or self.process.poll() is None:
            return
        self.failures = 0 if time.monotonic() - self.started > STEADY_SECONDS else self.failures + 1
        delay = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS)) - 1] if self.failures else 0.0
        self.next_start = time.monotonic() + delay
        self.process = None

    def ask_to_stop(self) -> None:
        if self.process is not None:
            # the worker ends its engines on SIGINT and leaves them to a successor on SIGTERM
            self.process.send_signal(signal.SIGINT if self.role == "worker" else signal.SIGTERM)

    def stop(self) -> None:
        """Wait for the end that was asked for, and enforce it when it takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_SECONDS[self.role])
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Supervisor:
    """Args: `run_folder` holds the lock, `log_folder` one log a process, `arguments` go to every role.

    The public port's socket belongs to the supervisor and is shared by the gateway's processes: while
    one of them is started again, connections wait in the queue or are taken by the others.
    """

    def __init__(self, run_folder: Path, log_folder: Path, arguments: Sequence[str]) -> None:
        self._run_folder, self._log_folder, self._arguments = run_folder, log_folder, arguments
        self._children = [self._child("api"), self._child("worker")]
        self._stopping = False
        self._lock: IO[str] | None = None
        self._listener: socket.socket | None = None

    def acquire(self, host: str, port: int, workers: int = 1) -> None:
        """Take the home and the port. Raises `AlreadyRunning` or `PortTaken`.

        Args:
            workers: gateway processes on that port.
        """
        lock = (self._run_folder / "supervisor.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(lock.read().strip() or "?") from None
        self._listener = _listen_within(host, port, 5.0)
        if self._listener is None:
            raise PortTaken
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        for number in range(workers):
            more = ["--listen-fd", str(self._listener.fileno()), "--worker", str(number)]
            name = "gateway" if number == 0 else f"gateway-{number}"
            self._children.append(self._child("gateway", name, more, (self._listener.fileno(),)))

    def _child(
        self, role: str, name: str | None = None, more: Sequence[str] = (), descriptors: tuple[int, ...] = ()
    ) -> Child:
        command = [sys.executable, "-m", MODULES[role], *self._arguments, *more]
        return Child(role, command, self._log_folder / f"{name or role}.log", descriptors)

    def run(self) -> None:
        """Block until SIGTERM or SIGINT, then stop every child in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            while not self._stopping:
                for child in self._children:
                    child.reap()
                    if child.process is None and time.monotonic() >= child.next_start:
                        child.start()
                time.sleep(0.05)
        finally:
            self._stop_all()

    def _ask_to_stop(self, _number: int, _frame: Any) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if self._listener is not None:
            self._listener.close()  # new clients are refused while the last answers end
        for role in ("gateway", "worker", "api"):
            children = [child for child in self._children if child.role == role]
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.stop()


def wait_until_ready(url: str, seconds: float) -> bool:
    """True as soon as `GET url` answers that everything is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (our own http:// address)
                if json.load(answer).get("status") == "ok":
                    return True
        time.sleep(0.05)
    return False


def take_over(orders: dict[str, Any]) -> None:
    """Replace this process by a slim one that follows the orders (see `main`)."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", __name__, json.dumps(orders)])  # noqa: S606 (no shell)


def main(orders: dict[str, Any]) -> int:
    """Run until told to stop; returns the exit status.

    `orders`: `run_folder`, `log_folder`, `arguments` of every role, `host`, `port`, `workers`, and in
    `texts` what to say when `ready`, `stopping`, `already_running` ({pid}) and `port_taken`. Where nobody
    owns the installation yet, `setup_token` is the file for the digest of the token that makes the first
    owner, and the text `setup` ({token}) is shown once with the token.
    """
    texts = orders["texts"]
    runner = Supervisor(Path(orders["run_folder"]), Path(orders["log_folder"]), orders["arguments"])
    try:
        runner.acquire(orders["host"], orders["port"], orders["workers"])
    except AlreadyRunning as error:
        print(texts["already_running"].replace("{pid}", error.pid), file=sys.stderr)
        return 1
    except PortTaken:
        print(texts["port_taken"], file=sys.stderr)
        return PORT_TAKEN_EXIT_CODE

    # made here: what stands in orders can be read by everybody on this machine (ps)
    ready = texts["ready"]
    if orders.get("setup_token"):
        ready += "\n" + texts["setup"].replace("{token}", _make_setup_token(Path(orders["setup_token"])))

    def announce() -> None:
        if wait_until_ready(f"http://{orders['host']}:{orders['port']}/health", 60):
            print(ready, flush=True)

    threading.Thread(target=announce, daemon=True).start()
    runner.run()
    print(texts["stopping"], flush=True)
    return 0


def _make_setup_token(path: Path) -> str:
    """A new one-time token of 256 bits; its SHA-256 replaces an older one's in the file."""
    token = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(hashlib.sha256(token.encode()).hexdigest())
    fresh.replace(path)
    return token


def _listen_within(host: str, port: int, seconds: float) -> socket.socket | None:
    # a platform that was just killed may need a moment until its gateway is gone too
    deadline = time.monotonic() + seconds
    while (listener := listen(host, port)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return listener


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
