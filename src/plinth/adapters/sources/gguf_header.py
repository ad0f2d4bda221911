"""Reads the facts out of a GGUF file's header without loading the model (GGUF v2 and v3,
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Standard library only.

Every length in the file is untrusted: reads are bounded, so a damaged or hostile header ends in
`FilesRefused`, never in a huge allocation. The weights themselves are not looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from plinth.catalog.errors import FilesRefused

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9

MAX_KEYS = 4096
MAX_TENSORS = 100_000
MAX_ITEMS = 4_000_000
MAX_STRING_BYTES = 4 << 20


@dataclass(frozen=True)
class GgufHeader:
    """`metadata` holds scalars and strings; arrays are only counted (their length)."""

    version: int
    metadata: dict[str, Any]
    tensors: int
    parameters: int

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str) -> int:
        """`<architecture>.<key>`, or 0 when it is absent or not a number."""
        value = self.metadata.get(f"{self.architecture}.{key}", 0)
        return value if isinstance(value, int) else 0


def read_header(path: Path) -> GgufHeader:
    """Raises: FilesRefused when it is not a sound GGUF header."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).header()
    except (struct.error, EOFError, UnicodeDecodeError, ValueError) as error:
        raise FilesRefused(path=path.name, reason=f"not a sound GGUF file ({error or 'it ends too early'}).") from error


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def header(self) -> GgufHeader:
        if self._file.read(4) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        version = int(self._scalar("<I"))
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version} is not supported")
        tensors, keys = int(self._scalar("<Q")), int(self._scalar("<Q"))
        if tensors > MAX_TENSORS or keys > MAX_KEYS:
            raise ValueError("it claims an impossible number of tensors or keys")
        metadata = {}
        for _ in range(keys):
            key = self._string()
            metadata[key] = self._value(int(self._scalar("<I")))
        parameters = sum(self._tensor_elements() for _ in range(tensors))
        if not tensors or not metadata.get("general.architecture"):
            raise ValueError("it holds no model")
        return GgufHeader(version, metadata, tensors, parameters)

    def _scalar(self, layout: str) -> Any:
        return struct.unpack(layout, self._file.read(struct.calcsize(layout)))[0]

    def _string(self) -> str:
        length = int(self._scalar("<Q"))
        if length > MAX_STRING_BYTES:
            raise ValueError("a text in it is too long")
        data = self._file.read(length)
        if len(data) != length:
            raise EOFError
        return data.decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(self._layout(kind))
        item, count = int(self._scalar("<I")), int(self._scalar("<Q"))
        if count > MAX_ITEMS:
            raise ValueError("a list in it is too long")
        if item == _STRING:
            for _ in range(count):
                self._skip(int(self._scalar("<Q")))
        else:
            self._skip(count * struct.calcsize(self._layout(item)))
        return count

    def _tensor_elements(self) -> int:
        self._string()
        dimensions = int(self._scalar("<I"))
        if dimensions > 8:
            raise ValueError("a tensor in it has too many dimensions")
        elements = prod(int(self._scalar("<Q")) for _ in range(dimensions))
        self._skip(4 + 8)  # its type and its offset
        return elements

    def _skip(self, count: int) -> None:
        if self._file.tell() + count > self._size:
            raise EOFError
        self._file.seek(count, 1)

    @staticmethod
    def _layout(kind: int) -> str:
        if kind not in _SCALARS:
            raise ValueError(f"value type {kind} is unknown")
        return _SCALARS[kind]
