"""Child program: look up or download a repository of a model hub.

    python -m plinth.adapters.sources.hub_child look     --hub H --repository R --revision V --max-bytes N
    python -m plinth.adapters.sources.hub_child download … --work DIR --out DIR

Runs apart so that the hub's client (its caches, threads and environment switches) never lives in
a server process. Only files on `PATTERNS` ever come down: no pickle, no code.
Clients: huggingface_hub >= 1.0, modelscope >= 1.30.
"""

from __future__ import annotations

import argparse
import errno
import fnmatch
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from plinth.adapters.sources import _child

RECIPE = "hub-1"
TEXTS = ["*.json", "*.jinja", "*.txt"]
WEIGHTS = ["*.safetensors", "*.gguf"]
DESCRIBING = ["config.json", "tokenizer_config.json", "chat_template.jinja"]
MAX_TEXT_BYTES = 64 << 20


@dataclass(frozen=True)
class Listing:
    """`files`: (path, bytes, sha256 or ""). `facts` is what the hub itself says about the model."""

    commit: str
    files: list[tuple[str, int, str]]
    facts: dict[str, Any] = field(default_factory=dict)


class Hub(Protocol):
    def look(self, repository: str, revision: str) -> Listing: ...

    def fetch(self, repository: str, revision: str, paths: list[str], folder: Path) -> None: ...


class HuggingFace:
    def look(self, repository: str, revision: str) -> Listing:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

        try:
            info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=20)
        except RepositoryNotFoundError as error:
            raise _child.Refused(f"the hub has no repository '{repository}', or it needs a token.") from error
        except HfHubHTTPError as error:
            if error.response.status_code in (401, 403, 404):
                raise _child.Refused(f"the hub refused '{repository}' at revision '{revision}'.") from error
            raise _child.Unreachable(f"status {error.response.status_code}") from error
        except Exception as error:  # the library under the client changes between its releases (httpx, httpx2)
            raise _child.Unreachable(type(error).__name__) from error
        files = [(f.rfilename, int(f.size or 0), f.lfs.sha256 if f.lfs else "") for f in info.siblings or []]
        gguf = dict(getattr(info, "gguf", None) or {})
        if info.safetensors is not None:
            gguf["total"] = info.safetensors.total
        return Listing(str(info.sha), files, gguf)

    def fetch(self, repository: str, revision: str, paths: list[str], folder: Path) -> None:
        from huggingface_hub import snapshot_download

        try:
            snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=paths, max_workers=2)
        except Exception as error:  # as above
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _child.Unreachable(type(error).__name__) from error
        shutil.rmtree(folder / ".cache", ignore_errors=True)


class ModelScope:
    """Its revisions are branches and tags as well as commits; the sha256 of every file pins the rest."""

    def look(self, repository: str, revision: str) -> Listing:
        from modelscope.hub.api import HubApi

        try:
            found = HubApi().get_model_files(repository, revision=revision, recursive=True)
        except Exception as error:  # the client has no error root of its own and raises several HTTP libraries' kinds
            raise _child.Unreachable(type(error).__name__) from error
        files = [(f["Path"], int(f.get("Size") or 0), str(f.get("Sha256") or "")) for f in found]
        return Listing(revision, files)

    def fetch(self, repository: str, revision: str, paths: list[str], folder: Path) -> None:
        from modelscope import snapshot_download

        try:
            snapshot_download(repository, revision=revision, local_dir=str(folder), allow_patterns=paths)
        except Exception as error:  # as above
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _child.Unreachable(type(error).__name__) from error


HUBS: dict[str, type[Hub]] = {"huggingface": HuggingFace, "modelscope": ModelScope}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("look", "download"))
    parser.add_argument("--hub", choices=sorted(HUBS), required=True)
    parser.add_argument("--repository", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--file", default="")
    parser.add_argument("--max-bytes", type=int, required=True)
    for name in ("--work", "--out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    hub = HUBS[arguments.hub]()
    listing = hub.look(arguments.repository, arguments.revision)
    wanted = _choose(listing, arguments.file, arguments.max_bytes)
    _child.report(0.05)
    if arguments.verb == "look":
        _look(hub, arguments.repository, listing, wanted)
        return
    arguments.work.mkdir(parents=True)
    hub.fetch(arguments.repository, listing.commit, [path for path, _, _ in wanted], arguments.work)
    _refuse_extras(arguments.work, wanted)
    _child.finish(arguments.work, arguments.out, RECIPE)


def _choose(listing: Listing, file: str, max_bytes: int) -> list[tuple[str, int, str]]:
    """The files to take: the one GGUF `file`, or top-level safetensors and texts."""
    patterns = [file] if file else [*TEXTS, "*.safetensors"]
    wanted = [
        entry
        for entry in listing.files
        if ("/" not in entry[0] or entry[0] == file) and any(fnmatch.fnmatch(entry[0], p) for p in patterns)
    ]
    if not any(fnmatch.fnmatch(path, pattern) for path, _, _ in wanted for pattern in WEIGHTS):
        what = f"no file '{file}'" if file else "no safetensors weights"
        raise _child.Refused(f"the repository has {what}. Name a GGUF file with `file`, or choose another repository.")
    total = sum(size for _, size, _ in wanted)
    if total > max_bytes:
        raise _child.Refused(f"its files take {total} bytes; the limit catalog.max_download_bytes is {max_bytes}.")
    return wanted


def _look(hub: Hub, repository: str, listing: Listing, wanted: list[tuple[str, int, str]]) -> None:
    texts = [path for path, size, _ in wanted if path in DESCRIBING and size <= MAX_TEXT_BYTES]
    contents: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if texts:
            hub.fetch(repository, listing.commit, texts, folder)
        for path in texts:
            contents[path] = (folder / path).read_text(encoding="utf-8")
    weights = [entry for entry in wanted if entry[0].endswith((".safetensors", ".gguf"))]
    _child.result({"commit": listing.commit, "weights": weights, "texts": contents, "facts": _plain(listing.facts)})


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if isinstance(value, int | str)}


def _refuse_extras(folder: Path, wanted: list[tuple[str, int, str]]) -> None:
    """What came down must be what was listed, in full length."""
    expected = {path: size for path, size, _ in wanted}
    for path in [p for p in folder.rglob("*") if p.is_file() or p.is_symlink()]:
        name = str(path.relative_to(folder))
        if name not in expected or path.is_symlink():
            path.unlink()
        elif path.stat().st_size != expected.pop(name):
            raise _child.Unreachable(f"{name} arrived incomplete")
    if expected:
        raise _child.Unreachable(f"{min(expected)} did not arrive")


if __name__ == "__main__":
    _child.run(main)
