"""Metrics of scores and of trials into cells, each from one sample."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.errors import EvalkitError
from evalkit.model import Direction, Metric, ScorerVersion, mean, p50, p95, rate, total
from evalkit.report.view import Cell, Group, MetricRow
from evalkit.stats import Estimate, summarise, summarise_sums
from evalkit.stats.samples import ScoreCounts, ScoreSample, Sums, TrialSample

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.samples import Cases

    Chosen: TypeAlias = npt.NDArray[np.bool_]
    """Which cases, by their number."""

_BY_NAME = {one.name: one for one in (mean, rate, total, p50, p95)}
_GROUP_OF_UNIT: dict[str, Group] = {"s": "time", "tokens": "tokens", "USD": "cost"}


@dataclass(frozen=True, slots=True)
class Judge:
    """A scorer of a suite with its metrics and its range."""

    version: ScorerVersion
    metrics: tuple[Metric, ...]
    bounds: tuple[float, float]
    missing: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its suite calls it."""
        return self.version.name

    @property
    def sign(self) -> float | None:
        """Whether higher is better, as 1 or -1; ``None`` where no case is the worse for it."""
        if self.version.direction == "neutral" or self.version.unit:
            return None
        return 1.0 if self.version.direction == "higher" else -1.0


def judge_of(version: ScorerVersion) -> Judge:
    """The scorer with the metrics it declared, and the names that only its code can compute."""
    from evalkit import registry

    declared: dict[str, Metric] = {}
    bounds = (-math.inf, math.inf)
    try:
        plugin = registry.get(registry.Kind.SCORER, version.scorer)
    except EvalkitError:
        # the project's own code, which this command did not run
        plugin = None
    if isinstance(plugin, registry.ScorerPlugin):
        declared = {one.name: one for one in plugin.metrics}
        bounds = plugin.range
    found = {name: declared.get(name) or _by_name(name) for name in version.metrics}
    return Judge(
        version=version,
        metrics=tuple(one for one in found.values() if one is not None),
        bounds=bounds,
        missing=tuple(name for name, one in found.items() if one is None),
    )


def _by_name(name: str) -> Metric | None:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("p") and name[1:].isdigit() and 0 < int(name[1:]) < 100:
        return Metric(name, "quantile", int(name[1:]) / 100)
    return None


def slice_metric(judge: Judge) -> Metric | None:
    """What is shown of the slices of a suite: the first metric of a scorer of quality."""
    return None if judge.version.unit or not judge.metrics else judge.metrics[0]


def score_row(judge: Judge, metric: Metric, cells: Sequence[Cell | None]) -> MetricRow:
    """One metric of a scorer over all targets."""
    version, share = judge.version, metric.kind == "rate"
    return MetricRow(
        metric=f"{version.name}.{metric.name}",
        group=_GROUP_OF_UNIT.get(version.unit, "quality"),
        unit="%" if share else version.unit,
        direction=_rate_direction(metric, version.direction) if share else version.direction,
        cells=tuple(cells),
    )


def _rate_direction(metric: Metric, direction: Direction) -> Direction:
    """Which way a share is better: of what passed more is, of what was flagged less."""
    if not metric.counts:
        return "lower"
    return "higher" if direction == "lower" else direction


def score_cell(
    metric: Metric, judge: Judge, counts: ScoreCounts, sample: ScoreSample, chosen: Chosen | None
) -> Cell:
    """One metric of the scores of a sample, of the ``chosen`` cases or of all."""
    cases, values, passed = sample.cases, sample.values, sample.passed
    kept = _kept(cases, chosen)
    if kept is not None:
        cases, values, passed = _those(cases, kept), values[kept], passed[kept]
    estimate = summarise(metric, values, passed, cases, bounds=judge.bounds)
    return _scored(estimate, metric, len(cases), None if kept is not None else counts)


def sums_cell(
    metric: Metric, judge: Judge, counts: ScoreCounts, sums: Sums, chosen: Chosen | None
) -> Cell:
    """The same of a metric of sums."""
    import numpy as np

    cases, stats = sums.cases, sums.stats
    if len(stats) != len(cases):
        return Cell(value=None, note="some scores have no statistics to sum")
    kept = _kept(cases, chosen)
    if kept is not None:
        cases = _those(cases, kept)
        stats = (
            stats[kept] if isinstance(stats, np.ndarray) else [stats[row] for row in kept.tolist()]
        )
    estimate = summarise_sums(metric, cases, stats, bounds=judge.bounds)
    return _scored(estimate, metric, len(cases), None if kept is not None else counts)


def _kept(cases: Cases, chosen: Chosen | None) -> npt.NDArray[np.intp] | None:
    """The rows of the chosen cases; ``None`` for all of them."""
    import numpy as np

    if chosen is None:
        return None
    kept = np.flatnonzero(chosen[: len(cases)] if isinstance(cases, range) else chosen[cases])
    return None if len(kept) == len(cases) else kept


def _those(cases: Cases, kept: npt.NDArray[np.intp]) -> npt.NDArray[np.integer]:
    return kept if isinstance(cases, range) else cases[kept]


def _scored(estimate: Estimate, metric: Metric, rows: int, whole: ScoreCounts | None) -> Cell:
    """The cell, with what the ``whole`` of the scores lacks."""
    note = "" if whole is None else whole.why
    if estimate.value is None and not note:
        note = "no trial was decided" if metric.kind == "rate" and rows else "no score"
    return _cell(
        estimate,
        unscored=0 if whole is None else whole.unscored,
        errors=0 if whole is None else whole.errors,
        note=note,
    )


def _cell(estimate: Estimate, **fields: Any) -> Cell:
    return Cell(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        method=estimate.method,
        level=estimate.level,
        **fields,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of what is measured of trials, from one of their columns; of errors from none."""

    name: str
    metric: Metric
    column: str
    group: Group
    unit: str

    def row(self, cells: Sequence[Cell]) -> MetricRow:
        """The row over all targets."""
        return MetricRow(
            metric=self.name,
            group=self.group,
            unit=self.unit,
            direction="lower",
            cells=tuple(cells),
        )


_MEASURED = (
    Measured("latency.p50", p50, "latency_s", "time", "s"),
    Measured("latency.p95", p95, "latency_s", "time", "s"),
    Measured("ttft.p50", p50, "ttft_s", "time", "s"),
    Measured("ttft.p95", p95, "ttft_s", "time", "s"),
    Measured("tokens.input", mean, "input_tokens", "tokens", "tokens"),
    Measured("tokens.output", mean, "output_tokens", "tokens", "tokens"),
    Measured("cost.mean", mean, "cost_usd", "cost", "USD"),
    Measured("cost.total", total, "cost_usd", "cost", "USD"),
    Measured("error.rate", rate, "", "errors", "%"),
)
_OPTIONAL = {"ttft_s", "input_tokens", "output_tokens"}


def measured_of(known: Collection[str]) -> list[Measured]:
    """The rows of a suite of which these columns are known."""
    return [one for one in _MEASURED if one.column in known or one.column not in _OPTIONAL]


def trial_cells(
    trials: TrialSample, measured: Sequence[Measured], known: Collection[str]
) -> dict[str, Cell]:
    """The cells of one target by row; of the columns one is held at a time."""
    import numpy as np

    cells: dict[str, Cell] = {}
    for column in dict.fromkeys(one.column for one in measured):
        rows = [one for one in measured if one.column == column]
        if column:
            data = (
                trials.column(column)
                if column in known
                else np.broadcast_to(np.nan, len(trials.ok))
            )
            live = any(one.group == "time" for one in rows)
            cells |= _quantities(rows, trials, data, live=live)
            del data
        else:
            nothing = np.broadcast_to(0.0, len(trials.ok))
            for one in rows:
                estimate = summarise(one.metric, nothing, ~trials.ok, trials.cases)
                cells[one.name] = _cell(estimate)
    return cells


def _quantities(
    rows: Sequence[Measured], trials: TrialSample, data: npt.NDArray[np.float64], *, live: bool
) -> dict[str, Cell]:
    """Metrics of what is known of a quantity, which is never negative."""
    import numpy as np

    answered = trials.ok & trials.live if live else trials.ok
    known = answered & ~np.isnan(data)
    count, whole = int(known.sum()), int(answered.sum())
    cases = trials.cases
    if count < len(known):
        data, cases = data[known], _those(cases, np.flatnonzero(known))
    if count and isinstance(trials.cases, range):
        # of one trial a case nothing depends on the order: sorted once, it is not for each quantile
        data.sort()
    undecided = np.broadcast_to(np.int8(-1), count)
    note = ""
    if not count:
        note = "unknown" if whole else "no live answer" if live else "no answer"
    elif count < whole:
        note = f"{whole - count} of {whole} unknown"
    return {
        one.name: _cell(
            summarise(one.metric, data, undecided, cases, bounds=(0.0, math.inf)), note=note
        )
        for one in rows
    }
