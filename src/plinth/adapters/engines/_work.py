"""The child's side of `_child`: take the work and the key, check the files, report a failure."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from plinth.adapters.engines import _orphan


class Refused(Exception):
    """It makes no sense to go on; `adapter` names the one to blame."""

    def __init__(self, reason: str, *, permanent: bool = True, adapter: str | None = None) -> None:
        self.reason, self.permanent, self.adapter = reason, permanent, adapter
        super().__init__(reason)


def run(serve: Callable[[dict[str, Any], str], object]) -> None:
    """Be an engine: `serve(files, key)` starts a server and returns it, or only returns at the end.

    `files` is a `_child.SpecFile` as JSON. The key comes as a line on standard input.
    """
    files = json.loads(Path(sys.argv[sys.argv.index("--spec") + 1]).read_text(encoding="utf-8"))
    key = sys.stdin.readline().strip()
    if not key:
        return  # whoever started us died before recording us
    # a server without an order of its own ends at once: whoever ends us has drained us before
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.umask(0o077)
    _orphan.watch(Path(files["lock"]))
    try:
        check_file(files["spec"]["model"]["path"], files["spec"]["model"]["sha256"])
        for adapter in files["spec"]["adapters"]:
            check_file(adapter["path"], adapter["sha256"], adapter["name"])
        server = serve(files, key)
        if server is not None:
            threading.Event().wait()
    except Refused as refused:
        _report(files, refused)
    except Exception as error:  # the process ends here; the report is all that remains of the reason
        _report(files, Refused(f"{type(error).__name__}: {error}"[:500], permanent=False))


def check_file(path: str, expected: str, adapter: str | None = None) -> None:
    """Compare a file with its digest before native code reads it; empty is not checked. Raises `Refused`."""
    what = describe(adapter)
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest() if expected else expected
    except OSError as error:
        raise Refused(f"The file of {what} cannot be read: {error.strerror}.", permanent=False) from error
    if digest != expected:
        raise Refused(f"The file of {what} is damaged: its sha256 is not the recorded one.", adapter=adapter)


def describe(adapter: str | None) -> str:
    return f"the adapter of '{adapter}'" if adapter else "the base model"


def threads(spec: dict[str, Any]) -> int:
    """As asked for, else all cores but one: the platform itself needs one."""
    return int(spec["threads"]) or max(1, len(os.sched_getaffinity(0)) - 1)


def _report(files: dict[str, Any], refused: Refused) -> NoReturn:
    report = {"reason": refused.reason, "permanent": refused.permanent, "adapter": refused.adapter}
    part = Path(files["failed"] + ".part")
    part.write_text(json.dumps(report), encoding="utf-8")
    part.replace(files["failed"])
    # native threads may still run: leave without their destructors
    os._exit(1)
