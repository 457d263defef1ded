"""A run's view has the numbers of a plain computation, and is made with one column at a time."""

from __future__ import annotations

import random
import tracemalloc
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from example_runs import example_run, example_trials, scorer_version

from evalkit.model import Run, ScoreRecord, ScoreStatus, Trial, TrialStatus
from evalkit.report.view import Cell, RunView
from evalkit.report.view_build import run_view
from evalkit.stats.ranking import Ranking
from evalkit.stats.samples import (
    COLUMNS,
    Picked,
    ScoreCounts,
    ScoreSample,
    Slices,
    Sums,
    TrialCounts,
    TrialSample,
    WorstCase,
)
from evalkit.store import Store


def with_gaps(trials: Sequence[Trial]) -> list[Trial]:
    """Some scores are missing, some decide nothing, and some are of trials without an answer."""
    found = []
    for one in trials:
        scores: tuple[ScoreRecord, ...] = one.scores
        if scores and one.case.row % 7 == 3:
            lost = replace(scores[1], status=ScoreStatus.UNSCORED, score=None, reason="too long")
            scores = (scores[0], lost, scores[2])
        if scores and one.case.row % 5 == 1 and scores[0].score:
            open_ = replace(scores[0], score=replace(scores[0].score, passed=None))
            scores = (open_, *scores[1:])
        found.append(replace(one, scores=scores))
    return found


def view_of(path: Path, trials: Sequence[Trial], *, at_once: int) -> RunView:
    store = Store(path)
    store.create_run(example_run())
    for start in range(0, len(trials), at_once):
        store.append(trials[start : start + at_once])
    with store.samples(trials[0].run_id) as (run, samples):
        return run_view(run, samples)


def by_case(pairs: Sequence[tuple[str, float]]) -> list[float]:
    """The mean of every case, each rounded once."""
    cases: dict[str, list[Fraction]] = {}
    for case, value in pairs:
        cases.setdefault(case, []).append(Fraction(value))
    return [float(sum(one)) / len(one) for one in cases.values()]


def check_mean(cell: Cell | None, pairs: Sequence[tuple[str, float]], ends: tuple[float, float]):
    assert cell is not None
    means = by_case(pairs)
    assert cell.n == len(means)
    assert cell.value == float(sum(map(Fraction, means))) / len(means)
    wide = means
    if len(means) - max(map(means.count, means)) < 20 and np.isfinite(ends).all():
        wide = [*means, *ends]
    low, high = scipy.stats.t.interval(
        0.95, len(wide) - 1, loc=np.mean(wide), scale=np.std(wide, ddof=1) / len(wide) ** 0.5
    )
    assert cell.low == pytest.approx(max(min(low, cell.value), ends[0]), rel=1e-9)
    assert cell.high == pytest.approx(min(max(high, cell.value), ends[1]), rel=1e-9)


def values_of(trials: Sequence[Trial], place: int) -> list[tuple[str, float]]:
    return [
        (one.case.id, one.scores[place].score.value)  # type: ignore[union-attr]
        for one in trials
        if one.scores and one.scores[place].score is not None
    ]


def plain_worst(trials: Sequence[Trial]) -> list[tuple[str, str | None]]:
    """The worst cases and the scorer each did worst at: every case compared with every other."""
    cases = {one.case.id: one.case.row for one in trials}
    ranks: dict[str, list[float]] = {case: [] for case in cases}
    misses, worst = dict.fromkeys(cases, 0), dict[str, tuple[float, str]]()
    for place, name in enumerate(("exact_match", "rouge_l", "bleu")):
        scored = [one for one in trials if one.scores and one.scores[place].score is not None]
        ids = list(dict.fromkeys(one.case.id for one in scored))
        mean = dict(zip(ids, by_case(values_of(scored, place)), strict=True))
        for case in ids:
            rank = sum(other > mean[case] for other in mean.values()) / (len(ids) - 1)
            missed = any(
                one.scores[place].score.passed is False  # type: ignore[union-attr]
                for one in scored
                if one.case.id == case
            )
            ranks[case].append(rank)
            misses[case] += missed
            if case not in worst or rank + missed > worst[case][0]:
                worst[case] = (rank + missed, name)
    answered = {one.case.id for one in trials if one.status is TrialStatus.OK}
    order = sorted(
        cases,
        key=lambda case: (
            case in answered,
            -misses[case],
            -(sum(ranks[case]) / len(ranks[case]) if ranks[case] else 0.0),
            cases[case],
        ),
    )
    return [(case, worst[case][1] if case in worst else None) for case in order[:5]]


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_every_number_is_that_of_a_plain_computation(tmp_path: Path, repeats: int) -> None:
    trials = with_gaps(example_trials(cases=70, trials=repeats, seed=repeats))
    view = view_of(tmp_path / "s.duckdb", trials, at_once=len(trials))
    (suite,) = view.suites
    rows = {one.metric: one for one in suite.rows}
    assert suite.cases == 70
    for place, target in enumerate(suite.targets):
        mine = [one for one in trials if one.target == target.name]
        outputs = [one.output for one in mine if one.output]
        assert (target.done, target.errors) == (len(mine), len(mine) - len(outputs))
        check_mean(rows["rouge_l.mean"].cells[place], values_of(mine, 1), (0.0, 1.0))
        check_mean(rows["bleu.mean"].cells[place], values_of(mine, 2), (0.0, 100.0))
        tokens = [
            (one.case.id, float(one.output.usage.input_tokens or 0)) for one in mine if one.output
        ]
        check_mean(rows["tokens.input"].cells[place], tokens, (0.0, np.inf))
        latency = sorted(one.latency_s or 0.0 for one in outputs)
        p95 = rows["latency.p95"].cells[place]
        assert p95 is not None
        assert p95.value == latency[-(-95 * len(latency) // 100) - 1]
        decided = [
            (one.case.id, float(score.passed))
            for one in mine
            if one.scores and (score := one.scores[0].score) and score.passed is not None
        ]
        share = rows["exact_match.rate"].cells[place]
        assert share is not None
        means = by_case(decided)
        assert share.value == float(sum(map(Fraction, means))) / len(means)
        assert share.n == len(means)
        corpus = rows["bleu.corpus"].cells[place]
        assert corpus is not None
        assert corpus.n == len(by_case(values_of(mine, 2)))
        for cut in (one for one in suite.slices if one.metric == "rouge_l.mean"):
            those = [one for one in mine if one.case.tags["lang"] == cut.value]
            check_mean(cut.cells[place], values_of(those, 1), (0.0, 1.0))
            assert cut.cases == len(
                {one.case.id for one in trials if one.case.tags["lang"] == cut.value}
            )
        worst = [(one.case_id, one.scorer) for one in suite.worst if one.target == target.name]
        assert worst == plain_worst(mine)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_view_does_not_depend_on_the_order_of_the_store(tmp_path: Path, repeats: int) -> None:
    trials = with_gaps(example_trials(cases=30, trials=repeats))
    wanted = view_of(tmp_path / "whole.duckdb", trials, at_once=len(trials))
    for turn in range(2):
        random.Random(turn).shuffle(trials)
        again = trials[: len(trials) // 3]  # stored a second time, in place of the first
        found = view_of(tmp_path / f"{turn}.duckdb", [*trials, *again], at_once=29)
        assert found == wanted


class Counted:
    """Samples made up as they are asked for, of which it is known how many are held at once."""

    def __init__(self, cases: int, scorers: int):
        self._n = cases
        self._dice = np.random.default_rng(4)
        self._given: list[weakref.ref[Any]] = []
        self.most_held = 0
        self.run: Run = example_run(
            targets=example_run().targets[:1],
            scorers=tuple(
                scorer_version(f"s{one}", scorer="bleu", metrics=("mean", "rate", "corpus"))
                for one in range(scorers)
            ),
        )
        self.trial_counts = [
            TrialCounts(
                suite="support",
                target="small",
                done=cases,
                errors=0,
                unpriced=0,
                known=frozenset(COLUMNS),
            )
        ]
        self.score_counts = [
            ScoreCounts(suite="support", target="small", name=one.name, scored=cases)
            for one in self.run.scorers
        ]

    def _column(self, *_: object) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self._held(self._dice.random(self._n))

    def _held(self, column: Any) -> Any:
        self._given = [one for one in self._given if one() is not None]
        self._given.append(weakref.ref(column))
        self.most_held = max(self.most_held, len(self._given))
        return column

    def slices(self, _: str) -> Mapping[str, Slices]:
        places = np.arange(self._n, dtype=np.int32) % 3
        sizes = {name: int((places == place).sum()) for place, name in enumerate("abc")}
        return {"lang": Slices(sizes=sizes, of_case=places)}

    def trials(self, *_: str) -> TrialSample:
        answered = np.ones(self._n, dtype=bool)
        return TrialSample(
            cases=range(self._n),
            ok=answered,
            live=answered,
            column=self._column,
            known_cases=self._n,
        )

    def scores(self, *_: str) -> ScoreSample:
        values = self._column()
        passed = (values > 0.5).astype(np.int8)
        return ScoreSample(cases=range(self._n), values=values, passed=passed, sums=self._sums)

    def _sums(self) -> Sums:
        stats = self._held(self._dice.integers(1, 9, (self._n, 10), dtype=np.int16))
        return Sums(cases=range(self._n), stats=stats)

    def pick(self, suite: str, target: str, ranking: Ranking) -> Sequence[Picked]:
        assert np.count_nonzero(ranking.first(5)) == 5
        return []

    def worst(self, _: Sequence[Picked]) -> Sequence[WorstCase]:
        return []

    def cases(self, _: str) -> int:
        return self._n


def test_one_column_is_held_at_a_time() -> None:
    samples = Counted(2_000, scorers=4)
    view = run_view(samples.run, samples)
    assert len(view.suites[0].rows) == 4 * 3 + 9
    assert samples.most_held == 1


def test_the_memory_of_a_view_is_that_of_a_few_columns() -> None:
    cases, peaks = 60_000, []
    for scorers in (2, 5):
        samples = Counted(cases, scorers)
        tracemalloc.start()
        run_view(samples.run, samples)
        peaks.append(tracemalloc.get_traced_memory()[1] / cases)
        tracemalloc.stop()
    assert peaks[0] < 70  # bytes a case: a score, its order, statistics in two bytes, the ranking
    assert peaks[1] < 1.02 * peaks[0]
