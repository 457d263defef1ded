"""Runs that are killed between an answer and its record: what came is not asked for again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evalkit.model import Case, Message, Output, Request, RunStatus, Spend
from evalkit.runner.arrivals import PIECE, Arrivals
from evalkit.runner.course import Answer
from evalkit.runner.flight import Call, Flight, call_of, outstanding_usd
from evalkit.runner.funds import fund
from evalkit.runner.plan import RunOptions
from tests.runner.projects import SmallProject, asked, rows, wire
from tests.runner.test_judges import CRITERIA, EACH, PRICE, SHORT, judge
from tests.scorers.judging import verdict
from tests.servers import ModelServer, Reply

SLOW = """
import os, pathlib, time

def slow(case, output):
    if pathlib.Path("hang").exists():
        time.sleep(60)
    return float(output.text == "42")
"""


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    assert true()


def kept(small: SmallProject) -> int:
    """How many answers a run that goes on has written down so far."""
    journal = small.folder / ".evalkit" / "journal"
    return sum(
        len(list(Arrivals(one.with_suffix(".answers")).left())) for one in journal.glob("*.calls")
    )


def left(small: SmallProject) -> list[Path]:
    journal = small.folder / ".evalkit" / "journal"
    return [*journal.glob("*.answers-*"), *journal.glob("*.calls")]


def test_answers_that_wait_to_be_scored_are_not_asked_for_again(small: SmallProject) -> None:
    (small.folder / "mine.py").write_text(SLOW)
    (small.folder / "hang").touch()
    slow = {"python": {"function": "mine.py:slow"}, "as": "slow"}
    with ModelServer(Reply(text="42")) as server:
        target = wire(server.openai, limits={"concurrency": 4}, price=PRICE, params=SHORT)
        small.write({"t": target}, rows(40), scorers=[slow])
        with small.start("--no-progress", "--allow-code") as process:
            wait_until(lambda: kept(small) == 40)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
        assert left(small)
        (small.folder / "hang").unlink()
        outcome = small.resume(allow_code=True)
        assert len(server.seen) == 40
    assert outcome.status is RunStatus.COMPLETE
    assert outcome.answered == 40
    assert "40 answers had come when the run was killed" in small.said.getvalue()
    (row,) = small.sql(
        "SELECT count(*) AS n, bool_or(after_kill) AS again, min(latency_s) > 0 AS timed,"
        " sum(spent_usd) AS usd, max(provenance) AS provenance FROM trials"
    )
    assert (row["n"], row["again"], row["timed"], row["provenance"]) == (40, False, True, "live")
    assert row["usd"] == pytest.approx(40 * EACH)
    assert [one["value"] for one in small.sql("SELECT value FROM scores")] == [1.0] * 40
    assert small.store.spending(outcome.run_id).usd == pytest.approx(40 * EACH)
    assert left(small) == []


def test_verdicts_that_came_are_not_asked_for_again(small: SmallProject) -> None:
    answer = verdict("pass")
    with (
        ModelServer() as server,
        ModelServer(answer) as quick,
        ModelServer(Reply(first_s=60)) as slow,
    ):
        target = wire(server.openai, limits={"concurrency": 4}, price=PRICE, params=SHORT)
        graders = {"g": judge(quick.openai), "h": judge(slow.openai, model="gpt-5")}
        small.write(
            {"t": target, **graders},
            rows(6),
            scorers=[
                {"judge": {"judges": "g", "criteria": CRITERIA}, "as": "first"},
                {"judge": {"judges": "h", "criteria": CRITERIA}, "as": "second"},
            ],
            suite={"targets": ["t"]},
        )
        with small.start("--no-progress") as process:
            wait_until(lambda: (kept(small), len(slow.seen)) == (12, 6))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
        slow.answer = answer
        outcome = small.resume()
        assert (len(server.seen), len(quick.seen), len(slow.seen)) == (6, 6, 12)
    assert outcome.status is RunStatus.COMPLETE
    (row,) = small.sql("SELECT count(*) AS n, bool_and(after_kill) AS again FROM trials")
    assert (row["n"], row["again"]) == (6, True), "a verdict of each was under way"
    spent = small.sql("SELECT name, sum(cost_usd) AS usd FROM scores GROUP BY ALL ORDER BY ALL")
    assert [one["usd"] for one in spent] == pytest.approx([6 * EACH, 6 * EACH])
    # and what the verdicts under way may have cost
    assert small.store.spending(outcome.run_id).usd > 18 * EACH


def test_what_was_paid_for_answers_that_came_counts_for_the_cap(small: SmallProject) -> None:
    (small.folder / "mine.py").write_text(SLOW)
    (small.folder / "hang").touch()
    slow = {"python": {"function": "mine.py:slow"}, "as": "slow"}
    with ModelServer(Reply(text="42")) as server:
        target = wire(server.openai, limits={"concurrency": 2}, price=PRICE, params=SHORT)
        small.write({"t": target}, rows(20), scorers=[slow])
        with small.start("--no-progress", "--allow-code", "--max-usd", "2") as process:
            wait_until(lambda: kept(small) == 20)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
        (small.folder / "hang").unlink()
        small.write_cases(rows(20))
        # as much as was spent: nothing more may be asked, and nothing more is needed
        outcome = small.resume(allow_code=True, max_usd=20 * EACH)
        assert len(server.seen) == 20
    assert outcome.status is RunStatus.COMPLETE
    (run,) = small.sql("SELECT unrecorded_usd AS usd FROM runs")
    assert run["usd"] == pytest.approx(0.0)


def month(small: SmallProject) -> float:
    """US dollars that a new run counts as spent in this month."""
    plan = small.plan(allow_code=True)
    ledger, _ = fund(plan, RunOptions(), small.store)
    (purse,) = [one for one in ledger.purses if one.name == "monthly_usd"]
    return purse.spent


def test_a_killed_run_that_is_never_resumed_counts_for_the_month(small: SmallProject) -> None:
    (small.folder / "mine.py").write_text(SLOW)
    (small.folder / "hang").touch()
    slow = {"python": {"function": "mine.py:slow"}, "as": "slow"}
    with ModelServer(lambda seen: Reply(first_s=60 if asked(seen) >= 20 else 0)) as server:
        target = wire(server.openai, limits={"concurrency": 4}, price=PRICE, params=SHORT)
        small.write({"t": target}, rows(24), scorers=[slow], budget={"monthly_usd": 50})
        with small.start("--no-progress", "--allow-code") as process:
            wait_until(lambda: kept(small) == 20 and server.under_way == 4)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=20)
        (small.folder / "hang").unlink()
        begun = month(small)
        # an answer costs two thirds of what is reserved for a call
        assert 24 * EACH < begun < 20 * EACH + 4 * 40 * EACH
        server.answer = Reply(text="42")
        outcome = small.resume(allow_code=True, max_time_s=0)
        assert outcome.status is not RunStatus.COMPLETE
        assert month(small) == pytest.approx(begun), "what is not made again is not forgotten"
        assert small.resume(allow_code=True).status is RunStatus.COMPLETE
    assert month(small) >= begun
    assert small.store.spending(outcome.run_id).usd == pytest.approx(month(small))


def test_an_answer_with_a_secret_is_not_written_before_it_is_clean(small: SmallProject) -> None:
    key = "sk-live-0123456789abcdef"
    (small.folder / "mine.py").write_text(SLOW)
    (small.folder / "hang").touch()
    slow = {"python": {"function": "mine.py:slow"}, "as": "slow"}
    with ModelServer(Reply(text=f"It is {key}.")) as server:
        target = wire(server.openai, api_key="${env:A_KEY}")
        small.write({"t": target}, rows(3), scorers=[slow])
        os.environ["A_KEY"] = key
        try:
            with small.start("--no-progress", "--allow-code") as process:
                wait_until(lambda: len(server.seen) == 3 and not server.under_way)
                process.send_signal(signal.SIGKILL)
                process.communicate(timeout=20)
        finally:
            del os.environ["A_KEY"]
        assert left(small)
        assert not any(key.encode() in one.read_bytes() for one in left(small))
        (small.folder / "hang").unlink()
        small.resume(allow_code=True, environ={"A_KEY": key})
        assert len(server.seen) == 6, "scores of another text would not be those of the answer"
    (row,) = small.sql("SELECT bool_and(after_kill) AS again FROM trials")
    assert row["again"]


# ---- the files -------------------------------------------------------------------------------


def test_what_is_written_is_read_until_its_trial_is_recorded(tmp_path: Path) -> None:
    base = tmp_path / "run.answers"
    written = Arrivals(base)
    places = [written.add(f"answer {number}".encode()) for number in range(4)]
    long = b"x" * PIECE
    alone = written.add(long)
    assert places[1] is not None
    assert alone is not None
    written.release(places[1])
    found = list(Arrivals(base).left())
    assert found == [b"answer 0", b"answer 2", b"answer 3", long]
    written.release(alone)
    for one in (places[0], places[2], places[3]):
        assert one is not None
        written.release(one)
    assert list(Arrivals(base).left()) == []
    again = written.add(b"short")
    assert again is not None
    assert list(Arrivals(base).left()) == [b"short"]
    written.close(ended=True)
    assert list(tmp_path.iterdir()) == []


def test_files_are_used_again(tmp_path: Path) -> None:
    written = Arrivals(tmp_path / "run.answers")
    waiting = []
    for number in range(2_000):
        place = written.add(bytes([65 + number % 26]) * 1_000)
        assert place is not None
        waiting.append(place)
        if len(waiting) > 300:
            written.release(waiting.pop(0))
    assert len(list(tmp_path.iterdir())) <= 4
    assert len(list(Arrivals(tmp_path / "run.answers").left())) == 300


def test_an_answer_whose_writer_died_over_it_is_left_out(tmp_path: Path) -> None:
    base = tmp_path / "run.answers"
    written = Arrivals(base)
    written.add(b"whole")
    written.add(b"torn in the middle")
    written.close(ended=False)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"torn in", b"torn\0\0\0"))
    assert list(Arrivals(base).left()) == [b"whole"]


def test_the_same_question_of_two_trials_has_two_answers(tmp_path: Path) -> None:
    case = Case.of({"question": "?"})
    request = Request(case=case, messages=(Message(role="user", content="a \ud800 b\n"),))
    output = Output(text="b \ud800 \x00 é", extra={"refusal": None}, cost_usd=0.5)
    spend = Spend(usd=0.5, tokens=7)
    answer = Answer(datetime.now(UTC), 2, 0.25, 1.5, output, None, spend)
    keys = [(suite, "t", case.id, 0) for suite in ("one", "two")]

    def calls(flight: Flight):
        for key in keys:
            flight.enter(key)
            call = call_of("t", request)
            assert call is not None
            yield call

    killed = Flight(tmp_path / "run.calls")
    for call in calls(killed):
        assert call.came() is None
        call.begins(Spend(assumed_usd=0.25, assumed_tokens=9))
        call.keep(answer, judge=False, route=False)
    killed.landed(keys[:1])
    killed.close(ended=False)

    resumed = Flight(tmp_path / "run.calls")
    first, second = calls(resumed)
    assert first.came() is None, "its trial is recorded"
    assert resumed.untold == Spend(), "one is recorded, and the other has an answer"
    came = second.came()
    assert came is not None
    assert Answer(*came) == answer
    assert second.came() is None
    second.begins(Spend())
    assert second.again
    assert resumed.asked_again(keys[1])
    assert not resumed.asked_again(keys[0])
    second.keep(answer, judge=False, route=False)
    resumed.close(ended=False)

    resumed = Flight(tmp_path / "run.calls")
    _, second = calls(resumed)
    assert second.came() is not None
    assert resumed.asked_again(keys[1]), "it was asked for twice, whenever it is recorded"
    resumed.close(ended=True)
    assert list(tmp_path.iterdir()) == []


def test_what_was_under_way_is_counted_once_its_call_is_over(tmp_path: Path) -> None:
    case = Case.of({"question": "?"})
    request = Request(case=case, messages=(Message(role="user", content="?"),))
    output = Output(text="yes", cost_usd=0.5)
    answer = Answer(datetime.now(UTC), 1, 0.0, 0.1, output, None, Spend(usd=0.5))
    path = tmp_path / "run.calls"

    def call(flight: Flight, lane: str) -> Call:
        found = call_of(lane, request)
        assert found is not None
        found.begins(Spend(assumed_usd=0.25))
        return found

    killed = Flight(path)
    killed.enter(("s", "route", case.id, 0))
    call(killed, "child").keep(answer, judge=False, route=False)
    call(killed, "route").keep(answer, judge=False, route=True)
    call(killed, "other")
    killed.close(ended=False)
    assert outstanding_usd(path, lambda _: False) == 0.75, "a route took what its targets took"
    assert outstanding_usd(path, lambda _: True) == 0.25

    resumed = Flight(path)
    resumed.enter(("s", "route", case.id, 0))
    again = call(resumed, "other")
    assert again.again
    assert resumed.untold.assumed_usd == 0.25, "the call that is made again may be cut off"
    again.told()
    assert resumed.untold == Spend()
    resumed.close(ended=True)
