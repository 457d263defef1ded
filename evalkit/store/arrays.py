"""Python values as Arrow arrays that DuckDB accepts whatever a model or a file put into them.

The plain way is tried first, so clean data pays nothing for the repair of the rest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence, Sized
from json.encoder import encode_basestring
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.model import Message
from evalkit.store.codec import plain

if TYPE_CHECKING:
    import pyarrow as pa

_strict = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=plain
).encode

Fields: TypeAlias = "Mapping[str, Callable[[list[Any]], pa.Array]]"
"""Of a struct: the attribute of each field, with dots into others, and what makes its array."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with every lone surrogate, which no database holds, as U+FFFD."""
    return "".join(REPLACEMENT if "\ud800" <= one <= "\udfff" else one for one in text)


def as_json(value: Any) -> str:
    """JSON text of a value; NaN and infinities, which JSON lacks, become their names as text."""
    if isinstance(value, Mapping) and not value:
        return "{}"
    try:
        return _strict(value)
    except ValueError:
        return _strict(_named(value))


def messages_json(messages: Sequence[Message]) -> str:
    """A list of ``{"role": …, "content": …}``; written by hand, five times as fast."""
    parts = [
        f'{{"role":{encode_basestring(one.role)},"content":{encode_basestring(one.content)}}}'
        for one in messages
    ]
    return f"[{','.join(parts)}]"


def _named(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _named(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_named(one) for one in value]
    return value


def text(values: Sequence[str | None]) -> pa.Array:
    """VARCHAR."""
    import pyarrow as pa

    try:
        return pa.array(values, type=pa.large_string())
    except UnicodeEncodeError:
        clean = [None if one is None else storable(one) for one in values]
        return pa.array(clean, type=pa.large_string())


def repeated(values: Sequence[str | None]) -> pa.Array:
    """VARCHAR of few distinct values."""
    return text(values).dictionary_encode()


def lists(
    values: Sequence[Sequence[Any] | None], flat: Callable[[list[Any]], pa.Array]
) -> pa.Array:
    """A list column; ``flat`` makes the array of all elements. ``None`` is NULL, not empty."""
    import pyarrow as pa

    # offsets and one flat array: a Python object a row would cost more than all the rest
    elements = flat([each for one in values if one for each in one])
    return pa.LargeListArray.from_arrays(_offsets(values), elements, mask=_nulls(values))


def _offsets(values: Sequence[Sized | None]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    lengths = (0 if one is None else len(one) for one in values)
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(lengths, dtype=np.int64, count=len(values)), out=offsets[1:])
    return pa.array(offsets)


def _nulls(values: Sequence[object | None]) -> pa.Array | None:
    import pyarrow as pa

    if None not in values:
        return None
    return pa.array([one is None for one in values], type=pa.bool_())


def texts(values: Sequence[Sequence[str] | None]) -> pa.Array:
    """VARCHAR[]."""
    return lists(values, text)


def reals(values: Sequence[Sequence[float] | None]) -> pa.Array:
    """DOUBLE[]."""
    return lists(values, real)


def structs(values: Sequence[Sequence[object] | None], fields: Fields) -> pa.Array:
    """STRUCT[]: of each element the attributes named by ``fields``, each made by its function."""
    import pyarrow as pa

    def flat(elements: list[object]) -> pa.Array:
        made = [make([attrgetter(path)(one) for one in elements]) for path, make in fields.items()]
        return pa.StructArray.from_arrays(made, [path.rpartition(".")[2] for path in fields])

    return lists(values, flat)


def maps(values: Sequence[Mapping[str, str]]) -> pa.Array:
    """MAP(VARCHAR, VARCHAR)."""
    import pyarrow as pa

    try:
        keys = pa.array([key for one in values for key in one], type=pa.string())
    except UnicodeEncodeError:
        # two keys may become the same text, and a map has each key once
        return maps([{storable(key): value for key, value in one.items()} for one in values])
    items = text([value for one in values for value in one.values()]).cast(pa.string())
    return pa.MapArray.from_arrays(_offsets(values).cast(pa.int32()), keys, items)


def whole(values: Sequence[int | None], *, bits: int = 64) -> pa.Array:
    """INTEGER or BIGINT."""
    import pyarrow as pa

    kind = pa.int64() if bits == 64 else pa.int32()
    try:
        return pa.array(values, type=kind)
    except (OverflowError, pa.ArrowInvalid):
        limit = 1 << (bits - 1)
        fitting = [one if one is not None and -limit <= one < limit else None for one in values]
        return pa.array(fitting, type=kind)


def real(values: Sequence[float | None]) -> pa.Array:
    """DOUBLE; NaN and infinities become NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(values, type=pa.float64())
    finite = pc.is_finite(array)
    if pc.all(finite, min_count=0).as_py():
        return array
    return pc.if_else(finite, array, pa.scalar(None, pa.float64()))
