"""National identity, tax and social security numbers that carry a checksum, country by country.

Sources: the issuing bodies' own descriptions, as collected by the articles on "National
identification number" and by the python-stdnum project. Denmark's numbers have had no checksum
since 2007 and are left out; those of the United States have none, but a form with forbidden ranges.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from evalkit.pii.context import NATIONAL_ID, before, is_a_reference


@dataclass(frozen=True, slots=True)
class NationalId:
    """One country's number: its form, its test on the bare characters, when it is believed.

    ``named`` numbers are too easily met by chance: they count after a word that names them, or in
    the punctuation of ``formal``.
    """

    country: str
    form: re.Pattern[str]
    holds: Callable[[str], bool]
    named: bool = False
    formal: re.Pattern[str] | None = None


def luhn(digits: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, one in enumerate(reversed(digits)):
        value = int(one)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(one) * weight for one, weight in zip(digits, weights, strict=False))


def _date(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def _varied(digits: str) -> bool:
    return len(set(digits)) > 1


_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"


def _spain(text: str) -> bool:
    digits = text[:-1].replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1)
    return _varied(text[1:-1]) and _SPANISH[int(digits) % 23] == text[-1]


def _portugal(text: str) -> bool:
    check = 11 - _weighted(text, range(9, 1, -1)) % 11
    return text[0] in "1235689" and int(text[8]) == (0 if check >= 10 else check)


def _germany(text: str) -> bool:
    # of the first ten digits one occurs two or three times, never three in a row; ISO 7064 11,10
    counts = sorted((text[:10].count(one) for one in set(text[:10])), reverse=True)
    if text[0] == "0" or counts[0] not in (2, 3) or counts[1] != 1:
        return False
    if any(one * 3 in text[:10] for one in set(text)):
        return False
    product = 10
    for one in text[:10]:
        total = (int(one) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(text[10])


def _france(text: str) -> bool:
    month = int(text[3:5])
    if text[0] not in "12" or not (1 <= month <= 12 or 20 <= month <= 42 or month >= 50):
        return False
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(text[13:])


_ITALIAN_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
         6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def _italy(text: str) -> bool:
    odd = sum(_ITALIAN_ODD[one] for one in text[:15:2])
    even = sum(int(one) if one.isdigit() else ord(one) - 65 for one in text[1:15:2])
    return chr(65 + (odd + even) % 26) == text[15]


def _netherlands(text: str) -> bool:
    return _varied(text) and _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _belgium(text: str) -> bool:
    year, month, day, check = int(text[:2]), int(text[2:4]), int(text[4:6]), int(text[9:])
    if not _date(1900 + year, month, day) and not _date(2000 + year, month, day):
        return False
    return check in {97 - int(text[:9]) % 97, 97 - int("2" + text[:9]) % 97}


def _poland(text: str) -> bool:
    month = int(text[2:4])
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[month // 20]
    if not _date(century + int(text[:2]), month % 20, int(text[4:6])):
        return False
    return -_weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(text[10])


def _sweden(text: str) -> bool:
    text = text[-10:]
    day = int(text[4:6])
    day = day - 60 if day > 60 else day  # a coordination number
    return _date(2000, int(text[2:4]), day) and luhn(text)


_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _finland(text: str) -> bool:
    if not _date(2000, int(text[2:4]), int(text[:2])):
        return False
    return _FINNISH[int(text[:6] + text[7:10]) % 31] == text[10]


def _norway(text: str) -> bool:
    day, month = int(text[:2]), int(text[2:4])
    if not _date(2000, month - 40 if month > 40 else month, day - 40 if day > 40 else day):
        return False
    first = -_weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -_weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (first, second) == (int(text[9]), int(text[10]))


def _brazil(text: str) -> bool:
    def check(length: int) -> int:
        return _weighted(text[:length], range(length + 1, 1, -1)) * 10 % 11 % 10

    return _varied(text) and (check(9), check(10)) == (int(text[9]), int(text[10]))


def _china(text: str) -> bool:
    if not 1900 <= int(text[6:10]) <= 2099:
        return False
    if not _date(int(text[6:10]), int(text[10:12]), int(text[12:14])):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[_weighted(text, weights) % 11] == text[17]


_DIHEDRAL = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321",
             "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_PERMUTED = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901",
             "2793806415", "7046913258")  # fmt: skip


def verhoeff(digits: str) -> bool:
    """Verhoeff's checksum (1969), which finds every single wrong digit and every transposition."""
    state = 0
    for place, one in enumerate(reversed(digits)):
        state = int(_DIHEDRAL[state][int(_PERMUTED[place % 8][int(one)])])
    return state == 0


def _india(text: str) -> bool:
    return text[0] not in "01" and _varied(text) and verhoeff(text)


def _chile(text: str) -> bool:
    total = sum(int(one) * (2 + place % 6) for place, one in enumerate(reversed(text[:-1])))
    return "0K987654321"[total % 11] == text[-1]


def _argentina(text: str) -> bool:
    check = -_weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return text[:2] in {"20", "23", "24", "25", "26", "27"} and check == int(text[10])


_MEXICAN = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def _mexico(text: str) -> bool:
    if not _date(2000, int(text[6:8]), int(text[8:10])):
        return False
    total = sum(_MEXICAN.index(one) * (18 - place) for place, one in enumerate(text[:17]))
    return str(-total % 10) == text[17]


def _united_states(text: str) -> bool:
    area, group, serial = text[:3], text[3:5], text[5:]
    fixed = {"078051120", "219099999", "123456789"}  # printed in advertisements, or counted
    return (
        area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"
    ) and text not in fixed


def _id(
    country: str,
    form: str,
    holds: Callable[[str], bool],
    *,
    named: bool = False,
    formal: str | None = None,
) -> NationalId:
    return NationalId(
        country,
        re.compile(rf"(?<![\w.,/+-])(?:{form})(?![\w/+-]|[.,]\d)", re.IGNORECASE),
        holds,
        named,
        None if formal is None else re.compile(formal),
    )


NATIONAL_IDS: tuple[NationalId, ...] = (
    _id("ES", r"(?:\d{8}|[XYZ]\d{7}|\d{2}\.\d{3}\.\d{3}|[XYZ]-\d{7})[ -]?[A-Z]", _spain),
    _id("IT", r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", _italy),
    _id("MX", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", _mexico),
    _id("FR", r"[12] ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d", _france),
    _id("CN", r"\d{17}[0-9X]", _china),
    _id("FI", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", _finland),
    _id("BE", r"\d\d\.?\d\d\.?\d\d[ -]?\d{3}\.?\d\d", _belgium),
    _id("NO", r"\d{6} ?\d{5}", _norway),
    _id("CL", r"\d{1,2}\.?\d{3}\.?\d{3}-[0-9K]", _chile, named=True, formal=r"\.\d{3}\.\d{3}-"),
    _id("AR", r"\d\d-?\d{8}-?\d", _argentina, named=True, formal="-"),
    _id("BR", r"\d{3}\.?\d{3}\.?\d{3}-?\d\d", _brazil, named=True, formal=r"\..*-"),
    _id("IN", r"\d{4}[ -]?\d{4}[ -]?\d{4}", _india, named=True, formal=r"\d{4} \d{4} \d{4}"),
    _id("SE", r"(?:19|20)?\d{6}[-+]?\d{4}", _sweden, named=True, formal=r"\d{6}[-+]\d{4}"),
    _id("US", r"\d{3}-\d\d-\d{4}", _united_states),
    _id("DE", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", _germany, named=True, formal=" "),
    _id("PL", r"\d{11}", _poland, named=True),
    _id("NL", r"\d{4}\.?\d\d\.?\d{3}", _netherlands, named=True, formal=r"\."),
    _id("PT", r"\d{3} ?\d{3} ?\d{3}", _portugal, named=True),
)

_ANY = re.compile("|".join(f"(?:{one.form.pattern})" for one in NATIONAL_IDS), re.IGNORECASE)
_BARE = re.compile(r"[ .\-]")


def national_ids(text: str, first: int, last: int) -> Iterator[tuple[int, int, str]]:
    """Where national numbers start and end, and the country with the bare number."""
    if _ANY.search(text, first, last) is None:
        return
    for one in NATIONAL_IDS:
        for found in one.form.finditer(text, first, last):
            written = found.group()
            # Finland's separator carries the century
            bare = written if one.country == "FI" else _BARE.sub("", written)
            bare = bare.upper().replace("+", "") if one.country == "SE" else bare.upper()
            if not one.holds(bare):
                continue
            called = NATIONAL_ID.search(before(text, found.start())) is not None
            if not called and is_a_reference(text, found.start()):
                continue
            if one.named and not called and not (one.formal and one.formal.search(written)):
                continue
            yield found.start(), found.end(), f"{one.country}{bare}"
