"""What is personal is masked however it is written, and what only looks like it is not."""

from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.pii import PII_KINDS, PiiKind
from evalkit.pii.ids import luhn, verhoeff
from evalkit.pii.masker import Masker

PERSONAL = {
    "email": """
        ana@example.com
        Ana.Bär+news@mail.example.co.uk
        o'neill_1@sub-domain.example.org
        用户@例え.example
    """,
    "phone": """
        +49 30 901820
        +1 (415) 555-2671
        +442079460958
        +34 612 345 678
        0034 612 345 678
        (415) 555-2671
        415-555-2671
        06 12 34 56 78
        07700 900123
        Tel: 030 123456
        llámame al 612 345 678
        WhatsApp 11 2345-6789
        my mobile is 0151/23456789
    """,
    "card": """
        4111 1111 1111 1111
        4111111111111111
        5555-5555-5555-4444
        2223003122003222
        378282246310005
        3782 822463 10005
        6011111111111117
        30569309025904
        3530111333300000
    """,
    "iban": """
        DE89 3704 0044 0532 0130 00
        GB82WEST12345698765432
        GB82 WEST 1234 5698 7654 32
        ES91 2100 0418 4502 0005 1332
        de89370400440532013000
        FR1420041010050500013M02606
        NO93 8601 1117 947
        MT84MALT011000012345MTLCAST001S
    """,
    "national_id": """
        12345678Z
        12.345.678-Z
        X1234567L
        RSSMRA85T10A562S
        HEGG560427MVZRRL04
        2 55 08 14 168 025 38
        11010519491231002X
        131052-308T
        85.07.30-033.28
        12.345.678-5
        20-12345678-6
        111.444.777-35
        811218-9876
        536-90-4399
        2341 2341 2346
        CPF 11144477735
        PESEL 44051401359
        BSN 111222333
        NIF 123456789
        Steuer-ID 86095742719
        personnummer 198112189876
    """,
}

ORDINARY = """
2026-11-21
21/11/2026 and 21.11.2026, 11-21-2026
2026-11-21T09:30:00+00:00
2026-11-21 09:30:00.123456
20261121-093000-4e77
between 2019-2024 and 2025/26
the call ended 21.11.2026 10:30
call me on 2026-11-21
Python 3.11.4, version 10.15.7, 1.2.3.4.5
192.168.1.254 and 10.0.0.1:8080
2001:0db8:85a3:0000:0000:8a2e:0370:7334
00:1A:2B:3C:4D:5E
order 415-555-2671
order number 1234567890
Order #2026-000123-45
order no. 12345678Z
invoice 12345678901
pedido nº 612 345 678
case 12345678Z
phone model 3310 and 12 pro
call 911 or 112
tel aviv 2026
+15 000 000 users
it grew by +120 000 000 and -3 400 000
1 234 567 890 euros
12.345.678,90 €
$1,234,567.89
price 4500 5500 6500
3.14159265358979
0.4111111111111111
1700000000
1700000000000
1700000000000000
4111111111111112
4111 1111 1111 1112
11111111111111
550e8400-e29b-41d4-a716-446655440000
sha 4111111111111111abcdef
9780306406157
ISBN 978-0-306-40615-7
EAN 4006381333931
DE00 3704 0044 0532 0130 00
GB82 WEST 1234 5698 7654 33
XX82 WEST 1234 5698 7654 32
12345678A
X1234567A
123-45-6789
000-12-3456
111.444.777-36
12.345.678-6
20-12345678-7
44051401359
111222333
86095742719
8112189876
0012345678901
react@18.2.0 and @types/node@20.1.1
icon@2x.png
git@github.com:owner/repo.git
user@localhost
a @ b.com
@someone on x.com
lat 40.712776, lon -74.005974
2 + 2 = 4, 1+14155552671
lottery: 5 12 23 34 45 49
chapter 10 11 12 13 14 15
2 weeks, 3 days, 4 hours, 5 minutes, 6 s, 7 ms
{"id": 1234567890123, "n": 42}
<EMAIL_1> and <PHONE_12345678>
"""


def lines(text: str) -> list[str]:
    return [one.strip() for one in text.strip().splitlines()]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in PERSONAL.items() for text in lines(texts)]
)
def test_it_is_masked_inside_a_sentence(kind: str, text: str) -> None:
    for before, after in (("", ""), ("It is ", "."), ('{"a": "', '"}'), ("¿", "?"), ("(", ")")):
        masked = Masker(PII_KINDS).text(f"{before}{text}{after}")
        assert f"<{kind.upper()}_1>" in masked, masked
        assert sum(map(str.isdigit, masked)) == 1, masked
        assert masked.startswith(before)
        assert masked.endswith(after)


@pytest.mark.parametrize("text", lines(ORDINARY))
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert Masker(PII_KINDS).text(text) is text


@pytest.mark.parametrize(("digits", "share"), [(8, 0), (9, 0), (10, 0), (12, 0), (13, 0)])
def test_bare_numbers_of_common_lengths_are_never_taken(digits: int, share: float) -> None:
    assert taken(digits) <= share


@pytest.mark.parametrize(("digits", "share"), [(11, 0.005), (14, 0.01), (16, 0.04), (19, 0.03)])
def test_a_longer_number_is_taken_only_when_its_checksum_happens_to_hold(
    digits: int, share: float
) -> None:
    assert taken(digits) <= share


def taken(digits: int) -> float:
    dice = random.Random(digits)
    masker = Masker(PII_KINDS)
    numbers = ["".join(dice.choices(string.digits, k=digits)) for _ in range(2_000)]
    return sum(masker.text(f"number {one}.") != f"number {one}." for one in numbers) / 2_000


@given(
    st.data(),
    st.sampled_from([(kind, one) for kind in ("card", "iban") for one in lines(PERSONAL[kind])]),
)
def test_one_wrong_digit_and_a_checked_number_is_none(
    data: st.DataObject, one: tuple[PiiKind, str]
) -> None:
    kind, text = one
    place = data.draw(st.sampled_from([n for n, c in enumerate(text) if c.isdigit()]))
    other = data.draw(st.sampled_from([c for c in string.digits if c != text[place]]))
    wrong = text[:place] + other + text[place + 1 :]
    assert Masker([kind]).text(wrong) == wrong


def test_a_value_keeps_its_number_however_it_is_written() -> None:
    masker = Masker(PII_KINDS)
    assert masker.text("a@x.org, B@x.org, A@X.ORG") == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>"
    assert masker.text("4111 1111 1111 1111 / 4111111111111111") == "<CARD_1> / <CARD_1>"
    assert masker.text("+1 415 555 2671 or (415) 555-2671") == "<PHONE_1> or <PHONE_1>"
    assert masker.text("+34 612 345 678 or 0034 612 345 678") == "<PHONE_2> or <PHONE_2>"
    assert masker.text("from b@x.org") == "from <EMAIL_2>"


def test_only_the_chosen_kinds_are_masked() -> None:
    text = "a@x.org +49 30 901820 4111111111111111"
    assert Masker(["email"]).text(text) == "<EMAIL_1> +49 30 901820 4111111111111111"
    assert Masker(["card"]).text(text) == "a@x.org +49 30 901820 <CARD_1>"
    assert not Masker()
    assert Masker().text(text) is text


def test_numbers_go_on_above_those_in_use() -> None:
    masker = Masker(["email"])
    assert masker.text("a@x.org") == "<EMAIL_1>"
    masker.begin_above({"email": 7})
    assert masker.text("a@x.org b@x.org") == "<EMAIL_1> <EMAIL_8>"


@given(st.text(max_size=200))
def test_any_text_passes_and_masking_twice_changes_nothing(text: str) -> None:
    masker = Masker(PII_KINDS)
    once = masker.text(text)
    assert masker.text(once) == once


@pytest.mark.parametrize(
    "hostile",
    ["1", "1 ", "1-", "(1) ", "+1 ", "a@", "a@a.", "AAAA ", "tel ", "order ", "tel 1234567 "],
)
def test_no_text_holds_it_up(hostile: str) -> None:
    text = hostile * (100_000 // len(hostile))
    begun = time.process_time()
    Masker(PII_KINDS).text(text)
    assert time.process_time() - begun < 2.0


def test_checksums_against_published_examples() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert verhoeff("2363")
    assert not verhoeff("2364")
