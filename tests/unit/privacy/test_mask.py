"""Masking can be undone exactly, also when the answer comes in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from plinth.adapters.detectors.identifiers import IdentifierDetector
from plinth.kit.clock import FixedClock
from plinth.privacy import DEFAULT_POLICY, InMemoryDetector, Mask, Policy, PrivacyGuard, PrivacySettings, StreamUnmasker
from plinth.privacy.mask import json_inside
from plinth.privacy.model import Action, DataClass
from plinth.privacy.streams import HOLD_BACK, StreamScanner

GUARD = PrivacyGuard([IdentifierDetector()], PrivacySettings(), FixedClock())
WATCHFUL = Policy("watchful", answers=True)

# texts full of identifiers, placeholders and pieces of both
PIECES = """13800138000|138-0013-8000|330106199303277711|a@b.com|GB82 WEST 1234 5698 7654 32|<PHONE_1>|<PHONE_2>|<PHONE_
<ID_1>|<|>|<EMAIL_1|1>| |，|。|a|王小明先生|姓名：|word |Word |🙂|１３８００１３８０００|\u200b|:|call 72 128 827
+41 (0)62 585 51 90|京A12345|10.1.2.3|x4587|X"""
pieces = st.sampled_from(["\n", *PIECES.replace("\n", "|").split("|")])
texts = st.lists(pieces, max_size=30).map("".join)


def split(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


@given(st.lists(texts, min_size=1, max_size=4))
@settings(deadline=None)
def test_unmasking_what_was_masked_gives_the_original(originals: list[str]) -> None:
    masked = GUARD.check(originals, DEFAULT_POLICY)
    assert [masked.mask.unmask(text) for text in masked.texts] == originals


@given(st.lists(texts, min_size=1, max_size=3), st.lists(st.integers(0, 2000), max_size=30))
@settings(deadline=None)
def test_an_answer_in_pieces_is_unmasked_like_a_whole_one(originals: list[str], cuts: list[int]) -> None:
    masked = GUARD.check(originals, DEFAULT_POLICY)
    answer = "".join(masked.texts) + "<PHONE_9>" + "".join(masked.mask.placeholders)
    unmasker = StreamUnmasker(masked.mask)
    fed = [unmasker.feed(piece) for piece in split(answer, cuts)]
    assert "".join(fed) + unmasker.finish() == masked.mask.unmask(answer)


def test_only_the_beginning_of_a_placeholder_in_use_is_held_back() -> None:
    mask = Mask([""])
    placeholder = mask.placeholder("phone", "13800138000")
    unmasker = StreamUnmasker(mask)
    assert unmasker.feed("call <PH") == "call "
    assert unmasker.feed("ILIP> or a < b <PHONE") == "<PHILIP> or a < b "
    assert unmasker.feed("_1") == ""
    assert unmasker.feed(">.") == "13800138000."
    assert unmasker.feed("<PHONE_2> <") == "<PHONE_2> "
    assert unmasker.finish() == "<"
    assert placeholder == "<PHONE_1>"


def test_the_same_value_has_the_same_placeholder_in_all_texts() -> None:
    masked = GUARD.check(["电话13800138000，备用13900139000", "再打13800138000"], DEFAULT_POLICY)
    assert masked.texts == ("电话<PHONE_1>，备用<PHONE_2>", "再打<PHONE_1>")


def test_a_placeholder_never_meets_its_like_in_the_text() -> None:
    masked = GUARD.check(["write <PHONE_1> for 13800138000"], DEFAULT_POLICY)
    assert masked.texts == ("write <PHONE_1> for <PHONE_2>",)
    assert masked.mask.unmask("<PHONE_1> <PHONE_2>") == "<PHONE_1> 13800138000"


def test_values_are_not_shown() -> None:
    masked = GUARD.check(["电话13800138000"], DEFAULT_POLICY)
    assert "13800138000" not in repr(masked)
    assert "13800138000" not in repr(masked.mask)


def test_values_with_quotes_and_line_ends_fit_into_json() -> None:
    value = 'Box 1\n"APO" \\ AE'
    guard = PrivacyGuard([InMemoryDetector({value: "address"})], PrivacySettings(), FixedClock())
    masked = guard.check([f"send to {value}"], DEFAULT_POLICY)
    arguments = json.dumps({"to": masked.texts[0]})
    answer = guard.answer(masked, json_text=True)
    assert json.loads(answer.feed(arguments) + answer.finish()) == {"to": f"send to {value}"}
    assert json_inside("plain") == "plain"


# answers that are looked at


def answered(text: str, cuts: list[int]) -> tuple[str, int]:
    """What the client gets, and the most that was ever held back."""
    answer = GUARD.answer(GUARD.check([""], WATCHFUL))
    out, seen, given_out, held = [], 0, 0, 0
    for piece in split(text, cuts):
        out.append(answer.feed(piece))
        seen += len(piece)
        given_out += len(out[-1])
        held = max(held, seen - given_out)
    out.append(answer.finish())
    return "".join(out), held


@given(st.lists(pieces, max_size=60).map("".join), st.lists(st.integers(0, 2000), max_size=60))
@settings(deadline=None)
def test_an_answer_is_redacted_the_same_however_it_is_cut(text: str, cuts: list[int]) -> None:
    assert answered(text, cuts)[0] == answered(text, [])[0]


@given(st.text(alphabet="ab中1 -", max_size=900))
@settings(deadline=None, max_examples=50)
def test_no_more_than_the_stated_number_of_characters_is_held_back(text: str) -> None:
    scanner = StreamScanner(lambda text, start: (text[start:], []))
    held = 0
    for character in text:
        held += 1 - len(scanner.feed(character))
        assert held < HOLD_BACK
    assert len(scanner.finish()) == held


def test_identifiers_across_pieces_are_redacted() -> None:
    text = (
        "His number is 138 0013 8000, mail wang.wei@example.com, card 6222 6007 4660 4806. 身份证330106199303277711。"
    )
    for size in (1, 2, 3, 7, 1000):
        answer, _ = answered(text, list(range(0, len(text), size)))
        assert answer == "His number is [PHONE], mail [EMAIL], card [CARD]. 身份证[ID]。"


def test_identifiers_in_a_text_without_any_break_are_redacted() -> None:
    text = ("甲" * 185 + "330106199303277711") * 8
    assert answered(text, list(range(len(text))))[0] == ("甲" * 185 + "[ID]") * 8


def test_ordinary_words_come_through_at_once() -> None:
    answer = GUARD.answer(GUARD.check([""], WATCHFUL))
    assert answer.feed("the quick brown ") == "the quick brown "
    assert answer.feed("fox, 13") == "fox, "
    assert answer.feed("800138000 and ") == "[PHONE] and "


def test_the_callers_own_values_come_back_although_answers_are_redacted() -> None:
    masked = GUARD.check(["my number is 13800138000"], WATCHFUL)
    answer = GUARD.answer(masked)
    assert answer.feed("You are <PHONE_1>, not 13900139000. ") + answer.finish() == "You are 13800138000, not [PHONE]. "


def test_kinds_that_are_allowed_stay_in_answers() -> None:
    policy = Policy("p", {DataClass.personal: Action.allow}, {"resident_id": Action.mask}, answers=True)
    answer = GUARD.answer(GUARD.check([""], policy))
    text = "call 13800138000, 身份证330106199303277711。"
    assert answer.feed(text) + answer.finish() == "call 13800138000, 身份证[ID]。"


def test_every_scanner_callback_sees_bounded_text() -> None:
    longest = 0

    def redact(text: str, start: int) -> tuple[str, list[tuple[int, int]]]:
        nonlocal longest
        longest = max(longest, len(text))
        return text[start:], []

    scanner: StreamScanner = StreamScanner(redact)
    feed: Callable[[str], str] = scanner.feed
    assert feed("9" * 100_000) + scanner.finish() == "9" * 100_000
    assert longest <= HOLD_BACK + 48
