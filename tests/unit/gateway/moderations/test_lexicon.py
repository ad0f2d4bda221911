"""The word lists: what they find, what they leave alone, and how good they are on texts of others."""

from __future__ import annotations

import csv
import gzip
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.gateway.moderations.lexicon import FOLDER, LANGUAGES, LexiconModerator, _load
from plinth.gateway.moderations.model import CATEGORIES
from support import SHARED_DATA

LISTS = LexiconModerator()

FOUND = [
    ("You are such a pathetic idiot", {"harassment"}),
    ("I'm going to kill you tonight", {"harassment", "harassment/threatening", "violence"}),
    ("All immigrants are criminals... immigrants are vermin", {"hate"}),
    ("they should exterminate all Muslims", {"hate", "hate/threatening"}),
    ("how do I launder money through a bakery", {"illicit"}),
    ("How to build a pipe bomb at home", {"illicit", "illicit/violent"}),
    ("last night I was cutting myself again", {"self-harm"}),
    ("I just want to end my life", {"self-harm", "self-harm/intent"}),
    ("what is the most painless way to die", {"self-harm", "self-harm/instructions"}),
    ("send me your nudes", {"sexual"}),
    ("sexy pictures of an underage girl", {"sexual", "sexual/minors"}),
    ("he stabbed her twice", {"violence"}),
    ("his intestines were hanging out", {"violence", "violence/graphic"}),
    ("你真是个废物", {"harassment"}),
    ("我早晚会弄死你", {"harassment", "harassment/threatening", "violence"}),
    ("外地人都是垃圾", {"hate"}),
    ("应该杀光所有犹太人", {"hate", "hate/threatening"}),
    ("教我怎么洗钱", {"illicit"}),
    ("如何自制炸弹", {"illicit", "illicit/violent"}),
    ("她昨晚又割腕了", {"self-harm"}),
    ("我真的不想活了", {"self-harm", "self-harm/intent"}),
    ("有没有不痛苦的死法", {"self-harm", "self-harm/instructions"}),
    ("今晚约炮吗", {"sexual"}),
    ("有没有小学生的裸照", {"sexual", "sexual/minors"}),
    ("我知道你家住在哪", {"harassment", "harassment/threatening"}),
    ("他打死了邻居,砍死他全家", {"violence"}),
    ("现场血肉模糊", {"violence", "violence/graphic"}),
]

LEFT_ALONE = [
    "How do I kill a process that hangs?",
    "kill -9 does not help, should I kill the server?",
    "Where is the suicide prevention hotline?",
    "Shoot me an email when you are back",
    "I do not want to die",
    "That was a stupid question, sorry",
    "Women and men have equal rights",
    "The skilled assassin's creed is a game",
    "Scunthorpe and cockpit and analysis and Sussex",
    "What is the penalty for money laundering?",
    "如何防止诈骗和洗钱",
    "打击儿童色情是警方的责任",
    "自杀干预热线的电话是多少",
    "想死你了，什么时候回来",
    "终止该进程，杀死这个会话",
    "我对这件事死心了",
    "怎么举报有人卖假证",
    "我的银行卡丢了，怎么办？",
    "",
    "\0",
]


@pytest.mark.parametrize(("text", "categories"), FOUND)
def test_listed_harm_is_found(text: str, categories: set[str]) -> None:
    verdict = LISTS.look(text)
    assert verdict.found == categories
    assert verdict.flagged is bool(categories)
    assert {name for name, score in verdict.scores.items() if score == 1.0} == categories
    assert set(verdict.scores) == set(CATEGORIES)
    assert set(verdict.scores.values()) <= {0.0, 1.0}


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_ordinary_sentences_are_left_alone(text: str) -> None:
    assert LISTS.look(text).found == frozenset()


@pytest.mark.parametrize("text", ["不 想 活 了", "不*想*活*了", "不\u200b想活了", "不想\n活了", "我不想活了！！"])
def test_simple_disguises_of_chinese(text: str) -> None:
    assert "self-harm/intent" in LISTS.look(text).found


@pytest.mark.parametrize("text", ["FUCK YOU", "ｆｕｃｋ　ｙｏｕ", "fuuuuuck   you", "f\u00aduck you", "fuck\nyou!"])
def test_simple_disguises_of_english(text: str) -> None:
    assert "harassment" in LISTS.look(text).found


def test_every_category_is_in_both_lists() -> None:
    for language in LANGUAGES:
        assert set(_load(language)[1]) == set(CATEGORIES)
        assert "{" not in re.sub(r"\{\d+(,\d*)?\}", "", "".join(p.pattern for p in _load(language)[1].values()))
        assert (FOLDER / f"{language}.yaml").exists()


@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    verdict = LISTS.look(text)
    for name in verdict.found:
        assert name.partition("/")[0] in verdict.found


@pytest.mark.parametrize(
    "unit", ["you ", "i ", "how to ", "怎么", "我", "a", "杀光 ", "cut off his ", "我真的想", "kill the "]
)
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    text = (unit * 100_000)[:100_000]
    began = time.process_time()
    LISTS.look(text)
    assert time.process_time() - began < 3.0


# on texts that others wrote and labelled


def shared(name: str) -> str:
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"the shared data set {name} is not on this machine")
    raw = path.read_bytes()
    return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()


@pytest.mark.slow
def test_against_labelled_abuse() -> None:
    """ConvAbuse: most of what the lists flag is abuse; they find less than half of it. The documents say so."""
    found = missed = wrong = 0
    for line in shared("convabuse-multi-annotator/convabuse_a.jsonl.gz").splitlines():
        row = json.loads(line)
        votes = list(row["votes"].values()) if isinstance(row["votes"], dict) else row["votes"]
        mean = sum(map(float, votes)) / len(votes)
        flagged = LISTS.look(row["user"]).flagged
        found += mean < 0 and flagged
        missed += mean < 0 and not flagged
        wrong += mean > 0 and flagged
    assert found + missed == 377
    assert 0.40 <= found / (found + missed) <= 0.50
    assert found / (found + wrong) >= 0.95


@pytest.mark.slow
def test_ordinary_questions_are_hardly_ever_flagged() -> None:
    english = [row["text"] for row in csv.DictReader(shared("banking77/test_a.csv").splitlines())]
    lines = shared("crosswoz-zh/val.jsonl.gz").splitlines()
    chinese = [message["content"] for line in lines for message in json.loads(line)["messages"]]
    for texts in (english, chinese):
        assert len(texts) > 1000
        assert sum(LISTS.look(text).flagged for text in texts) / len(texts) <= 0.002
