"""One JSON object a line, read strictly: no NaN, no repeated keys, no lone surrogates, no endless nesting."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from plinth.data.errors import RowError
from plinth.data.formats.lines import read_lines

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class JsonLine:
    line: int
    value: dict[str, Any]


def read_objects(source: BinaryIO, max_bytes: int) -> Iterator[JsonLine | RowError]:
    """Every object; what is not one is a `RowError`. Blank lines are skipped."""
    for line in read_lines(source, max_bytes):
        if line.problem:
            yield line.problem
        elif line.text.strip():
            yield _parse(line.text, line.number)


def encode_object(value: Any) -> str:
    """One line with its terminator, keys in the order they came."""
    return _ENCODER.encode(value) + "\n"


def _parse(text: str, number: int) -> JsonLine | RowError:
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
        )
        if "\\u" in text:  # only an escape can bring in what decoded UTF-8 cannot hold
            encode_object(value).encode()
        nul = "\\u0000" in text and _has_nul(value)
    except json.JSONDecodeError as error:
        return RowError(number, f"character {error.colno}", "invalid_json", f"this is not valid JSON: {error.msg}")
    except UnicodeEncodeError:
        reason = "a \\u escape stands for half a character (a lone surrogate)"
        return RowError(number, None, "invalid_unicode", reason)
    except RecursionError:
        return RowError(number, None, "invalid_json", "the JSON is nested too deeply")
    except _Refused as refused:
        return RowError(number, None, "invalid_json", str(refused))
    if not isinstance(value, dict):
        return RowError(number, None, "not_an_object", "every line must be a JSON object: {…}")
    if nul:
        return RowError(number, None, "nul_byte", "the text contains a NUL character")
    return JsonLine(number, value)


class _Refused(ValueError):
    pass


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(item) for name, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the key '{repeated[:80]}' is given twice in one object")
    return value


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused("a number is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > 1000:  # beyond this Python's own conversion refuses or takes quadratic time
        raise _Refused("a number is too large")
    return int(text)
