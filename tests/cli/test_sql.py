from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stored_project import FIRST, make_project, make_runs

from evalkit.cli.app import run_command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path))
    make_runs(tmp_path)
    return tmp_path


SUMS = "SELECT target, count(*) AS n, sum(cost_usd) AS cost FROM trials GROUP BY 1 ORDER BY 1"


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", SUMS]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["target", "n", "cost"]
    assert lines[1] == ["large", "12", "NULL"]
    assert lines[2][:2] == ["small", "12"]


def test_csv_json_and_parquet_say_the_same(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["sql", SUMS, "--csv"]) == 0
    from_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert run_command(["sql", SUMS, "--json"]) == 0
    from_json = json.loads(capsys.readouterr().out)
    assert run_command(["sql", SUMS, "--parquet", "sums.parquet"]) == 0
    assert "wrote 2 rows" in capsys.readouterr().err
    from_parquet = pq.read_table(project / "sums.parquet").to_pylist()
    assert from_json == from_parquet
    assert [row["n"] for row in from_csv] == ["12", "12"]
    assert from_csv[0]["cost"] == ""
    assert from_json[0]["cost"] is None
    assert [one.name for one in project.iterdir() if "parquet" in one.name] == ["sums.parquet"]


def test_every_column_of_every_table_can_be_exported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in ("runs", "targets", "cases", "trials", "scores", "results", "events"):
        for flags in ([], ["--csv"], ["--json"], ["--parquet", "x.parquet"]):
            assert run_command(["sql", f"SELECT * FROM {table}", *flags]) == 0
    capsys.readouterr()


def test_sql_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT max(run_id) AS m FROM runs\n"))
    assert run_command(["sql", "-", "--csv"]) == 0
    assert capsys.readouterr().out.startswith("m\r\n2026")


def test_a_mistake_shows_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "SELECT latencys FROM trials"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "LINE 1: SELECT latencys FROM trials" in said.err
    assert "               ^" in said.err
    assert "DESCRIBE" in said.err


@pytest.mark.parametrize(
    "statement",
    ["COPY runs TO 'x.csv'", "DELETE FROM runs", "SELECT * FROM 'evalkit.yaml'", "INSTALL httpfs"],
)
def test_nothing_but_reading(
    project: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["sql", statement]) == 2
    assert not (project / "x.csv").exists()
    assert run_command(["sql", f"SELECT count(*) AS n FROM runs WHERE run_id = '{FIRST}'"]) == 0
    assert capsys.readouterr().out.split() == ["n", "1"]


def test_many_rows_are_said_to_be_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "SELECT range AS n FROM range(5000)"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1001
    assert "1,000 of 5,000 rows shown" in said.err
    assert run_command(["sql", "SELECT range AS n FROM range(5000)", "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5001


def test_two_formats_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "SELECT 1", "--csv", "--json"]) == 2
    assert "only one of" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["prompts", "no/such/folder/x.parquet"])
def test_a_place_for_parquet_that_is_none(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "SELECT 1", "--parquet", place]) == 2
    assert place in capsys.readouterr().err


def test_no_store_yet(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".evalkit" / "evalkit.duckdb").unlink()
    assert run_command(["sql", "SELECT 1"]) == 2
    said = capsys.readouterr().err
    assert "there is no run store yet" in said
    assert "evalkit run" in said


def test_an_encoding_without_the_characters_gets_escapes(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", "sql", "SELECT 'caf' || chr(233) || chr(8364) AS word"],
        capture_output=True,
        check=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"},
    )
    assert done.stdout.split() == [b"word", b"caf\xe9\\u20ac"]


def test_ctrl_c_ends_a_query_that_takes_too_long(project: Path) -> None:
    query = "SELECT count(*) FROM range(100000000000) a, range(1000) b"
    with subprocess.Popen(
        [sys.executable, "-m", "evalkit", "sql", query],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell's background job, as a test runner may be, leaves the signal ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=2.5)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, said) == (130, (b"", b""))


def test_json_columns_are_json_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "SELECT messages, output FROM trials LIMIT 1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert isinstance(row["messages"], list)
    assert isinstance(row["output"], str)


def test_describe_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sql", "describe trials"]) == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["column_name", "column_type", "comment"]
    assert first.split()[:2] == ["run_id", "VARCHAR"]


def test_csv_on_a_terminal_cannot_steer_it(project, capsys, monkeypatch):
    query = "select chr(27) || '[31mred' as a"
    assert run_command(["sql", "--csv", query]) == 0
    assert "\x1b[31mred" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run_command(["sql", "--csv", query]) == 0
    assert capsys.readouterr().out == "a\nred\n"
