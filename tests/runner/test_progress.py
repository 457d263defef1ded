"""What a run shows while it goes."""

from __future__ import annotations

import contextlib
import io

import pytest

from evalkit.runner.progress import Board, Moving, Plain, Silent, Tally, choose_display


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def board(tally: Tally, clock: Clock, flying: int = 0) -> Board:
    return Board(tallies=[tally], in_flight=lambda _: flying, clock=clock, started=clock.now)


def test_a_line_says_done_errors_cost_in_flight_and_time_left() -> None:
    clock, tally = Clock(), Tally(suite="s", target="t", planned=12_000, kept=1_000)
    shown = board(tally, clock, flying=16)
    assert shown.line(tally) == ("s × t", "1,000/12,000", "", "", "16 in flight", "")
    for _ in range(999):
        tally.count(answered=True, cost_usd=0.002)
    tally.count(answered=False, cost_usd=None)
    clock.now += 10
    assert shown.line(tally) == (
        "s × t",
        "2,000/12,000",
        "1 error",
        "$2.00",
        "16 in flight",
        "1:40 left",
    )


@pytest.mark.parametrize(
    ("costs", "shown"),
    [
        ([], ""),
        ([None, None], "cost unknown"),
        ([0.0], "$0"),
        ([0.00125], "$0.0013"),
        ([1.5, None], "≥ $1.50"),
    ],
)
def test_an_unknown_cost_is_never_shown_as_zero(costs: list[float | None], shown: str) -> None:
    tally = Tally(suite="s", target="t", planned=9)
    for one in costs:
        tally.count(answered=True, cost_usd=one)
    assert board(tally, Clock()).line(tally)[3] == shown


def test_hours_and_the_end() -> None:
    clock, tally = Clock(), Tally(suite="s", target="t", planned=100_000)
    shown = board(tally, clock)
    for _ in range(10):
        tally.count(answered=True, cost_usd=0.0)
    clock.now += 2
    assert shown.line(tally)[5] == "5 h 33 min left"
    tally.answered = 100_000
    assert shown.line(tally)[4:] == ("", "done")
    tally.answered, tally.given_up = 50, "refused"
    assert shown.line(tally)[5] == "given up"


def test_a_wait_that_the_server_asked_for_is_said() -> None:
    clock, tally = Clock(), Tally(suite="s", target="t", planned=10)
    shown = Board(tallies=[tally], held_s=lambda _: 7.4, clock=clock, started=clock.now)
    assert shown.line(tally)[4] == "0 in flight, told to wait for 7 s"


def test_in_an_outage_no_time_left_is_guessed() -> None:
    clock, tally = Clock(), Tally(suite="s", target="t", planned=10)
    shown = Board(tallies=[tally], in_outage=lambda _: True, clock=clock, started=clock.now)
    tally.count(answered=True, cost_usd=0.0)
    clock.now += 40
    assert shown.line(tally)[5] == "does not answer"


def test_plain_lines_come_now_and_then_and_only_of_what_moved() -> None:
    clock, tally, out = Clock(), Tally(suite="s", target="t", planned=4), io.StringIO()
    display = Plain(out, interval_s=10)
    display.start(board(tally, clock))
    tally.count(answered=True, cost_usd=1.0)
    display.refresh()
    assert out.getvalue() == "", "a short run says nothing"
    clock.now += 10
    display.refresh()
    display.refresh()
    assert out.getvalue() == "s × t  1/4  $1.00  0 in flight  0:30 left\n"
    display.note("a note")
    tally.count(answered=True, cost_usd=1.0)
    display.stop()
    display.stop()
    said = out.getvalue().splitlines()[1:]
    assert said == ["a note", "s × t  2/4  $2.00  0 in flight  0:10 left"]


def test_while_nothing_moves_a_line_says_what_is_waited_for() -> None:
    clock, out = Clock(), io.StringIO()
    waits = Tally(suite="s", target="t", planned=60)
    done = Tally(suite="s", target="done", planned=2, kept=2)
    over = Tally(suite="s", target="over", planned=60, given_up="no answer")
    shown = Board(
        tallies=[waits, done, over],
        in_flight=lambda _: 16,
        longest_s=lambda _: clock.now - 100.0,
        clock=clock,
        started=clock.now,
    )
    display = Plain(out, interval_s=10)
    display.start(shown)
    for _ in range(4):
        clock.now += 10
        display.refresh()
    waits.count(answered=False, cost_usd=None)
    clock.now += 10
    display.refresh()
    display.stop()
    assert out.getvalue().splitlines() == [
        "s × t  0/60  16 in flight, the longest for 20 s",
        "s × t  0/60  16 in flight, the longest for 40 s",
        "s × t  1/60  1 error  16 in flight, the longest for 50 s",
    ], "and no time left is guessed from failures"


def test_moving_lines_are_drawn_in_place_and_leave_the_terminal_as_it_was() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock, tally, out = Clock(), Tally(suite="[bold]s", target="t", planned=4), Terminal()
    display = Moving(out)
    display.start(board(tally, clock))
    tally.count(answered=True, cost_usd=1.0)
    display.refresh()
    display.note("[red]a note")
    display.stop()
    display.stop()
    written = out.getvalue()
    assert "[bold]s × t" in written, "names are text, not markup"
    assert "1/4" in written
    assert "[red]a note" in written


def test_what_is_done_before_the_first_answer_stands_on_a_line_that_goes_away() -> None:
    out = io.StringIO()
    with contextlib.suppress(ZeroDivisionError), Moving(out).busy("reading"):
        assert out.getvalue() == "reading ..."
        raise ZeroDivisionError
    assert out.getvalue() == "reading ...\r\x1b[2K"
    with Plain(out).busy("more"):
        pass
    assert "more" not in out.getvalue()


def test_the_display_follows_the_stream_and_the_flags() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(choose_display(Terminal(), lines=True, notes=True), Moving)
    assert isinstance(choose_display(io.StringIO(), lines=True, notes=True), Plain)
    out = io.StringIO()
    quiet = choose_display(out, lines=False, notes=False)
    assert type(quiet) is Silent
    quiet.note("nothing")
    assert out.getvalue() == ""
