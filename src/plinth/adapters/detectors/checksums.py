"""Check digits and dates of the identifiers we know. Pure; every function takes ASCII without separators."""

from __future__ import annotations

import re
from calendar import monthrange

# province-level codes of GB/T 2260, with Hong Kong, Macao, Taiwan and foreign permanent residents
_PROVINCES = frozenset(
    str(code)
    for block in (
        range(11, 16),
        range(21, 24),
        range(31, 38),
        range(41, 47),
        range(50, 55),
        range(61, 66),
        (71, 81, 82, 83, 91),
    )
    for code in block
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUES = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))
# registration authority, and kind of organization under it: GB 32100-2015 table 1
_USCC_FIRST, _USCC_SECOND = frozenset("123456789ANY"), frozenset("123459")

# country and length, SWIFT's IBAN registry
_IBAN_REGISTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 "
    "KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 "
    "PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
    "VA22 VG24 XK20 YE30 "
)
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBAN_REGISTRY.split()}

CODE_BEGINS = re.compile(f"(?:{'|'.join(_IBAN_LENGTHS)})[0-9]{{2}}|[1-9ANY][1-59][0-9]{{6}}[{_USCC_ALPHABET}]{{10}}")
"""How an IBAN begins, and the form of a company code: where neither is, no closer look is needed."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def payment_card(digits: str) -> bool:
    """A card number that some network issues: issuer range, length and Luhn digit."""
    return len(digits) in _card_lengths(digits) and luhn(digits)


def _card_lengths(digits: str) -> tuple[int, ...]:
    two, four = int(digits[:2]), int(digits[:4])
    if digits[0] == "4":
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return (16,)
    if two in (34, 37) or four in (1800, 2131):
        return (15,)
    if two == 62 or two == 81 or digits[0] == "9":  # UnionPay, and Chinese issuers' older ranges
        return (16, 17, 18, 19) if two in (62, 81) else (16, 19)
    if two in (36, 38, 39) or 3000 <= four <= 3059 or four == 3095:
        return (14, 16, 19)
    if two == 35 or 2200 <= four <= 2204:
        return (16, 17, 18, 19)
    if two == 50 or 56 <= two <= 69 or four == 604:  # Maestro, Discover, RuPay, Chinese debit cards
        return (12, 13, 14, 15, 16, 17, 18, 19)
    return ()


def valid_date(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def resident_id(text: str) -> bool:
    """GB 11643-1999: 17 digits and a check character (0-9 or X)."""
    if len(text) != 18 or text[:2] not in _PROVINCES or not 1850 <= int(text[6:10]) <= 2099:
        return False
    if not valid_date(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    total = sum(weight * (ord(digit) - 48) for weight, digit in zip(_ID_WEIGHTS, text, strict=False))
    return text[17].upper() == _ID_CHECKS[total % 11]


def old_resident_id(digits: str) -> bool:
    """The 15-digit form in use until 1999: a birthday of the 20th century, no check digit."""
    born = 1900 + int(digits[6:8])
    return digits[:2] in _PROVINCES and valid_date(born, int(digits[8:10]), int(digits[10:12]))


def company_code(text: str) -> bool:
    """Unified social credit code, GB 32100-2015: 18 characters, check character modulo 31."""
    if len(text) != 18 or text[0] not in _USCC_FIRST or text[1] not in _USCC_SECOND or not text[2:8].isdigit():
        return False
    if text[2:4] not in _PROVINCES and text[2:8] != "100000":
        return False
    values = [_USCC_VALUES.get(character, -1) for character in text]
    if min(values) < 0:
        return False
    total = sum(weight * value for weight, value in zip(_USCC_WEIGHTS, values, strict=False))
    return (31 - total % 31) % 31 == values[17]


def iban_length(country: str) -> int:
    """How long an IBAN of the country is, 0 for what is no such country."""
    return _IBAN_LENGTHS.get(country, 0)


def iban(text: str) -> bool:
    """ISO 13616: the country's length and ISO 7064 MOD 97-10. Upper case."""
    if _IBAN_LENGTHS.get(text[:2]) != len(text) or not text[2:4].isdigit():
        return False
    rearranged = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1
