"""A batch of trials as bytes: what the journal writes at once, and reads back or drops whole.

A block is a frame (magic, length, checksum) around the three tables of the batch, each an Arrow
stream with the columns DuckDB takes. So a trial becomes columns once, and reaches the database
without being a Python object again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalkit.store.columns import TrialColumns

if TYPE_CHECKING:
    import pyarrow as pa

_FRAME = struct.Struct("<4sQI")
_SIZES = struct.Struct("<3Q")
_MAGIC = b"EKB2"


class TornError(ValueError):
    """What follows is no whole block: its writer died."""


def to_block(columns: TrialColumns) -> bytes:
    """The columns as one block."""
    import pyarrow as pa

    streams = []
    for one in (columns.cases, columns.trials, columns.scores):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, one.schema) as writer:
            writer.write_table(one)
        streams.append(sink.getvalue())
    content = b"".join([_SIZES.pack(*(one.size for one in streams)), *streams])
    return _FRAME.pack(_MAGIC, len(content), zlib.crc32(content)) + content


def read_blocks(content: pa.Buffer, at: int) -> Iterator[TrialColumns]:
    """The blocks from a place on; their columns lie in ``content``.

    Raises ``TornError`` after the last whole one when there is more.
    """
    while at < content.size:
        head = content.slice(at, min(_FRAME.size, content.size - at)).to_pybytes()
        if len(head) < _FRAME.size:
            raise TornError
        magic, length, checksum = _FRAME.unpack(head)
        at += _FRAME.size
        if magic != _MAGIC or length > content.size - at:
            raise TornError
        block = content.slice(at, length)
        if zlib.crc32(memoryview(block)) != checksum:
            raise TornError
        at += length
        yield _columns(block)


def _columns(block: pa.Buffer) -> TrialColumns:
    import pyarrow as pa

    tables = []
    at = _SIZES.size
    for size in _SIZES.unpack(block.slice(0, at).to_pybytes()):
        with pa.ipc.open_stream(block.slice(at, size)) as reader:
            tables.append(reader.read_all())
        at += size
    return TrialColumns(*tables)
