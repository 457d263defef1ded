"""What a comparison says of every metric: both levels, the change, and its interval."""

import math

import pytest
from scipy import optimize, stats

from evalkit.config.prompt_diff import words_between
from evalkit.config.spec import GateLimit
from evalkit.gate.moves import MetricChange, moves
from evalkit.gate.result import GateResult
from evalkit.report import gate_words
from evalkit.report.html import page_html
from evalkit.report.page_shown import shown
from tests.gate.test_attacks import HELD, bench
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
    assert "1 worse ▼, 0 better ▲" in page
    assert "▼ −25.0 pt" in page


def test_a_plain_score_is_a_plain_number_with_the_decimals_of_its_levels():
    one = GateResult(
        gate="overlap",
        metric="token_f1.mean",
        limit=GateLimit(kind="max_drop", value=0.05),
        mode="guard",
        about="change",
        baseline=0.7112,
        candidate=0.6591,
        difference=-0.0521,
        low=-0.0953,
        high=-0.0101,
    )
    assert gate_words.level(one, one.baseline) == "0.711"
    assert gate_words.change(one, one.difference) == "−0.052"
    assert gate_words.bracket(one, gate_words.change) == "[−0.095, −0.010]"
    assert gate_words.rule(one) == "Δ≥−0.05"


def test_the_ends_of_an_interval_leave_their_unit_to_the_value():
    one = MetricChange(suite="s", target="t", metric="m", unit="%", low=-0.152, high=0.0003)
    assert gate_words.bracket(one, gate_words.change) == "[−15.2, +0.03]"
    open_end = MetricChange(suite="s", target="t", metric="m", unit="USD", low=0.0102)
    assert gate_words.bracket(open_end, gate_words.change) == "[+$0.0102, –]"


def test_to_refuse_more_is_neither_good_nor_bad_where_attacks_are_refused_too():
    before = bench([HELD] * 10, [HELD] * 10, run="before")
    after = bench([HELD] * 10, [HELD] * 10, refused=range(8), run="after")
    shown = {"support": ["refusal.rate", "pass.rate"]}
    refusal, passing = moves(after, before, shown=shown, policies={})
    assert refusal.low > 0
    assert not refusal.worse
    assert passing.worse


def test_a_metric_without_a_good_direction_is_neither_worse_nor_better():
    one = MetricChange(
        suite="s", target="t", metric="refusal.rate", direction="neutral", low=-0.3, high=-0.1
    )
    assert not one.worse
    assert not one.better


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [("top 0.45", "top 0.3", ("0.45", "0.3")), ("m 2025-04-14", "m 2026-01-20", None)],
)
def test_a_number_or_a_date_changes_as_one_word(old, new, changed):
    pieces = [(one.kind, one.text) for one in words_between(old, new)]
    was, now = changed or (old[2:], new[2:])
    assert pieces[1:] == [("removed", was), ("added", now)]
