"""Identifiers that mix letters, digits and signs: mail and network addresses, IBAN, company codes,
passports, plates, licences, account numbers, credentials."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from plinth.adapters.detectors import checksums
from plinth.privacy import Finding

Spans = Iterable[tuple[int, int]]

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"
PLATE = f"[{_PROVINCES}][A-HJ-NP-Z][·•‧∙・.\\- ]?(?:[A-HJ-NP-Z0-9]{{5,6}}|[A-HJ-NP-Z0-9]{{4}}[挂学警港澳领])"
IPV4 = r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
IPV6 = r"(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f:.]{1,39}|[0-9A-Fa-f]{1,4}::[0-9A-Fa-f:.]{1,39}"
CREDENTIAL = (
    r"sk-[A-Za-z0-9_\-]{20}|sk_live_[A-Za-z0-9]{10}|(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30}|github_pat_[A-Za-z0-9_]{20}"
    r"|glpat-[A-Za-z0-9_\-]{20}|xox[abprs]-[A-Za-z0-9\-]{10}|AIza[0-9A-Za-z_\-]{35}|hf_[A-Za-z]{30}"
    r"|eyJ[A-Za-z0-9_\-]{10}|-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----"
)
LABEL = (
    r"(?:[Dd]river'?’?s? ?[Ll]icen[cs]e|DRIVER'?’?S? LICEN[CS]E|[Pp]assport|PASSPORT"
    r"|[Aa]ccount (?:[Nn]umber|[Nn]o)|ACCOUNT N"
    r"|护照|通行证|回乡证|台胞证|驾驶证|驾照|账号|账户|帐号|帐户)"
)

_LABELLED = {"driver_license": ("river", "RIVER", "驾"), "passport": ("assport", "ASSPORT", "护照", "证")}
_MAX_REGION = 48
_MAX_TOKENS = 10


def emails(text: str) -> Iterator[Finding]:
    """RFC 5321 addresses in ASCII, without quoted local parts."""
    at = text.find("@")
    while at >= 0:
        local = _local_reversed.match(text[max(0, at - 64) : at][::-1])
        domain = _domain.match(text, at + 1)
        if local and domain:
            name = local[0][::-1].lstrip("._'+-%")
            if name and not name.endswith("."):
                yield Finding("email", at - len(name), domain.end(), 0.95)
        at = text.find("@", at + 1)


def ip_addresses(text: str, spans: Spans) -> Iterator[Finding]:
    """Version 4 and 6, except loopback and unspecified; not version numbers."""
    for start, end in spans:
        left, right = text[max(0, start - 1) : start], text[end : end + 2]
        if _joined(left) or left in (".", ":") or _joined(right[:1]) or (right[:1] == "." and right[1:].isdigit()):
            continue
        candidate = text[start:end].rstrip(":.")
        version_number = _version_before.search(text[max(0, start - 12) : start])
        if (
            version_number is None
            and (address := _ip(candidate))
            and not (address.is_loopback or address.is_unspecified)
        ):
            yield Finding("ip_address", start, start + len(candidate), 0.8)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    # `a::b` is more often a name in a program than an address, 3.1.4.2 a number of a section
    if (text.count(":") < 3 or not any(c.isdigit() for c in text)) if ":" in text else len(text) == 7:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def plates(text: str, spans: Spans) -> Iterator[Finding]:
    """GA 36: province, letter, five characters (six for electric cars)."""
    for start, end in spans:
        if _joined(text[end : end + 1]):
            continue
        plate = text[start:end]
        if any(c.isdigit() for c in plate) or _vehicle_cue.search(text[max(0, start - 12) : start]):
            yield Finding("vehicle_plate", start, end, 0.8)


def credentials(text: str, spans: Spans) -> Iterator[Finding]:
    """Keys and tokens of well-known services, and private keys, each to its end."""
    done = 0
    for start, end in spans:
        if start < done:
            continue
        if text.startswith("-----", start):
            closing = text.find("-----END ", end)
            done = len(text) if closing < 0 else min(len(text), text.find("-----", closing + 9) + 5 or len(text))
            yield Finding("credential", start, max(done, end), 0.95)
            continue
        done = _token.match(text, start).end()  # type: ignore[union-attr]  # the pattern starts with such a character
        if not _joined(text[max(0, start - 1) : start]) and (text[start] != "e" or text.count(".", start, done) == 2):
            yield Finding("credential", start, done, 0.9)


def labelled(text: str, spans: Spans) -> Iterator[Finding]:
    """A number behind the words that say what it is: licence, passport, account."""
    for start, end in spans:
        match = _labelled_value.match(text, end)
        if match is None or sum(c.isdigit() for c in match[1]) < 5:
            continue
        label = text[start:end]
        kind = next((k for k, marks in _LABELLED.items() if any(m in label for m in marks)), "bank_account")
        if kind == "bank_account" and len(match[1]) < 7:
            continue
        yield Finding(kind, *match.span(1), 0.7)


def beside_numbers(text: str, runs: Spans) -> Iterator[Finding]:
    """IBAN, company codes and passports around runs of digits that touch letters."""
    done = 0
    for start, end in runs:
        if start < done:
            continue
        low, high = _region(text, start, end)
        done = high
        for match in _passport_form.finditer(text, low, high):
            yield from _passport(text, *match.span())
        if checksums.CODE_BEGINS.search(text[low:high].upper().replace(" ", "").replace("-", "")):
            yield from _codes(text, [match.span() for match in _alphanumeric.finditer(text, low, high)])


def _codes(text: str, tokens: list[tuple[int, int]]) -> Iterator[Finding]:
    """IBANs and company codes that begin with one of these tokens and end with one."""
    joined = "".join([text[first:last] for first, last in tokens]).upper()
    ends: dict[int, int] = {}
    at = 0
    for number, (first, last) in enumerate(tokens):
        at += last - first
        ends[at] = number
    at = 0
    for number, (first, last) in enumerate(tokens):
        length = checksums.iban_length(joined[at : at + 2])
        if length and _ends(at + length, ends, number) and checksums.iban(joined[at : at + length]):
            yield Finding("iban", first, tokens[ends[at + length]][1], 0.98)
        code = joined[at : at + 18]
        if not code.isdigit() and _ends(at + 18, ends, number) and checksums.company_code(code):
            yield Finding("company_code", first, tokens[ends[at + 18]][1], 0.97)
        at += last - first


def _ends(at: int, ends: dict[int, int], first: int) -> bool:
    """Whether a token ends there, not too many behind the first one."""
    last = ends.get(at)
    return last is not None and last - first < _MAX_TOKENS


def _region(text: str, start: int, end: int) -> tuple[int, int]:
    """The ASCII letters, digits and single separators around a span, at most `_MAX_REGION` each way."""
    before = _region_reversed.match(text[max(0, start - _MAX_REGION) : start][::-1])
    after = _region_forward.match(text, end, min(len(text), end + _MAX_REGION))
    return start - (before.end() if before else 0), after.end() if after else end


def _passport(text: str, start: int, end: int) -> Iterator[Finding]:
    announced = _passport_cue.search(text[max(0, start - 24) : start].lower())
    if announced or text[start] in "EG":
        yield Finding("passport", start, end, 0.9 if announced else 0.55)


def _joined(character: str) -> bool:
    """Whether a neighbour makes the candidate a part of something longer."""
    return character.isascii() and character.isalnum()


_local_reversed = re.compile(r"[A-Za-z0-9._%+'\-]{1,64}")
_domain = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_version_before = re.compile(r"(?:version|ver\.?|v|版本|版|firmware|release) ?[:：]? ?$", re.IGNORECASE)
_vehicle_cue = re.compile(r"(车牌|牌照|车辆|号牌|驾驶|轿车|货车|车)[^，。；\n]{0,6}$")
_token = re.compile(r"[A-Za-z0-9_\-.]+")
_labelled_value = re.compile(
    r"[ ]?(?:号码|号|[Nn]umber|NUMBER|[Nn]o\.?|#)?[ ]?(?:is|was|为|是|:|：|#|=)?[ ]{0,2}"
    r"([A-Z]{0,3}[0-9](?:[ \-]?[A-Z0-9]){4,21})(?![A-Za-z0-9])",
)
_alphanumeric = re.compile(r"[A-Za-z0-9]+")
_region_reversed = re.compile(r"(?:[ \-]?[A-Za-z0-9])*")
_region_forward = re.compile(r"(?:[ \-]?[A-Za-z0-9])*")
_passport_form = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(?:[EeGgDdSsPpKkHhMm][0-9]{8}|[Ee][A-HJ-NP-Za-hj-np-z][0-9]{7}|[HhMm][0-9]{10}|[A-Z][0-9]{8})"
    r"(?![A-Za-z0-9])"
)
_passport_cue = re.compile(r"(护照|passport|通行证|证件)[^0-9\n]{0,20}$")
