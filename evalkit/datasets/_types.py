"""Declared column types: text becomes a number or JSON only where the project says so."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from evalkit.datasets._rows import parse_json, unreadable_text
from evalkit.model import JSON

Convert: TypeAlias = Callable[[JSON], JSON]
"""Takes a value as read, gives the declared one; ``ValueError`` says what was wanted instead."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _integer(value: JSON) -> JSON:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _INTEGER.fullmatch(text):
            return int(text)
    elif isinstance(value, bool):
        pass
    elif value is None or isinstance(value, int):
        return value
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError("an integer")


def _number(value: JSON) -> JSON:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ValueError("a number")


def _boolean(value: JSON) -> JSON:
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        if text in {"true", "false"}:
            return text == "true"
    elif value is None or isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _json(value: JSON) -> JSON:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        parsed: JSON = parse_json(value)
    except RecursionError:
        raise ValueError("JSON of a few levels") from None
    except ValueError as error:
        raise ValueError(f"JSON ({error})") from None
    reason = unreadable_text(value, parsed)
    if reason:
        raise ValueError(f"JSON without broken characters ({reason})")
    return parsed


def _text(value: JSON) -> JSON:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


CONVERT: Mapping[str, Convert] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
}
"""How a value becomes its declared type; an empty text is no value for every type but text."""
