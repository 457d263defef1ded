"""Reading a bundle that somebody else wrote: unpacked, checked, and a small store of its own.

Nothing of a bundle reaches the run store before all of it was checked. Only the files a bundle has
are read, under names of our own; hashes, sizes and rows must be those of the manifest; every value
goes through the types of the schema it was written with, then through the same migrations as an old
store.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from evalkit.errors import EvalkitError, StoreVersionError, UsageError
from evalkit.store.bundle import (
    FORMAT,
    MANIFEST,
    Manifest,
    TableFile,
    file_hash,
    manifest_hash,
    run_tables,
)
from evalkit.store.bundle_check import problem
from evalkit.store.migrate import known_version, migrate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LARGEST_MANIFEST = 1 << 20
_AGAIN = "export the run again: evalkit export RUN"


@dataclass(frozen=True, slots=True)
class Staged:
    """A checked bundle: ``file`` is a store that holds its one run, ``shown`` what the user named.

    ``file`` is gone when the block of ``staged`` ends.
    """

    shown: str
    file: Path
    manifest: Manifest


def damaged(shown: object, why: str) -> UsageError:
    """The error of a bundle that is not what it should be."""
    return UsageError(f"the bundle is damaged: {why}", where=str(shown), hint=_AGAIN)


def read_manifest(path: Path, shown: str | None = None) -> Manifest:
    """What a bundle says of itself; raises ``UsageError`` for what is no bundle of this evalkit."""
    with _files(path, shown or str(path)) as (_, read):
        return _manifest(read, shown or str(path))


@contextmanager
def staged(path: Path, folder: Path, *, shown: str | None = None) -> Iterator[Staged]:
    """Check a bundle and give it as a store in the empty ``folder``.

    Raises ``UsageError`` for a bundle that is damaged or says what cannot be, and
    ``StoreVersionError`` for one of a newer evalkit.
    """
    name = shown or str(path)
    with _files(path, name) as (found, read):
        manifest = _manifest(read, name)
        wanted = {f"{table}.parquet": one for table, one in manifest.tables.items()}
        odd = sorted(found - wanted.keys() - {MANIFEST})
        if odd:
            raise damaged(name, f"it holds {odd[0]!r}, which is not of it")
        for file, one in wanted.items():
            if file not in found:
                raise damaged(name, f"{file} is missing")
            _unpack(lambda file=file: read(file), folder / file, one, name)  # type: ignore[misc]
    import duckdb

    store = folder / "bundle.duckdb"
    try:
        _fill(store, manifest, folder, name)
    except EvalkitError:
        raise
    except (duckdb.Error, ValueError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise damaged(name, f"it does not fit the schema ({first[:200]})") from error
    yield Staged(name, store, manifest)


@contextmanager
def _files(path: Path, shown: str) -> Iterator[tuple[set[str], Callable[[str], IO[bytes]]]]:
    """The names of a bundle's files, and how to open one of them."""
    if path.is_dir():
        names = {one.name for one in path.iterdir() if not one.name.startswith(".")}
        special = sorted(one for one in names if not (path / one).is_file())
        if special:
            raise damaged(shown, f"{special[0]!r} is no file")
        yield names, lambda name: (path / name).open("rb")
        return
    if not path.is_file():
        raise UsageError("there is no such bundle", where=shown, hint="write one: evalkit export")
    try:
        packed = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UsageError(
            "this is no bundle, or only a part of one",
            where=shown,
            hint=f"name a folder or .zip that 'evalkit export' wrote, or {_AGAIN}",
        ) from error
    with packed:
        listed = packed.namelist()
        if len(set(listed)) < len(listed):
            raise damaged(shown, "a file is in it twice")
        yield set(listed), packed.open


def _manifest(read: Callable[[str], IO[bytes]], shown: str) -> Manifest:
    try:
        with read(MANIFEST) as file:
            text = file.read(LARGEST_MANIFEST + 1)
    except (KeyError, OSError) as error:
        raise UsageError(
            f"this is no bundle: it has no {MANIFEST}",
            where=shown,
            hint="name a folder or .zip that 'evalkit export' wrote",
        ) from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise damaged(shown, f"{MANIFEST} cannot be read") from error
    try:
        value = json.loads(text) if len(text) <= LARGEST_MANIFEST else None
    except (ValueError, RecursionError) as error:
        raise damaged(shown, f"{MANIFEST} is no JSON") from error
    for key, knows in (("format", FORMAT), ("schema_version", known_version())):
        number = value.get(key) if isinstance(value, dict) else None
        if isinstance(number, int) and number > knows:
            raise StoreVersionError(
                f"the bundle was written by a newer evalkit ({key.partition('_')[0]} {number},"
                f" this one knows {knows})",
                where=shown,
                hint="upgrade evalkit the way you installed it",
            )
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or MANIFEST
        raise damaged(shown, f"{MANIFEST}: {at}: {first['msg'].lower()}") from error
    if manifest_hash(manifest.model_dump()) != manifest.sha256:
        raise damaged(shown, f"{MANIFEST} was changed: its hash does not match")
    return manifest


def _unpack(opened: Callable[[], IO[bytes]], to: Path, one: TableFile, shown: str) -> None:
    """Copy a file, and no byte more than the manifest allows."""
    try:
        with opened() as source, to.open("wb") as out:
            left = one.bytes + 1
            while left and (piece := source.read(min(left, 1 << 20))):
                out.write(piece)
                left -= len(piece)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise damaged(shown, f"{to.name} cannot be read") from error
    if to.stat().st_size != one.bytes or file_hash(to) != one.sha256:
        raise damaged(shown, f"{to.name} does not have the hash of the manifest")


def _fill(store: Path, manifest: Manifest, folder: Path, shown: str) -> None:
    """Make a store of the schema the bundle was written with, fill it, and bring it up to date."""
    import duckdb

    with duckdb.connect(str(store)) as connection:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET TimeZone = 'UTC'")
        migrate(connection, store, upto=manifest.schema_version)
        known = run_tables(connection, database=store.stem)
        unknown = sorted(manifest.tables.keys() - known.keys())
        if unknown:
            raise damaged(shown, f"it has a table {unknown[0]!r}, which no run has")
        for name, one in manifest.tables.items():
            columns = dict(known[name])
            path = folder / f"{name}.parquet"
            _insert(connection, path, columns, rows=one.rows, shown=shown)
        migrate(connection, store)
        why = problem(connection, manifest.run_id)
        if why is not None:
            raise damaged(shown, why)


def _insert(
    connection: DuckDBPyConnection,
    path: Path,
    columns: dict[str, str],
    *,
    rows: int,
    shown: str,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows != rows:
                raise damaged(shown, f"{path.name} does not have the rows of the manifest")
            odd = sorted(set(file.schema_arrow.names) - columns.keys())
            if odd:
                raise damaged(shown, f"{path.name} has a column {odd[0]!r}, which is unknown")
            for batch in file.iter_batches(batch_size=16_384):
                connection.register("incoming_rows", pa.Table.from_batches([batch]))
                connection.execute(
                    f'INSERT INTO "{path.stem}" BY NAME SELECT * FROM incoming_rows'  # noqa: S608 - one of our tables
                )
                connection.unregister("incoming_rows")
    except pa.ArrowException as error:
        raise damaged(shown, f"{path.name} is no Parquet file") from error
