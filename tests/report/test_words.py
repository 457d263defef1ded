"""Numbers have the digits they deserve, and no text of a model steers a terminal."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
        ("safe\u202etxt.exe", "safe\\u{202e}txt.exe"),
        ("hid\u200bden \U000e0041", "hid\\u{200b}den \\u{e0041}"),
        ("nul\0 half \ud83d", "nul\\u{0} half \\u{d83d}"),
        ("one\r\ntwo\tthree", "one\ntwo    three"),
        ("\u200b" * 8, "\\u{200b}" * 8),
        ("a" + "\u200b" * 9_008 + "b", "a" + "\\u{200b}" * 8 + "[9,000 more that cannot be seen]b"),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
        (
            "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3",
            "\u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3",
        ),
        ("no\u200d joiner\ufe0f", "no\\u{200d} joiner\\u{fe0f}"),
        ("\u2764\ufe0f\U000e0101\U000e0102", "\u2764\\u{fe0f}\\u{e0101}\\u{e0102}"),
        ("é\u200d\u200cé", "é\\u{200d}\\u{200c}é"),
    ],
)
def test_what_cannot_be_seen_is_written_in_its_place(text: str, shown: str) -> None:
    assert words.seen(text) == shown


@pytest.mark.parametrize(
    ("one", "two", "written"),
    [
        ("a b", "a\u00a0b", ("a b", "a\\u{a0}b")),
        ("café", "cafe\u0301", ("café", "cafe\\u{301}")),
        ("Å", "\u212b", ("Å", "\\u{212b}")),
        ("one\ntwo", " one\r\ntwo\n", ("one\ntwo", "\\u{20}one\\u{d}\ntwo\\u{a}")),
        ("a \nb", "a\nb", ("a\\u{20}\nb", "a\nb")),
        ("a\tb", "a    b", ("a\\u{9}b", "a    b")),
        ("می\u200cخ", "میخ", ("می\\u{200c}خ", "میخ")),
    ],
)
def test_two_texts_that_look_alike_are_told_apart(
    one: str, two: str, written: tuple[str, str]
) -> None:
    assert words.alike(one, two)
    assert words.apart(one, two) == written


def test_two_texts_that_differ_keep_their_blanks() -> None:
    assert not words.alike("red", "rod")
    assert words.apart("a\tcafe\u0301\n", "b\0") == ("a    cafe\u0301\n", "b\\u{0}")


@given(st.text(st.characters(codec=None, exclude_categories=())), st.booleans())
@example("\u202a\u200d\u202a", False)
def test_nothing_written_out_steers_or_hides(text: str, whole: bool) -> None:
    kept = words.seen(text, whole=whole)
    assert words.clean(kept) == kept
    assert words.seen(text, lines=False) == " ".join(words.seen(text).split())
    kept.encode("utf-8")
    if len(text) <= words.WRITTEN:
        read = re.sub(r"\\u\{([0-9a-f]+)\}", lambda one: chr(int(one[1], 16)), kept)
        spaced = text.replace("\r\n", "\n").replace("\t", "    ")
        assert (
            read == (text if whole else re.sub("[\r\u2028\u2029]", "\n", spaced)) or "\\u" in text
        )


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_no_control_survives(text: str) -> None:
    kept = words.clean(text)
    assert words.clean(kept) == kept
    for one in kept:
        assert one in "\n\u200c\u200d" or unicodedata.category(one) not in {"Cc", "Cf", "Cs"}
    assert "\n" not in words.clean(text, lines=False)
    kept.encode("utf-8")
