"""Tool calls, expected and made, and whether one is the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from evalkit.cards import Measured, ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, ToolCall
from evalkit.scorers._json_compare import JsonCompare, plain_json
from evalkit.scorers._text import parse_json

Arguments: TypeAlias = Literal["exact", "subset", "ignore"]
MOST = 200
"""Calls that are compared on each side; more is unscored."""


def tools_card(*blind: str, measured: Callable[[], Sequence[Measured]] = lambda: ()) -> ScorerCard:
    """The card of a scorer of tool calls."""
    return ScorerCard(
        family="tools",
        blind=(*blind, "calls that the target does not report (tool_calls of its answer)"),
        measured=measured,
    )


class Wanted(NamedTuple):
    """One call that is expected; ``arguments`` is nothing when any will do."""

    name: str
    arguments: Mapping[str, Any] | None


def wanted_calls(case: Case, field: str) -> list[Wanted]:
    """The calls a case expects: in its metadata under ``field``, or else as what is expected.

    Each is a name, or ``{name: ..., arguments: {...}}``. Raises ``Unscorable`` for anything else.
    """
    found: Any = case.metadata.get(field, case.expected)
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise Unscorable(f"the case lists no expected calls (metadata.{field}, or expected)")
    if len(found) > MOST:
        raise Unscorable(f"more than {MOST} calls to compare")
    return [_wanted(one) for one in found]


def _wanted(one: Any) -> Wanted:
    if isinstance(one, str):
        return Wanted(one, None)
    if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
        raise Unscorable("an expected call is a name, or {name: ..., arguments: {...}}")
    arguments = one.get("arguments")
    if arguments is not None and not isinstance(arguments, Mapping):
        raise Unscorable(f"the arguments of the expected call {one['name'][:60]!r} are no mapping")
    return Wanted(one["name"], arguments)


def mismatch(call: ToolCall, wanted: Wanted, arguments: Arguments) -> str | None:
    """Why a call is not the expected one, ``""`` when only its name differs, nothing when it is."""
    if call.name != wanted.name:
        return ""
    if wanted.arguments is None or arguments == "ignore":
        return None
    try:
        given = plain_json(parse_json(call.arguments or "{}"), frozenset())
        expected = plain_json(dict(wanted.arguments), frozenset())
        if not isinstance(given, dict) or not isinstance(expected, dict):
            return f"{call.name}: its arguments are no JSON object"
        if arguments == "subset":
            given = {key: value for key, value in given.items() if key in expected}
        where = JsonCompare(ignore_order=False, tolerance=0.0).difference(given, expected, "")
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "nested too deeply"
        return f"{call.name}: its arguments are {said}"
    return None if where is None else f"{call.name}: {where}"
