"""What the programs that prepare model files share: how they talk to their parent and how they finish.

A child writes one JSON object a line on standard output: `{"progress": 0.4}` or
`{"error": "…", "kind": "failed" | "storage_full" | "refused" | "unreachable"}`.
It works in a folder of its own and renames that into place as its very last act, so a finished
name always holds finished files, whoever was killed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"

_parent = 1
"""The file descriptor of standard output."""


def report(progress: float) -> None:
    _say({"progress": round(progress, 4)})


def finish(work: Path, out: Path, recipe: str) -> None:
    """Write the manifest, force everything to disk, and rename `work` to `out`."""
    files = {}
    for path in sorted(p for p in work.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        files[str(path.relative_to(work))] = {"size": path.stat().st_size, "sha256": digest}
    manifest = work / MANIFEST
    with manifest.open("w", encoding="utf-8") as file_out:
        json.dump({"recipe": recipe, "files": files}, file_out, indent=1)
        file_out.flush()
        os.fsync(file_out.fileno())
    for folder in [work, *(p for p in work.rglob("*") if p.is_dir())]:
        _fsync_folder(folder)
    if out.exists():
        shutil.rmtree(out)  # a damaged older copy: the caller found its manifest not to match
    work.replace(out)
    _fsync_folder(out.parent)
    report(1.0)


class Refused(Exception):
    """The source does not have what is needed; the message says what."""


class Unreachable(Exception):
    """The network or the other side did not answer; the message says what happened."""


def run(main: Callable[[], None]) -> None:
    """Run a child program and turn its failure into one line for the parent. Whatever libraries
    print goes to standard error: standard output is the line to the parent."""
    sys.stdout = sys.stderr
    try:
        main()
    except Exception as error:  # the process ends here: the parent gets one line, the log the rest
        _say({"error": f"{type(error).__name__}: {error}"[:1000], "kind": _kind(error)})
        raise SystemExit(1) from error


def result(value: dict[str, Any]) -> None:
    """Hand the parent an answer."""
    _say({"result": value})


def _kind(error: BaseException) -> str:
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, Unreachable):
        return "unreachable"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "storage_full"
    return "failed"


def _say(line: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent died; the work is still worth finishing
        os.write(_parent, json.dumps(line).encode() + b"\n")


def _fsync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
