from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

import plinth
from plinth.cli.demo import words
from plinth.cli.demo.report import Report, best, difference, judge
from plinth.cli.demo.write import as_html, as_json, flat, write
from unit.demo.example import hits, report

LOCALES = Path(plinth.__file__).parent / "locales"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting and collects what a page could load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.scopes = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.scopes += any(name == "scope" for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_json_fits_its_schema_and_refuses_what_does_not() -> None:
    content = json.loads(as_json(report()))
    assert content["schema_name"] == "plinth.demo_report"
    assert content["schema_version"] == 1
    assert Report.model_validate(content) == report()
    with pytest.raises(ValueError, match="schema_version"):
        Report.model_validate({**content, "schema_version": 2})
    with pytest.raises(ValueError, match="unheard_of"):
        Report.model_validate({**content, "unheard_of": 1})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_loads_nothing_is_well_formed_and_escapes(language: str) -> None:
    html = as_html(report(language))
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?://", html)
    assert "卡丢了 &lt;script&gt;" in html
    assert "&lt;b&gt;invented&lt;/b&gt;" in html
    assert page.tags.count("th") == page.scopes, "every header cell says what it heads"
    assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in html
    assert html.count('class="dot') == 5
    assert words.headline(report(language)) in html


def test_synthetic_rows_are_called_so() -> None:
    assert "synthetic" in as_html(report())
    assert "synthetic" not in as_html(report(synthetic=False))


def test_no_text_is_missing_in_a_page() -> None:
    keys = set(re.findall(r"t\('([a-z_0-9]+)'", (LOCALES.parent / "cli/demo/report.html.jinja").read_text()))
    known = yaml.safe_load((LOCALES / "en/report.yaml").read_text())
    assert keys - {"split_"} <= set(known)


@pytest.mark.parametrize("table", ["demo", "report"])
def test_both_languages_say_the_same(table: str) -> None:
    english, chinese = (yaml.safe_load((LOCALES / tongue / f"{table}.yaml").read_text()) for tongue in ("en", "zh"))
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{(\w+)", text)) == set(re.findall(r"\{(\w+)", chinese[key])), key


def test_a_better_classifier_is_called_the_winner() -> None:
    found = report(tuned=150, embedding=170)
    assert found.verdict.code == "cheap_wins"
    assert "do not fine-tune for this" in words.headline(found)
    assert "by 10.0 points (95 % between 5.5 and 15.4" in words.headline(found)
    assert "不要为此微调" in words.headline(report("zh", tuned=150, embedding=170))


def test_a_better_model_is_called_the_winner() -> None:
    found = report(tuned=185, embedding=150)
    assert found.verdict.code == "tuned_wins"
    assert found.verdict.rival == "tfidf"
    assert "worth it" in words.headline(found)


def test_no_proven_difference_is_called_that() -> None:
    found = report(tuned=161, embedding=160)
    assert found.verdict.code == "undecided"
    assert "not proven" in words.headline(found)
    assert "+0.5 points" in words.headline(found)


def test_few_rows_need_the_exact_test_to_agree() -> None:
    found = difference(
        "tfidf", "tuned", {"tfidf": [True] * 7 + [False] + [True] * 28, "tuned": [False] * 7 + [True] * 29}
    )
    assert found.interval.high < 0 < 0.05 < found.p
    assert found.proven == 0


def test_without_a_rival_nothing_is_claimed() -> None:
    verdict = judge({"base": hits(10), "few_shot": hits(10), "tuned": hits(100)})
    assert verdict.code == "no_rival"
    assert verdict.prompt == "base", "a tie goes to the simpler prompt"


def test_about_prompts_in_three_directions() -> None:
    def sentence(tuned: int) -> str:
        return words.about_prompts(report(tuned=tuned))

    assert "gained 55.0 points" in sentence(150)
    assert "lost 15.0 points" in sentence(10)
    assert "not proven" in sentence(41)


def test_difference_counts_pairs() -> None:
    found = difference("tfidf", "tuned", {"tfidf": [True, True, False, False], "tuned": [True, False, True, True]})
    assert (found.only_a, found.only_b, found.n) == (1, 2, 4)
    assert found.difference == 0.25
    assert found.interval.low < 0 < found.interval.high
    assert best(("base", "few_shot"), {"base": [True, False], "few_shot": [True, True]}) == "few_shot"


def test_cost_charges_the_whole_machine_for_the_time() -> None:
    tuned = next(one for one in report().contenders if one.key == "tuned")
    assert tuned.cost_per_1000.micros == round(400_000 / 3600 * 22.0 / 200 * 1000)


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    first = write(report(), tmp_path)
    assert [path.name for path in first] == ["report.json", "report.html"]
    write(report("zh"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["language"] == "zh"


def test_flat() -> None:
    assert flat({"a": {"b": 0.123456, "c": None}, "d": [1, 2], "e": [{"f": 1}], "g": []}) == [
        ("a.b", "0.1235"),
        ("a.c", "–"),
        ("d", "1, 2"),
        ("e", "[1]"),
        ("g", "–"),
    ]
