"""Secrets are taken out of every text in the forms in which they are realistically written."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
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


TOKEN = "sk-proj-A1b2C3d4E5f6G7h8"
QUOTED = "pa\"ss\\wo'rd<&>12"

escapes = {
    "JSON": lambda char: f"\\u{ord(char):04x}",
    "JSON in capitals": lambda char: f"\\u{ord(char):04X}",
    "JSON in JSON": lambda char: f"\\\\u{ord(char):04x}",
    "decimal": lambda char: f"&#{ord(char)};",
    "padded": lambda char: f"&#{ord(char):07};",
    "hexadecimal": lambda char: f"&#x{ord(char):x};",
    "hexadecimal in capitals": lambda char: f"&#X{ord(char):X};",
}


@pytest.mark.parametrize("escape", escapes.values(), ids=escapes)
@pytest.mark.parametrize("secret", [TOKEN, QUOTED, KEY, "abc-def"])
def test_escapes_of_all_or_some_characters(secret: str, escape: Callable[[str], str]) -> None:
    redactor = Redactor([secret])
    whole = "".join(map(escape, secret))
    some = [*secret]
    for place in range(0, len(some), 3):
        # no writer leaves a backslash as it is before an escape
        if "\\" not in secret[max(0, place - 1) : place + 1]:
            some[place] = escape(some[place])
    last = secret[:-1] + escape(secret[-1])
    for form in (whole, "".join(some), last, escape(secret[0]) + secret[1:]):
        assert redactor.text(f"said {form}, {form}.") == f"said {REDACTED}, {REDACTED}."
    other = "".join(map(escape, secret[:-1] + "#"))
    assert redactor.text(f"said {other}.") == f"said {other}."


def test_entities_with_names() -> None:
    redactor = Redactor([QUOTED])
    for mark in ("&quot;", "&#34;"):
        for quote_ in ("'", "&apos;", "&#39;", "&#x27;"):
            form = f"pa{mark}ss\\wo{quote_}rd&lt;&amp;&gt;12"
            assert redactor.text(f"<td>{form}</td>") == f"<td>{REDACTED}</td>"


def test_json_in_json() -> None:
    for secret in (QUOTED, '"quoted"', "a\\b\\c\\d"):
        redactor = Redactor([secret])
        twice = json.dumps(json.dumps({"key": secret}))
        assert json.loads(redactor.text(twice)) == json.dumps({"key": REDACTED})


@pytest.mark.parametrize(
    "line_break", ["\n", "\r\n", " \n", "\n    ", " \r\n\t", "\n\n", "\\n", "\\\\n"]
)
def test_a_value_that_goes_over_lines(line_break: str) -> None:
    redactor = Redactor([TOKEN])
    coded = base64.b64encode(f"user:{TOKEN}".encode()).decode()
    for at in range(1, len(TOKEN)):
        text = f"key: {TOKEN[:at]}{line_break}{TOKEN[at:]} is wrong"
        assert redactor.text(text) == f"key: {REDACTED} is wrong"
        assert REDACTED in redactor.text(f"{coded[:at]}{line_break}{coded[at:]}")
    text = f"a{line_break}{line_break.join(TOKEN)}{line_break}b"
    assert redactor.text(text) == f"a{line_break}{REDACTED}{line_break}b"
    both = line_break.join(f"&#{ord(one)};" for one in TOKEN)
    assert redactor.text(f"a {both} b") == f"a {REDACTED} b"


def test_a_value_with_blanks_is_wrapped_at_them() -> None:
    redactor = Redactor(["correct horse battery"])
    for text in ("correct\nhorse battery", "correct horse\n  battery", "cor\nrect horse battery"):
        assert redactor.text(f"it is {text}.") == f"it is {REDACTED}."


def test_a_value_of_several_lines_may_be_indented() -> None:
    secret = "-----BEGIN KEY-----\nMIIabcdef\nghijklmnop\n-----END KEY-----"
    redactor = Redactor([secret])
    for form in (secret, secret.replace("\n", "\n  "), secret.replace("\n", "\r\n")):
        assert redactor.text(f"key: {form}.") == f"key: {REDACTED}."


def test_what_only_looks_like_a_broken_value_stays() -> None:
    redactor = Redactor(["password", "abcd", "therapists", "in\n\n\nit", "postgres://u:pw@db"])
    for text in (
        "the\nrapists",
        "a pass\nword is",
        "ab\ncd",
        "in it, init\n",
        "we use postgres\n",
        "&#97;bcd",
        "\\u0061bcd",
        "no value here:\n&amp; \\u00e9 \\n &#9999999; &#xffffff; \ud800\n",
    ):
        assert redactor.text(text) is text


@given(text=st.text(st.sampled_from("a\\nru0061&#x;9 \n\r\tlt"), max_size=60))
def test_a_plain_text_knows_where_each_part_was(text: str) -> None:
    redactor = Redactor(["aaaaaaaa", "a a a a a a a", "\\a\\a\\a\\a"])
    spans = redactor.spans(text)
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    around_it = f"{text} {TOKEN[:9]}&#{ord(TOKEN[9])};{TOKEN[10:]} {text}"
    clean = Redactor([TOKEN]).text(around_it)
    assert clean == f"{text} {REDACTED} {text}"


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
