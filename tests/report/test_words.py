"""Numbers have the digits they deserve, and no text of a model steers a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalkit.report import words


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "shown", "interval"),
    [
        (0.6123, 0.5512, 0.6734, "", "0.61", "[0.55, 0.67]"),
        (0.6123, 0.6011, 0.6235, "", "0.612", "[0.601, 0.624]"),
        (0.4, 0.0, 0.8, "", "0.40", "[0.00, 0.80]"),
        (43.2, 31.4, 56.1, "", "43", "[31, 56]"),
        (0.0148, 0.0102, 0.0211, "%", "1.5 %", "[1.0, 2.1]"),
        (0.1791, 0.1713, 0.1894, "s", "179 ms", "[171, 189]"),
        (1.234, 1.1, 1.4, "s", "1.23 s", "[1.10, 1.40]"),
        (0.00138, None, None, "USD", "$0.00138", ""),
        (12.3456, 11.9, 12.8, "USD", "$12.35", "[11.90, 12.80]"),
        (12345.6, 12000.0, 12700.0, "tokens", "12,346", "[12,000, 12,700]"),
        (0.5, 0.31, None, "", "0.50", "[0.31, –]"),
        (-0.25, -0.35, -0.15, "", "−0.25", "[−0.35, −0.15]"),
        (0.0, None, None, "", "0", ""),
        (None, None, None, "s", "–", ""),
        (340.0, None, None, "s", "5 min 40 s", ""),
    ],
)
def test_quantities(
    value: float | None, low: float | None, high: float | None, unit: str, shown: str, interval: str
) -> None:
    assert words.quantity(value, unit, low=low, high=high) == shown
    assert words.interval(value, unit, low, high) == interval


@given(
    st.floats(-1e9, 1e9),
    st.floats(0, 1e6),
    st.sampled_from(["", "%", "s", "USD", "tokens"]),
)
@example(0.0, 5e-324, "")
@example(0.001, 0.001, "USD")
def test_a_shown_number_is_within_its_last_digit(value: float, half: float, unit: str) -> None:
    shown = words.quantity(value, unit, low=value - half, high=value + half)
    bare = shown.replace("−", "-").replace(",", "").replace("$", "")
    number, _, suffix = bare.partition(" ")
    factor = {"%": 100, "ms": 1000}.get(suffix, 1)
    places = len(number.partition(".")[2])
    assert abs(float(number) - value * factor) <= 0.500001 * 10.0**-places + 1e-6
    assert words.plain(shown).isascii()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.34, "340 ms"),
        (1.04, "1.0 s"),
        (9.96, "10 s"),
        (59.7, "60 s"),
        (125, "2 min 5 s"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_money_without_a_price_is_unknown_and_never_free() -> None:
    assert words.money(None) == "unknown"
    assert words.money(0.0) == "$0.00"


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x1b[2Jb\x9b1mc", "abc"),
        ("bell\x07back\x08\x7f\x00", "bellback"),
        ("safe\u202etxt.exe\u2066", "safetxt.exe"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("hid\u200bden \U000e0041", "hidden "),
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
        ("\x1b]never ended", ""),
    ],
)
def test_hostile_text_is_made_harmless(hostile: str, harmless: str) -> None:
    assert words.clean(hostile) == harmless


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_no_control_survives(text: str) -> None:
    kept = words.clean(text)
    assert words.clean(kept) == kept
    for one in kept:
        assert one in "\n\u200c\u200d" or unicodedata.category(one) not in {"Cc", "Cf", "Cs"}
    assert "\n" not in words.clean(text, lines=False)
    kept.encode("utf-8")
