"""Early stopping: boundaries, repeated intervals and bets that may be looked at at any time."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.stats.betting import (
    bet_on_harm,
    bet_on_pass,
    bet_on_rate_above,
    bet_on_rate_below,
    resume,
)
from evalkit.stats.evidence import Pivot
from evalkit.stats.sequential import boundaries, spent

TENTHS = [(k + 1) / 10 for k in range(10)]


@pytest.mark.parametrize(
    ("spending", "looks", "alpha", "published"),
    [
        # Jennison and Turnbull 2000 and the tables of Lan and DeMets
        ("obrien_fleming", 5, 0.025, (4.877, 3.357, 2.680, 2.290, 2.031)),
        ("pocock", 5, 0.025, (2.438, 2.427, 2.410, 2.397, 2.386)),
    ],
)
def test_boundaries_equal_published_tables(spending, looks, alpha, published):
    found = boundaries([(k + 1) / looks for k in range(looks)], alpha, spending)
    assert found == pytest.approx(published, abs=0.002)


def test_crossings_happen_as_often_as_alpha_allows():
    z = np.array(boundaries(TENTHS, 0.05))
    steps = np.random.default_rng(1).normal(size=(200_000, 10)) * math.sqrt(0.1)
    scores = np.cumsum(steps, axis=1) / np.sqrt(TENTHS)
    crossed = np.maximum.accumulate(scores >= z, axis=1).mean(axis=0)
    assert crossed[-1] == pytest.approx(0.05, abs=0.002)
    for k, t in enumerate(TENTHS):
        assert crossed[k] == pytest.approx(spent(t, 0.05), abs=0.002)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8, unique=True).map(sorted))
@settings(max_examples=30)
def test_a_boundary_depends_only_on_the_past(fractions):
    whole = boundaries(fractions, 0.05)
    assert boundaries(fractions[:-1], 0.05) == whole[:-1]
    # one look alone is the fixed test of what may be spent; more looks only ask for more
    assert boundaries([1.0], 0.05) == pytest.approx([1.6448536])
    assert all(one > 1.64 for one in whole)


def test_a_look_without_news_spends_nothing():
    known = boundaries([0.3, 1.0], 0.05)
    for again in (0.3, 0.3004, 0.2):
        first, second, last = boundaries([0.3, again, 1.0], 0.05)
        assert (first, last) == known
        assert second == math.inf
    assert Pivot(value=0, centre=0, se=1).interval_at(math.inf).low is None


def test_boundaries_refuse_nonsense():
    for fractions in ([0.0], [1.1], [math.nan]):
        with pytest.raises(ValueError, match="fractions"):
            boundaries(fractions, 0.05)
    with pytest.raises(ValueError, match="alpha"):
        boundaries([1.0], 0.6)
    with pytest.raises(ValueError, match="spending"):
        boundaries([1.0], 0.05, "linear")


@pytest.mark.parametrize("df", [5.0, math.inf])
def test_a_repeated_interval_excludes_what_its_look_rejects(df):
    z = boundaries([0.2, 0.5], 0.05)[1]
    pivot = Pivot(value=-0.04, centre=-0.04, se=0.015, df=df)
    interval = pivot.interval_at(z)
    level = pivot.p_above(interval.low)
    assert level == pytest.approx(pivot.p_below(interval.high))
    assert level == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), abs=1e-9)


# --- betting ----------------------------------------------------------------------------------

STEPS = [0, 0, -1, 0, 0, 0, 1, 0, -1, 0, 0, -1, 0, 0, -1, 0, -1, 0, 0, -1, 0, 0, -1, -1, 0, 0, -1]
STEPS += [0, -1, 0, 0, -1, 0, -1, -1, 0, 0, -1, 0, 0]


def test_bets_of_a_known_sequence():
    harm = bet_on_harm().path(STEPS)
    assert harm[-1] == pytest.approx(4.588489800371512, abs=1e-9)
    assert int(np.argmax(harm >= math.log(20))) + 1 == 32
    assert bet_on_pass(0.05).after(STEPS).log_e == pytest.approx(-1.2382066717506448, abs=1e-9)
    unchanged = bet_on_pass(0.05).path(np.zeros(150))
    assert int(np.argmax(unchanged >= math.log(20))) + 1 == 106


@given(st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.0, 0.5, 1.0]), max_size=60), st.data())
def test_a_resumed_bet_is_the_same_to_the_last_bit(steps, draw):
    cut = draw.draw(st.integers(0, len(steps)))
    for start in (bet_on_pass(0.03, noise=0.06), bet_on_harm(margin=0.03, noise=0.06)):
        whole = start.after(steps)
        stored = json.loads(json.dumps(start.after(steps[:cut]).to_json()))
        assert resume(stored).after(steps[cut:]) == whole
        assert whole.n == len(steps)
        path = start.path(steps)
        assert whole.peak == max([0.0, *path.tolist()])
        assert 0 < whole.p <= 1


def test_peeking_after_every_case_keeps_alpha():
    rng = np.random.default_rng(7)
    passes = blocks = above = below = 0
    for _ in range(1500):
        edge = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.08, 0.89, 0.03])
        same = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.04, 0.92, 0.04])
        passes += bet_on_pass(0.05, noise=0.08).after(edge).crossed(0.05)
        blocks += bet_on_harm(margin=0.05, noise=0.08).after(same).crossed(0.05)
        events = (rng.random(300) < 0.1).astype(float)
        above += bet_on_rate_above(0.1).after(events).crossed(0.05)
        below += bet_on_rate_below(0.1).after(events).crossed(0.05)
    most = 1500 * 0.05 + 3 * math.sqrt(1500 * 0.05 * 0.95)
    assert max(passes, blocks, above, below) <= most
    assert min(passes, blocks, above, below) > 0


def test_bets_decide_clear_cases_soon():
    clean = bet_on_rate_below(0.01).path(np.zeros(1000))
    assert int(np.argmax(clean >= math.log(20))) + 1 < 600
    bad = bet_on_rate_above(0.01).path([1.0] * 10)
    assert bad[3] >= math.log(20)


def test_bets_refuse_what_is_not_theirs():
    with pytest.raises(ValueError, match="differences"):
        bet_on_harm().after([1.5])
    with pytest.raises(ValueError, match="differences"):
        bet_on_harm().after([math.nan])
    for wrong in (0.0, 1.0):
        for start in (bet_on_pass, bet_on_rate_above, bet_on_rate_below):
            with pytest.raises(ValueError, match="between 0 and 1"):
                start(wrong)
    good = bet_on_harm().to_json()
    for key in good:
        with pytest.raises(ValueError, match="stored"):
            resume({name: value for name, value in good.items() if name != key})
    with pytest.raises(ValueError, match="stored"):
        resume(good | {"weights": [0.5]})
    assert bet_on_harm().after([]) == bet_on_harm()
