"""How numbers and facts are written, in one place: rounding, units, signs, and plain ASCII.

A number has the digits that its interval deserves: two of the half-width where that begins with 1
or 2, else one. Of the value that leaves at least two significant digits where it would become 0,
and at most four. Without an interval it has three. Units and signs are typographic (``1.48 %``,
``×``, ``−``); ``plain`` turns them into ASCII.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

UNKNOWN = "unknown"
NONE = "–"
MAX_DECIMALS = 7

_ASCII = str.maketrans(
    {
        "×": "x",
        "−": "-",
        "–": "-",
        "…": "...",
        "·": "|",
        "→": "->",
        "≥": ">=",
        "≈": "~",
        "≤": "<=",
        "✓": "ok",
        "✕": "x",
        "±": "+-",
        "●": "o",
        "├": "|",
        "┤": "|",
        "─": "-",
        "“": '"',
        "”": '"',
        "▼": "-",
        "▲": "+",
        "Δ": "d",
        "│": "|",
        "┊": ":",
    }
)

_TERMINAL_SEQUENCES = re.compile(
    "\x1b(?:"
    "\\[[0-?]*[ -/]*[@-~]"  # colours, cursor, screen
    "|[\\]PX^_].*?(?:\x07|\x1b\\\\|$)"  # titles, links, device strings
    "|[ -/]*[0-~]"
    ")"
    "|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_JOINERS = {"\u200c", "\u200d"}  # Persian, Hindi and emoji need them
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_NEEDED = re.compile(
    "(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?=[^\0-\x7f\u200c\u200d])"
    f"|(?<=[^\0-\x7f{_SELECTORS}])[{_SELECTORS}](?![{_SELECTORS}])"
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"
)
"""Joiners and selectors where writing has them: one of them, between letters or behind a sign."""
_BLANK = re.compile(
    f"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c\u200d\u3164\uffa0{_SELECTORS}]"
)
"""What shows nothing, though the standard counts it among letters and marks."""
WRITTEN = 8
"""Characters of one run that are written out, when none of them can be seen."""


def plain(text: str) -> str:
    """Our own words in ASCII; never for text of others, which stays what it is."""
    return text.translate(_ASCII)


def clean(text: str, *, lines: bool = True) -> str:
    """Text of a model or a file, safe to show: it can neither steer the terminal nor hide.

    Terminal sequences, control and bidirectional characters and invisible ones are left out, lone
    surrogates become U+FFFD. With ``lines=False`` any white space becomes one space.
    """
    text = _spaced(_TERMINAL_SEQUENCES.sub("", text))
    text = "".join(map(_shown, text)) if not text.isascii() or not text.isprintable() else text
    return text if lines else " ".join(text.split())


def _spaced(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\u2028", "\n").replace("\u2029", "\n").replace("\t", "    ")


def _shown(character: str) -> str:
    if character == "\n" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category in {"Cc", "Cf"} else character


def seen(text: str, *, lines: bool = True, whole: bool = False) -> str:
    r"""Text of others as ``clean`` makes it safe, with what that leaves out written in its place.

    ``red\u{202e}``, as the page has it; of a long run the first are written, and
    how many follow. ``whole`` writes out blanks and accents of their own too: what may tell two
    texts apart that look alike.
    """
    text = text if whole else _spaced(text)
    if whole or not text.replace("\n", "").isprintable() or _BLANK.search(text):
        text = _written(text, whole=whole)
    return text if lines else " ".join(text.split())


def _written(text: str, *, whole: bool) -> str:
    needed = {one.start() for one in _NEEDED.finditer(text)}
    inside = range(len(text) - len(text.lstrip()), len(text.rstrip()))
    found: list[str] = []
    run = 0
    for place, one in enumerate(text):
        written = _BLANK.match(one) or (one != "\n" and _shown(one) != one)
        if whole:
            written = written or place not in inside or _odd(text[place : place + 2])
        elif place in needed:
            written = False
        if not written:
            found += [_more(run), one]
            run = 0
            continue
        run += 1
        if run <= WRITTEN:
            found.append(f"\\u{{{ord(one):x}}}")
    return "".join([*found, _more(run)])


def _more(run: int) -> str:
    return f"[{count(run - WRITTEN)} more that cannot be seen]" if run > WRITTEN else ""


def _odd(pair: str) -> bool:
    """Whether another character than the first, or none, looks the same before the second."""
    one = pair[0]
    if one.isspace():
        return one not in " \n" or pair == " \n"
    return unicodedata.combining(one) > 0 or unicodedata.normalize("NFC", one) != one


def alike(one: str, two: str) -> bool:
    """Whether two texts differ in nothing that a reader sees."""
    return _bare(one) == _bare(two)


def _bare(text: str) -> str:
    return unicodedata.normalize("NFC", _BLANK.sub("", clean(text, lines=False)))


def apart(old: str, new: str) -> tuple[str, str]:
    """Two texts as ``seen``, with all that tells them apart where they look alike."""
    whole = alike(old, new)
    return seen(old, whole=whole), seen(new, whole=whole)


def quoted(text: str) -> str:
    """A text that shows; one of blanks in quotes: an empty question is one that was asked."""
    return text if text.strip() else json.dumps(text)


def answered(text: str, calls: Iterable[str]) -> str:
    """An answer with its tool calls, a line each."""
    return "\n".join([*([text] if text else []), *(f"tool call: {one}" for one in calls)])


def cut(text: str, length: int) -> str:
    """At most ``length`` characters, the last an ellipsis when something is missing."""
    return text if len(text) <= length else text[: max(0, length - 1)].rstrip() + "…"


def decimals(value: float, low: float | None = None, high: float | None = None) -> int:
    """How many decimals a value deserves beside its interval."""
    ends = [one for one in (low, high) if one is not None]
    half = max((abs(one - value) for one in ends), default=0.0)
    if half > 0:
        leading, exponent = _scientific(half)
        places = -exponent + (1 if leading < 3 else 0)
        if value and _scientific(value)[1] < -max(0, places):
            # beside a wide interval a small value is still not nothing
            places = 1 - _scientific(value)[1]
        elif value:
            # a very narrow interval deserves no more than four significant digits
            places = min(places, 3 - _scientific(value)[1])
    elif value:
        places = 2 - _scientific(value)[1]
    else:
        places = 0
    return min(MAX_DECIMALS, max(0, places))


def _scientific(value: float) -> tuple[float, int]:
    # by its digits, not by a logarithm: that is one off near powers of ten and fails near zero
    mantissa, _, exponent = f"{abs(value):.15e}".partition("e")
    return float(mantissa), int(exponent)


def number(value: float, places: int | None = None) -> str:
    """A number with so many decimals, thousands apart, and a real minus."""
    text = f"{value:,.{decimals(value) if places is None else places}f}"
    if text.startswith("-"):
        return text[1:] if not text.strip("-0.,") else f"−{text[1:]}"
    return text


def score(value: float) -> str:
    """A score of a case: its hundredths, and of a small one two significant digits."""
    return number(value, max(2, decimals(value) - 1) if abs(value) < 0.1 else 2)


def count(value: int) -> str:
    """A whole number, thousands apart."""
    return f"{value:,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def _scaled(unit: str, value: float) -> tuple[float, str, str]:
    """The factor, what stands before and what behind a value of this unit."""
    if unit == "%":
        return 100.0, "", " %"
    if unit == "s":
        return (1000.0, "", " ms") if abs(value) < 1 else (1.0, "", " s")
    if unit == "USD":
        return 1.0, "$", ""
    return 1.0, "", ""


def quantity(
    value: float | None, unit: str = "", *, low: float | None = None, high: float | None = None
) -> str:
    """A value with its unit, rounded as its interval deserves.

    ``unit`` is ``%`` for a share of one, ``s``, ``USD``, or another word, which is left out.
    """
    if value is None:
        return NONE
    if unit == "s" and low is None and high is None and value >= 120:
        return duration(value)
    factor, before, behind = _scaled(unit, value)
    text = number(value * factor, _places(value, low, high, factor, unit))
    return f"−{before}{text[1:]}{behind}" if text.startswith("−") else f"{before}{text}{behind}"


def interval(value: float | None, unit: str, low: float | None, high: float | None) -> str:
    """The interval of a value in the unit that ``quantity`` shows; empty when there is none."""
    if value is None or (low is None and high is None):
        return ""
    factor, _, _ = _scaled(unit, value)
    places = _places(value, low, high, factor, unit)
    ends = [NONE if one is None else number(one * factor, places) for one in (low, high)]
    return f"[{ends[0]}, {ends[1]}]"


def _places(value: float, low: float | None, high: float | None, factor: float, unit: str) -> int:
    scaled = [None if one is None else one * factor for one in (low, high)]
    places = decimals(value * factor, *scaled)
    if not unit and abs(value) <= 1 and (low is not None or high is not None):
        return max(2, places)  # scores of one are compared by their hundredths
    if unit == "USD" and not value:
        return 2
    if unit == "USD":
        # cents are not halved: two decimals, or as many as the first significant digit needs
        first = -_scientific(value)[1]
        return min(MAX_DECIMALS, max(2, min(places, first + 2)))
    return places


def money(value: float | None) -> str:
    """US dollars, ``unknown`` when there is no price."""
    return UNKNOWN if value is None else quantity(value, "USD")


def duration(seconds: float) -> str:
    """A time people wait: ``340 ms``, ``12.3 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds < 1:
        ms = seconds * 1000
        return f"{number(ms, 0 if ms >= 9.95 else min(MAX_DECIMALS, decimals(ms)))} ms"
    if seconds < 60:
        return f"{number(seconds, 0 if seconds >= 9.95 else 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def instant(when: datetime) -> str:
    """A moment in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def commit(hash_: str | None, branch: str | None = None, *, dirty: bool = False) -> str:
    """``main@a1b2c3d``, with ``*`` when files differed from it; empty without a commit."""
    if not hash_:
        return ""
    return f"{branch + '@' if branch else ''}{hash_[:7]}{'*' if dirty else ''}"


def typed(name: str | None, case_id: str) -> str:
    """A case as a command names it: by its name where that is one plain word, else by its id.

    The command is made to be copied into a shell: a name from a file must be only a name.
    """
    plain_word = name and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./:-]*", name)
    return name if name and plain_word else case_id


def tally(counts: Mapping[str, int]) -> str:
    """``timeout 3, server 1``: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count(times)}" for name, times in ordered)
