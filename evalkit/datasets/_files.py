"""Files of rows: found or explained, plain or gzipped, strict UTF-8 with positions."""

from __future__ import annotations

import difflib
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from evalkit.datasets._rows import MAX_ROW_BYTES
from evalkit.errors import DatasetError, Position

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def check_file(path: Path) -> None:
    """Explain a path that is not a readable file; raises ``DatasetError``."""
    if path.is_file():
        return
    if path.is_dir():
        names = sorted(one.name for one in path.iterdir() if one.is_file())[:3]
        raise DatasetError(
            "the dataset is a folder, not a file",
            where=path,
            hint=(
                f"name one file of it, such as {names[0]!r}, or use 'huggingface:' for a folder"
                if names
                else "name a .jsonl, .csv or .parquet file"
            ),
        )
    if path.exists():
        raise DatasetError("the dataset is not a regular file", where=path, hint="copy it to one")
    raise DatasetError("no such dataset file", where=path, hint=_nearest_file(path))


def _nearest_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return f"the folder {str(path.parent)!r} does not exist; the nearest is {str(folder)!r}"
    names = sorted(one.name for one in folder.iterdir() if one.is_file())
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if not near:
        near = [one for one in names if one.partition(".")[0] == path.name.partition(".")[0]]
    if near:
        return f"did you mean {near[0]!r}?"
    return f"in that folder: {', '.join(names[:8])}" if names else "that folder holds no file"


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked when it ends in ``.gz``; raises ``DatasetError``."""
    check_file(path)
    try:
        with path.open("rb") as raw:
            if path.suffix.lower() == ".gz":
                with gzip.open(raw) as unpacked:
                    yield cast("BinaryIO", unpacked)
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(
            f"not a whole gzip file: {error}", where=path, hint="compress the file again"
        ) from error
    except OSError as error:
        raise DatasetError(
            f"the dataset cannot be read: {error.strerror or error}",
            where=path,
            hint="check the file's permissions",
        ) from error


def text_lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, str | DatasetError]]:
    r"""Every line with its number from 1 and its line ending; lines end at ``\n`` only.

    A line that is not UTF-8 comes as the error that names its byte. A byte order mark at the start
    is dropped. Raises ``DatasetError`` for UTF-16 and for a line of more than 64 MB.
    """
    offset = 0
    for number, raw in enumerate(iter(lambda: file.readline(MAX_ROW_BYTES + 1), b""), 1):
        size = len(raw)
        if size > MAX_ROW_BYTES:
            raise DatasetError(
                f"line {number} is longer than {MAX_ROW_BYTES >> 20} MB",
                where=Position(path, number),
                hint="write one row to a line",
            )
        text = raw
        if number == 1:
            refuse_utf16(raw, path)
            text = raw.removeprefix(_BOM)
        try:
            yield number, text.decode()
        except UnicodeDecodeError as error:
            start = offset + size - len(text) + error.start
            yield number, bad_byte(text, error.start, start, path, number)
        offset += size


def refuse_utf16(start: bytes, path: Path) -> None:
    """Raise the ``DatasetError`` for a file that starts as UTF-16."""
    if start.startswith(_UTF16):
        raise DatasetError("the file is UTF-16", where=path, hint="save it as UTF-8")


def bad_byte(line: bytes, start: int, offset: int, path: Path, number: int) -> DatasetError:
    """The error for a byte that is not UTF-8: ``start`` in its line, ``offset`` in the file."""
    column = len(line[:start].decode()) + 1
    return DatasetError(
        f"line {number} is not UTF-8: byte 0x{line[start]:02X} at byte offset {offset}",
        where=Position(path, number, column),
        hint="save the file as UTF-8",
    )
