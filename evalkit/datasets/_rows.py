"""What a reader yields, and how the text of a source becomes JSON values without surprises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from evalkit.errors import DatasetError

# Values are JSON; the recursive alias itself would keep plugin parameters from being resolved.
Row: TypeAlias = tuple[int, dict[str, Any] | DatasetError]
"""A line or row number with the row's columns, or with the reason why the row has none.

An error as a value lets a reader go on, so that every bad row of a file is counted at once; an
error raised ends the reading.
"""

MAX_ROW_BYTES = 64 << 20
"""The longest row read into memory; beyond it the file is not what its name says."""


class BadValue(ValueError):
    """A value that cannot fill its part of a case: what is wrong, and what to do."""

    def __init__(self, what: str, hint: str):
        super().__init__(what)
        self.what = what
        self.hint = hint


class NotJSON(ValueError):
    """Text that a lenient JSON parser would take, and that would not come back as written."""


def _one_key_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NotJSON(f"the key {twice!r} stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise NotJSON(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_one_key_each, parse_constant=_no_constant)

parse_json: Callable[[str], Any] = _decoder.decode
"""A JSON value from text; every fault is a ``ValueError``, duplicate keys and NaN ``NotJSON``."""

parse_json_at: Callable[[str, int], tuple[Any, int]] = _decoder.raw_decode
"""The JSON value that starts at an index, and the index after it."""


def unreadable_text(text: str, value: object) -> str:
    r"""Why a parsed JSON value holds text that no file or store can hold, or nothing.

    A ``\ud83d`` escape without its other half parses, and then breaks the first writer it meets.
    """
    if "\\ud" not in text and "\\uD" not in text:
        return ""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        return f"\\u{code:04x} is half of a surrogate pair, not a character"
    except RecursionError:
        return "the value is nested too deeply"
    return ""


def shown(value: object, limit: int = 60) -> str:
    """A value as an error quotes it: ``repr``, cut to a readable length."""
    if isinstance(value, str) and len(value) > limit:
        return repr(value[:limit]) + "…"
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
