"""Rows of a Parquet file, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evalkit.datasets._arrow import check_names, table_rows
from evalkit.datasets._files import check_file
from evalkit.datasets._rows import Row
from evalkit.errors import DatasetError
from evalkit.registry import dataset

_BATCH = 1_024


@dataset(suffixes=(".parquet", ".pq"), counts="rows", version=1)
def parquet(source: str) -> Iterator[Row]:
    """Rows of a Parquet file, read batch by batch.

    Columns keep their type as JSON; dates and timestamps become ISO 8601 text, decimals their plain
    digits. Raises ``DatasetError`` for a file that is not whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(source)
    check_file(path)
    try:
        with pq.ParquetFile(path) as file:
            check_names(file.schema_arrow.names, path)
            first = 1
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from table_rows(batch, first)
                first += batch.num_rows
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"not a whole Parquet file: {str(error).partition('.')[0]}",
            where=path,
            hint="write the file again; a Git LFS pointer needs 'git lfs pull'",
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(
            f"the Parquet file cannot be read: {str(error).partition(chr(10))[0]}",
            where=path,
            hint="check its permissions and that it is not encrypted",
        ) from error
