"""Scorers that are not ours: what hangs, raises or lies is an error, and the others go on."""

from __future__ import annotations

import asyncio
import textwrap
import time

import pytest

from evalkit import registry
from evalkit.model import Output, ScoreStatus
from evalkit.scorers._patience import MOST_HANGS, Hung, Patience
from tests.scorers.helpers import bound, case, record


def sleeper(seconds, value):
    def call():
        time.sleep(seconds)
        return value

    return call


def test_calls_that_hang_are_left_behind_and_the_rest_go_on():
    found = Patience(0.15).results([sleeper(0, 1), sleeper(5, 2), sleeper(0, 3)])
    assert found[0] == 1
    assert isinstance(found[1], Hung)
    assert str(found[1]) == "no score within 0.15 s"
    assert found[2] == 3


def test_after_a_few_no_more_calls_are_made():
    patience, made = Patience(0.05), []

    def hang():
        made.append(1)
        time.sleep(5)

    started = time.monotonic()
    found = patience.results([hang] * 50)
    assert time.monotonic() - started < 5, "not as long as one of them"
    assert len(made) == MOST_HANGS
    assert "asked no more" in str(found[-1])
    assert isinstance(patience.results([sleeper(0, 1)])[0], Hung)


def test_time_is_counted_for_each_call_and_not_for_all():
    assert Patience(0.3).results([sleeper(0.1, n) for n in range(6)]) == list(range(6))


def test_what_a_call_raises_is_its_result():
    def stop():
        raise KeyboardInterrupt

    found = Patience(5).results([stop, sleeper(0, 1)])
    assert isinstance(found[0], KeyboardInterrupt)
    assert found[1] == 1


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(registry._local, "found", dict(registry._local.found))

    def write(body):
        path = tmp_path / "theirs.py"
        path.write_text(
            "import asyncio, math, time\nfrom evalkit import Score, Unscorable, scorer\n"
            + textwrap.dedent(body),
            encoding="utf-8",
        )
        registry.load_file(path)

    return write


HANGS = {
    "sync": """
        @scorer(deadline_s=0.2)
        def theirs(case, output):
            '''Theirs.'''
            if output.text == "hang":
                time.sleep(30)
            return Score(value=1.0)
        """,
    "spins": """
        @scorer(deadline_s=0.2)
        def theirs(case, output):
            '''Theirs.'''
            until = time.monotonic() + 3
            while output.text == "hang" and time.monotonic() < until:
                pass
            return Score(value=1.0)
        """,
    "async": """
        @scorer(deadline_s=0.2)
        async def theirs(case, output):
            '''Theirs.'''
            if output.text == "hang":
                await asyncio.sleep(30)
            return Score(value=1.0)
        """,
}


@pytest.mark.parametrize("how", HANGS)
def test_a_scorer_of_others_that_hangs_is_an_error_and_the_others_are_scored(plugin, how):
    plugin(HANGS[how])
    one = bound("theirs")
    pairs = [(case(), Output(text=text)) for text in ("a", "hang", "b")]
    ways = [asyncio.run(one.score(pairs))]
    if how != "async":
        ways.append(bound("theirs").score_sync(pairs))
    for found in ways:
        assert [each.status for each in found] == ["scored", "error", "scored"]
        assert found[1].reason == "no score within 0.2 s"
        assert found[1].elapsed_s >= 0.2


def test_a_batch_scorer_of_others_has_its_time_for_the_batch(plugin):
    plugin("""
        @scorer(deadline_s=0.2, batch=True)
        def theirs(pairs):
            '''Theirs.'''
            time.sleep(30)
        """)
    pairs = [(case(), Output(text="a"))] * 2
    for found in (bound("theirs").score_sync(pairs), asyncio.run(bound("theirs").score(pairs))):
        assert [each.status for each in found] == ["error", "error"]
        assert "no score within 0.2 s" in found[0].reason


def test_our_own_scorers_have_no_thread_of_their_own():
    assert bound("rouge_l").patience is None
    assert bound("bleu").patience is None


def test_a_function_of_the_project_has_the_deadline_it_is_given(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import asyncio, time\n"
        "def slow(case, output):\n    time.sleep(30)\n"
        "async def soon(case, output):\n    await asyncio.sleep(0)\n    return 0.75\n"
    )
    options = {"root": tmp_path, "allow_code": True}
    slow = bound("python", function="mine.py:slow", deadline=0.1, **options)
    found = record(slow, "x")
    assert (found.status, found.reason) == (ScoreStatus.ERROR, "no score within 0.1 s")
    soon = record(bound("python", function="mine.py:soon", **options), "x")
    assert soon.score.value == 0.75  # an async function, from where no loop runs
    with pytest.raises(Exception, match="not above 0"):
        bound("python", function="mine.py:slow", deadline=0, **options)
