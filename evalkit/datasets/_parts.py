"""The parts of a case, and how one value of a row fills one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from evalkit.datasets._empty import is_blank
from evalkit.datasets._rows import BadValue, shown
from evalkit.datasets._turns import turns_of
from evalkit.model import JSON, ScriptedTurn


class Part(Enum):
    """A part of a case that a column can fill."""

    ID = auto()
    EXPECTED = auto()
    CONTEXT = auto()
    TAGS = auto()
    METADATA = auto()
    INPUTS = auto()
    INPUT = auto()
    TAG = auto()
    METADATUM = auto()
    TURNS = auto()


@dataclass(slots=True)
class Parts:
    """What one row says of a case, before it has an identity."""

    inputs: dict[str, JSON] = field(default_factory=dict)
    expected: JSON = None
    context: Sequence[str] = ()
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, JSON] = field(default_factory=dict)
    name: str | None = None
    empty_expected: bool = False
    turns: tuple[ScriptedTurn, ...] = ()


Fill: TypeAlias = Callable[[Parts, str, str, JSON], None]
"""Puts a value into parts: the name within the part, the column it came from, the value."""


def _fill_input(found: Parts, name: str, _: str, value: JSON) -> None:
    found.inputs[name] = value


def _fill_inputs(found: Parts, _: str, column: str, value: JSON) -> None:
    found.inputs.update(_object(value, column, "inputs"))


def _fill_expected(found: Parts, _: str, __: str, value: JSON) -> None:
    found.expected, found.empty_expected = _expected(value)


def _fill_context(found: Parts, _: str, column: str, value: JSON) -> None:
    found.context = _context(value, column)


def _fill_id(found: Parts, _: str, column: str, value: JSON) -> None:
    found.name = _name(value, column)


def _fill_tags(found: Parts, _: str, column: str, value: JSON) -> None:
    found.tags.update(_tags(value, column))


def _fill_tag(found: Parts, name: str, column: str, value: JSON) -> None:
    text = _tag(value, column)
    if text is not None:
        found.tags[name] = text


def _fill_metadata(found: Parts, _: str, column: str, value: JSON) -> None:
    found.metadata.update(_object(value, column, "metadata"))


def _fill_metadatum(found: Parts, name: str, _: str, value: JSON) -> None:
    found.metadata[name] = value


def _fill_turns(found: Parts, _: str, column: str, value: JSON) -> None:
    found.turns = turns_of(value, column)


FILL: Mapping[Part, Fill] = {
    Part.ID: _fill_id,
    Part.EXPECTED: _fill_expected,
    Part.CONTEXT: _fill_context,
    Part.TAGS: _fill_tags,
    Part.METADATA: _fill_metadata,
    Part.INPUTS: _fill_inputs,
    Part.INPUT: _fill_input,
    Part.TAG: _fill_tag,
    Part.METADATUM: _fill_metadatum,
    Part.TURNS: _fill_turns,
}
"""How each part takes a value; raises ``BadValue``."""


def _object(value: JSON, column: str, which: str) -> dict[str, JSON]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise BadValue(
        f"column {column!r} must be an object of {which}, not {shown(value)}",
        f"map {which}.<name> to a column, or declare types: {{{column}: json}}",
    )


def _expected(value: JSON) -> tuple[JSON, bool]:
    if is_blank(value):
        return None, True
    if isinstance(value, list):
        if not value:
            return None, True
        return value, any(map(is_blank, value))
    return value, False


def _context(value: JSON, column: str) -> Sequence[str]:
    if isinstance(value, str):
        return (value,) if value else ()
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [str(one) for one in value]
    raise BadValue(
        f"column {column!r} must be a text or a list of texts, not {shown(value)}",
        f"map context to the text inside, such as '{column}.text'"
        if isinstance(value, list | dict)
        else f"declare types: {{{column}: text}}",
    )


def _name(value: JSON, column: str) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadValue(
        f"column {column!r} names the case and must be a text, not {shown(value)}",
        "write the id as a text",
    )


def _tag(value: JSON, column: str) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    raise BadValue(
        f"column {column!r}: a tag must be a text, not {shown(value)}",
        "keep lists and objects in metadata",
    )


def _tags(value: JSON, column: str) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict):
        texts = {key: _tag(one, f"{column}.{key}") for key, one in value.items()}
        return {key: one for key, one in texts.items() if one is not None}
    words: Sequence[JSON] = value.split(",") if isinstance(value, str) else ()
    if isinstance(value, list):
        words = value
    elif not isinstance(value, str):
        raise BadValue(
            f"column {column!r} must be tags, not {shown(value)}",
            'write {"lang": "es"}, or a list such as ["lang:es", "urgent"]',
        )
    found = {}
    for one in words:
        if not isinstance(one, str):
            raise BadValue(
                f"column {column!r}: a tag must be a text, not {shown(one)}",
                'write {"lang": "es"}, or a list such as ["lang:es", "urgent"]',
            )
        key, colon, text = one.strip().partition(":")
        if key.strip():
            found[key.strip()] = text.strip() if colon else "yes"
    return found
