"""Which identifiers are found, in which spellings, and what is left alone."""

from __future__ import annotations

import random
import time
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plinth.adapters.detectors import checksums, engine, fold
from plinth.adapters.detectors.engine import Locator, StandardLocator
from plinth.adapters.detectors.identifiers import IdentifierDetector

DETECTOR = IdentifierDetector()
ID, CARD, COMPANY = "330106199303277711", "4367422973772382", "91440300708461136T"

FOUND = [
    ("身份证330106199303277711", "resident_id", ID),
    ("（31011519600926066X）", "resident_id", "31011519600926066X"),
    ("身份证 31011519600926066x。", "resident_id", "31011519600926066x"),
    ("330106 19930327 7711", "resident_id", "330106 19930327 7711"),
    ("旧身份证号：330106930327771", "resident_id", "330106930327771"),
    ("卡4367422973772382丢了", "bank_card", CARD),
    ("6222 6007 4660 4806", "bank_card", "6222 6007 4660 4806"),
    ("card 4367-4229-7377-2382.", "bank_card", "4367-4229-7377-2382"),
    ("amex 3782 822463 10005", "bank_card", "3782 822463 10005"),
    ("代码91440300708461136T，", "company_code", COMPANY),
    ("电话13800138000", "phone", "13800138000"),
    ("139 2269 2488", "phone", "139 2269 2488"),
    ("138-4075-7589", "phone", "138-4075-7589"),
    ("+86 13800138000", "phone", "+86 13800138000"),
    ("tel13800138000", "phone", "13800138000"),
    ("1 3 8 0 0 1 3 8 0 0 0", "phone", "1 3 8 0 0 1 3 8 0 0 0"),
    ("１３８００１３８０００", "phone", "１３８００１３８０００"),
    ("138\u200b0013\u200b8000", "phone", "138\u200b0013\u200b8000"),
    ("𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎", "phone", "𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎"),
    ("一三八零零一三八零零零", "phone", "一三八零零一三八零零零"),
    ("1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0", "phone", "1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0"),
    ("010-73452278", "phone", "010-73452278"),
    ("（010）73452278", "phone", "（010）73452278"),
    ("(602) 272-9781", "phone", "(602) 272-9781"),
    ("259.735.7502x459", "phone", "259.735.7502x459"),
    ("+41 (0)62 585 51 90", "phone", "+41 (0)62 585 51 90"),
    ("+447700 921 916", "phone", "+447700 921 916"),
    ("Phone: 72 128 827", "phone", "72 128 827"),
    ("<a.b+c@mail.example.co.uk>", "email", "a.b+c@mail.example.co.uk"),
    ("邮箱ａｂ＠example．com", "email", "ａｂ＠example．com"),
    ("GB82 WEST 1234 5698 7654 32", "iban", "GB82 WEST 1234 5698 7654 32"),
    ("DE89370400440532013000", "iban", "DE89370400440532013000"),
    ("护照号码为G58201106，", "passport", "G58201106"),
    ("passport no. A12345678", "passport", "A12345678"),
    ("车牌渝F·232W5", "vehicle_plate", "渝F·232W5"),
    ("沪A12345D 新能源", "vehicle_plate", "沪A12345D"),
    ("from 10.20.30.40:8080", "ip_address", "10.20.30.40"),
    ("2001:db8:85a3::8a2e:370:7334", "ip_address", "2001:db8:85a3::8a2e:370:7334"),
    ("SSN 125-17-4954", "us_ssn", "125-17-4954"),
    ("driver's license number is F162823540116", "driver_license", "F162823540116"),
    ("账号：1109 0000 1234 567", "bank_account", "1109 0000 1234 567"),
    ("key sk-proj-abcdefghijklmnopqrstuvwx1234", "credential", "sk-proj-abcdefghijklmnopqrstuvwx1234"),
    ("AKIAIOSFODNN7EXAMPLE", "credential", "AKIAIOSFODNN7EXAMPLE"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "credential", None),
    ("姓名：王小明", "person", "王小明"),
    ("客户欧阳修文，身份", "person", "欧阳修文"),
    ("请找王鹏经理。", "person", "王鹏"),
    ("员工林凤兰的护照", "person", "林凤兰"),
    ("寄到福建省福州市鼓楼区东街8号，收", "address", "福建省福州市鼓楼区东街8号"),
]


@pytest.mark.parametrize(("text", "kind", "value"), FOUND)
@pytest.mark.parametrize("detector", [DETECTOR, IdentifierDetector(StandardLocator)], ids=["fastest", "standard"])
def test_found(detector: IdentifierDetector, text: str, kind: str, value: str | None) -> None:
    assert (kind, value or text) in [(f.kind, text[f.start : f.end]) for f in detector.detect(text)]


def test_neighbours_are_told_apart() -> None:
    text = "6222 6007 4660 4806 13800138000 330106199303277711"
    assert [f.kind for f in DETECTOR.detect(text)] == ["bank_card", "phone", "resident_id"]
    both = "投保人曾明（31011519600926066X）、被保险人张云（350203195908156607）"
    assert [f.kind for f in DETECTOR.detect(both)] == ["person", "resident_id", "person", "resident_id"]


@pytest.mark.parametrize(
    "text",
    [
        "身份证330106199303277712",  # check character
        "身份证330106199302307711",  # 30 February
        "卡号6223542773669689743",  # Luhn
        "流水号202412127908476565",
        "工单GD99854008",
        "热线400-820-8788，95566",
        "call 800-367-5690 or 1-844-303-6515",
        "金额508,006.23元，2018年8月15日",
        "3.14159265358979",
        "35.52999999999997",
        "v1.2.3.4 and version 10.20.30.40",
        "127.0.0.1 ::1 0.0.0.0",
        "12:30:45 std::vector a::b",
        "550e8400-e29b-41d4-a716-446655440000",
        "ISBN 962-04-2376-3",
        "1999-2000 2001-2010 2015",
        "用户满意度，客户经理，客户关系管理",
        "user@localhost, @someone, a@b",
        "IBAN GB82 WEST 1234 5698 7654 33",
        "客户端支持HTTPS协议，新版本ABCDEF",
        "",
    ],
)
def test_left_alone(text: str) -> None:
    assert DETECTOR.detect(text) == []


# generated identifiers: whatever has a right checksum is found in any context that does not touch it


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    area = draw(st.sampled_from(["110101", "330106", "650102", "810000"]))
    born = draw(st.dates(min_value=__import__("datetime").date(1900, 1, 1)).filter(lambda d: d.year < 2100))
    body = f"{area}{born:%Y%m%d}{draw(st.integers(0, 999)):03}"
    return next(body + check for check in "0123456789X" if checksums.resident_id(body + check))


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix = draw(st.sampled_from(["4", "51", "55", "2221", "62", "6011", "35"]))
    body = prefix + "".join(
        draw(st.lists(st.sampled_from("0123456789"), min_size=15 - len(prefix), max_size=15 - len(prefix)))
    )
    return next(body + check for check in "0123456789" if checksums.luhn(body + check))


@st.composite
def company_codes(draw: st.DrawFn) -> str:
    body = "91" + draw(st.sampled_from(["110000", "440305"]))
    body += "".join(draw(st.lists(st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"), min_size=9, max_size=9)))
    return next(body + check for check in "0123456789ABCDEFGHJKLMNPQRTUWXY" if checksums.company_code(body + check))


def widened(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in text)


def spaced(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def pierced(text: str) -> str:
    return "\u200b".join(text)


@given(
    identifier=resident_ids() | cards() | company_codes(),
    before=st.sampled_from(["", "号码", "no: ", "🙂", "（", "x y "]),
    after=st.sampled_from(["", "。", " ok", "）元", "\n"]),
    change=st.sampled_from([str, widened, pierced, spaced, lambda text: widened(spaced(text))]),
)
@settings(deadline=None)
def test_checksummed_identifiers_are_covered_in_every_spelling(identifier, before, after, change) -> None:  # type: ignore[no-untyped-def]
    written = change(identifier)
    text = before + written + after
    covered = {i for f in DETECTOR.detect(text) for i in range(f.start, f.end)}
    missing = [i for i in range(len(before), len(before) + len(written)) if text[i].isalnum() and i not in covered]
    assert not missing, DETECTOR.detect(text)


@given(identifier=resident_ids(), position=st.integers(0, 16), change=st.integers(1, 9))
def test_one_wrong_digit_is_noticed(identifier: str, position: int, change: int) -> None:
    """GB 11643 finds every single wrong digit."""
    digit = str((int(identifier[position]) + change) % 10)
    assert not checksums.resident_id(identifier[:position] + digit + identifier[position + 1 :])


@given(identifier=company_codes(), position=st.integers(8, 16))
def test_one_wrong_character_of_a_company_code_is_noticed(identifier: str, position: int) -> None:
    wrong = "7" if identifier[position] != "7" else "8"
    assert not checksums.company_code(identifier[:position] + wrong + identifier[position + 1 :])


# folding


def test_the_table_knows_every_decimal_digit() -> None:
    for point in range(0x110000):
        character = chr(point)
        if unicodedata.category(character) == "Nd":
            assert fold.Folded(character).text == str(unicodedata.decimal(character)), hex(point)


@given(st.text(alphabet="a1９Ａ\u200b\ufeff中\U0001f642🇨", max_size=40), st.data())
def test_folded_offsets_lead_back(text: str, data: st.DataObject) -> None:
    folded = fold.Folded(text)
    assume(folded.text)
    start = data.draw(st.integers(0, len(folded.text) - 1))
    end = data.draw(st.integers(start + 1, len(folded.text)))
    first, last = folded.original(start, end)
    assert fold.Folded(text[first:last]).text == folded.text[start:end]
    assert fold.Folded(text[first]).text
    assert fold.Folded(text[last - 1]).text


# engines


def reference_and_fast() -> tuple[Locator, Locator]:
    from plinth.adapters.detectors.identifiers import _PATTERNS

    return StandardLocator(_PATTERNS), engine.Re2Locator(_PATTERNS)


@pytest.mark.skipif(engine.re2 is None, reason="google-re2 is not installed")
@given(
    st.lists(
        st.sampled_from([*"0123456789 -.()（:@+eyJskXGE", "京A", "客户", "先生", "\ud800", "９", "\u200b", "🙂"]),
        max_size=60,
    )
)
@settings(max_examples=300, deadline=None)
def test_both_engines_find_the_same(parts: list[str]) -> None:
    text = "".join(parts)
    reference, fast = reference_and_fast()
    assert fast.locate(text) == reference.locate(text)


@pytest.mark.skipif(engine.re2 is None, reason="google-re2 is not installed")
def test_an_engine_out_of_memory_is_no_clean_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """RE2 then reports that nothing matched, not even what always does."""
    locator = engine.Re2Locator({"number": "[0-9]"})
    assert locator.locate("a1") == {"number": [(1, 2)]}
    assert locator.locate("a") == {}
    monkeypatch.setattr(locator, "_set", type("Exhausted", (), {"Match": lambda *_: []})())
    with pytest.raises(MemoryError):
        locator.locate("a1")


ADVERSARIAL = {
    "digits": "1",
    "spaced digits": "1 ",
    "dashes": "1-",
    "deep separators": "1---",
    "emails": "a@a.",
    "at signs": "@",
    "long labels": "a-",
    "tokens": "eyJ",
    "keys": "-----BEGIN PRIVATE KEY-----",
    "hex": "1:",
    "dots": "1.",
    "names": "客户王",
    "titles": "王先生",
    "lists": "常晨、",
    "addresses": "北京市",
    "homes": "地址路",
    "labels": "账号",
    "plates": "京A",
    "iban": "GB82 WEST 1234567 ",
    "parentheses": "(1)",
    "invisible": "1\u200b",
    "spelled": "一",
    "cards": "4111 ",
    "phones": "13800138000 ",
}


@pytest.mark.parametrize("unit", ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize("detector", [DETECTOR, IdentifierDetector(StandardLocator)], ids=["fastest", "standard"])
def test_time_is_proportional_to_the_text(detector: IdentifierDetector, unit: str) -> None:
    """Four times the text takes about four times as long; quadratic would be sixteen."""

    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            detector.detect(text)
            best = min(best, time.process_time() - started)
        return best

    small, large = seconds(10_000), seconds(40_000)
    assert large < 9 * small + 0.02
    # the guard's budget is 20 ms per kilocharacter
    assert large < 0.4


def test_random_text_takes_no_longer() -> None:
    chosen = random.Random(1)
    text = "".join(chosen.choice("0123456789 -.()@:abAX客户京先生") for _ in range(40_000))
    started = time.process_time()
    DETECTOR.detect(text)
    assert time.process_time() - started < 0.8
