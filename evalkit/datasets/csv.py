"""Rows of a CSV file by RFC 4180: a header, quotes, every value a text exactly as written."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from evalkit.datasets._files import open_bytes, text_lines
from evalkit.datasets._rows import MAX_ROW_BYTES, Row
from evalkit.errors import DatasetError, Position
from evalkit.model import JSON
from evalkit.registry import dataset


@dataset(name="csv", suffixes=(".csv", ".tsv"), version=1)
def read_csv(source: str, *, delimiter: str | None = None) -> Iterator[Row]:
    """Rows of a CSV file: a header line, fields quoted with ``"`` where they must be.

    ``delimiter`` is one character, by default ``,`` and in a ``.tsv`` file a tab. Every value is
    the text as written: ``00123``, ``NA`` and dates stay what they are. A row with more or fewer
    fields than the header is an error of that row. Raises ``DatasetError`` for a missing or
    ambiguous header, an open quote, and bytes that are not UTF-8.
    """
    path = Path(source)
    if delimiter is None:
        delimiter = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise DatasetError(
            f"the delimiter must be one character, not {delimiter!r}",
            where=path,
            hint="use ',' or ';' or '\\t' or '|'",
        )
    # The limit of the csv module is one number for the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
    with open_bytes(path) as file:
        yield from _rows(file, path, delimiter)


def _rows(file: BinaryIO, path: Path, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(_checked(file, path), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    width = 0
    blank: list[int] = []
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(error, path, line, reader.line_num) from error
        if header is None:
            if fields:
                header, width = fields, len(fields)
                _check_header(header, delimiter, path, line)
            continue
        if not fields:
            blank.append(line)
            continue
        # Blank lines at the end of a file are no rows; between rows they are.
        for one in blank:
            yield one, {}
        blank.clear()
        if len(fields) != width:
            yield line, _wrong_width(fields, header, path, line)
        else:
            row: dict[str, JSON] = dict(zip(header, fields, strict=True))
            yield line, row


def _checked(file: BinaryIO, path: Path) -> Iterator[str]:
    for number, text in text_lines(file, path):
        if isinstance(text, DatasetError):
            # A bad byte may hide a quote, so where the next row starts is not known.
            raise text
        if "\0" in text:
            raise DatasetError(
                f"line {number} holds a NUL character",
                where=Position(path, number, text.index("\0") + 1),
                hint="the file is damaged or not text; save it as UTF-8",
            )
        yield text


def _check_header(header: list[str], delimiter: str, path: Path, line: int) -> None:
    where = Position(path, line)
    if len(header) == 1:
        other = next((one for one in ";\t|," if one != delimiter and one in header[0]), None)
        if other:
            raise DatasetError(
                f"the header is one column {header[0]!r} with the delimiter {delimiter!r}",
                where=where,
                hint=f"set options: {{delimiter: {other!r}}}",
            )
    seen: dict[str, int] = {}
    for index, name in enumerate(header, 1):
        if not name.strip():
            raise DatasetError(
                f"column {index} of the header has no name",
                where=where,
                hint="the first line names every column",
            )
        if name in seen:
            raise DatasetError(
                f"the header names {name!r} twice, as columns {seen[name]} and {index}",
                where=where,
                hint="rename one of them",
            )
        seen[name] = index


def _wrong_width(fields: list[str], header: list[str], path: Path, line: int) -> DatasetError:
    have, want = len(fields), len(header)
    return DatasetError(
        f"the row on line {line} has {have} {'field' if have == 1 else 'fields'}, "
        f"the header has {want}",
        where=Position(path, line),
        hint=(
            f"the value for {header[have]!r} is missing"
            if have < want
            else "put quotes around a value that holds the delimiter"
        ),
    )


def _broken(error: csv.Error, path: Path, line: int, last: int) -> DatasetError:
    message = str(error)
    if "unexpected end of data" in message or "field larger" in message:
        return DatasetError(
            f"the row on line {line} opens a quote that is never closed",
            where=Position(path, line),
            hint='close it, and write a quote inside a quoted value as ""',
        )
    if "new-line character" in message:
        return DatasetError(
            f"line {line} ends in a carriage return alone",
            where=Position(path, line),
            hint="save the file with LF or CRLF line endings",
        )
    return DatasetError(
        f"line {last} is not valid CSV: {message}",
        where=Position(path, last),
        hint='write a quote inside a quoted value as ""',
    )
