"""What a comparison says of every metric: both levels, the change, and its interval."""

import math

import pytest
from scipy import optimize, stats

from evalkit.report.html import page_html
from evalkit.report.page_shown import shown
from tests.report.page.pages import AFTER, BEFORE, case_of, stored, trial_of, view_of

TARGETS = ("bot", "spare")


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """Forty cases on two targets; the first answers ten of them worse."""
    before, after = [], []
    for number in range(40):
        case = case_of(number)
        good = str(case.expected)
        for target in TARGETS:
            worse = target == "bot" and number % 4 == 0
            before.append(trial_of(BEFORE, case, good, target=target))
            after.append(trial_of(AFTER, case, "no" if worse else good, target=target))
    return view_of(stored(tmp_path_factory.mktemp("metrics"), {BEFORE: before, AFTER: after}))


def score(change, *, gained, lost, n):
    """The score of a change of paired rates; the nuisance share by maximising the likelihood."""

    def likelihood(down):
        up, same = down + change, 1 - 2 * down - change
        shares = [(gained, up), (lost, down), (n - gained - lost, same)]
        return -sum(k * math.log(max(p, 1e-300)) for k, p in shares if k)

    ends = (max(0.0, -change), (1 - change) / 2)
    down = optimize.minimize_scalar(
        likelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}
    ).x
    return (gained - lost - n * change) / math.sqrt(n * (2 * down + change - change**2))


def test_levels_and_change_of_a_rate(view):
    one = next(each for each in view.moves if each.metric == "exact_match.rate")
    assert (one.target, one.n, one.baseline, one.candidate) == ("bot", 40, 1.0, 0.75)
    assert one.difference == pytest.approx(-0.25)
    for end in (one.low, one.high):
        assert abs(score(end, gained=0, lost=10, n=40)) == pytest.approx(stats.norm.ppf(0.95), 1e-4)
    assert one.worse
    assert not one.better


def test_targets_that_did_not_move_are_neither_worse_nor_better(view):
    spare = [one for one in view.moves if one.target == "spare"]
    assert {one.metric for one in spare} >= {"exact_match.rate", "latency.p50", "error.rate"}
    assert not any(one.worse or one.better for one in spare)


def test_the_page_counts_a_case_once_and_names_targets_and_trials(view):
    facts = dict(shown(view, left_out=0)["facts"])
    assert facts[""] == "40 paired cases × 2 targets"


def test_the_page_shows_baseline_candidate_and_change(view):
    page = page_html(view)
    assert "Metrics of support / bot" in page
    assert "▼ 1 worse, ▲ 0 better" in page
    assert "▼ −25.0 pt" in page
