"""What was flushed survives: kill -9, torn lines, full disks, and commands that come later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from example_runs import (
    example_case,
    example_run,
    example_trial,
    example_trials,
    rich_trial,
)

from evalkit.errors import ConfigError, StoreError, StoreVersionError, UsageError
from evalkit.model import Case, RunStatus
from evalkit.store import Journal, Store
from evalkit.store.journal import read_segment
from evalkit.store.sound import ROW_GROUP

RUN = "20261121-093000-4e77"
TESTS = Path(__file__).parents[1]


def stored(store: Store) -> int:
    rows: list[dict[str, int]] = store.query("SELECT count(*) AS n FROM trials").to_pylist()
    return rows[0]["n"]


def test_segments_go_into_the_store_exactly_once(store: Store) -> None:
    trials = [*example_trials(), rich_trial()]
    store.create_run(example_run())
    journal = Journal(store.journal_directory, RUN)
    journal.append(trials[:20])
    journal.flush()
    journal.append(trials[20:])
    segment = journal.seal()
    assert segment is not None
    assert journal.seal() is None
    assert read_segment(segment).blocks.trials().read_all().num_rows == len(trials)
    copy = segment.read_bytes()
    assert store.ingest(segment) == len(trials)
    assert not segment.exists()
    assert rich_trial() in store.trial(RUN, "refund-003")
    segment.write_bytes(copy)  # as if the process died before it could delete the file
    assert store.ingest(segment) == 0
    assert not segment.exists()
    assert stored(store) == len({one.key for one in trials})
    journal.append(trials[:2])
    last = journal.close()
    assert last is not None
    assert store.ingest(last) == 2
    assert [one.name for one in store.journal_directory.iterdir()] == [".lock"]


def test_a_case_is_written_once_a_segment(store: Store) -> None:
    trials = example_trials(cases=5, trials=4)
    journal = Journal(store.journal_directory, RUN)
    for one in trials:
        journal.append([one])
        journal.flush()
    first = journal.seal()
    journal.append(trials)
    second = journal.close()
    assert first is not None
    assert second is not None
    for segment in (first, second):
        blocks = list(read_segment(segment).blocks.columns())
        assert sum(one.cases.num_rows for one in blocks) == 5
        assert [row["trial"] for one in blocks for row in one.trials.to_pylist()] == [
            one.index for one in trials
        ]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_column_may_be_empty_in_one_block_and_not_in_the_next(store: Store, fresh: bool) -> None:
    plain = example_trial(RUN, example_case(1), "large", quality=0.9)
    journal = Journal(store.journal_directory, RUN)
    for one in (plain, rich_trial(), replace(plain, index=1)):
        journal.append([one])
        journal.flush()
    segment = journal.close()
    assert segment is not None
    assert store.ingest(segment, fresh=fresh) == 3
    assert rich_trial() in store.trial(RUN, rich_trial().case.id)
    assert store.trial(RUN, plain.case.id) == (plain, replace(plain, index=1))


def test_a_whole_segment_of_known_cases_goes_into_the_store(store: Store) -> None:
    """However little may be held of what is read meanwhile."""
    cases = [Case.of({"question": str(number)}) for number in range(ROW_GROUP)]
    trials = [replace(example_trials(cases=1)[1], case=one) for one in cases]
    journal = Journal(store.journal_directory, RUN)
    for index in (0, 1):
        journal.append([replace(one, index=index) for one in trials])
        segment = journal.seal()
        assert segment is not None
        assert store.ingest(segment, fresh=True) == ROW_GROUP
    journal.close()
    assert stored(store) == 2 * ROW_GROUP


def test_a_case_that_came_back_and_a_trial_made_twice(store: Store) -> None:
    """Labels and answers that came last stay, whichever blocks they are in."""
    first = example_trial(RUN, example_case(1), "small", quality=0.1)
    renamed = Case.of(
        first.case.inputs, expected=first.case.expected, context=first.case.context, name="new"
    )
    again = example_trial(
        RUN, renamed, "small", quality=0.9, started_at=first.started_at + timedelta(seconds=1)
    )
    other = example_trial(RUN, example_case(2), "small", quality=0.5)
    journal = Journal(store.journal_directory, RUN)
    for one in (first, other, again):
        journal.append([one])
        journal.flush()
    segment = journal.close()
    assert segment is not None
    assert store.ingest(segment) == 3
    (kept,) = store.trial(RUN, first.case.id)
    assert kept.case.name == "new"
    assert kept.output == again.output
    assert kept.scores == again.scores
    assert stored(store) == 2


def test_many_threads_may_append_and_flush(store: Store) -> None:
    trials = example_trials(cases=60)
    journal = Journal(store.journal_directory, RUN)
    segments: list[Path | None] = []

    def append(part: int) -> None:
        for one in trials[part::3]:
            journal.append([one])
            journal.flush()

    def seal() -> None:
        segments.extend(journal.seal() for _ in range(10))

    threads = [threading.Thread(target=append, args=[part]) for part in range(3)]
    threads.append(threading.Thread(target=seal))
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    segments.append(journal.close())
    for path in segments:
        if path is not None:
            store.ingest(path)
    rows = store.query("SELECT suite, target, case_id, trial FROM trials").to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == sorted(one.key for one in trials)


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    )


WRITER = """
    import sys, time
    from pathlib import Path
    from evalkit.store import Journal, Store
    from example_runs import example_run, example_trials
    store = Store(Path(sys.argv[1]))
    store.create_run(example_run())
    journal = Journal(store.journal_directory, example_run().id)
    trials = example_trials()
    journal.append(trials[:10]); journal.seal()
    journal.append(trials[10:30]); journal.flush()
    journal.append(trials[30:])  # never flushed: not promised
    print("ready", flush=True)
    time.sleep(60)
"""


def test_kill_9_loses_nothing_that_was_flushed(store: Store) -> None:
    process = start(WRITER, store.path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    before = sorted(store.journal_directory.glob("*.*"))
    assert store.recover().runs == ()  # its process lives
    with pytest.raises(UsageError, match=f"process {process.pid}"):
        Journal(store.journal_directory, RUN)
    assert sorted(store.journal_directory.glob("*.*")) == before
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (part,) = store.journal_directory.glob("*.part")
    with part.open("ab") as torn:
        torn.write(part.read_bytes()[-500:])
    recovered = store.recover()
    assert (recovered.runs, recovered.trials, recovered.dropped) == ((RUN,), 30, 1)
    assert stored(store) == 30
    assert store.load_run(RUN).status is RunStatus.INTERRUPTED
    assert store.recover().runs == ()
    assert [one.name for one in store.journal_directory.iterdir()] == [".lock"]
    resumed = Journal(store.journal_directory, RUN)
    assert len(store.finished(RUN)) == 30
    resumed.close()


FULL = """
    import resource, signal, sys
    from pathlib import Path
    from evalkit.errors import StoreError
    from evalkit.store import Journal, Store
    from example_runs import example_run, example_trials
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = Store(Path(sys.argv[1]))
    store.create_run(example_run())
    trials = example_trials(cases=2000)
    store.append(trials[:50])
    journal = Journal(store.journal_directory, example_run().id)
    journal.append(trials[:50]); journal.flush()
    size = store.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        store.append(trials)
    except StoreError as error:
        print("store:", *error.lines(), sep="\\n")
    journal_size = max(p.stat().st_size for p in store.journal_directory.glob("*.part")) + 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal_size, size))
    journal.append(trials[50:60])
    try:
        journal.flush()
    except StoreError as error:
        print("journal:", *error.lines(), sep="\\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    segment = journal.close()
    print(store.ingest(segment))
"""


def test_a_full_disk_says_what_is_safe_and_loses_nothing(store: Store) -> None:
    process = start(FULL, store.path)
    output, errors = process.communicate()
    assert errors == ""
    said = output.splitlines()
    assert said[0] == "store:"
    assert "the disk is full" in said[1]
    assert "safe" in said[1]
    assert said[2] == f"at {store.path}"
    assert str(store.journal_directory) in said[3]
    assert said[4] == "journal:"
    assert "the disk is full" in said[5]
    assert f"answers still in {store.journal_directory} are" in said[7]
    assert said[-1] == "60"
    assert stored(store) == 60


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal", RUN)


def test_a_journal_of_a_newer_evalkit_is_left_where_it_is(store: Store) -> None:
    store.journal_directory.mkdir(parents=True)
    segment = store.journal_directory / f"{RUN}.ab-00001.jsonl"
    segment.write_text('["segment",{"format":99,"run_id":"x"}]\n')
    with pytest.raises(StoreVersionError, match=r"newer evalkit .format 99") as raised:
        store.recover()
    assert segment.exists()
    # the name on the package index is another project's
    assert "pip install" not in str(raised.value)


def test_a_journal_of_an_older_evalkit_is_not_passed_over(store: Store) -> None:
    store.journal_directory.mkdir(parents=True)
    segment = store.journal_directory / f"{RUN}.ab-00001.jsonl"
    segment.write_text('["segment",{"format":1,"run_id":"x"}]\n["case",{}]\n')
    with pytest.raises(StoreVersionError, match=r"older evalkit .format 1"):
        store.recover()
    assert segment.exists()


def test_recovering_is_nothing_where_nothing_was_left(store: Store) -> None:
    assert store.recover().trials == 0
    assert not store.path.parent.exists()


def test_an_unwritten_buffer_is_kept_when_the_disk_is_full(store: Store) -> None:
    journal = Journal(store.journal_directory, RUN)
    trials = example_trials(cases=2)
    journal.append(trials)
    store.journal_directory.rename(store.journal_directory.with_name("away"))
    with pytest.raises((StoreError, ConfigError)):
        journal.flush()
    store.journal_directory.with_name("away").rename(store.journal_directory)
    segment = journal.close()
    assert segment is not None
    assert store.ingest(segment) == len(trials)
    assert {one.key for one in trials} == store.finished(RUN, retry=[])


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_segment_cut_anywhere_keeps_its_whole_blocks(store: Store, keep: float) -> None:
    trials = example_trials(cases=4)
    journal = Journal(store.journal_directory, RUN)
    journal.append(trials[:3])
    journal.flush()
    (part,) = store.journal_directory.glob("*.part")
    first = part.stat().st_size
    journal.append(trials[3:])
    segment = journal.close()
    assert segment is not None
    content = segment.read_bytes()
    cut = first + int((len(content) - first) * keep)
    segment.write_bytes(content[:cut])
    assert read_segment(segment).dropped == 1
    assert store.ingest(segment) == 3
    damaged = bytearray(content)
    damaged[cut] ^= 0xFF
    other = segment.with_name(f"{RUN}.other-00001.segment")
    other.write_bytes(damaged)
    assert read_segment(other).blocks.trials().read_all().num_rows == 3
    assert read_segment(other).dropped == 1
