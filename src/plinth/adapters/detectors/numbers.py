"""Identifiers made of digits: resident IDs, cards, telephone numbers, social security numbers.

A *run* is digits with short separators between them. Neighbouring groups of a run are joined to
*windows*, and each window is asked what it is, so `6222 6007 4660 4806 13800138000` is a card and a
telephone, and a separator inside a number hides nothing. Work per run is bounded by its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from plinth.adapters.detectors import checksums
from plinth.privacy import Finding

SEPARATOR = "[ \\-.()\u00a0\u2000-\u200a\u202f\u3000（）\u2010-\u2015\u2212]"
NUMBER = f"[0-9](?:{SEPARATOR}{{0,3}}[0-9]){{6,}}"

_MAX_GROUPS, _MAX_DIGITS, _MAX_LONE_DIGITS = 7, 20, 3
_LEFT_CONTEXT, _RIGHT_CONTEXT = 40, 16
_groups = re.compile("[0-9]+")
_word_before = re.compile(r"([a-z][a-z0-9]*)-?$|isbn[-: ]*[0-9-]*$")
_code_after = re.compile(r"-?[0-9]*[a-z]")
_announcing_words = (
    "tel telephone phone ph mob mobile cell fax call id no nr num number card acct account ssn sfz whatsapp"
    " wechat sms text"
)
_number_words = frozenset(_announcing_words.split())


@dataclass(slots=True)
class Window:
    """Groups of digits that may be one identifier. `shape` has the groups' lengths, `gaps` what
    stands between them; `leads` and `trails` say that the window is at the edge of its run, so that
    words may stand beside it."""

    text: str
    start: int
    end: int
    digits: str
    shape: tuple[int, ...]
    gaps: tuple[str, ...]
    leads: bool
    trails: bool

    @property
    def left(self) -> str:
        return self.text[max(0, self.start - _LEFT_CONTEXT) : self.start].lower()

    @property
    def right(self) -> str:
        return self.text[self.end : self.end + _RIGHT_CONTEXT].lower()

    @property
    def plus(self) -> bool:
        """Written with an international `+`."""
        before = self.text[max(0, self.start - 3) : self.start].rstrip(" (（")
        return before.endswith("+")

    def finding(self, kind: str, score: float, end: int | None = None) -> Finding:
        """With a leading `+` or an opening parenthesis that belongs to it."""
        start = self.start
        before = self.text[max(0, start - 1) : start]
        if before in ("(", "（") and any(")" in gap or "）" in gap for gap in self.gaps):
            start -= 1
        if self.text[max(0, start - 1) : start] == "+":
            start -= 1
        return Finding(kind, start, self.end if end is None else end, score)


def find_numbers(text: str, runs: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """All candidates in runs that `NUMBER` matched; they may overlap."""
    for start, end in runs:
        for window in _windows(text, start, end):
            for rule in _RULES.get(len(window.digits), ()):
                if finding := rule(window):
                    yield finding


def _windows(text: str, start: int, end: int) -> Iterator[Window]:
    groups = [(match.start(), match.end()) for match in _groups.finditer(text, start, end)]
    for first in range(len(groups)):
        digits = lone = 0
        for last in range(first, min(first + _MAX_GROUPS, len(groups))):
            length = groups[last][1] - groups[last][0]
            digits, lone = digits + length, lone + (length == 1)
            if digits > _MAX_DIGITS or lone > _MAX_LONE_DIGITS:
                break
            if digits >= 7:
                yield _window(text, groups, first, last)
    yield from _single_digits(text, groups)


def _single_digits(text: str, groups: list[tuple[int, int]]) -> Iterator[Window]:
    """`1 3 8 0 0 1 3 8 0 0 0`: each stretch of lone digits as a whole."""
    first = 0
    for last, (start, end) in enumerate([*groups, (0, 0)]):
        if end - start == 1:
            continue
        if _MAX_GROUPS < last - first <= _MAX_DIGITS:
            yield _window(text, groups, first, last - 1)
        first = last + 1


def _window(text: str, groups: list[tuple[int, int]], first: int, last: int) -> Window:
    chosen = groups[first : last + 1]
    return Window(
        text,
        chosen[0][0],
        chosen[-1][1],
        "".join([text[start:end] for start, end in chosen]),
        tuple([end - start for start, end in chosen]),
        tuple([text[a[1] : b[0]] for a, b in pairwise(chosen)]),
        # a letter that touches the run spoils the group beside it as well
        leads=first <= 1,
        trails=last >= len(groups) - 2,
    )


# what may stand directly beside a number


def _stands_alone(window: Window) -> bool:
    """It is not a piece of a longer code: no letter touches it, also across a dash, except words that
    announce it (`tel13800138000`, `-Office`)."""
    if window.trails:
        right = window.right
        if _code_after.match(right) and not _extension.match(right) and not _cue_after.match(right):
            return False
    word = _word_before.search(window.left) if window.leads else None
    return word is None or word[1] in _number_words


def _not_a_phone(window: Window) -> bool:
    """The number is (part of) `0.1234567`, `12345678.90`, an amount, or the likes of `179.177.214.91`."""
    before, after = window.text[max(0, window.start - 1) : window.start], window.text[window.end : window.end + 2]
    if len(window.shape) > 1:
        return len(window.shape) == 4 and set(window.gaps) == {"."} and max(window.shape) <= 3  # an IPv4 address
    return (
        _fraction(window) or (len(after) == 2 and after[0] == "." and after[1].isdigit()) or before in ("$", "¥", "€")
    )


def _fraction(window: Window) -> bool:
    before = window.text[max(0, window.start - 2) : window.start]
    return len(window.shape) == 1 and len(before) == 2 and before[1] == "." and before[0].isdigit()


# rules: what a window of a certain number of digits may be


def _resident_id(window: Window) -> Finding | None:
    if len(window.digits) == 18:
        return window.finding("resident_id", 0.99) if checksums.resident_id(window.digits) else None
    check = _check_letter.match(window.text, window.end)
    if check and checksums.resident_id(window.digits + check[1]):
        return window.finding("resident_id", 0.99, check.end())
    return None


def _old_resident_id(window: Window) -> Finding | None:
    if not checksums.old_resident_id(window.digits) or not _stands_alone(window):
        return None
    return window.finding("resident_id", 0.9 if _id_cue.search(window.left) else 0.5)


def _company_code(window: Window) -> Finding | None:
    return window.finding("company_code", 0.95) if checksums.company_code(window.digits) else None


def _bank_card(window: Window) -> Finding | None:
    usual = len(window.shape) == 1 or (window.shape[0] in (4, 6) and max(window.shape[1:]) <= 13)
    lone_digit = min(window.shape) < 2 and len(window.shape) <= _MAX_GROUPS
    if lone_digit or window.gaps == (".",) or not checksums.payment_card(window.digits):
        return None
    if _fraction(window) or not _stands_alone(window):
        return None
    # short Maestro numbers are too much like any other number
    if len(window.digits) < 16 and window.digits[0] in "056" and not _card_cue.search(window.left):
        return None
    # odd groupings are rather two numbers side by side
    return window.finding("bank_card", 0.95 if usual else 0.7)


def _chinese_mobile(window: Window) -> Finding | None:
    if window.shape in ((1, 3, 3, 4), (1, 3, 7)):  # North American
        return None
    if _mobile.fullmatch(window.digits) and _stands_alone(window) and not _not_a_phone(window):
        return window.finding("phone", 0.9)
    return None


def _chinese_landline(window: Window) -> Finding | None:
    match = _landline.fullmatch(window.digits)
    if not match or not _stands_alone(window) or _not_a_phone(window):
        return None
    area = match.start(1)
    separated = any(sum(window.shape[:n]) == area for n in range(1, len(window.shape)))
    if separated or _phone_cue(window):
        return window.finding("phone", 0.75)
    return None


def _international(window: Window) -> Finding | None:
    if window.plus:
        written = "+" + window.digits
    elif window.digits.startswith("00") and len(window.shape) > 1:
        written = "+" + window.digits[2:]
    else:
        return None
    before = window.text[max(0, window.start - 2) : window.start].lstrip(" (（")
    glued = len(before) == 2 and before[0].isascii() and before[0].isalnum()
    if glued or not _country.match(written) or not 8 <= len(written) - 1 <= 15:
        return None
    return _phone(window, 0.85)


def _north_american(window: Window) -> Finding | None:
    """NANP: area and exchange start with 2 to 9; toll-free numbers are nobody's."""
    match = _nanp.fullmatch(window.digits)
    if not match or _toll_free.fullmatch(match[1]) or not _stands_alone(window):
        return None
    grouped = window.shape[-3:] == (3, 3, 4) or window.shape[-2:] == (3, 7)
    return _phone(window, 0.75) if grouped else None


def _grouped_national(window: Window) -> Finding | None:
    """A trunk zero and the groupings of France (2-2-2-2-2) and the United Kingdom (5-3-3, 5-6)."""
    if window.digits[0] != "0" or not _stands_alone(window):
        return None
    french = window.shape == (2, 2, 2, 2, 2)
    british = window.digits[1] in "127" and window.shape in ((5, 3, 3), (5, 6), (3, 4, 4), (4, 3, 4))
    return _phone(window, 0.65) if french or british else None


def _announced_phone(window: Window) -> Finding | None:
    """Any grouping, where a word beside it says that it is a telephone number."""
    if not _phone_cue(window) or not _stands_alone(window) or _not_a_phone(window):
        return None
    date = window.shape[:3] == (4, 2, 2) and window.gaps[0] in "-." and window.digits[:2] in ("19", "20")
    if date or _toll_free.fullmatch(window.digits[-10:]):
        return None
    return _phone(window, 0.6)


def _social_security(window: Window) -> Finding | None:
    """US SSN and ITIN: 3-2-4, never area 000 or 666, group 00 or serial 0000."""
    area, group, serial = window.digits[:3], window.digits[3:5], window.digits[5:]
    if area in ("000", "666") or group == "00" or serial == "0000" or not _stands_alone(window):
        return None
    if _ssn_cue.search(window.left):
        return window.finding("us_ssn", 0.9)
    if window.shape == (3, 2, 4) and window.gaps[0] == window.gaps[1] and window.gaps[0].strip(" ."):
        return window.finding("us_ssn", 0.75)
    return None


def _phone(window: Window, score: float) -> Finding:
    extension = _extension.match(window.right)
    return window.finding("phone", score, window.end + extension.end() if extension else None)


def _phone_cue(window: Window) -> bool:
    left = window.left if window.leads else ""
    before = any(word in left for word in _PHONE_WORDS) and _cue_before.search(left)
    return bool(before or (window.trails and _cue_after.match(window.right)))


_check_letter = re.compile(r"[ -]?([Xx])(?![A-Za-z0-9])")
_id_cue = re.compile(r"(身份证|证件|\bid\b)[^0-9]{0,12}$")
_card_cue = re.compile(r"(\bcards?\b|\bcc\b|卡)[^0-9\n]{0,20}$")
_ssn_cue = re.compile(r"(social security|\bssn\b|\bitin\b)[^0-9]{0,20}$")
_mobile = re.compile(r"(?:(?:00)?86)?0?1[3-9][0-9]{9}")
_landline = re.compile(r"(?:(?:00)?860?|0)(?:10|2[0-9]|[3-9][0-9]{2})([2-8][0-9]{6,7})")
_country = re.compile(
    r"\+(?:1|7|2[07]|2[1-689][0-9]|3[0-469]|3[578][0-9]|4[013-9]|42[0-9]|5[1-8]|5[09][0-9]|6[0-6]|6[7-9][0-9]"
    r"|8[1246]|8[0578][0-9]|9[0-58]|9[679][0-9])"
)
_nanp = re.compile(r"(?:(?:00)?1)?(([2-9][0-8][0-9])[2-9][0-9]{6})")
_toll_free = re.compile(r"(?:8(?:00|33|44|55|66|77|88)|900|400)[0-9]{7}")
_extension = re.compile(r" ?(?:x|ext\.? ?|extension )[0-9]{1,6}(?![0-9a-z])")
_cue_before = re.compile(
    r"((?<![a-z])(?:tele)?phone|\btel\b|mobile|\bcell\b|\bfax\b|\bcall(?:ing)?\b|\bsms\b|dial|whatsapp|\bring\b|\breach(?:ed)?\b|\bdesk\b|\boffice\b"
    r"|contact|answering|电话|手机|传真|致电|拨打|联系方式|来电|回电)[^0-9\n]{0,16}$"
)
# one of these is in whatever the pattern above matches; looking for them costs a tenth
_PHONE_WORDS = (
    *("phone", "tel", "mobile", "cell", "fax", "call", "sms", "dial", "whatsapp", "ring", "reach", "desk", "office"),
    *("contact", "answering", "电话", "手机", "传真", "致电", "拨打", "联系方式", "来电", "回电"),
)
_cue_after = re.compile(r"[ ,-]{0,2}\(?(office|fax|mobile|cell|home|work|phone|desk)\b")

Rule = Callable[[Window], Finding | None]
_PHONES: dict[Rule, range] = {
    _chinese_mobile: range(11, 17),
    _chinese_landline: range(9, 17),
    _international: range(8, 18),
    _north_american: range(10, 14),
    _grouped_national: range(10, 12),
    _announced_phone: range(7, 14),
}
_OTHERS: dict[Rule, range] = {
    _resident_id: range(17, 19),
    _old_resident_id: range(15, 16),
    _company_code: range(18, 19),
    _bank_card: range(12, 20),
    _social_security: range(9, 10),
}
_RULES: dict[int, tuple[Rule, ...]] = {
    length: tuple(rule for rule, lengths in (_OTHERS | _PHONES).items() if length in lengths)
    for length in range(7, _MAX_DIGITS + 1)
}
