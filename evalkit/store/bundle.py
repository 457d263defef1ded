"""A bundle: one run as Parquet files that never change, for sharing, merging and other tools.

    manifest.json     what is in it, by whom it was written, and the hash of every file
    runs.parquet      one file a table of the store, with the rows of this run
    trials.parquet    ...

A bundle is a folder, which DuckDB reads as it is (``read_parquet('bundles/*/trials.parquet')``), or
the same files in one ``.zip``. The same run gives the same bytes. Hashes tell damage, not who wrote
it: what a bundle says is checked like any other input.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from evalkit.errors import UsageError
from evalkit.hashing import canonical
from evalkit.store.access import Access
from evalkit.store.migrate import stored_version
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
MANIFEST = "manifest.json"
ROWS = 16_384
RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_FIRST = ("run_id", "suite", "target", "case_id", "trial", "position", "name", "step")
_STAMP = (1980, 1, 1, 0, 0, 0)

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,40}$")]


class TableFile(BaseModel):
    """One file of a bundle: the rows of one table."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash


class Manifest(BaseModel):
    """What a bundle says of itself; ``sha256`` is that of everything else in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int
    evalkit: str
    schema_version: Annotated[int, Field(ge=1)]
    run_id: Annotated[str, Field(pattern=RUN_ID)]
    project: str
    tables: dict[TableName, TableFile]
    sha256: Hash


def manifest_hash(value: Mapping[str, Any]) -> str:
    """What ``sha256`` must be in a manifest."""
    said = {name: one for name, one in value.items() if name != "sha256"}
    return hashlib.sha256(canonical(said)).hexdigest()


def run_tables(
    connection: DuckDBPyConnection, *, database: str
) -> dict[str, list[tuple[str, str]]]:
    """Every table that has rows of runs, and ``cases``; each with its columns and their types."""
    rows = fetch(
        connection,
        "SELECT table_name, column_name, data_type FROM duckdb_columns() AS c"
        " SEMI JOIN (SELECT table_oid FROM duckdb_tables()) AS t USING (table_oid)"
        " WHERE NOT internal AND database_name = ? AND schema_name = 'main'"
        " ORDER BY table_name, column_index",
        [database],
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row["table_name"], []).append((row["column_name"], row["data_type"]))
    return {
        name: columns
        for name, columns in found.items()
        if name != "journal_segments"
        and (name == "cases" or any(column == "run_id" for column, _ in columns))
    }


def write_bundle(access: Access, run_id: str, folder: Path) -> Manifest:
    """Write the files of a stored run's bundle into an empty folder."""
    from evalkit import __version__

    with access.reading() as connection:
        tables = {
            name: _write_table(connection, name, columns, run_id, folder)
            for name, columns in run_tables(connection, database=_own_name(connection)).items()
        }
        schema = stored_version(connection, access.path)
        (run,) = fetch(connection, "SELECT project FROM runs WHERE run_id = ?", [run_id])
    manifest = Manifest(
        format=FORMAT,
        evalkit=__version__,
        schema_version=schema,
        run_id=run_id,
        project=run["project"],
        tables=tables,
        sha256="0" * 64,
    )
    manifest = manifest.model_copy(update={"sha256": manifest_hash(manifest.model_dump())})
    text = manifest.model_dump_json(indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return manifest


def _own_name(connection: DuckDBPyConnection) -> str:
    (row,) = fetch(connection, "SELECT current_database() AS name")
    return str(row["name"])


def _write_table(
    connection: DuckDBPyConnection,
    name: str,
    columns: list[tuple[str, str]],
    run_id: str,
    folder: Path,
) -> TableFile:
    import pyarrow.parquet as pq

    names = [column for column, _ in columns]
    # JSON is text to everyone but DuckDB
    selected = ", ".join(
        f'"{column}"::VARCHAR AS "{column}"' if kind == "JSON" else f'"{column}"'
        for column, kind in columns
    )
    order = [one for one in (*_FIRST, "happened_at") if one in names]
    if name == "cases":
        where = "case_id IN (SELECT case_id FROM trials WHERE run_id = $run)"
    elif name == "events":
        # what happened to a run here is of this store, but for how it was made
        where = "run_id = $run AND kind NOT IN ('run.imported', 'run.exported')"
    else:
        where = "run_id = $run"
    sql = f'SELECT {selected} FROM "{name}" WHERE {where}'  # noqa: S608 - names of the catalogue
    rows = connection.sql(
        f"{sql} ORDER BY {', '.join(order) or 'ALL'}", params={"run": run_id}
    ).to_arrow_reader(ROWS)
    path = folder / f"{name}.parquet"
    count = 0
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            count += batch.num_rows
            writer.write_batch(batch)
    return TableFile(rows=count, bytes=path.stat().st_size, sha256=file_hash(path))


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def export_bundle(access: Access, run_id: str, to: Path) -> Manifest:
    """Write the bundle of a stored run: one file for a name that ends in ``.zip``, else a folder.

    It appears whole or not at all. A bundle that is there already is written again when it is of
    this run; raises ``UsageError`` for anything else in that place.
    """
    _refuse_other(to, run_id)
    to.parent.mkdir(parents=True, exist_ok=True)
    with _beside(to) as work:
        folder = work / "bundle"
        folder.mkdir()
        manifest = write_bundle(access, run_id, folder)
        if to.suffix == ".zip":
            packed = work / "bundle.zip"
            _pack(folder, packed)
            packed.replace(to)
        else:
            if to.exists():
                to.rename(work / "old")
            folder.rename(to)
    return manifest


def _refuse_other(to: Path, run_id: str) -> None:
    """Overwrite nothing but an older bundle of the same run."""
    from evalkit.store.bundle_read import read_manifest

    if not to.exists() or (to.is_dir() and not any(to.iterdir()) and to.suffix != ".zip"):
        return
    try:
        if read_manifest(to).run_id == run_id:
            return
    except UsageError:
        pass
    raise UsageError(
        "there is something else in this place already",
        where=to,
        hint="give another name with --to, or move it away",
    )


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """A folder on the same disk, so that putting the result in its place is one step."""
    work = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _pack(folder: Path, to: Path) -> None:
    """Put the files into one, as they are: Parquet is compressed already."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED) as packed:
        for one in sorted(folder.iterdir(), key=lambda path: (path.name != MANIFEST, path.name)):
            entry = zipfile.ZipInfo(one.name, _STAMP)
            entry.external_attr = 0o644 << 16
            with one.open("rb") as source, packed.open(entry, "w", force_zip64=True) as out:
                shutil.copyfileobj(source, out, 1 << 20)
    os.chmod(to, 0o644)  # noqa: PTH101 - the same for every umask
