"""The scripted turns of a conversation, from the value of one column."""

from __future__ import annotations

from evalkit.datasets._empty import EMPTY, is_blank, meant_empty
from evalkit.datasets._rows import BadValue, parse_json, shown
from evalkit.errors import suggestion
from evalkit.model import JSON, ScriptedTurn

_FORM = 'write ["first message", "second message"], or {"user": "…", "expected": "…"} for each'
_KEYS = ("user", "expected", "metadata")


def turns_of(value: JSON, column: str) -> tuple[ScriptedTurn, ...]:
    """The turns that a list of texts and objects says, or JSON text of one; none of an empty cell.

    Raises ``BadValue``.
    """
    if isinstance(value, str) and value.strip():
        value = _parsed(value, column)
    elif value is None or isinstance(value, str):
        return ()
    if not isinstance(value, list):
        raise BadValue(
            f"column {column!r} must be a list of turns, not {shown(value)}",
            f"{_FORM}; a column of another meaning is mapped as an input:"
            f" columns: {{inputs.{column}: {column}}}",
        )
    if not value:
        raise BadValue(
            f"column {column!r} has no turn",
            "write what the user says, or leave the column out of this row",
        )
    return tuple(_turn(one, number, column) for number, one in enumerate(value, start=1))


def _parsed(text: str, column: str) -> JSON:
    try:
        found: JSON = parse_json(text)
    except (ValueError, RecursionError):
        raise BadValue(
            f"column {column!r} must be a list of turns as JSON, not {shown(text)}", _FORM
        ) from None
    return found


def _turn(value: JSON, number: int, column: str) -> ScriptedTurn:
    where = f"column {column!r}, turn {number}"
    if isinstance(value, str):
        return ScriptedTurn(user=_user(value, where))
    if not isinstance(value, dict):
        raise BadValue(f"{where} must be a text or an object, not {shown(value)}", _FORM)
    # a table has every field in every row
    given = {key: one for key, one in value.items() if one is not None}
    for key in given:
        if key not in _KEYS:
            hint = _FORM if key in {"role", "content"} else suggestion(key, _KEYS)
            raise BadValue(f"{where} has an unknown key {key!r}", hint)
    if "user" not in given:
        raise BadValue(f"{where} has no 'user', the text of what is said", _FORM)
    metadata = given.get("metadata", {})
    if not isinstance(metadata, dict):
        raise BadValue(
            f"{where}: 'metadata' must be an object, not {shown(metadata)}",
            'as in {"user": "…", "metadata": {"secret": "…"}}',
        )
    user = given["user"]
    return ScriptedTurn(
        user=_user(user, where, empty=meant_empty(metadata, [user], f"{where}: ")),
        expected=_expected(given.get("expected")),
        metadata=metadata,
    )


def _user(value: JSON, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise BadValue(f"{where}: 'user' must be a text, not {shown(value)}", _FORM)
    if not empty and is_blank(value):
        raise BadValue(
            f"{where} says nothing",
            "write what the user says, or remove the turn; if nothing is to be said, say so:"
            f' {{"user": "", "metadata": {{"{EMPTY}": true}}}}',
        )
    return value


def _expected(value: JSON) -> JSON:
    return None if is_blank(value) or value == [] else value
