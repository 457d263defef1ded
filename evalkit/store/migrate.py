"""Numbered migrations: the schema a store has, the one this evalkit knows, and the way between."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import ConfigError, StoreVersionError
from evalkit.store.reads import single

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@cache
def migrations() -> dict[int, str]:
    """Every migration by its number; the number is how its file's name begins."""
    folder = resources.files("evalkit.store").joinpath("schema")
    found = {
        int(one.name.partition("_")[0]): one.read_text("utf-8")
        for one in folder.iterdir()
        if one.name.endswith(".sql")
    }
    return dict(sorted(found.items()))


def known_version() -> int:
    """The schema this evalkit writes."""
    return max(migrations())


def stored_version(connection: DuckDBPyConnection, path: Path) -> int:
    """The schema of an open store; 0 for a database without a table.

    Raises ``ConfigError`` for a DuckDB database of something else, and ``StoreVersionError`` for a
    store that only a newer evalkit understands.
    """
    import duckdb

    try:
        version = int(single(connection, "SELECT max(version) FROM evalkit_schema") or 0)
    except duckdb.CatalogException:
        listed = "SELECT 1 FROM duckdb_tables() WHERE NOT internal AND NOT temporary LIMIT 1"
        if single(connection, listed) is None:
            return 0
        raise ConfigError(
            "this DuckDB database is not a run store",
            where=path,
            hint="name another file under 'store:' in evalkit.yaml",
        ) from None
    if version > known_version():
        raise StoreVersionError(
            f"the run store was written by a newer evalkit (schema {version}, this one knows"
            f" {known_version()})",
            where=path,
            hint="upgrade evalkit the way you installed it, or name another file under 'store:'",
        )
    return version


def migrate(connection: DuckDBPyConnection, path: Path, *, upto: int | None = None) -> None:
    """Bring an open store to this evalkit's schema, or ``upto`` one; a step is a transaction."""
    from evalkit import __version__

    version = stored_version(connection, path)
    for number, sql in migrations().items():
        if number <= version or (upto is not None and number > upto):
            continue
        connection.begin()
        try:
            if number == min(migrations()):
                connection.execute(
                    "CREATE TABLE evalkit_schema (version INTEGER NOT NULL, applied_at TIMESTAMPTZ"
                    " NOT NULL, evalkit_version VARCHAR NOT NULL);"
                    "COMMENT ON TABLE evalkit_schema IS 'The migrations this store has been"
                    " through.'"
                )
            connection.execute(sql)
            connection.execute(
                "INSERT INTO evalkit_schema VALUES (?, now(), ?)", [number, __version__]
            )
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
