"""Undoes what hides an identifier from a pattern, and keeps the way back to the original offsets.

Digits of any script and style, full-width letters and signs, and spelled-out Chinese digits (in runs
of seven or more) become ASCII one for one; characters of no width disappear.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

# the zero of each block of ten decimal digits outside ASCII (category Nd)
_ZERO_POINTS = (
    "0660 06F0 07C0 0966 09E6 0A66 0AE6 0B66 0BE6 0C66 0CE6 0D66 0DE6 0E50 0ED0 0F20 1040 1090 17E0 1810 1946 19D0"
    " 1A80 1A90 1B50 1BB0 1C40 1C50 A620 A8D0 A900 A9D0 A9F0 AA50 ABF0 FF10 104A0 10D30 11066 110F0 11136 111D0 112F0"
    " 11450 114D0 11650 116C0 11730 118E0 11950 11C50 11D50 11DA0 16A60 16AC0 16B50 1D7CE 1D7D8 1D7E2 1D7EC 1D7F6"
    " 1E140 1E2F0 1E950 1FBF0"
)
_ZEROS = [int(point, 16) for point in _ZERO_POINTS.split()]
_STYLED = "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉⓪①②③④⑤⑥⑦⑧⑨⓿❶❷❸❹❺❻❼❽❾⑴⑵⑶⑷⑸⑹⑺⑻⑼⓵⓶⓷⓸⓹⓺⓻⓼⓽"
# full-width letters, and the full-width signs that occur inside identifiers
_WIDE = "".join(map(chr, (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)))) + "＠＋．＿－"
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_SPELLED = "〇零一二三四五六七八九幺"


def _digit_ranges() -> str:
    return "".join(f"{chr(zero)}-{chr(zero + 9)}" for zero in _ZEROS)


def _table() -> dict[int, str]:
    table = {zero + value: str(value) for zero in _ZEROS for value in range(10)}
    table |= {ord(character): str(unicodedata.digit(character)) for character in _STYLED}
    return table | {ord(character): unicodedata.normalize("NFKC", character) for character in _WIDE}


NEEDED = f"[{_digit_ranges()}{_STYLED}{_WIDE}{_INVISIBLE}]|[{_SPELLED}]{{7}}"
"""The pattern that says that a text needs folding at all."""

_TABLE = _table()
_SPELLED_TABLE = str.maketrans(_SPELLED, "001234567891")
_spelled_run = re.compile(f"[{_SPELLED}]{{7,}}")
_invisible = re.compile(f"[{_INVISIBLE}]")


class Folded:
    """`text` is the folded form; `original` leads from its offsets to those of the source."""

    def __init__(self, source: str) -> None:
        same_length = _spelled_run.sub(lambda run: run[0].translate(_SPELLED_TABLE), source.translate(_TABLE))
        # the n-th removed character stood before folded position `at - n`
        self._removed = [match.start() - n for n, match in enumerate(_invisible.finditer(same_length))]
        self.text = _invisible.sub("", same_length) if self._removed else same_length

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The source's span behind the folded span `start < end`; invisible characters inside count."""
        if not self._removed:
            return start, end
        last = end - 1
        return start + bisect_right(self._removed, start), last + bisect_right(self._removed, last) + 1
