"""Word lists and patterns, Chinese and English (`lexicon/*.yaml`): what is listed is found, nothing is understood.

A score is 1.0 when an entry of the category was found in the text and 0.0 when none was: it is no
probability. The lists are short. They miss whatever is put in other words, in another language or
spelled in disguise, and they cannot tell a threat from a quotation of one. Use them as a first
sieve where no model may be asked, or in front of one; figures are in `docs/moderations.en.md`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from plinth.gateway.moderations.model import CATEGORIES, Verdict

FOLDER = Path(__file__).parent / "lexicon"
LANGUAGES = ("en", "zh")

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_BETWEEN_HAN = re.compile(r"(?<=[\u4e00-\u9fff])[\s*_.·\-]+(?=[\u4e00-\u9fff])")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_SPACES = re.compile(r"\s+")


class LexiconModerator:
    """Loads the lists once; they come with the package."""

    model = "plinth-lexicon-1"
    method = (
        "Chinese and English word lists. A score of 1 says that a listed phrase was found, 0 that none was; "
        "it is not a probability. What is said in other words is not found."
    )

    def moderate(self, project_id: str, texts: Sequence[str]) -> list[Verdict]:
        return [self.look(text) for text in texts]

    def look(self, text: str) -> Verdict:
        found: set[str] = set()
        plain = normalise(text)
        for ignore, patterns in map(_load, LANGUAGES):
            rest = ignore.sub(" ¤ ", plain) if ignore else plain
            found.update(category for category, pattern in patterns.items() if pattern.search(rest))
        found |= {category.partition("/")[0] for category in found}
        return Verdict({category: float(category in found) for category in CATEGORIES}, frozenset(found))


def normalise(text: str) -> str:
    """NFKC, lower case, without invisible characters; one space between words, none between Chinese
    characters; straight apostrophes; a letter that is stretched ("fuuuu") stands once."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("’", "'")
    return _STRETCHED.sub(r"\1", _SPACES.sub(" ", _BETWEEN_HAN.sub("", plain))).strip()


@cache
def _load(language: str) -> tuple[re.Pattern[str] | None, Mapping[str, re.Pattern[str]]]:
    """What to ignore, and one pattern for each category."""
    listed = yaml.safe_load((FOLDER / f"{language}.yaml").read_text("utf-8"))
    whole_words = language == "en"
    ignore = [_compiled(entry, listed, whole_words) for entry in listed["ignore"]]
    categories = {
        category: re.compile("|".join(_compiled(entry, listed, whole_words) for entry in entries))
        for category, entries in listed["categories"].items()
    }
    return (re.compile("|".join(ignore)) if ignore else None), categories


def _compiled(entry: str, listed: Mapping[str, Any], whole_words: bool) -> str:
    """The entry with its words filled in, at word borders where the language has such."""
    for name, alternatives in listed["words"].items():
        entry = entry.replace("{" + name + "}", re.sub(r"\s*\|\s*", "|", str(alternatives)))
    return rf"(?<!\w)(?:{entry})(?!\w)" if whole_words else f"(?:{entry})"
