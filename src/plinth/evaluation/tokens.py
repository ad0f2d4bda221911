"""Words for the similarity graders: a Chinese character, kana or number is a token of its own,
everything else splits into words. NFKC and case-folded; punctuation does not count.

So "我要退款 3.5元 please" is 我 要 退 款 3.5 元 please, and a metric over n-grams means the same
thing in both languages without a dictionary.
"""

from __future__ import annotations

import re
import unicodedata

_SINGLE = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"\d+(?:[.,]\d+)*|[{_SINGLE}]|(?:(?![{_SINGLE}])[^\W\d_])+(?:['’](?:(?![{_SINGLE}])[^\W\d_])+)*")


def normalise(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(normalise(text))


_DECORATION = re.compile(r"^(?:label|answer|category|intent|标签|答案|类别|意图)\s*[:：]\s*")
_EDGES = " \t\r\n\"'`*_.,;:!?()[]{}<>。，、；：！？（）【】《》「」『』“”‘’"


def normalise_label(text: str) -> str:
    """A label without decoration: `**Card_Arrival**.` and `标签：card arrival` are "card arrival"."""
    plain = _DECORATION.sub("", normalise(text).strip(_EDGES))
    return re.sub(r"[\s_\-]+", " ", plain.strip(_EDGES)).strip()
