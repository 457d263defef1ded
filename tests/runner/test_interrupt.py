"""Signals and kills of a real process: nothing finished is lost, and the run goes on after."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.runner.projects import SmallProject, rows, wire
from tests.servers import ModelServer, Reply

WHICH = "SELECT count(*) AS n, count(DISTINCT case_id) AS cases FROM trials WHERE status = 'ok'"


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def slow(small: SmallProject, server: ModelServer, cases: int = 400) -> None:
    small.write({"t": wire(server.openai, limits={"concurrency": 4})}, rows(cases))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_everything_finished_stored(
    small: SmallProject, number: signal.Signals
) -> None:
    with ModelServer(Reply(first_s=0.05)) as server:
        slow(small, server, 80)
        with small.start() as process:
            wait_until(lambda: len(server.seen) >= 20)
            process.send_signal(number)
            _, said = process.communicate(timeout=20)
            assert process.returncode == 130
            asked = len(server.seen)
            (row,) = small.sql(WHICH)
            assert row["n"] == asked, "all that was under way was waited for"
            assert asked < 80
            run = small.store.load_run(small.store.resolve("latest"))
            assert run.status == "interrupted"
            assert f"evalkit run --resume {run.id}" in said
            assert f"{asked} of 80 answers are stored" in said
            outcome = small.resume()
            assert outcome.kept == asked
            assert len(server.seen) == 80, "exactly the missing ones"
    (row,) = small.sql(WHICH)
    assert row == {"n": 80, "cases": 80}


def test_answers_that_do_not_come_are_not_waited_for(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=30)) as server:
        slow(small, server)
        with small.start() as process:
            wait_until(lambda: len(server.seen) >= 4)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert process.returncode == 130
            assert time.monotonic() - begun < 20


def test_a_second_signal_ends_at_once(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=30)) as server:
        slow(small, server)
        with small.start() as process:
            wait_until(lambda: len(server.seen) >= 4)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert any("again to quit at once" in line for line in process.stderr)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
            assert time.monotonic() - begun < 20, "the answers under way take longer"
            assert "continue with: evalkit run --resume 2" in said
            assert process.returncode == 130


def test_a_killed_run_loses_nothing_that_was_finished(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=0.05)) as server:
        slow(small, server, 150)
        with small.start("--no-progress") as process:
            wait_until(lambda: len(server.seen) >= 60)
            time.sleep(0.6)  # some of them are stored by now
            process.send_signal(signal.SIGKILL)
            asked_before = len(server.seen)
            process.communicate(timeout=20)
            wait_until(lambda: len(server.seen) == asked_before)
            outcome = small.resume()
            asked = len(server.seen)
    assert outcome.kept >= 56
    assert asked_before > outcome.kept
    twice = asked - 150
    assert 0 <= twice <= 4, "what was under way, and nothing else"
    (row,) = small.sql(WHICH)
    assert row == {"n": 150, "cases": 150}
    (row,) = small.sql("SELECT count(*) AS n FROM trials WHERE after_kill")
    assert twice <= row["n"] <= 4, "all that was asked twice, or was about to be"


def test_what_a_call_under_way_at_a_kill_may_have_cost_is_counted(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=30)) as server:
        limits = {"concurrency": 3}
        target = wire(server.openai, limits=limits, params={"max_completion_tokens": 1_000})
        small.write({"t": target}, rows(6))
        with small.start("--no-progress") as process:
            wait_until(lambda: len(server.seen) >= 3)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
        server.answer = Reply()
        outcome = small.resume()
        assert outcome.answered == 6
        assert len(server.seen) == 9
    marked = small.sql(
        "SELECT after_kill, count(*) AS n, min(assumed_tokens) AS least,"
        " max(assumed_tokens) AS most FROM trials GROUP BY ALL ORDER BY ALL"
    )
    assert [(one["after_kill"], one["n"]) for one in marked] == [(False, 3), (True, 3)]
    assert marked[0]["most"] == 0
    assert marked[1]["least"] >= 1_000
    assert list((small.folder / ".evalkit/journal").glob("*.calls")) == []


def test_a_run_that_another_process_is_making_cannot_be_resumed(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=0.2)) as server:
        slow(small, server)
        with small.start() as process:
            wait_until(lambda: len(server.seen) >= 1)
            with small.start("--resume", "latest") as other:
                _, said = other.communicate(timeout=20)
                assert other.returncode == 2
                assert f"is being executed by process {process.pid}" in said
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=20)
    assert small.sql("SELECT count(*) AS n FROM runs") == [{"n": 1}]


def test_a_full_disk_ends_the_run_and_keeps_what_was_stored(small: SmallProject) -> None:
    with ModelServer(Reply(text="word " * 4_000, latency_s=0.02)) as server:
        target = wire(server.openai, stream=False, limits={"concurrency": 4})
        small.write({"t": target}, rows(400))
        # no file may grow beyond 3 MB, which a write meets as it meets a full disk
        with small.start("--no-progress", largest_file=3_000_000) as process:
            _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        asked = len(server.seen)
        assert asked < 400
        lines = said.strip().splitlines()[-3:]
        assert "the disk is full" in lines[0]
        assert ".evalkit" in lines[1]
        assert "evalkit run --resume" in lines[2]
        recovered = small.store.recover()
        assert 0 < recovered.trials <= asked
        assert f"({recovered.trials:,} trials are kept)" in lines[2]
        assert small.resume().kept == recovered.trials
