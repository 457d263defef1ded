"""A run as a plain value: everything a renderer shows, computed once, and nothing else.

Numbers are unrounded; times are seconds, money is US dollars, shares are of one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from evalkit.errors import EvalkitError
from evalkit.gate.looks import ended_early
from evalkit.gate.result import Attacks, Fairness
from evalkit.model import (
    JSON,
    Direction,
    Metric,
    Run,
    RunStatus,
    ScorerVersion,
    mean,
    p50,
    p95,
    rate,
    total,
)
from evalkit.report.words import typed
from evalkit.stats import Estimate, summarise
from evalkit.stats.samples import Samples, ScoreSample, TrialSample

Group = Literal["quality", "time", "tokens", "cost", "errors"]
_BY_NAME = {one.name: one for one in (mean, rate, total, p50, p95)}
Column: TypeAlias = Callable[[TrialSample], Sequence[float]]
_GROUP_OF_UNIT: dict[str, Group] = {"s": "time", "tokens": "tokens", "USD": "cost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric of one target with its interval; ``note`` says why a value is missing or partial.

    ``n`` counts cases, ``unscored`` and ``errors`` trials that have no score.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: str = ""
    level: float = 0.95
    unscored: int = 0
    errors: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric over the targets of a suite, a cell a target.

    ``unit`` is ``%`` for shares, ``s``, ``USD``, another word, or empty for a plain score.
    """

    metric: str
    group: Group
    unit: str
    direction: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One metric over the cases with one value of a tag."""

    tag: str
    value: str
    metric: str
    unit: str
    cases: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """One target of a suite: what it was and how its trials went.

    ``cost_usd`` is what they spent, as far as it is known; ``saved_usd`` what the cache saved.
    """

    name: str
    kind: str = ""
    model: str | None = None
    prompt: str | None = None
    prompt_label: str | None = None
    options: dict[str, JSON] = field(default_factory=dict)
    done: int = 0
    errors: int = 0
    error_classes: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    saved_usd: float | None = None
    unpriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstView:
    """One of the worst cases; ``scorer`` and ``value`` say at what, ``error`` that nothing came."""

    target: str
    case_id: str
    name: str
    scorer: str | None = None
    unit: str = ""
    value: float | None = None
    passed: bool | None = None
    reason: str | None = None
    output: str | None = None
    error: str | None = None
    trials: int = 1
    failed_trials: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One suite of a run; rows have their cells in the order of ``targets``."""

    name: str
    datasets: tuple[dict[str, JSON], ...]
    cases: int
    targets: tuple[TargetView, ...]
    rows: tuple[MetricRow, ...]
    slices: tuple[SliceRow, ...] = ()
    worst: tuple[WorstView, ...] = ()
    notes: tuple[str, ...] = ()


EARLY = "decided early by its gates"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run, ready to be rendered or written as JSON."""

    run_id: str
    project: str
    status: str
    started_at: str
    finished_at: str | None
    elapsed_s: float | None
    planned: int
    done: int
    errors: int
    error_classes: dict[str, int]
    cost_usd: float | None
    assumed_usd: float
    assumed: int
    saved_usd: float | None
    unpriced: int
    scorer_cost_usd: float | None
    commit: str | None
    branch: str | None
    dirty: bool
    user: str | None
    evalkit_version: str
    suites: tuple[SuiteView, ...]
    next: tuple[str, ...]
    attacks: tuple[Attacks, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    part: str = ""
    kind: str = "run"
    format: int = 1

    def to_json(self) -> dict[str, Any]:
        """The view as JSON values."""
        return dataclasses.asdict(self)


def run_view(run: Run, samples: Samples) -> RunView:
    """The view of a run from its samples; a suite without a single trial is shown as such."""
    suites = tuple(_suite(run, name, samples) for name in run.suites)
    classes: dict[str, int] = {}
    for one in samples.trials:
        for name, times in one.error_classes.items():
            classes[name] = classes.get(name, 0) + times
    costs = [one.cost_usd for one in samples.scores if one.cost_usd is not None]
    targets = [target for suite in suites for target in suite.targets]
    elapsed = None
    if run.finished_at is not None and run.finished_at >= run.started_at:
        # a clock that was set back in between tells nothing
        elapsed = (run.finished_at - run.started_at).total_seconds()
    return RunView(
        run_id=run.id,
        project=run.project,
        status=str(run.status),
        started_at=run.started_at.isoformat(),
        finished_at=None if run.finished_at is None else run.finished_at.isoformat(),
        elapsed_s=elapsed,
        planned=run.planned,
        done=sum(one.done for one in targets),
        errors=sum(one.errors for one in targets),
        error_classes=classes,
        cost_usd=_known_sum(one.cost_usd for one in targets),
        assumed_usd=math.fsum(one.assumed_usd for one in samples.trials),
        assumed=sum(one.assumed for one in samples.trials),
        saved_usd=_known_sum(one.saved_usd for one in targets),
        unpriced=sum(one.unpriced for one in targets),
        scorer_cost_usd=math.fsum(costs) if costs else None,
        commit=run.git.commit if run.git else None,
        branch=run.git.branch if run.git else None,
        dirty=bool(run.git and run.git.dirty),
        user=run.user,
        evalkit_version=run.evalkit_version,
        part=_part(run),
        suites=suites,
        next=_next(run, suites),
    )


def _part(run: Run) -> str:
    """Which part of a whole the run is, in words; empty for a whole one."""
    if ended_early(run):
        return EARLY
    if run.shard:
        return f"shard {run.shard}"
    missing = run.settings.get("missing")
    if isinstance(missing, list) and missing and run.status is not RunStatus.COMPLETE:
        return f"partial: without shard {', '.join(map(str, missing))}"
    return ""


def _known_sum(values: Any) -> float | None:
    known = [one for one in values if one is not None]
    return math.fsum(known) if known else None


def _suite(run: Run, name: str, samples: Samples) -> SuiteView:
    trials = {one.target: one for one in samples.trials if one.suite == name}
    order = [one.name for one in run.targets if one.name in trials]
    order += [one for one in trials if one not in order]
    scores = {(one.target, one.name): one for one in samples.scores if one.suite == name}
    versions = [one for one in run.scorers if one.suite == name]
    units = {one.name: one.unit for one in versions}
    rows: list[MetricRow] = []
    notes: list[str] = []
    for version in versions:
        metrics, bounds, missing = _metrics(version)
        if missing:
            notes.append(f"{version.name}: {', '.join(missing)} needs the scorer's own code")
        columns = [scores.get((target, version.name)) for target in order]
        # a metric of sums that no score has, such as how far one judge agrees with itself
        scored = [one for one in columns if one is not None and len(one.values)]
        summed = not scored or any(len(one.stats) for one in scored)
        metrics = [one for one in metrics if summed or one.kind != "corpus"]
        rows += [_score_row(version, one, bounds, columns) for one in metrics]
    listed = {one.name for one in versions}
    ordered_trials = [trials[target] for target in order]
    rows += [one for one in _trial_rows(ordered_trials) if one.metric.split(".")[0] not in listed]
    rows.append(_error_row(ordered_trials))
    return SuiteView(
        name=name,
        datasets=tuple(
            {
                "source": one.source,
                "version": one.version,
                "format": one.format,
                "cases": one.cases,
                "selected": one.selected,
            }
            for one in run.datasets
            if one.suite == name
        ),
        cases=len(set().union(*(_plain(one.cases) for one in ordered_trials))),
        targets=tuple(_target(run, one) for one in ordered_trials),
        rows=tuple(rows),
        slices=_slices(samples, name, versions, order, scores),
        worst=tuple(
            WorstView(
                target=one.target,
                case_id=one.case_id,
                name=one.case_name or one.case_id,
                scorer=one.scorer,
                unit=units.get(one.scorer or "", ""),
                value=one.value,
                passed=one.passed,
                reason=one.reason,
                output=one.output,
                error=one.error,
                trials=one.trials,
                failed_trials=one.failed_trials,
            )
            for target in order
            for one in samples.worst
            if one.suite == name and one.target == target
        ),
        notes=tuple(notes),
    )


def _plain(values: Any) -> list[Any]:
    """A column as a list: looking at one number of an array at a time is slow."""
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _target(run: Run, trials: TrialSample) -> TargetView:
    import numpy as np

    version = next((one for one in run.targets if one.name == trials.target), None)
    ok = np.asarray(trials.ok, dtype=bool)
    costs = np.asarray(trials.cost_usd, dtype=float)
    answered = int(ok.sum())
    prompt = None
    if version is not None and version.prompt_version is not None:
        prompt = next((p for p in run.prompts if p.version == version.prompt_version), None)
    return TargetView(
        name=trials.target,
        kind=version.kind if version else "",
        model=version.model if version else None,
        prompt=version.prompt_version if version else None,
        prompt_label=prompt.label if prompt else None,
        options=dict(version.options) if version else {},
        done=len(trials.ok),
        errors=len(trials.ok) - answered,
        error_classes=dict(trials.error_classes),
        cost_usd=trials.spent_usd,
        saved_usd=trials.saved_usd,
        unpriced=int((ok & np.isnan(costs)).sum()),
    )


def _metrics(
    version: ScorerVersion,
) -> tuple[list[Metric], tuple[float, float], list[str]]:
    """The metrics a scorer declared, its range, and the names that only its code can compute."""
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
    missing = [name for name, one in found.items() if one is None]
    return [one for one in found.values() if one is not None], bounds, missing


def _by_name(name: str) -> Metric | None:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("p") and name[1:].isdigit() and 0 < int(name[1:]) < 100:
        return Metric(name, "quantile", int(name[1:]) / 100)
    return None


def _score_row(
    version: ScorerVersion,
    metric: Metric,
    bounds: tuple[float, float],
    columns: Sequence[ScoreSample | None],
) -> MetricRow:
    share = metric.kind == "rate"
    return MetricRow(
        metric=f"{version.name}.{metric.name}",
        group=_GROUP_OF_UNIT.get(version.unit, "quality"),
        unit="%" if share else version.unit,
        direction=_rate_direction(metric, version.direction) if share else version.direction,
        cells=tuple(None if one is None else _score_cell(metric, bounds, one) for one in columns),
    )


def _rate_direction(metric: Metric, direction: Direction) -> Direction:
    """Which way a share is better: of what passed more is, of what was flagged less."""
    if not metric.counts:
        return "lower"
    return "higher" if direction == "lower" else direction


def _score_cell(
    metric: Metric,
    bounds: tuple[float, float],
    sample: ScoreSample,
    chosen: Any = None,
) -> Cell:
    import numpy as np

    cases = np.asarray(sample.cases)
    rows = len(cases)
    kept = np.arange(rows) if chosen is None else np.flatnonzero(chosen[cases])
    whole = len(kept) == rows

    def column(values: Any) -> Any:
        if whole:
            return values
        if isinstance(values, np.ndarray):
            return values[kept]
        return [values[row] for row in kept.tolist()]

    stats: Any = ()
    if metric.kind == "corpus":
        if len(sample.stats) != rows:
            return Cell(value=None, note="some scores have no statistics to sum")
        stats = column(sample.stats)
    estimate = summarise(
        metric,
        column(sample.values),
        column(sample.passed),
        column(cases),
        stats,
        bounds=bounds,
    )
    note = sample.why if whole else ""
    if estimate.value is None and not note:
        note = "no trial was decided" if metric.kind == "rate" and len(kept) else "no score"
    return _cell(
        estimate,
        unscored=sample.unscored if whole else 0,
        errors=sample.errors if whole else 0,
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


def _trial_rows(trials: Sequence[TrialSample]) -> list[MetricRow]:
    import numpy as np

    columns: dict[str, Column] = {
        "latency": lambda one: one.latency_s,
        "ttft": lambda one: one.ttft_s,
        "input": lambda one: one.input_tokens,
        "output": lambda one: one.output_tokens,
    }
    known = {
        name
        for name, column in columns.items()
        if any(not np.isnan(column(one)).all() for one in trials)
    }
    rows = [
        _quantity_row(trials, columns[name], one, name=name, group="time", unit="s", live=True)
        for name in ("latency", "ttft")
        for one in (p50, p95)
        if name == "latency" or name in known
    ]
    rows += [
        _quantity_row(
            trials,
            columns[name],
            Metric(name, "mean"),
            name="tokens",
            group="tokens",
            unit="tokens",
        )
        for name in ("input", "output")
        if name in known
    ]
    rows += [
        _quantity_row(trials, lambda t: t.cost_usd, one, name="cost", group="cost", unit="USD")
        for one in (mean, total)
    ]
    return rows


def _quantity_row(
    trials: Sequence[TrialSample],
    column: Column,
    metric: Metric,
    *,
    name: str,
    group: Group,
    unit: str,
    live: bool = False,
) -> MetricRow:
    return MetricRow(
        metric=f"{name}.{metric.name}",
        group=group,
        unit=unit,
        direction="lower",
        cells=tuple(_quantity_cell(metric, one, column(one), live=live) for one in trials),
    )


def _quantity_cell(
    metric: Metric, trials: TrialSample, values: Sequence[float], *, live: bool
) -> Cell:
    import numpy as np

    answered = np.asarray(trials.ok, dtype=bool)
    if live:
        answered = answered & np.asarray(trials.live, dtype=bool)
    data = np.asarray(values, dtype=float)
    known = answered & ~np.isnan(data)
    count, whole = int(known.sum()), int(answered.sum())
    estimate = summarise(
        metric,
        data[known],
        [None] * count,
        np.asarray(trials.cases)[known],
        bounds=(0.0, math.inf),
    )
    note = ""
    if not count:
        note = "unknown" if whole else "no live answer" if live else "no answer"
    elif count < whole:
        note = f"{whole - count} of {whole} unknown"
    return _cell(estimate, note=note)


def _error_row(trials: Sequence[TrialSample]) -> MetricRow:
    import numpy as np

    return MetricRow(
        metric="error.rate",
        group="errors",
        unit="%",
        direction="lower",
        cells=tuple(
            _cell(
                summarise(
                    rate,
                    np.zeros(len(one.ok)),
                    ~np.asarray(one.ok, dtype=bool),
                    np.asarray(one.cases),
                )
            )
            for one in trials
        ),
    )


def _slices(
    samples: Samples,
    suite: str,
    versions: Sequence[ScorerVersion],
    order: Sequence[str],
    scores: dict[tuple[str, str], ScoreSample],
) -> tuple[SliceRow, ...]:
    """The first metric of every quality scorer, over the cases of every value of every tag."""
    import numpy as np

    rows = []
    for tag, of_case in samples.tags.get(suite, {}).items():
        sizes: dict[str, int] = {}
        for value in of_case:
            if value is not None:
                sizes[value] = sizes.get(value, 0) + 1
        place = {value: number for number, value in enumerate(sizes)}
        codes = np.array([-1 if one is None else place[one] for one in of_case], dtype=int)
        for version in versions:
            metrics, bounds, _ = _metrics(version)
            if version.unit or not metrics:
                continue
            for value, cases in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])):
                columns = [scores.get((target, version.name)) for target in order]
                chosen = codes == place[value]
                rows.append(
                    SliceRow(
                        tag=tag,
                        value=value,
                        metric=f"{version.name}.{metrics[0].name}",
                        unit="%" if metrics[0].kind == "rate" else version.unit,
                        cases=cases,
                        cells=tuple(
                            None if one is None else _score_cell(metrics[0], bounds, one, chosen)
                            for one in columns
                        ),
                    )
                )
    return tuple(rows)


def _next(run: Run, suites: Sequence[SuiteView]) -> tuple[str, ...]:
    """What a reader would type next."""
    commands = []
    failed = any(target.errors for suite in suites for target in suite.targets)
    done = sum(target.done for suite in suites for target in suite.targets)
    short = done < run.planned and not ended_early(run)
    if run.status is not RunStatus.RUNNING and (failed or short):
        commands.append(f"evalkit run --resume {run.id}")
    elif run.shard:
        commands.append(f"evalkit export {run.id}")
    worst = next((one for suite in suites for one in suite.worst), None)
    if worst is not None:
        commands.append(f"evalkit show {run.id} {typed(worst.name, worst.case_id)}")
    else:
        commands.append(f"evalkit show {run.id}")
    return tuple(commands)
