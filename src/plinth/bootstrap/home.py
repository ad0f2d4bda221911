"""The folder an installation lives in, and where each thing in it is."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

# the kernel's limit for a unix socket path is 108 bytes; engines append nothing to theirs
SOCKET_PATH_BYTES = 100


class Home:
    """Layout: `plinth.toml`, `plinth.db`, `instance.key`, `blobs/`, `models/`, `runs/`, `run/`, `logs/`."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.config = self.root / "plinth.toml"
        self.database = self.root / "plinth.db"
        self.instance_key = self.root / "instance.key"
        self.blobs = self.root / "blobs"
        self.models = self.root / "models"
        self.runs = self.root / "runs"
        self.logs = self.root / "logs"
        self.journal = self.root / "journal"
        self.batches = self.root / "batches"
        self.setup_token = self.root / "setup.token"

    def create(self) -> Home:
        """Make the folders that are missing, readable by this user only."""
        for folder in (self.root, self.models, self.runs, self.logs, self.journal, self.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self

    @property
    def run(self) -> Path:
        """Sockets and locks. Under the home unless that path is too long for a unix socket."""
        folder = self.root / "run"
        if len(os.fsencode(folder)) + 40 <= SOCKET_PATH_BYTES:
            return folder
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        short = Path(tempfile.gettempdir()) / f"plinth-{os.getuid()}-{digest}"
        short.mkdir(mode=0o700, exist_ok=True)
        found = short.lstat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700 or not stat.S_ISDIR(found.st_mode):
            raise PermissionError(f"{short} belongs to somebody else; remove it or use a shorter --home")
        return short

    @property
    def api_socket(self) -> Path:
        return self.run / "api.sock"

    @property
    def counters(self) -> Path:
        """Where the gateway's processes count what limits apply to, in common."""
        return self.run / "limits.counters"

    @property
    def reconciler_lock(self) -> Path:
        """Held by the worker that owns this home's engines; engines exit when nobody holds it."""
        return self.run / "reconciler.lock"
