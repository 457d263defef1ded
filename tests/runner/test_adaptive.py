"""Concurrency follows what a server bears; nothing is asked beyond what it said that it allows."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import statistics
import time
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.model import Allowance
from evalkit.runner.adaptive import FIRST, ROUNDS_BACK, Window
from evalkit.runner.told import Told
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble
from tests.servers._server import Answer

# ---- the window alone -------------------------------------------------------------------------


@given(
    most=st.integers(1, 5_000),
    events=st.lists(
        st.tuples(st.sampled_from("arx"), st.floats(1e-6, 100), st.integers(0, 6_000)), max_size=300
    ),
)
def test_the_window_stays_between_one_and_what_is_allowed(
    most: int, events: list[tuple[str, float, int]]
) -> None:
    window, now = Window(most), 0.0
    for kind, seconds, under_way in events:
        now += seconds
        if kind == "a":
            window.answered(seconds, now - seconds, under_way, now)
        elif kind == "r":
            window.restart(now)
        else:
            window.pushed_back(now - seconds, under_way, now)
        assert 1 <= window.size <= most


@given(most=st.integers(8, 500))
def test_a_round_that_is_turned_away_is_cut_once_and_halved_at_most(most: int) -> None:
    window = Window(most, now=0.0)
    before = window.size
    for _ in range(3 * before):
        window.pushed_back(1.0, before, 2.0)
    assert window.size == (before + 1) // 2, "calls sent before the cut say nothing new"


@given(most=st.integers(1, 2_000), size=st.integers(1, 2_000), share=st.floats(0.01, 1.0))
def test_the_cut_follows_the_share_that_was_turned_away(most: int, size: int, share: float) -> None:
    window = Window(most, now=0.0)
    window.size = size = min(size, most)
    outcomes = max(8, size)
    refused = max(1, int(share * outcomes))
    for number in range(outcomes):
        if number < refused:
            window.pushed_back(1.0, size, 2.0)
        else:
            # it is not used, and so does not grow
            window.answered(0.1, 1.0, 0, 2.0)
    assert window.size == math.ceil(size * max(0.5, 1 - refused / outcomes))


@settings(deadline=None, max_examples=30)
@given(most=st.integers(2, 400))
def test_after_a_cut_all_is_allowed_again_within_the_rounds(most: int) -> None:
    window, now = Window(most, now=0.0), 1.0
    for _ in range(max(8, window.size)):
        window.pushed_back(0.5, window.size, now)
    for _ in range(2 * ROUNDS_BACK):
        now += 1.0
        before = window.size
        for _ in range(before):
            window.answered(1.0, now - 0.5, window.size, now)
        assert window.size - before <= max(1, most // ROUNDS_BACK) + 1, "additive"
        if window.size == most:
            return
    assert most <= window.size + most // ROUNDS_BACK + 1


def test_failures_that_do_not_follow_from_load_cost_little() -> None:
    luck, window, now = random.Random(2), Window(32, now=0.0), 0.0
    sizes = []
    for _ in range(5_000):
        now += 0.01
        if luck.random() < 0.08:
            window.pushed_back(now, window.size, now)
        else:
            window.answered(0.1, now, window.size, now)
        sizes.append(window.size)
    assert sum(sizes) / len(sizes) > 8, "where a cut by half for each of them would leave three"


def test_a_small_limit_is_used_at_once_and_a_large_one_after_two_rounds() -> None:
    assert Window(16).size == 16
    assert Window(FIRST).size == FIRST
    window = Window(1_000)
    assert window.size == 250
    for _ in range(2):
        for _ in range(window.size):
            window.answered(0.1, 0.9, window.size, 1.0)
    assert window.size == 1_000


def test_without_adapting_nothing_changes() -> None:
    window = Window(100, adapts=False)
    window.pushed_back(0.0, 100, 1.0)
    window.restart(2.0)
    assert window.size == 100


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    window = Window(400)
    for _ in range(5_000):
        window.answered(0.1, 0.9, 3, 1.0)
    assert window.size == 100


def drive(
    window: Window, seconds: Callable[[int, float], float], until: float, spread: float = 0.3
) -> list[tuple[float, int]]:
    """Calls without end on a server; how long one takes follows from their number and the time."""
    luck, order = random.Random(1), itertools.count()
    now = 0.0
    flying: list[tuple[float, int, float]] = []
    sizes = []
    while now < until:
        while len(flying) < window.size:
            took = seconds(len(flying) + 1, now) * luck.lognormvariate(0, spread)
            heapq.heappush(flying, (now + took, next(order), now))
        now, _, sent = heapq.heappop(flying)
        window.answered(now - sent, sent, len(flying) + 1, now)
        sizes.append((now, window.size))
    return sizes


def settled(sizes: list[tuple[float, int]]) -> float:
    late = [size for _, size in sizes[len(sizes) // 2 :]]
    return sum(late) / len(late)


def test_a_queue_before_the_server_is_found_by_the_latency_it_makes() -> None:
    # serves 20 at once in 0.1 s; more of them share it
    sizes = drive(Window(200), lambda n, _: 0.1 * max(1.0, n / 20), 60.0)
    assert settled(sizes) <= 130, "at 200 every call would wait nine times as long as it is served"
    assert settled(sizes) >= 20, "and the server is never idle"


def test_a_server_that_answers_in_batches_is_used_in_full() -> None:
    # each call takes longer beside others, and so many more are answered in all
    sizes = drive(Window(400), lambda n, _: 0.5 + 0.004 * n, 60.0)
    assert settled(sizes) > 300, "more than nine tenths of the most it can answer"


def test_later_cases_that_take_longer_are_no_queue() -> None:
    sizes = drive(Window(200), lambda _, now: 0.1 if now < 20 else 0.8, 120.0)
    assert settled(sizes) > 190
    assert min(size for _, size in sizes) >= 50, "an experiment at the most"


def test_calls_of_very_different_lengths_are_no_queue() -> None:
    sizes = drive(Window(128), lambda n, _: 0.5, 120.0, spread=1.2)
    assert settled(sizes) > 120


# ---- what a server says that it allows --------------------------------------------------------


def limit(remaining: float, reset_s: float, most: float | None, *, refills: bool) -> Allowance:
    return Allowance(
        unit="requests", remaining=remaining, reset_s=reset_s, limit=most, refills=refills
    )


@settings(max_examples=200)
@given(
    refills=st.booleans(),
    most=st.integers(1, 60),
    per=st.floats(1.0, 120.0),
    gaps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=150),
)
def test_a_server_that_says_what_remains_never_turns_a_call_away(
    refills: bool, most: int, per: float, gaps: list[float]
) -> None:
    """One caller; the server keeps a bucket or a window, and says what is left of it."""
    level, at, window_ends = float(most), 0.0, per
    told: Told | None = None
    now = 0.0
    for gap in gaps:
        now += gap
        if told is not None:
            while (closed := told.closed_s(1.0, now)) > 0:
                now += closed
            now += told.reserve(1.0, now) + 1e-6
            told.started(1.0)
        if refills:
            level, at = min(most, level + (now - at) * most / per), now
        elif now >= window_ends:
            level, window_ends = float(most), now + per
        assert level >= 1 - 1e-6, "turned away"
        level -= 1
        reset = (most - level) * per / most if refills else window_ends - now
        said = limit(int(level), reset, most, refills=refills)
        if told is None:
            told = Told(said, 0, now)
        else:
            told.hear(said, 0, now)


def test_calls_under_way_and_calls_that_wait_are_not_counted_twice() -> None:
    told = Told(limit(5, 10.0, 100, refills=False), since=3, now=0.0)
    assert [told.closed_s(1.0, 0.0) or told.reserve(1.0, 0.0) for _ in range(2)] == [0.0, 0.0]
    assert told.closed_s(1.0, 0.0) == 10.0
    # an answer to the first of the three: two have begun since, two wait for their turn
    told.hear(limit(4, 9.0, 100, refills=False), 2, 1.0)
    assert told.closed_s(1.0, 1.0) == 9.0
    told.started(1.0)
    told.returned(1.0)
    assert told.closed_s(1.0, 1.0) == 0.0


def test_more_than_a_window_holds_waits_for_a_whole_one() -> None:
    told = Told(limit(50, 10.0, 100, refills=False), since=0, now=0.0)
    assert told.closed_s(500.0, 0.0) == 10.0
    assert told.closed_s(500.0, 10.0) == 0.0


# ---- against a server --------------------------------------------------------------------------

CAPACITY = 6


def test_a_server_that_turns_away_what_is_too_much_is_asked_less(small: SmallProject) -> None:
    turned_away: list[bool] = []

    def answer(_: Seen) -> Answer:
        turned_away.append(server.under_way > CAPACITY)
        return Fault(trouble=Trouble.RATE_LIMIT) if turned_away[-1] else Reply(first_s=0.02)

    with ModelServer(answer) as server:
        limits = {"concurrency": 40, "max_retries": 20}
        small.write({"t": wire(server.openai, limits=limits)}, rows(300))
        outcome = small.run()
        asked = len(server.seen)
        assert server.most_at_once > CAPACITY
    assert outcome.answered == 300
    assert asked == 300 + sum(turned_away)
    late = turned_away[len(turned_away) // 2 :]
    assert sum(late) < 0.25 * len(late), "it has learned how much that is"


def test_what_the_server_announces_is_kept_before_it_says_no(small: SmallProject) -> None:
    """A window of 30 calls a second and a half, announced as the IETF's draft writes it."""
    window_s, most = 1.5, 30
    state = {"ends": 0.0, "left": most, "no": 0}

    def answer(_: Seen) -> Answer:
        now = time.monotonic()
        if now >= state["ends"]:
            state["ends"], state["left"] = now + window_s, most
        if state["left"] <= 0:
            state["no"] += 1
            return Fault(trouble=Trouble.RATE_LIMIT)
        state["left"] -= 1
        left, ends = state["left"], state["ends"] - now
        policy, said = f'"burst";q={most};w=2', f'"burst";r={left};t={ends:.3f}'
        return Reply(first_s=0.01, headers={"RateLimit-Policy": policy, "RateLimit": said})

    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 8})}, rows(70))
        outcome = small.run()
    assert outcome.answered == 70
    assert state["no"] == 0
    (row,) = small.sql("SELECT max(attempts) AS n, max(queue_s) AS q FROM trials")
    assert row["n"] == 1
    assert row["q"] > 1.0, "the wait is queueing"
    assert small.sql("SELECT max(latency_s) AS s FROM trials")[0]["s"] < 0.5, "and no latency"


def test_calls_turned_away_whatever_their_number_cost_no_slots() -> None:
    luck = random.Random(7)
    window, now, sizes = Window(32), 0.0, []
    for _ in range(6_000):
        now += 0.01
        sent = now - 0.005
        if luck.random() < 0.1:
            window.pushed_back(sent, window.size, now)
        else:
            window.answered(0.05, sent, window.size, now)
        sizes.append(window.size)
    assert statistics.median(sizes) >= 20
    assert sizes.count(32) > len(sizes) / 5


def test_a_server_with_too_many_calls_is_given_fewer() -> None:
    window, now = Window(32), 0.0
    for _ in range(200):
        now += 1.0
        refused = max(0, window.size - 12)
        for place in range(window.size):
            if place < refused:
                window.pushed_back(now - 0.5, window.size, now)
            else:
                window.answered(0.05, now - 0.5, window.size, now)
    assert window.size <= 16
