"""Every text in a store, wherever a table hides it: for searching it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from evalkit.store.access import Access
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 4_096


def stored_texts(access: Access) -> Iterator[tuple[str, list[str]]]:
    """The texts of every column of every table, a few thousand rows at a time.

    Yields ``table.column`` with the texts: keys and values of maps, members of structures and lists
    included. Numbers and instants are no texts. Raises ``StoreError``.
    """
    with access.reading() as connection:
        tables = fetch(
            connection,
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL",
        )
        for one in tables:
            name = one["table_name"]
            schema, quoted = (part.replace('"', '""') for part in (one["schema_name"], name))
            rows = connection.sql(f'SELECT * FROM "{schema}"."{quoted}"')  # noqa: S608 - quoted names of the catalogue
            for batch in rows.to_arrow_reader(_ROWS):
                for column, values in zip(batch.schema.names, batch.columns, strict=True):
                    texts = [text for leaf in _leaves(values) for text in leaf.to_pylist() if text]
                    if texts:
                        yield f"{name}.{column}", texts


def _leaves(values: pa.Array[Any]) -> Iterator[Any]:
    """The arrays of texts that an array is made of."""
    import pyarrow as pa

    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _leaves(values.storage)
    elif pa.types.is_dictionary(kind):
        yield from _leaves(values.dictionary_decode())
    elif pa.types.is_map(kind):
        yield from _leaves(values.keys)
        yield from _leaves(values.items)
    elif pa.types.is_struct(kind):
        for one in values.flatten():
            yield from _leaves(one)
    elif pa.types.is_nested(kind):
        yield from _leaves(values.flatten())
    elif (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):
        yield values
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        yield pa.array(
            [None if one is None else one.decode("utf-8", "replace") for one in values.to_pylist()]
        )
