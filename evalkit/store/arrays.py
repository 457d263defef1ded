"""Python values as Arrow arrays that DuckDB accepts whatever a model or a file put into them.

The plain way is tried first, so clean data pays nothing for the repair of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.hashing import json_encoder
from evalkit.model import Message
from evalkit.store.codec import plain

if TYPE_CHECKING:
    import pyarrow as pa

_strict = json_encoder(default=plain)

Fields: TypeAlias = "Mapping[str, Callable[[list[Any]], pa.Array]]"
"""Of a struct: the attribute of each field, with dots into others, and what makes its array."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with every lone surrogate, which no database holds, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    return "".join(REPLACEMENT if "\ud800" <= one <= "\udfff" else one for one in text)


def parameter(value: Any) -> Any:
    """A value as a parameter that every column of its kind takes: see ``text`` and ``whole``."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return None
    if isinstance(value, Mapping):
        return {storable(name): parameter(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [parameter(one) for one in value]
    return value


def as_json(value: Any) -> str:
    """JSON text of a value; NaN and infinities, which JSON lacks, become their names as text."""
    if not value and isinstance(value, Mapping):
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


def _nothing(values: Sequence[object]) -> bool:
    """Whether all are ``None``, as in most columns of most runs."""
    return not values or (values[0] is None and values.count(None) == len(values))


def text(values: Sequence[str | None], *, bits: int = 64) -> pa.Array:
    """VARCHAR; ``bits`` are those of the offsets, 32 holds 2 GB."""
    import pyarrow as pa

    if _nothing(values):
        return pa.nulls(len(values), pa.large_string() if bits == 64 else pa.string())
    try:
        return _text(values, bits=bits)  # type: ignore[arg-type]  # None among them is a TypeError
    except TypeError:
        missing = [one is None for one in values]
        return _text([one or "" for one in values], missing, bits=bits)


def _text(values: Sequence[str], missing: Sequence[bool] | None = None, *, bits: int) -> pa.Array:
    import pyarrow as pa

    joined = "".join(values)
    parts: Sequence[Sized] = values
    if joined.isascii():
        content = joined.encode()
    else:
        try:
            encoded = [one.encode() for one in values]
        except UnicodeEncodeError:
            encoded = [storable(one).encode() for one in values]
        content, parts = b"".join(encoded), encoded
    kind = pa.large_string() if bits == 64 else pa.string()
    return _array(kind, len(values), missing, _ends(parts, bits=bits), content)


def _ends(values: Sequence[Sized], *, bits: int = 64) -> Any:
    """Where each of the values begins and the last ends, put one after the other."""
    import numpy as np

    kind: Any = np.int64 if bits == 64 else np.int32
    ends = np.zeros(len(values) + 1, dtype=kind)
    if any(values):
        np.cumsum(np.fromiter(map(len, values), kind, len(values)), out=ends[1:])
    return ends


def _array(kind: pa.DataType, length: int, missing: Any, *buffers: Any) -> pa.Array:
    """An array straight from its buffers; ``pa.array`` would import pandas, a fifth of a second."""
    import numpy as np
    import pyarrow as pa

    valid = None
    if missing is not None:
        valid = pa.py_buffer(np.packbits(~np.asarray(missing, dtype=bool), bitorder="little"))
    return pa.Array.from_buffers(kind, length, [valid, *map(pa.py_buffer, buffers)])


def repeated(values: Sequence[str | None]) -> pa.Array:
    """VARCHAR of few distinct values."""
    return Repeated(values).array()


class Repeated:
    """VARCHAR as codes of distinct values, so that its rows can be repeated for another table."""

    def __init__(self, values: Sequence[str | None]):
        import numpy as np

        # mostly all are one, and to hash an enumeration's member takes long
        same = bool(values) and values.count(values[0]) == len(values)
        known = {
            one: code for code, one in enumerate(dict.fromkeys(values[:1] if same else values))
        }
        self._distinct = list(known)
        if same:
            self._codes = np.zeros(len(values), dtype=np.int32)
        else:
            codes = map(known.__getitem__, values)
            self._codes = np.fromiter(codes, np.int32, len(values))
        self._none = known.get(None)

    def array(self, rows: Any = None) -> pa.Array:
        """The column; ``rows`` are the places of its values in another order or number."""
        import pyarrow as pa

        codes = self._codes if rows is None else self._codes[rows]
        if self._distinct == [None]:
            return pa.DictionaryArray.from_arrays(pa.nulls(len(codes), pa.int32()), text([""]))
        missing = None if self._none is None else codes == self._none
        indices = _array(pa.int32(), len(codes), missing, codes)
        return pa.DictionaryArray.from_arrays(indices, text(self._distinct))


def numbers(values: Any, *, bits: int = 64) -> pa.Array:
    """INTEGER or BIGINT of whole numbers that are known to fit, from a list or NumPy's array."""
    import numpy as np
    import pyarrow as pa

    data = np.asarray(values, dtype=np.int64 if bits == 64 else np.int32)
    return _array(pa.int64() if bits == 64 else pa.int32(), len(data), None, data)


def lists(
    values: Sequence[Sequence[Any] | None], flat: Callable[[list[Any]], pa.Array]
) -> pa.Array:
    """A list column; ``flat`` makes the array of all elements. ``None`` is NULL, not empty."""
    import numpy as np
    import pyarrow as pa

    # offsets and one flat array: a Python object a row would cost more than all the rest
    elements = flat([each for one in values if one for each in one] if any(values) else [])
    nulls = None
    if None in values:
        nulls = _array(
            pa.bool_(),
            len(values),
            None,
            np.packbits([one is None for one in values], bitorder="little"),
        )
        values = [one or () for one in values]
    ends = numbers(_ends(values))  # type: ignore[arg-type]  # no None is left
    return pa.LargeListArray.from_arrays(ends, elements, mask=nulls)


def texts(values: Sequence[Sequence[str] | None]) -> pa.Array:
    """VARCHAR[]."""
    return lists(values, text)


def reals(values: Sequence[Sequence[float] | None]) -> pa.Array:
    """DOUBLE[]."""
    return lists(values, real)


def structs(
    values: Sequence[Sequence[object] | None],
    fields: Fields,
    names: Mapping[str, str] = MappingProxyType({}),
) -> pa.Array:
    """STRUCT[]: of each element the attributes named by ``fields``, each made by its function.

    A field is called as the last of its attribute's names, or as ``names`` says.
    """
    import pyarrow as pa

    called = [path.rpartition(".")[2] for path in fields]

    def flat(elements: list[object]) -> pa.Array:
        made = [make([attrgetter(path)(one) for one in elements]) for path, make in fields.items()]
        return pa.StructArray.from_arrays(made, [names.get(one, one) for one in called])

    return lists(values, flat)


def struct(values: Sequence[object | None], fields: Fields) -> pa.Array:
    """STRUCT; ``None`` is NULL."""
    import pyarrow as pa

    made = [
        make([None if one is None else getattr(one, name) for one in values])
        for name, make in fields.items()
    ]
    missing = flags([one is None for one in values])
    return pa.StructArray.from_arrays(made, list(fields), mask=missing)


def json_or_null(values: Sequence[Any]) -> pa.Array:
    """JSON as text; ``None`` is NULL."""
    return text([None if one is None else as_json(one) for one in values])


def maps(values: Sequence[Mapping[str, str]]) -> pa.Array:
    """MAP(VARCHAR, VARCHAR)."""
    import pyarrow as pa

    keys = [key for one in values for key in one] if any(values) else []
    if not all(map(str.isascii, keys)):
        # two keys may become the same text, and a map has each key once
        values = [{storable(key): value for key, value in one.items()} for one in values]
        keys = [key for one in values for key in one]
    items = [value for one in values for value in one.values()] if keys else []
    return pa.MapArray.from_arrays(
        numbers(_ends(values, bits=32), bits=32), text(keys, bits=32), text(items, bits=32)
    )


def whole(values: Sequence[int | None], *, bits: int = 64) -> pa.Array:
    """INTEGER or BIGINT."""
    import numpy as np
    import pyarrow as pa

    kind = pa.int64() if bits == 64 else pa.int32()
    if _nothing(values):
        return pa.nulls(len(values), kind)
    missing = [one is None for one in values] if None in values else None
    data = np.array(values if missing is None else [0 if one is None else one for one in values])
    limit = 1 << (bits - 1)
    if data.dtype.kind == "i" and -limit <= data.min(initial=0) <= data.max(initial=0) < limit:
        return _array(kind, len(data), missing, data.astype(np.int64 if bits == 64 else np.int32))
    try:
        return pa.array(values, type=kind)
    except (OverflowError, pa.ArrowInvalid):
        fitting = [one if one is not None and -limit <= one < limit else None for one in values]
        return pa.array(fitting, type=kind)


def real(values: Sequence[float | None], *, finite: bool = True) -> pa.Array:
    """DOUBLE; NaN becomes NULL, and so do infinities unless ``finite`` is false."""
    import numpy as np
    import pyarrow as pa

    if _nothing(values):
        return pa.nulls(len(values), pa.float64())
    # NumPy reads None as NaN
    data = np.array(values, dtype=np.float64)
    known = np.isfinite(data) if finite else ~np.isnan(data)
    if known.all():
        return _array(pa.float64(), len(data), None, data)
    if not known.any():
        return pa.nulls(len(data), pa.float64())
    return _array(pa.float64(), len(data), ~known, data)


def flags(values: Sequence[bool | None]) -> pa.Array:
    """BOOLEAN."""
    import numpy as np
    import pyarrow as pa

    if _nothing(values):
        return pa.nulls(len(values), pa.bool_())
    missing = [one is None for one in values]
    bits = np.packbits(np.array([bool(one) for one in values], dtype=bool), bitorder="little")
    return _array(pa.bool_(), len(values), missing, bits)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instants(values: Sequence[datetime | None]) -> pa.Array:
    """TIMESTAMPTZ."""
    import numpy as np
    import pyarrow as pa

    kind = pa.timestamp("us", tz="UTC")
    missing = [one is None for one in values] if None in values else None
    since = [0 if one is None else (one - _EPOCH) // _MICROSECOND for one in values]
    return _array(kind, len(values), missing, np.array(since, dtype=np.int64))
