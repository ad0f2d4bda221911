"""Digests of weight files, and which folders of model files are acceptable.

No pickle ever: a `.bin`, `.pt` or `.ckpt` file can run code when it is loaded, so a folder that
holds one is refused even if it also holds safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from plinth.adapters.sources.gguf_header import read_header
from plinth.catalog.errors import FilesRefused
from plinth.catalog.model import Description

PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".h5", ".msgpack", ".joblib"})
MAX_FILES = 2000
MAX_JSON_BYTES = 64 << 20
MAX_TENSOR_HEADER_BYTES = 100 << 20
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json")

_digests: dict[tuple[str, int, int, int], str] = {}
_lock = threading.Lock()


def sha256_file(path: Path, *, fresh: bool = False) -> str:
    """The hex digest; remembered per (path, inode, size, modification time) unless `fresh`."""
    status = path.stat()
    key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        if not fresh and key in _digests:
            return _digests[key]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with _lock:
        _digests[key] = digest
    return digest


def weights_digest(path: Path, *, fresh: bool = False) -> str:
    """Of a file: its sha256. Of a folder: the sha256 of `digest  name` lines of its safetensors."""
    if path.is_file():
        return sha256_file(path, fresh=fresh)
    lines = [f"{sha256_file(p, fresh=fresh)}  {p.name}\n" for p in sorted(path.glob("*.safetensors"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe_gguf(path: Path) -> Description:
    """Raises: FilesRefused."""
    header = read_header(path)
    template = header.metadata.get("tokenizer.chat_template")
    return Description(
        format="gguf",
        sha256=sha256_file(path),
        weight_bytes=path.stat().st_size,
        parameters=header.parameters,
        context_tokens=header.number("context_length"),
        architecture=header.architecture,
        chat_template=template if isinstance(template, str) else None,
        dimensions=header.number("embedding_length") or None,
    )


def describe_folder(folder: Path) -> Description:
    """Validate a Hugging Face folder and read its facts. Raises: FilesRefused."""
    _refuse_unsafe(folder, _all_files(folder))
    config = _json(folder / "config.json")
    if config.get("auto_map"):
        raise FilesRefused(path=folder.name, reason="config.json wants to run code of its own (auto_map).")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise FilesRefused(path=folder.name, reason="it holds no .safetensors file.")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise FilesRefused(path=folder.name, reason=f"it holds no tokenizer ({', '.join(TOKENIZERS)}).")
    architectures = config.get("architectures") or [""]
    description = Description(
        format="huggingface",
        sha256=weights_digest(folder),
        weight_bytes=sum(p.stat().st_size for p in weights),
        parameters=sum(_safetensors_parameters(p) for p in weights),
        context_tokens=int(config.get("max_position_embeddings") or config.get("n_positions") or 0),
        architecture=str(architectures[0]),
        chat_template=_chat_template(folder),
        dimensions=config.get("hidden_size"),
    )
    if description.chat_template is None and not description.embeds:
        raise FilesRefused(path=folder.name, reason="it has no chat template (chat_template.jinja).")
    return description


def _all_files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for root, _folders, names in os.walk(folder):
        files.extend(Path(root) / name for name in names)
        if len(files) > MAX_FILES:
            raise FilesRefused(path=folder.name, reason=f"it holds more than {MAX_FILES} files.")
    return files


def _refuse_unsafe(folder: Path, files: Iterable[Path]) -> None:
    real = folder.resolve()
    for path in [*files, *(p for p in folder.iterdir() if p.is_dir())]:
        if not path.resolve().is_relative_to(real):
            raise FilesRefused(path=folder.name, reason=f"{path.name} is a link that leads out of the folder.")
        if path.suffix.lower() in PICKLES:
            raise FilesRefused(
                path=folder.name, reason=f"{path.name} may hold code (pickle). Keep only safetensors weights there."
            )
        if path.suffix == ".py":
            raise FilesRefused(path=folder.name, reason=f"{path.name} is code; models that bring code are not run.")


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FilesRefused(path=path.parent.name, reason=f"it holds no {path.name}.")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise FilesRefused(path=path.parent.name, reason=f"{path.name} is too large.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FilesRefused(path=path.parent.name, reason=f"{path.name} is not JSON.") from error
    if not isinstance(value, dict):
        raise FilesRefused(path=path.parent.name, reason=f"{path.name} is not a JSON object.")
    return value


def _chat_template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file() and file.stat().st_size <= MAX_JSON_BYTES:
        return file.read_text(encoding="utf-8")
    if (folder / "tokenizer_config.json").is_file():
        template = _json(folder / "tokenizer_config.json").get("chat_template")
        return template if isinstance(template, str) else None
    return None


def _safetensors_parameters(path: Path) -> int:
    """Elements over all tensors, from the header (https://huggingface.co/docs/safetensors)."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_TENSOR_HEADER_BYTES, path.stat().st_size):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        total = 0
        for name, tensor in header.items():
            if name != "__metadata__":
                elements = 1
                for size in tensor["shape"]:
                    elements *= int(size)
                total += elements
        return total
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FilesRefused(path=path.name, reason=f"not a sound safetensors file ({error}).") from error
