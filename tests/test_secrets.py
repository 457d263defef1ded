"""Secrets are taken out of every text, however they are written in it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evalkit.secrets import REDACTED, Redactor

KEY = "sk-proj-A1b2/C3+d4=E5 f6'g7"

values = st.text(st.characters(codec="utf-8", min_codepoint=33), min_size=6, max_size=60).filter(
    lambda text: len(text.strip()) >= 6
)
around = st.text(st.characters(codec="utf-8"), max_size=30)


@given(value=values, before=around, after=around)
def test_no_written_form_survives(value: str, before: str, after: str) -> None:
    value = value.strip()
    redactor = Redactor([value])
    for form in (
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
    ):
        assume(REDACTED not in form)
        clean = redactor.text(f"{before}{form}{after}")
        assert form not in clean.replace(REDACTED, "\0")


@given(value=values.filter(lambda text: len(text.encode()) >= 8), user=around)
def test_base64_at_any_alignment(value: str, user: str) -> None:
    value = value.strip()
    assume(len(value.encode()) >= 8)
    redactor = Redactor([value])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        header = encode(f"{user}:{value}".encode()).decode()
        clean = redactor.text(f"Authorization: Basic {header}")
        assert REDACTED in clean
        assert header not in clean


def test_what_is_cut_off_is_found_too() -> None:
    redactor = Redactor([KEY])
    for cut in range(8, len(KEY)):
        for end in ("", "…", "..."):
            clean = redactor.text(f"401: key {KEY[:cut]}{end}")
            assert clean == f"401: key {REDACTED}{end}"
    ordinary = f"keys begin with {KEY[:8]} as a rule"
    assert redactor.text(ordinary) is ordinary


def test_what_lost_its_beginning_is_found_too() -> None:
    redactor = Redactor([KEY])
    for cut in range(1, len(KEY) - 7):
        for begin in ("", "…", "..."):
            clean = redactor.text(f"{begin}{KEY[cut:]} is wrong, {KEY}")
            assert clean == f"{begin}{REDACTED} is wrong, {REDACTED}"
    header = base64.b64encode(f"user:{KEY}".encode()).decode()
    assert REDACTED in redactor.text(header[14:])
    for ordinary in (KEY[3:12] + "-other", f"see {KEY[-8:]}", "", "…", KEY[-7:]):
        assert redactor.text(ordinary) is ordinary


def test_hexadecimal_and_the_escapes_of_other_languages() -> None:
    secret = "a/b&c<d>e\\f"
    redactor = Redactor([secret])
    for form in (
        secret.encode().hex(),
        secret.encode().hex().upper(),
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        "a/b\\u0026c\\u003cd\\u003ee\\\\f",
    ):
        assert redactor.text(f"said '{form}'") == f"said '{REDACTED}'"


def test_spans_are_where_the_values_stand() -> None:
    redactor = Redactor([KEY, "abcd"])
    text = f"{KEY} and abcd and {KEY}"
    assert [text[start:end] for start, end in redactor.spans(text)] == [KEY, "abcd", KEY]


def test_clean_texts_and_values_are_the_same_objects() -> None:
    redactor = Redactor([KEY])
    text, value = "nothing here", {"a": ["x", 1, None], "b": {"c": "d"}}
    assert redactor.text(text) is text
    assert redactor.value(value) is value
    empty = Redactor()
    assert not empty
    assert empty.text(KEY) is KEY


def test_json_values_are_cleaned_in_depth_and_keys_too() -> None:
    redactor = Redactor([KEY])
    assert redactor.value({KEY: [f"x {KEY}", {"y": (KEY, 2)}]}) == {
        REDACTED: [f"x {REDACTED}", {"y": (REDACTED, 2)}]
    }


def test_short_values_are_words_and_the_shortest_are_refused() -> None:
    redactor = Redactor()
    assert redactor.register(["EMPTY"[:4], "x", "  ", "ab", "abcd"]) == 2
    assert redactor.text("key EMPT, EMPTY, abcd abcde x ab") == (
        f"key {REDACTED}, EMPTY, {REDACTED} abcde x ab"
    )


def test_the_longest_secret_wins_and_all_are_found() -> None:
    redactor = Redactor(["password1", "password1-and-more", "other-secret"])
    text = "password1-and-more other-secret password1 password1-and"
    assert redactor.text(text) == f"{REDACTED} {REDACTED} {REDACTED} {REDACTED}"


@pytest.mark.parametrize("text", ["", "%", "=" * 100, "\ud800 lone"])
def test_odd_texts_pass(text: str) -> None:
    assert Redactor([KEY]).text(text) == text
