"""`{{ item.question }}` and `{{ sample.choices[0].message.content }}`: paths, nothing else.

There are no filters, calls, conditions or attributes of Python objects: a path walks JSON objects
by key and JSON arrays by index (`tags.0` or `tags[0]`). What a value contains is never expanded
again. Anything but text is rendered as JSON. A `{{` without a `}}` is ordinary text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from plinth.evaluation.errors import InvalidTemplate, MissingValue

ROOTS = ("item", "sample")

_EXPRESSION = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_PATH = re.compile(r"(\w+)((?:\.[\w-]+|\[\d{1,6}\])*)")
_STEP = re.compile(r"\.([\w-]+)|\[(\d{1,6})\]")


@dataclass(frozen=True)
class Path:
    """`root` is "item" or "sample"; `steps` are keys and indices in the order they are walked."""

    root: str
    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in self.steps)

    def resolve(self, namespace: Mapping[str, Any]) -> Any:
        """The JSON value at this path. Raises `MissingValue`."""
        value: Any = namespace.get(self.root)
        for step in self.steps:
            value = self._walk(value, step)
        return value

    def _walk(self, value: Any, step: str | int) -> Any:
        if isinstance(value, dict) and str(step) in value:
            return value[str(step)]
        if isinstance(value, list) and str(step).isdecimal() and int(step) < len(value):
            return value[int(step)]
        raise MissingValue(path=str(self))


@dataclass(frozen=True)
class Template:
    """Literal text and paths in turn."""

    parts: tuple[str | Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(part for part in self.parts if isinstance(part, Path))

    def render(self, namespace: Mapping[str, Any]) -> str:
        """Args: `namespace` holds "item" and "sample". Raises `MissingValue`."""
        return "".join(part if isinstance(part, str) else as_text(part.resolve(namespace)) for part in self.parts)


def parse_path(expression: str) -> Path:
    """Raises `InvalidTemplate`."""
    match = _PATH.fullmatch(expression.strip())
    if match is None:
        raise InvalidTemplate(expression=expression.strip(), reason="write a path such as item.question.")
    if match[1] not in ROOTS:
        raise InvalidTemplate(expression=expression.strip(), reason="a path starts with `item` or `sample`.")
    steps = tuple(int(index) if index else key for key, index in _STEP.findall(match[2]))
    return Path(match[1], steps)


@lru_cache(maxsize=1024)
def parse(text: str) -> Template:
    """Raises `InvalidTemplate`."""
    parts: list[str | Path] = []
    position = 0
    for match in _EXPRESSION.finditer(text):
        parts += [text[position : match.start()], parse_path(match[1])]
        position = match.end()
    parts.append(text[position:])
    return Template(tuple(part for part in parts if part != ""))


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
