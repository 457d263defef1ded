"""The view of a run from its samples: all that is shown of it, computed once.

One sample is held at a time, so that the memory of it is that of the largest column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.gate.looks import ended_early
from evalkit.model import Run, RunStatus
from evalkit.report.view import (
    EARLY,
    Cell,
    MetricRow,
    RunView,
    SliceRow,
    SuiteView,
    TargetView,
    WorstView,
)
from evalkit.report.view_cells import (
    Judge,
    Measured,
    judge_of,
    measured_of,
    score_cell,
    score_row,
    slice_metric,
    sums_cell,
    trial_cells,
)
from evalkit.report.words import typed
from evalkit.stats.ranking import Ranking
from evalkit.stats.samples import (
    Picked,
    Samples,
    Slices,
    TrialCounts,
    WorstCase,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def run_view(run: Run, samples: Samples) -> RunView:
    """The view of a run from its samples; a suite without a single trial is shown as such.

    Of each suite the targets are taken one after the other, and of each target the samples.
    """
    suites = tuple(_suite(run, name, samples) for name in run.suites)
    classes: dict[str, int] = {}
    for one in samples.trial_counts:
        for name, times in one.error_classes.items():
            classes[name] = classes.get(name, 0) + times
    costs = [one.cost_usd for one in samples.score_counts if one.cost_usd is not None]
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
        assumed_usd=math.fsum(one.assumed_usd for one in samples.trial_counts),
        assumed=sum(one.assumed for one in samples.trial_counts),
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


Cut = tuple[str, str, str]
"""A tag, one of its values, and the scorer whose first metric is shown of such cases."""


@dataclass(frozen=True, slots=True)
class _Column:
    """What is shown of one target of a suite.

    ``scores`` has a cell a metric by scorer, and ``summed`` of scorers with any score whether any
    has what a sum needs; ``trials`` has a cell by row.
    """

    scores: Mapping[str, Mapping[str, Cell]]
    summed: Mapping[str, bool]
    trials: Mapping[str, Cell]
    slices: Mapping[Cut, Cell]
    picked: Sequence[Picked]


def _suite(run: Run, name: str, samples: Samples) -> SuiteView:
    counts = {one.target: one for one in samples.trial_counts if one.suite == name}
    order = [one.name for one in run.targets if one.name in counts]
    order += [one for one in counts if one not in order]
    judges = [judge_of(one) for one in run.scorers if one.suite == name]
    listed = {one.name for one in judges}
    known = {column for one in counts.values() for column in one.known}
    measured = [
        one for one in measured_of(known) if not one.column or one.name.split(".")[0] not in listed
    ]
    slices = samples.slices(name)
    columns = [_column(counts[one], judges, measured, slices, samples) for one in order]
    units = {one.name: one.version.unit for one in judges}
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
        cases=samples.cases(name),
        targets=tuple(_target(run, counts[one]) for one in order),
        rows=(
            *_score_rows(judges, columns),
            *(one.row([column.trials[one.name] for column in columns]) for one in measured),
        ),
        slices=tuple(_slice_rows(slices, judges, columns)),
        worst=tuple(
            _worst(one, units)
            for one in samples.worst([one for column in columns for one in column.picked])
        ),
        notes=tuple(
            f"{one.name}: {', '.join(one.missing)} needs the scorer's own code"
            for one in judges
            if one.missing
        ),
    )


def _column(
    counts: TrialCounts,
    judges: Sequence[Judge],
    measured: Sequence[Measured],
    slices: Mapping[str, Slices],
    samples: Samples,
) -> _Column:
    suite, target = counts.suite, counts.target
    trials = samples.trials(suite, target)
    cells = trial_cells(trials, measured, counts.known)
    ranking = Ranking(trials, len(judges))
    del trials
    known = {
        one.name: one for one in samples.score_counts if (one.suite, one.target) == (suite, target)
    }
    scores: dict[str, dict[str, Cell]] = {}
    summed: dict[str, bool] = {}
    cut: dict[Cut, Cell] = {}
    for judge in judges:
        if judge.name not in known:
            continue
        its = known[judge.name]
        first = slice_metric(judge)
        sample = samples.scores(suite, target, judge.name)
        found = {
            one.name: score_cell(one, judge, its, sample, None)
            for one in judge.metrics
            if one.kind != "corpus"
        }
        if first is not None and first.kind != "corpus":
            for tag, value, chosen in _cuts(slices):
                cut[tag, value, judge.name] = score_cell(first, judge, its, sample, chosen)
        if judge.sign is not None:
            ranking.add(judge.name, sample, sign=judge.sign)
        read = sample.sums
        # what sums are made from takes more than all the rest
        del sample
        if summing := [one for one in judge.metrics if one.kind == "corpus"]:
            sums = read()
            if its.scored:
                summed[judge.name] = len(sums.stats) > 0
            found |= {one.name: sums_cell(one, judge, its, sums, None) for one in summing}
            if first in summing:
                for tag, value, chosen in _cuts(slices):
                    cut[tag, value, judge.name] = sums_cell(first, judge, its, sums, chosen)
            del sums
        scores[judge.name] = found
    ranking.means()
    return _Column(scores, summed, cells, cut, samples.pick(suite, target, ranking))


def _cuts(slices: Mapping[str, Slices]) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    """Every value of every tag, with the cases that have it."""
    for tag, its in slices.items():
        for place, value in enumerate(its.sizes):
            yield tag, value, its.of_case == place


def _score_rows(judges: Sequence[Judge], columns: Sequence[_Column]) -> Iterator[MetricRow]:
    for judge in judges:
        told = [one.summed[judge.name] for one in columns if judge.name in one.summed]
        for metric in judge.metrics:
            # a metric of sums that no score has, such as how far one judge agrees with itself
            if metric.kind == "corpus" and told and not any(told):
                continue
            cells = [one.scores.get(judge.name, {}).get(metric.name) for one in columns]
            yield score_row(judge, metric, cells)


def _slice_rows(
    slices: Mapping[str, Slices], judges: Sequence[Judge], columns: Sequence[_Column]
) -> Iterator[SliceRow]:
    """The first metric of every quality scorer, over the cases of every value of every tag."""
    for tag, its in slices.items():
        for judge in judges:
            metric = slice_metric(judge)
            if metric is None:
                continue
            for value, cases in sorted(its.sizes.items(), key=lambda one: (-one[1], one[0])):
                yield SliceRow(
                    tag=tag,
                    value=value,
                    metric=f"{judge.name}.{metric.name}",
                    unit="%" if metric.kind == "rate" else judge.version.unit,
                    cases=cases,
                    cells=tuple(one.slices.get((tag, value, judge.name)) for one in columns),
                )


def _worst(one: WorstCase, units: Mapping[str, str]) -> WorstView:
    return WorstView(
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


def _target(run: Run, trials: TrialCounts) -> TargetView:
    version = next((one for one in run.targets if one.name == trials.target), None)
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
        done=trials.done,
        errors=trials.errors,
        error_classes=dict(trials.error_classes),
        cost_usd=trials.spent_usd,
        saved_usd=trials.saved_usd,
        unpriced=trials.unpriced,
    )


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
