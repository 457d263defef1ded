"""Several processes share one store: no row is lost and nobody sees a lock error."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from example_runs import example_run
from filelock import FileLock

from evalkit.errors import StoreError
from evalkit.store import Store

TESTS = Path(__file__).parents[1]
WRITER = """
    import sys
    from pathlib import Path
    from evalkit.store import Store
    from example_runs import example_run, example_trials
    store, name = Store(Path(sys.argv[1]), patience_s=90), sys.argv[2]
    store.create_run(example_run(name))
    trials = example_trials(name, cases=100)
    for first in range(0, len(trials), 100):
        store.append(trials[first:first + 100])
"""
READER = """
    import sys
    from pathlib import Path
    from evalkit.store import Store
    store, seen = Store(Path(sys.argv[1]), patience_s=90), 0
    for _ in range(12):
        rows = store.query("SELECT run_id, count(*) AS n FROM trials GROUP BY run_id").to_pylist()
        assert all(row["n"] % 100 == 0 for row in rows), rows  # whole transactions only
        total = sum(row["n"] for row in rows)
        assert total >= seen
        seen = total
"""


HOLDER = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True);"
    " sys.stdin.read()"
)


@contextmanager
def held(store: Store) -> Iterator[subprocess.Popen[str]]:
    """The store open in another program while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        yield holder
        holder.stdin.close()
        holder.wait()


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    )


def test_six_writers_and_two_readers(store: Store) -> None:
    store.prepare()
    processes = [start(WRITER, store.path, f"run-{number}") for number in range(6)]
    processes += [start(READER, store.path) for _ in range(2)]
    ended = [(one.communicate(timeout=100)[1], one.returncode) for one in processes]
    assert ended == [("", 0)] * 8
    counts = store.query(
        "SELECT run_id, count(*) AS n FROM trials GROUP BY run_id ORDER BY run_id"
    ).to_pylist()
    assert counts == [{"run_id": f"run-{number}", "n": 200} for number in range(6)]
    assert store.query("SELECT * FROM cases").num_rows == 100


def test_a_store_that_stays_busy_is_an_error_that_says_who(store: Store) -> None:
    store.create_run(example_run())
    with held(store) as holder:
        hurried = Store(store.path, patience_s=0.3)
        uses = (lambda: hurried.query("SELECT 1"), lambda: hurried.create_run(example_run("b")))
        for use in uses:
            with pytest.raises(StoreError, match=f"PID {holder.pid}") as error:
                use()
            assert error.value.exit_code == 4
            assert error.value.hint
    assert hurried.query("SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_a_long_wait_says_once_who_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalkit.store.access.NOTED_S", 0.05)
    store.create_run(example_run())
    said: list[str] = []
    with held(store) as holder:
        waiting = Store(store.path, patience_s=0.5, note=said.append)
        for _ in range(2):
            with pytest.raises(StoreError):
                waiting.query("SELECT 1")
    assert len(said) == 1
    assert f"PID {holder.pid}" in said[0]
    assert "waiting for up to 0.5 s" in said[0]


def test_another_evalkit_that_writes_for_long_is_told_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalkit.store.access.NOTED_S", 0.05)
    store.create_run(example_run())
    said: list[str] = []
    with FileLock(f"{store.path}.lock"), pytest.raises(StoreError):
        Store(store.path, patience_s=0.5, note=said.append).create_run(example_run("b"))
    assert said == ["the run store is in use; waiting for up to 0.5 s"]


def test_a_commit_in_the_write_ahead_log_is_there_for_readers(store: Store) -> None:
    """A writer killed after its commit leaves a log file, from which a reader must read."""
    store.create_run(example_run())
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        ' c.execute("INSERT INTO labels (case_id, name, author, labelled_at)'
        " VALUES ('c', 'n', 'ana', now())\"); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=False)
    assert Path(f"{store.path}.wal").exists()
    assert store.query("SELECT author FROM labels").to_pylist() == [{"author": "ana"}]
    store.create_run(example_run("b"))
    assert duckdb.connect(str(store.path)).sql("SELECT count(*) FROM labels").fetchall() == [(1,)]
