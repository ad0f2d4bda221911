"""Chinese personal names and postal addresses, as far as words beside them give them away.

A heuristic with an honest score: surname + given name after a word that announces a person (姓名,
联系人, 我叫) or before a title (先生, 女士, 经理); an address from its province or announcing word to
its last street-level word. Names without such a word need a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from plinth.privacy import Finding

Spans = Iterable[tuple[int, int]]

_WORDS: dict[str, str] = yaml.safe_load((Path(__file__).parent / "chinese.yaml").read_text("utf-8"))


def _words(name: str) -> list[str]:
    return _WORDS[name].split()


def _characters(name: str) -> frozenset[str]:
    return frozenset("".join(_words(name)))


_MAYBE, _HOMES = frozenset(_words("maybe_announcing")), frozenset(_words("homes"))
_SURNAMES, _AMBIGUOUS = _characters("surnames"), _characters("ambiguous_surnames")
_DOUBLE = frozenset(_words("double_surnames"))
_STOP_CHARACTERS, _STOP_WORDS = _characters("stop_characters"), frozenset(_words("stop_words") + _words("titles"))
_NOT_NAMES = frozenset(_words("not_names"))

NAME_BEFORE = "|".join(_words("announcing") + _words("maybe_announcing"))
NAME_AFTER = "|".join(_words("titles"))
ADDRESS = "|".join(_words("regions") + _words("homes"))

_SEPARATORS = frozenset('：:是为 　、"“（(')
_han = re.compile("[\u4e00-\u9fff]+")
_address_body = re.compile("[：:为是 ]{0,2}[\u4e00-\u9fffA-Za-z0-9\\-—－（）()#]{4,40}")
_address_lead = re.compile("[：:为是 ]{0,2}(?:位于)?")
_street_level = re.compile(
    "(?<![铁公道网线思出])路|街(?!道)|大道|巷|弄|胡同|村|小区|花园|公寓|大厦|广场"
    "|[0-9一二三四五六七八九十]+(?:号楼|号|栋|幢|单元|室|楼|层)"
)


def names(text: str, before: Spans, after: Spans) -> Iterator[Finding]:
    """Names behind announcing words (matches of `NAME_BEFORE`) and in front of titles (`NAME_AFTER`)."""
    for start, end in before:
        weak = text[start:end] in _MAYBE
        yield from _listed_names(text, end, weak)
    for start, _ in after:
        if finding := _titled_name(text, start):
            yield finding


def _listed_names(text: str, at: int, weak: bool) -> Iterator[Finding]:
    """`常晨、张秀荣`: each name of the list; a weak word announces one name that follows at once."""
    for _ in range(20):
        while not weak and text[at : at + 1] in _SEPARATORS and text[at : at + 1]:
            at += 1
        length = _name_length(text, at)
        doubtful = weak or text[at : at + 1] in _AMBIGUOUS
        if not length or (doubtful and not _ends_cleanly(text, at + length)):
            return
        yield Finding("person", at, at + length, 0.6 if weak else 0.7)
        at += length
        if weak or text[at : at + 1] != "、":
            return


def _name_length(text: str, at: int) -> int:
    """Length of the name that starts here, 0 where none does."""
    surname = 2 if text[at : at + 2] in _DOUBLE else 1
    if surname == 1 and text[at : at + 1] not in _SURNAMES:
        return 0
    if text[at : at + 2] in _NOT_NAMES or text[at : at + 2] in _STOP_WORDS or not _given(text, at + surname):
        return 0
    return surname + (2 if _given(text, at + surname + 1) else 1)


def _given(text: str, at: int) -> bool:
    character = text[at : at + 1]
    if not _han.match(character) or text[at : at + 2] in _STOP_WORDS:
        return False
    # before punctuation or a title even 想 belongs to the name
    last = not _han.match(text[at + 1 : at + 2]) or text[at + 1 : at + 3] in _STOP_WORDS
    return last or character not in _STOP_CHARACTERS


def _ends_cleanly(text: str, at: int) -> bool:
    following = text[at : at + 1]
    return not _han.match(following) or following in _STOP_CHARACTERS or text[at : at + 2] in _STOP_WORDS


def _titled_name(text: str, title: int) -> Finding | None:
    for length in (3, 2):
        start = title - length
        if start < 0 or not _name_length(text, start) or not _han.fullmatch(text, start, title):
            continue
        before = text[max(0, start - 1) : start]
        if text[start] not in _AMBIGUOUS or not _han.match(before) or before in _STOP_CHARACTERS:
            given = 2 if text[start : start + 2] in _DOUBLE else 1
            if all(_given(text, i) for i in range(start + given, title)):
                return Finding("person", start, title, 0.7)
    return None


def addresses(text: str, spans: Spans) -> Iterator[Finding]:
    """From the province, or the word that announces an address, to the last street-level word before
    the next punctuation."""
    done = 0
    for start, end in spans:
        if start < done:
            continue
        announced = text[start:end] in _HOMES
        body = _address_body.match(text, end)
        if body is None:
            continue
        last = max((match.end() for match in _street_level.finditer(text, body.start(), body.end())), default=0)
        if last:
            lead = _address_lead.match(text, end)
            first = lead.end() if announced and lead else start
            done = last
            yield Finding("address", first, last, 0.6)
