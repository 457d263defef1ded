"""Bundles: written whole, read back as they were, and refused when anything is not as it says."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_runs import START, example_run, example_trials, rich_trial

from evalkit.errors import StoreVersionError, UsageError
from evalkit.store import Store
from evalkit.store.access import Access
from evalkit.store.bundle import export_bundle, file_hash, manifest_hash
from evalkit.store.bundle_read import staged
from evalkit.store.bundle_take import take

RUN = "20261121-093000-4e77"


@pytest.fixture
def full(store: Store) -> Store:
    store.create_run(example_run(RUN))
    store.append([*example_trials(RUN, trials=2), rich_trial(RUN)])
    store.finish_run(RUN, "complete", START)  # type: ignore[arg-type]
    return store


def access(store: Store) -> Access:
    return Access(store.path, patience_s=5.0)


def take_in(store: Store, bundle: Path, work: Path) -> str:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with staged(bundle, work) as found:
        return take(access(store), found)


def rows(store: Store, table: str) -> list[object]:
    return store.query(f"SELECT * FROM {table} ORDER BY ALL").to_pylist()


@pytest.mark.parametrize("name", ["a.zip", "a"])
def test_a_run_comes_back_as_it_was_and_only_once(full: Store, tmp_path: Path, name: str) -> None:
    export_bundle(access(full), RUN, tmp_path / name)
    other = Store(tmp_path / "other" / "store.duckdb")
    for _ in range(2):
        assert take_in(other, tmp_path / name, tmp_path / "work") == RUN
    for table in ("runs", "trials", "scores", "cases", "targets", "prompts", "scorers"):
        assert rows(other, table) == rows(full, table), table
    assert other.load_run(RUN) == full.load_run(RUN)
    assert other.trial(RUN, "refund-003") == full.trial(RUN, "refund-003")
    kinds = [one["kind"] for one in rows(other, "events")]  # type: ignore[index]
    assert sorted(kinds) == ["run.finished", "run.imported", "run.started"]
    # what came back is the same bundle
    export_bundle(access(other), RUN, tmp_path / "again")
    there = json.loads((tmp_path / "again" / "manifest.json").read_text())
    export_bundle(access(full), RUN, tmp_path / "here")
    here = json.loads((tmp_path / "here" / "manifest.json").read_text())
    assert there["tables"].keys() == here["tables"].keys()
    assert {k: v for k, v in there["tables"].items() if k != "events"} == {
        k: v for k, v in here["tables"].items() if k != "events"
    }


def test_the_same_run_gives_the_same_bytes_and_duckdb_reads_the_folder(
    full: Store, tmp_path: Path
) -> None:
    for name in ("a.zip", "b.zip", "f"):
        export_bundle(access(full), RUN, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    found = duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/f/trials.parquet'").fetchall()
    assert found == [(len(rows(full, "trials")),)]


def test_other_things_in_the_place_are_kept(full: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep")
    (tmp_path / "mine.zip").write_text("keep")
    for name in ("mine", "mine.zip"):
        with pytest.raises(UsageError, match="something else"):
            export_bundle(access(full), RUN, tmp_path / name)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep"


def test_a_bundle_of_the_first_schema_goes_through_the_migrations(
    full: Store, tmp_path: Path
) -> None:
    bundle = tmp_path / "old"
    export_bundle(access(full), RUN, bundle)
    first = duckdb.connect()
    from evalkit.store.migrate import migrate

    migrate(first, tmp_path, upto=1)
    known = {
        (table, column)
        for table, column in first.sql(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    }
    for file in bundle.glob("*.parquet"):
        table = pq.read_table(file)
        kept = [one for one in table.column_names if (file.stem, one) in known]
        if kept:
            pq.write_table(table.select(kept), file)
        else:
            file.unlink()
    rehash(bundle, schema_version=1)
    other = Store(tmp_path / "other.duckdb")
    take_in(other, bundle, tmp_path / "work")
    (row,) = other.query(
        "SELECT count(*) AS n, count(spent_usd) AS spent FROM trials WHERE cost_usd IS NOT NULL"
    ).to_pylist()
    assert row["n"] == row["spent"] > 0  # the third migration derives it
    assert other.load_run(RUN).kind == "evaluation"


def rehash(bundle: Path, **changes: object) -> None:
    """The manifest as somebody who means harm would write it after changing the files."""
    path = bundle / "manifest.json"
    value = json.loads(path.read_text())
    value["tables"] = {
        one.stem: {
            "rows": pq.read_metadata(one).num_rows,
            "bytes": one.stat().st_size,
            "sha256": file_hash(one),
        }
        for one in bundle.glob("*.parquet")
    }
    value |= changes
    path.write_text(json.dumps({**value, "sha256": manifest_hash(value)}))


def changed(bundle: Path, table: str, sql: str) -> None:
    path = bundle / f"{table}.parquet"
    here = pq.read_table(path)  # noqa: F841 - DuckDB finds it by its name
    pq.write_table(duckdb.sql(sql.format("here")).to_arrow_table(), path)


HOSTILE = {
    "another run": ("trials", "SELECT * REPLACE ('x' AS run_id) FROM {}"),
    "exactly one run": ("runs", "SELECT * FROM {0} UNION ALL SELECT * FROM {0}"),
    "a trial is in it twice": ("trials", "SELECT * FROM {0} UNION ALL (SELECT * FROM {0} LIMIT 1)"),
    "a score is in it twice": ("scores", "SELECT * FROM {0} UNION ALL (SELECT * FROM {0} LIMIT 1)"),
    "a trial has no case": ("cases", "SELECT * FROM {} LIMIT 3"),
    "a score has no trial": ("scores", "SELECT * REPLACE (99 AS trial) FROM {} LIMIT 1"),
    "the status 'great'": ("trials", "SELECT * REPLACE ('great' AS status) FROM {}"),
    "not a finite number": ("scores", "SELECT * REPLACE ('nan'::DOUBLE AS value) FROM {}"),
    "below zero": ("trials", "SELECT * REPLACE (-5.0::DOUBLE AS spent_usd) FROM {}"),
    "list of messages": ("trials", "SELECT * REPLACE ('[{{\"role\": 1}}]' AS messages) FROM {}"),
    "does not fit the schema": ("trials", "SELECT * REPLACE ('{{broken' AS messages) FROM {}"),
    "what its identity says": (
        "cases",
        'SELECT * REPLACE (\'{{"question": "other"}}\' AS inputs) FROM {}',
    ),
    "a column 'evil'": ("trials", "SELECT *, 1 AS evil FROM {}"),
    "a suite or a target": ("targets", "SELECT * REPLACE ('other' AS target) FROM {}"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    store = Store(folder / "store.duckdb")
    store.create_run(example_run(RUN))
    store.append([*example_trials(RUN, cases=6), rich_trial(RUN)])
    export_bundle(access(store), RUN, folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "bundle"))


def refused(bundle: Path, tmp_path: Path, words: str) -> UsageError:
    other = Store(tmp_path / "other.duckdb")
    with pytest.raises(UsageError, match=words) as caught:
        take_in(other, bundle, tmp_path / "work")
    assert len(caught.value.lines()) == 3
    assert not other.exists
    return caught.value


@pytest.mark.parametrize("words", HOSTILE)
def test_values_that_cannot_be_are_refused(bundle: Path, tmp_path: Path, words: str) -> None:
    table, sql = HOSTILE[words]
    changed(bundle, table, sql)
    rehash(bundle)
    refused(bundle, tmp_path, words)


def test_a_flipped_bit_a_missing_and_a_strange_file_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    path = bundle / "trials.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:100] + bytes([before[100] ^ 1]) + before[101:])
    refused(bundle, tmp_path, "trials.parquet does not have the hash")
    path.write_bytes(before[:-1])
    refused(bundle, tmp_path, "trials.parquet does not have the hash")
    path.unlink()
    refused(bundle, tmp_path, "trials.parquet is missing")
    path.write_bytes(before)
    (bundle / "evil.py").write_text("raise SystemExit")
    refused(bundle, tmp_path, "'evil.py', which is not of it")


def test_a_changed_or_newer_manifest_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = bundle / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace("support-bot", "other-bot"))
    refused(bundle, tmp_path, "its hash does not match")
    for key in ("format", "schema_version"):
        path.write_text(json.dumps({**json.loads(text), key: 99}))
        error = refused(bundle, tmp_path, "newer evalkit")
        assert isinstance(error, StoreVersionError)
    for wrong in ("", "[]", "{", "[" * 100_000, "null", "x" * 2_000_000):
        path.write_text(wrong)
        refused(bundle, tmp_path, "damaged")
    path.unlink()
    refused(bundle, tmp_path, "no manifest.json")


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a/b", ""])
def test_no_name_of_a_bundle_becomes_a_path(bundle: Path, tmp_path: Path, name: str) -> None:
    rehash(bundle, run_id=name)
    refused(bundle, tmp_path, "manifest.json: run_id")
    value = json.loads((bundle / "manifest.json").read_text())
    value["tables"][name] = value["tables"]["trials"]
    (bundle / "manifest.json").write_text(json.dumps({**value, "run_id": RUN}))
    refused(bundle, tmp_path, "damaged")


def test_hostile_zips_write_nothing_outside(bundle: Path, tmp_path: Path) -> None:
    names = sorted(one.name for one in bundle.iterdir())

    def packed(more: dict[str, bytes], *, twice: bool = False) -> Path:
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as out:
            for one in names:
                out.write(bundle / one, one)
            for one, content in more.items():
                out.writestr(one, content)
            if twice:
                with pytest.warns(UserWarning, match="Duplicate"):
                    out.write(bundle / names[0], names[0])
        return path

    refused(packed({"../../evil.txt": b"x"}), tmp_path, "which is not of it")
    assert not list(tmp_path.parent.glob("**/evil.txt"))
    refused(packed({}, twice=True), tmp_path, "twice")
    whole = packed({}).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    refused(cut, tmp_path, "no bundle, or only a part")
    # a file that unpacks to far more than it says is read no further
    value = json.loads((bundle / "manifest.json").read_text())
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for one in names:
            out.writestr(
                one, b"\0" * 50_000_000 if one == "trials.parquet" else (bundle / one).read_bytes()
            )
    refused(bomb, tmp_path, "trials.parquet does not have the hash")
    assert (tmp_path / "work" / "trials.parquet").stat().st_size == value["tables"]["trials"][
        "bytes"
    ] + 1


def test_no_parquet_and_no_bundle(bundle: Path, tmp_path: Path) -> None:
    (bundle / "scores.parquet").write_bytes(b"PAR1 nothing PAR1")
    value = json.loads((bundle / "manifest.json").read_text())
    one = bundle / "scores.parquet"
    value["tables"]["scores"] |= {"bytes": one.stat().st_size, "sha256": file_hash(one)}
    value["sha256"] = manifest_hash(value)
    (bundle / "manifest.json").write_text(json.dumps(value))
    refused(bundle, tmp_path, "scores.parquet is no Parquet file")
    refused(tmp_path / "nowhere", tmp_path, "no such bundle")
    refused(tmp_path, tmp_path, "no file|no bundle")


def test_the_same_run_with_other_answers_is_refused(full: Store, tmp_path: Path) -> None:
    export_bundle(access(full), RUN, tmp_path / "a")
    changed(tmp_path / "a", "trials", "SELECT * REPLACE ('other' AS output) FROM {}")
    rehash(tmp_path / "a")
    with pytest.raises(UsageError, match="with other trials"):
        take_in(full, tmp_path / "a", tmp_path / "work")
    assert pa.Table.from_pylist(rows(full, "events")).num_rows == 2  # type: ignore[arg-type]
