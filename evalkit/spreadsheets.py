"""Texts in CSV that a spreadsheet must not run as formulas, and the way back."""

from __future__ import annotations

import unicodedata

_FORMULA = frozenset("=+-@\t\r\n")
"""What begins a formula in a spreadsheet, also written full-width."""


def disarmed(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it.

    A text that looks like a disarmed one gets another, so that ``as_written`` gives back any text.
    """
    return f"'{text}" if _begins_formula(text.lstrip("'")) else text


def as_written(text: str) -> str:
    """The text that ``disarmed`` was given."""
    guarded = text.startswith("'") and _begins_formula(text.lstrip("'"))
    return text[1:] if guarded else text


def _begins_formula(text: str) -> bool:
    return unicodedata.normalize("NFKC", text).lstrip(" ")[:1] in _FORMULA
