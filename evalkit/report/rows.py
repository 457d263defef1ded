"""Rows of a query as a table for people, and as CSV and JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from evalkit.report import words
from evalkit.report.screen import GAP, Column, Screen, fits, grid, labelled
from evalkit.spreadsheets import disarmed

if TYPE_CHECKING:
    import pyarrow as pa

NULL = "NULL"
SHOWN = 1_000
"""Rows that a table on the screen has at most; CSV, JSON and Parquet have all."""
LEAST, WRAPPED = 24, 4
"""Columns that the last text of a row must have to wrap beside the others, and its lines."""
TEXT = 60
"""Characters of a text in a table; a row that does not fit is shown field by field instead."""


def unique_names(table: pa.Table) -> pa.Table:
    """The table with a number behind every name that was there before: ``a``, ``a_1``."""
    seen: set[str] = set()
    names = []
    for name in table.column_names:
        unique, number = name, 0
        while unique in seen:
            number += 1
            unique = f"{name}_{number}"
        seen.add(unique)
        names.append(unique)
    return table.rename_columns(names)


def plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows with values that JSON has: instants as ISO 8601, NaN and infinities as text."""
    import pyarrow as pa

    maps = {one.name for one in table.schema if pa.types.is_map(one.type)}
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield {
                name: _plain(dict(value) if name in maps and value is not None else value)
                for name, value in row.items()
            }


def _json_columns(table: pa.Table) -> set[str]:
    """The columns that the store's query marked as JSON; Arrow itself has them as text."""
    return {one.name for one in table.schema if (one.metadata or {}).get(b"duckdb_type") == b"JSON"}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def json_text(table: pa.Table) -> Iterator[str]:
    """A JSON list of objects, an object a line."""
    first = True
    parsed = _json_columns(table)
    for row in plain_rows(table):
        for name in parsed:
            if row[name] is not None:
                row[name] = json.loads(row[name])
        yield ("[" if first else ",\n ") + json.dumps(row, ensure_ascii=False)
        first = False
    yield "[]\n" if first else "]\n"


def csv_text(table: pa.Table) -> Iterator[str]:
    """CSV (RFC 4180) with a header; NULL is an empty field, an empty text is ``""``.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    yield _csv_line(table.column_names)
    for row in plain_rows(table):
        yield _csv_line(row.values())


def _csv_line(values: Iterable[Any]) -> str:
    return ",".join(map(_csv_field, values)) + "\r\n"


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = disarmed(text)
    if not text or any(one in text for one in '",\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def table_text(table: pa.Table, screen: Screen) -> str:
    """The rows for a screen: side by side where they fit, else field by field.

    Numbers are whole; long texts are cut in a table and wrapped where they stand alone.
    """
    shown = list(plain_rows(table.slice(0, SHOWN)))
    columns = [_column(name, [row[name] for row in shown]) for name in table.column_names]
    if fits(columns, screen.width):
        return screen.render([grid(columns, screen)])
    *others, last = [
        _column(name, [row[name] for row in shown], LEAST) for name in table.column_names
    ]
    room = screen.width - sum(one.width + GAP for one in others)
    if others and not last.right and room >= LEAST:
        # such as the comment of a column: it wraps beside the others
        whole = [_cell(row[table.column_names[-1]]) for row in shown]
        if max(map(len, whole)) <= WRAPPED * room:
            folded = replace(last, cells=whole, fold=True)
            return screen.render([grid([*others, folded], screen)])
    return _records(table.column_names, shown, screen)


def _column(name: str, values: Sequence[Any], longest: int = TEXT) -> Column:
    numeric = all(_is_number(one) for one in values if one is not None) and any(
        one is not None for one in values
    )
    return Column(
        head=words.clean(name, lines=False),
        cells=[
            words.cut(_cell(one), longest) if not _is_number(one) else _cell(one) for one in values
        ],
        right=numeric,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    if _is_number(value):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return words.clean(text, lines=False)


def _records(names: Sequence[str], rows: Sequence[dict[str, Any]], screen: Screen) -> str:
    from rich.text import Text

    indent = min(max(map(len, names)), screen.width // 3) + 2
    parts: list[Any] = []
    for number, row in enumerate(rows, 1):
        parts.append(Text(f"row {words.count(number)}", style="bold"))
        parts += [
            labelled(
                words.cut(words.clean(name, lines=False), indent - 2), _cell(row[name]), indent
            )
            for name in names
        ]
    return screen.render(parts)
