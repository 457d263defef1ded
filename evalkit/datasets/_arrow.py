"""Rows of Arrow tables as JSON values: typed columns keep their type, instants become ISO text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from evalkit.datasets._rows import Row
from evalkit.errors import DatasetError

_INSTANT = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(?:([+-]\d\d)(\d\d)|Z)?")


def check_names(names: Sequence[str], path: Path) -> None:
    """Refuse a table that has two columns of one name; raises ``DatasetError``."""
    for name in names:
        if list(names).count(name) > 1:
            raise DatasetError(
                f"two columns are named {name!r}", where=path, hint="rename one of them"
            )


def table_rows(batch: Any, first: int) -> Iterator[Row]:
    """Rows of one record batch or table, numbered from ``first``.

    Text, integers, floats and booleans stay; dates, times and timestamps become ISO 8601, decimals
    plain digits, durations seconds, binary its UTF-8 text. Bytes that are no text stay bytes, and
    are refused where a case would use them.
    """
    names = batch.schema.names
    columns = [plain_values(column) for column in batch.columns]
    for number, values in enumerate(zip(*columns, strict=True), first):
        yield number, dict(zip(names, values, strict=True))


def plain_values(column: Any) -> list[Any]:
    """The values of one Arrow column as JSON values."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            return [_text(one) for one in column.cast(pa.large_binary()).to_pylist()]
    if pa.types.is_timestamp(kind):
        return [_instant(one) for one in column.cast(pa.string()).to_pylist()]
    if pa.types.is_date(kind):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_time(kind):
        return [_no_zeros(one) for one in column.cast(pa.string()).to_pylist()]
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        # The shortest digits of the narrow float: 0.1 stays 0.1 and not 0.10000000149011612.
        return list(column.cast(pa.float32()).cast(pa.string()).cast(pa.float64()).to_pylist())
    if pa.types.is_duration(kind):
        column = column.cast(pa.duration("us"), safe=False)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_float64(kind):
        return list(column.to_pylist())
    return [plain(one) for one in column.to_pylist()]


def _instant(text: str | None) -> str | None:
    found = _INSTANT.fullmatch(text) if text is not None else None
    if found is None:
        return text
    day, time, fraction, hours, minutes = found.groups()
    zone = f"{hours}:{minutes}" if hours else "Z" if found[0].endswith("Z") else ""
    return f"{day}T{time}{fraction if fraction and fraction.strip('.0') else ''}{zone}"


def _no_zeros(time: str | None) -> str | None:
    return re.sub(r"\.0+$", "", time) if time is not None else None


def _text(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def plain(value: Any) -> Any:
    """A Python value of a nested column as JSON."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value
