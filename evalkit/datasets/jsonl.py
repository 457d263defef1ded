"""Rows of a JSON file: one object a line (.jsonl, .ndjson), or one array of objects (.json)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from evalkit.datasets._files import open_bytes, refuse_utf16, text_lines
from evalkit.datasets._rows import (
    MAX_ROW_BYTES,
    Row,
    parse_json,
    parse_json_at,
    shown,
    unreadable_text,
)
from evalkit.errors import DatasetError, Position
from evalkit.registry import dataset

_CHUNK = 1 << 16
_SPACE = " \t\r\n"


@dataset(suffixes=(".jsonl", ".ndjson", ".json"), version=1)
def jsonl(source: str) -> Iterator[Row]:
    """Rows of a JSON file: one object a line, or one array of objects.

    Values stay what they are in JSON. A blank line is an empty row. A duplicate key, NaN and half a
    surrogate pair are errors of their row. Raises ``DatasetError`` where reading cannot go on.
    """
    path = Path(source)
    with open_bytes(path) as file:
        if path.name.lower().removesuffix(".gz").endswith(".json"):
            yield from _array(file, path)
        else:
            yield from _lines(file, path)


def _lines(file: BinaryIO, path: Path) -> Iterator[Row]:
    blank: list[int] = []
    for number, text in text_lines(file, path):
        if isinstance(text, DatasetError):
            yield number, text
            continue
        if text.isspace():
            blank.append(number)
            continue
        # Blank lines at the end of a file are no rows; between rows they are.
        for one in blank:
            yield one, {}
        blank.clear()
        try:
            value = parse_json(text)
        except RecursionError:
            yield number, _too_deep(path, number)
            continue
        except ValueError as error:
            yield number, _broken(error, text, path, number)
            continue
        if not isinstance(value, dict):
            yield number, _not_an_object(value, path, number)
            continue
        reason = unreadable_text(text, value)
        yield number, value if not reason else _unreadable(reason, path, number)


def _array(file: BinaryIO, path: Path) -> Iterator[Row]:
    text = _Growing(file, path)
    text.skip_space()
    if text.peek() != "[":
        raise DatasetError(
            "the file does not hold a JSON array of objects",
            where=text.position(),
            hint="start it with '[', or name a file of one object a line .jsonl",
        )
    text.take(1)
    first = True
    while True:
        text.skip_space()
        if text.peek() == "]":
            text.take(1)
            break
        if not first:
            if text.peek() != ",":
                raise text.error("the array goes on without ','", "put ',' between two objects")
            text.take(1)
            text.skip_space()
        first = False
        number = text.line
        start = text.start
        value = text.value()
        if not isinstance(value, dict):
            yield number, _not_an_object(value, path, number)
        else:
            reason = unreadable_text(text.buffer[start : text.start], value)
            yield number, value if not reason else _unreadable(reason, path, number)
        text.drop()
    text.skip_space()
    if text.peek():
        raise text.error("text after the end of the array", "one file holds one array")


class _Growing:
    """The part of a text file that is being parsed; grows as needed and forgets what is done."""

    def __init__(self, file: BinaryIO, path: Path):
        self._file = file
        self._path = path
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._ended = False
        self._read = 0
        self.buffer = ""
        self.start = 0
        self.line = 1
        self._column = 1

    def position(self) -> Position:
        return Position(self._path, self.line, self._column)

    def error(self, what: str, hint: str) -> DatasetError:
        return DatasetError(what, where=self.position(), hint=hint)

    def peek(self) -> str:
        while self.start >= len(self.buffer) and self._grow():
            pass
        return self.buffer[self.start : self.start + 1]

    def take(self, count: int) -> None:
        """Move on over what has been read, keeping line and column."""
        end = self.start + count
        breaks = self.buffer.count("\n", self.start, end)
        if breaks:
            self.line += breaks
            self._column = end - self.buffer.rfind("\n", self.start, end)
        else:
            self._column += count
        self.start = end

    def skip_space(self) -> None:
        while (one := self.peek()) and one in _SPACE:
            end = self.start
            while end < len(self.buffer) and self.buffer[end] in _SPACE:
                end += 1
            self.take(end - self.start)

    def value(self) -> object:
        """The JSON value that starts here; raises ``DatasetError``."""
        while True:
            try:
                value, end = parse_json_at(self.buffer, self.start)
            except RecursionError:
                raise _too_deep(self._path, self.line) from None
            except json.JSONDecodeError as error:
                if self._cut_off(error) and self._grow():
                    continue
                self.take(error.pos - self.start)
                at_end = self.start >= len(self.buffer)
                raise self.error(
                    f"not valid JSON: {_lower(error.msg)}",
                    "the file ends too early" if at_end else _json_hint(self.buffer, self.start),
                ) from error
            except ValueError as error:
                raise self.error(f"not valid JSON: {error}", "correct this object") from error
            self.take(end - self.start)
            return value

    def drop(self) -> None:
        self.buffer = self.buffer[self.start :]
        self.start = 0

    def _cut_off(self, error: json.JSONDecodeError) -> bool:
        # A value cut by the end of the buffer fails within its last token: a string that is open,
        # or a number, word or escape shorter than this.
        return error.msg.startswith("Unterminated string") or error.pos > len(self.buffer) - 16

    def _grow(self) -> bool:
        if self._ended:
            return False
        if len(self.buffer) - self.start > MAX_ROW_BYTES:
            raise self.error(
                f"one value is longer than {MAX_ROW_BYTES >> 20} MB", "split it into objects"
            )
        # Doubling keeps the parsing of one long value linear.
        chunk = self._file.read(max(_CHUNK, len(self.buffer) - self.start))
        if not self._read:
            refuse_utf16(chunk, self._path)
        self._ended = not chunk
        try:
            self.buffer += self._decode.decode(chunk, final=self._ended)
        except UnicodeDecodeError as error:
            good = bytes(error.object[: error.start])
            offset = self._read + len(chunk) - len(error.object) + error.start
            text = self.buffer[self.start :] + good.decode()
            line = self.line + text.count("\n")
            row_end = len(text) - (text.rfind("\n") + 1)
            column = row_end + (self._column if line == self.line else 1)
            raise DatasetError(
                f"line {line} is not UTF-8: byte 0x{error.object[error.start]:02X} "
                f"at byte offset {offset}",
                where=Position(self._path, line, column),
                hint="save the file as UTF-8",
            ) from error
        self._read += len(chunk)
        return True


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _broken(error: ValueError, text: str, path: Path, number: int) -> DatasetError:
    if not isinstance(error, json.JSONDecodeError):
        reason = str(error).partition(";")[0]
        return DatasetError(
            f"line {number} is not valid JSON: {reason}",
            where=Position(path, number),
            hint="correct the line; missing numbers are null",
        )
    if text.startswith("version https://git-lfs"):
        return DatasetError(
            "the file is a Git LFS pointer, not the data", where=path, hint="run 'git lfs pull'"
        )
    if number == 1 and text.strip() in {"{", "["}:
        hint = "write one object a line, or name a file that holds one JSON array .json"
    else:
        hint = _json_hint(text, error.pos)
    return DatasetError(
        f"line {number} is not valid JSON: {_lower(error.msg)}",
        where=Position(path, number, error.colno),
        hint=hint,
    )


def _json_hint(text: str, index: int) -> str:
    at = text[index : index + 1]
    before = text[:index].rstrip()[-1:]
    if at in {"\n", "\r"}:
        return "the line ends inside a text; write a line break as \\n"
    if at == "'":
        return "JSON texts stand in double quotes"
    # older Pythons point behind the comma, newer ones at it
    after = text[index + 1 :].lstrip()[:1]
    if (at in {"}", "]"} and before == ",") or (at == "," and after in {"}", "]"}):
        return "remove the ',' before the closing bracket"
    if at == "\0":
        return "remove the NUL character, or write it as \\u0000"
    if not text[index:].strip():
        return "the line ends too early; write every row on one line"
    if text[index : index + 4] in {"True", "None"} or text[index : index + 5] == "False":
        return "JSON writes true, false and null"
    return f"look at {shown(text[max(0, index - 10) : index + 20])}"


def _not_an_object(value: object, path: Path, number: int) -> DatasetError:
    return DatasetError(
        f"line {number} is not an object but {shown(value)}",
        where=Position(path, number),
        hint='write each row as {"column": value, ...}',
    )


def _too_deep(path: Path, number: int) -> DatasetError:
    return DatasetError(
        f"line {number} is nested too deeply",
        where=Position(path, number),
        hint="rows are objects of a few levels",
    )


def _unreadable(reason: str, path: Path, number: int) -> DatasetError:
    return DatasetError(
        f"line {number}: {reason}",
        where=Position(path, number),
        hint="write both halves, or the character itself",
    )
