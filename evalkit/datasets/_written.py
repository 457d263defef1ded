"""Cases as lines of a JSON Lines file that read back as the very cases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from evalkit.model import JSON, Case, ScriptedTurn

_PARTS = frozenset({"id", "expected", "context", "tags", "metadata", "inputs", "turns"})
# a fixed list: what Python knows of Unicode changes with its version
_UNSEEN = re.compile(
    "[\x7f-\xa0\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000effff]"
)


def column_of(name: str) -> str:
    """The column of an input: its own name, unless that would mean another part of a case."""
    return f"inputs.{name}" if name in _PARTS or "." in name else name


def case_row(case: Case) -> dict[str, JSON]:
    """The row of a case, without what it has not got."""
    row: dict[str, JSON] = {"id": case.name or case.id}
    row |= {column_of(name): value for name, value in case.inputs.items()}
    if case.context:
        row["context"] = list(case.context)
    if case.expected is not None:
        row["expected"] = case.expected
    if case.turns:
        # what the last answer must be stands in the case's own expectation
        *before, last = case.turns
        row["turns"] = [_turn(one) for one in (*before, replace(last, expected=None))]
    if case.tags:
        row["tags"] = dict(case.tags)
    if case.metadata:
        row["metadata"] = dict(case.metadata)
    return row


def _turn(turn: ScriptedTurn) -> JSON:
    """A turn as short as it can be written."""
    row: dict[str, JSON] = {"user": turn.user}
    if turn.expected is not None:
        row["expected"] = turn.expected
    if turn.metadata:
        row["metadata"] = dict(turn.metadata)
    return turn.user if len(row) == 1 else row


def line_of(row: Mapping[str, JSON]) -> str:
    """The row as a line, the same bytes for the same row; what cannot be seen is escaped.

    A reviewer reads this in a diff, so that letters of all languages stay what they are.
    """
    text = json.dumps(row, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n"
