"""A batch of trials as bytes: what the journal writes at once, and reads back or drops whole.

A block is a frame (magic, length, checksum) around the three tables of the batch, each an Arrow
stream with the columns DuckDB takes. So a trial becomes columns once, and reaches the database
without being a Python object again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.store.arrays import numbers
from evalkit.store.columns import TrialColumns

if TYPE_CHECKING:
    import pyarrow as pa

_FRAME = struct.Struct("<4sQI")
_SIZES = struct.Struct("<3Q")
_MAGIC = b"EKB2"


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


class Blocks:
    """The blocks of a file that are whole; what they hold is read when it is asked for."""

    def __init__(self, path: Path, places: Sequence[Sequence[int]] = ()):
        self._path = path
        # where the three streams of each block begin
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def columns(self) -> Iterator[TrialColumns]:
        """The blocks one by one, the first written first."""
        return map(TrialColumns, *(self._tables(place) for place in range(3)))

    def together(self) -> TrialColumns:
        """All of them as one."""
        return TrialColumns(self.cases(), self.trials().read_all(), self.scores().read_all())

    def cases(self) -> pa.Table:
        """Their cases; one in several blocks is there once, as in the last of them."""
        cases = self._stream(0).read_all()
        ids = cases.column("case_id").to_pylist()
        last = {case_id: row for row, case_id in enumerate(ids)}
        return cases if len(last) == len(ids) else cases.take(numbers(list(last.values())))

    def trials(self) -> pa.RecordBatchReader:
        """Their trials, a block in memory at a time."""
        return self._stream(1)

    def scores(self) -> pa.RecordBatchReader:
        """Their scores, likewise."""
        return self._stream(2)

    def _stream(self, place: int) -> pa.RecordBatchReader:
        import pyarrow as pa

        schemas = [one.schema for one in self._open(place)]
        # a column that is empty in one part, or not known to whoever wrote it, has no type there
        schema = pa.unify_schemas(schemas, promote_options="default")
        nothing = pa.Table.from_batches([], schema)
        parts = (
            pa.concat_tables([nothing, one], promote_options="default")
            for one in self._tables(place)
        )
        batches = (batch for one in parts for batch in one.to_batches())
        return pa.RecordBatchReader.from_batches(schema, batches)

    def _tables(self, place: int) -> Iterator[pa.Table]:
        return (one.read_all() for one in self._open(place))

    def _open(self, place: int) -> Iterator[pa.RecordBatchReader]:
        import pyarrow as pa

        with pa.OSFile(str(self._path)) as file:
            for one in self._places:
                file.seek(one[place])
                yield pa.ipc.open_stream(file)


def read_blocks(path: Path, at: int) -> tuple[Blocks, bool]:
    """The blocks of a file from a place on, and whether its end is whole: else its writer died."""
    places: list[Sequence[int]] = []
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - at
        file.seek(at)
        while left >= _FRAME.size:
            magic, length, checksum = _FRAME.unpack(file.read(_FRAME.size))
            if magic != _MAGIC or length > left - _FRAME.size:
                break
            content = file.read(length)
            if zlib.crc32(content) != checksum:
                break
            begin = file.tell() - length + _SIZES.size
            places.append([*accumulate(_SIZES.unpack_from(content)[:2], initial=begin)])
            left -= _FRAME.size + length
    return Blocks(path, places), left == 0
