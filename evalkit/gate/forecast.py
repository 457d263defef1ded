"""What the gates of a suite can see, said before any money is spent."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evalkit.config.gate_metrics import MetricInfo, metric_info
from evalkit.config.spec import GateLimit, GateMode, GateSpec, SuiteSpec
from evalkit.gate.groups import too_few, unjudged
from evalkit.gate.measure import Measured, deciding, measure
from evalkit.gate.pairing import alone
from evalkit.gate.question import POWER_Z
from evalkit.gate.rules import CHANGES, FACT
from evalkit.gate.selection import CLUSTERED, Cases
from evalkit.stats.clusters import MIN_CLUSTERS, can_prove
from evalkit.stats.intervals import SPARSE
from evalkit.stats.planning import (
    cases_to_pass,
    false_alarms,
    pass_power,
    smallest_drop,
    smallest_suite_drop,
    structural_cases,
)
from evalkit.stats.quantiles import (
    clusters_for_quantile,
    samples_for_quantile,
    samples_for_ratio,
)
from evalkit.stats.repeats import disagreement
from evalkit.stats.sides import Bools, Numbers, Side
from evalkit.stats.single_rates import cases_for_ceiling

ASSUMED = 0.08
"""The share of cases on which two runs disagree where none is stored: the noisier of two models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One limit of a gate on one target, in one group of its cases where it names ``by``.

    ``never_below`` is the n with which it can pass at the earliest, ``enough`` the n with which an
    unchanged candidate passes in 8 of 10 runs, ``power`` the share of runs in which it does on the
    ``cases`` there are. ``visible`` is the smallest drop blocked in 8 of 10 runs, as a share.
    ``seen`` is the share of cases on which two stored runs disagreed, with ``trials`` of each case,
    and ``noise`` the share that is counted: what too few cases cannot show is added to what was
    seen, and without stored repeats (not ``measured``) it is assumed. A ``fact`` has no chance to
    be forecast, ``unjudged`` is what the gate will not judge, and ``why`` says why there is no
    ``power``.
    """

    suite: str
    gate: str
    target: str
    limit: GateLimit
    metric: str
    mode: GateMode
    where: str = ""
    kind: Literal["chance", "fact", "unjudged"] = "chance"
    cases: int | None = None
    never_below: int | None = None
    enough: int | None = None
    power: float | None = None
    visible: float | None = None
    noise: float | None = None
    seen: float | None = None
    trials: int = 1
    measured: bool = False
    why: str = ""
    note: str = ""


def forecast(
    suite: SuiteSpec, target: str, side: Side, infos: Mapping[str, MetricInfo]
) -> list[Forecast]:
    """What every gate of a suite can see on the cases, and with the noise, of a stored side.

    With two stored trials a case the noise is measured; else it is assumed, and said to be. Gates
    that are about no target of the run are in ``elsewhere``.
    """
    cases = Cases(pairing=alone(side), before=None, after=side)
    deciders = deciding(side)
    found = []
    for gate in suite.gates:
        if gate.sql is None and gate.target in {"", target}:
            for limit in gate.limits:
                row = _row(suite, gate, limit, target)
                found += _limit(row, suite, gate, infos, side, cases, deciders)
    return found


def elsewhere(suite: SuiteSpec, targets: Collection[str]) -> list[Forecast]:
    """The gates that no target of the run answers: queries, and those about another target."""
    found = []
    for gate in suite.gates:
        row = _row(suite, gate, gate.limits[0], gate.target)
        if gate.sql is not None:
            found.append(replace(row, kind="fact"))
        elif gate.target and gate.target not in targets:
            note = f"is about target {gate.target!r}, which was not run"
            found.append(replace(row, kind="unjudged", note=note))
    return found


def fewest_cases(
    limit: GateLimit, info: MetricInfo, *, alpha: float, population: bool
) -> int | None:
    """Below how many cases a limit can never pass; ``None`` where there is no such number.

    With ``population`` a change is claimed for cases like these, else only for exactly these.
    """
    if info.kind == "quantile" and info.q is not None:
        if limit.kind == "max_rise":
            return samples_for_ratio(info.q)
        return samples_for_quantile(info.q, alpha=alpha)
    if limit.kind in {"min", "max"} and info.kind == "rate":
        return cases_for_ceiling(1 - limit.value if limit.kind == "min" else limit.value,
                                 alpha=alpha)  # fmt: skip
    share = limit.value / info.spread if math.isfinite(info.spread) else 0.0
    change = limit.kind in CHANGES and not limit.relative
    if change and 0 < share < 1 and population and info.kind != "corpus":
        return structural_cases(share, alpha=alpha)
    return None


def _row(suite: SuiteSpec, gate: GateSpec, limit: GateLimit, target: str) -> Forecast:
    return Forecast(
        suite=suite.name,
        gate=gate.id,
        target=target,
        limit=limit,
        metric=gate.metric,
        mode=gate.mode,
    )


def _limit(  # noqa: PLR0917 - one call, above
    row: Forecast,
    suite: SuiteSpec,
    gate: GateSpec,
    infos: Mapping[str, MetricInfo],
    side: Side,
    cases: Cases,
    deciders: Sequence[str],
) -> list[Forecast]:
    """One limit, in every group of the gate's tags; the groups that are too small in one row."""
    kind = row.limit.kind
    info = infos.get(FACT.name, FACT) if kind == "must" else metric_info(gate.metric, infos)
    if info is None:
        return [_unjudged(row, f"this run has no metric {gate.metric!r}")]
    if kind == "total":
        info = replace(infos["cost.total"], name=gate.metric)
    mask, problem = cases.chosen(gate.cases)
    if problem:
        return [_unjudged(row, problem)]
    row = replace(row, metric=info.name)
    measured = measure(info, side, cases.pairing.candidate, deciders=deciders)
    mask &= ~cases.any_of(gate.left_out)
    if info.kind != "quantile":
        mask &= measured.concerned
    if kind == "must":
        return [replace(row, kind="fact", cases=int(mask.sum()))]
    if info.kind in CLUSTERED and (wrong := cases.unclustered(suite.policy)):
        return [_unjudged(row, wrong)]

    def on(where: str, kept: Bools) -> Forecast:
        judged = info.kind in {"rate", "mean", "quantile"}
        mine = cases.hanging(suite.policy, kept) if judged else None
        return _on(replace(row, where=where), suite, info, measured.of_cases(kept), mine)

    if not gate.by:
        return [on("", mask)]
    found = []
    for tag in gate.by:
        groups = {name: mask & one for name, one in cases.groups(tag).items()}
        if not groups:
            found.append(_unjudged(replace(row, where=tag), f"no case has the tag {tag!r}"))
            continue
        sizes = {name: int(one.sum()) for name, one in groups.items() if one.any()}
        large = [name for name, n in sizes.items() if n >= gate.min_cases]
        small = {name: n for name, n in sizes.items() if n < gate.min_cases}
        if kind == "max_gap":
            found.append(_gap(replace(row, where=tag), [sizes[one] for one in large], gate))
        else:
            found += [on(f"{tag}={one}", groups[one]) for one in large]
        if small:
            said = unjudged(small, gate.min_cases)
            one = _unjudged(replace(row, where=tag), said)
            found.append(replace(one, cases=sum(small.values())))
    return found


def _unjudged(row: Forecast, note: str) -> Forecast:
    return replace(row, kind="unjudged", power=0.0, note=note)


def _gap(row: Forecast, sizes: Sequence[int], gate: GateSpec) -> Forecast:
    row = replace(row, cases=sum(sizes))
    if len(sizes) < 2:
        return _unjudged(row, too_few(len(sizes), gate.min_cases))
    return replace(row, why="it depends on how far apart the groups are")


def _on(
    row: Forecast,
    suite: SuiteSpec,
    info: MetricInfo,
    part: Measured,
    clusters: Numbers | None,
) -> Forecast:
    """One limit on the cases that were measured, with the cluster of each."""
    limit, n = row.limit, part.cases
    row = replace(row, cases=n)
    if info.kind == "total":
        return replace(row, kind="fact")
    if not n:
        return _unjudged(row, f"no case says anything of {info.name}")
    if clusters is not None:
        return _clustered(row, suite, info, clusters)
    least = fewest_cases(limit, info, alpha=suite.policy.alpha, population=False)
    if least is not None:
        row = _with_least(row, least)
        far = "it depends on how far the level is from its limit"
        return replace(row, why="" if row.note else _SLOWER if limit.kind == "max_rise" else far)
    if limit.kind not in CHANGES:
        return replace(row, why="it depends on how far the level is from its limit")
    share = limit.value / info.spread if math.isfinite(info.spread) else 0.0
    if limit.relative or not 0 < share < 1:
        return replace(row, why=f"it depends on how much {info.name} varies from run to run")
    if info.kind == "corpus":
        return replace(row, why="a score of all answers together has no noise of single cases")
    return _change(row, share, info, part, suite)


def _clustered(row: Forecast, suite: SuiteSpec, info: MetricInfo, clusters: Numbers) -> Forecast:
    """A limit on cases that hang together: how much they do, no run alone can tell."""
    if row.limit.kind in CHANGES:
        least = fewest_cases(row.limit, info, alpha=suite.policy.alpha, population=True)
        row = row if least is None else _with_least(row, least)
    count, least = len(np.unique(clusters)), 0
    if row.mode == "prove" and not can_prove(clusters.tolist()):
        least = MIN_CLUSTERS
    if info.q is not None and row.limit.kind == "max":
        least = max(least, clusters_for_quantile(info.q, alpha=suite.policy.alpha))
    if count < least:
        few = f"can never pass: {count:,} of {least:,} clusters"
        row = replace(row, power=0.0, note="; ".join(one for one in (row.note, few) if one))
    tag = suite.policy.cluster or "base"
    hang = f"it depends on how much the cases of one {tag} change together"
    return replace(row, why="" if row.note else hang)


_SLOWER = "it depends on how much the times vary; it blocks only in a run with --interleave"


def _with_least(row: Forecast, least: int) -> Forecast:
    """The row with the n below which it can never pass, and a word where there are not so many."""
    row = replace(row, never_below=least)
    n = row.cases or 0
    if n >= least:
        return row
    return replace(row, power=0.0, note=f"can never pass: {n:,} of {least:,} cases")


def _change(
    row: Forecast, share: float, info: MetricInfo, part: Measured, suite: SuiteSpec
) -> Forecast:
    alpha, n = suite.policy.alpha, part.cases
    noise = _noise(info, part)
    if noise is not None:
        row = replace(row, noise=noise.counted, seen=noise.seen, trials=noise.trials, measured=True)
        if suite.policy.estimand != "population":
            return _on_the_suite(row, share, noise, n, alpha)
    discordance = ASSUMED if noise is None else noise.counted
    row = replace(
        row,
        enough=cases_to_pass(discordance, share, alpha=alpha),
        power=pass_power(n, discordance, share, alpha=alpha),
        visible=smallest_drop(n, discordance, alpha=alpha),
        noise=discordance,
    )
    return _with_least(row, structural_cases(share, alpha=alpha))


def _on_the_suite(row: Forecast, share: float, noise: _Noise, n: int, alpha: float) -> Forecast:
    """The same for the claim about exactly these cases, by the normal approximation.

    Only the noise within cases counts: half the disagreement, over the candidate's one trial and
    the baseline's. There is no structural n; with few cases the noise itself is guarded.
    """
    from scipy.special import ndtr, ndtri

    z, variance = float(ndtri(1 - alpha)), noise.counted / 2 * (1 + 1 / noise.trials)
    return replace(
        row,
        enough=math.ceil(variance * ((z + POWER_Z) / share) ** 2 - 1e-9),
        power=float(ndtr(share * math.sqrt(n / variance) - z)) if variance else 1.0,
        visible=smallest_suite_drop(n, noise.counted / 2, baseline_runs=noise.trials, alpha=alpha),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """How often two trials of a case disagreed, what is counted, and the trials of each case."""

    seen: float
    counted: float
    trials: int


def _noise(info: MetricInfo, measured: Measured) -> _Noise | None:
    """How often two trials of a case disagree, on the scale from 0 to 1; ``None`` without repeats.

    While fewer than 20 cases vary, two more that dissented once are added, as the gate's test does:
    a case without variance in its few trials is not known to have none.
    """
    known = ~np.isnan(measured.values)
    trials = np.bincount(measured.owner[known], minlength=measured.cases)
    kept = trials >= 2
    if not kept.any():
        return None
    part = measured.of_cases(kept)
    values = np.where(np.isnan(part.values), part.means(part.low)[part.owner], part.values)
    moments = part.moments(values / info.spread)
    runs = int(trials[kept].min())
    guard = 0.0 if np.count_nonzero(moments.variances) >= SPARSE else 4 / (runs * part.cases)
    seen = min(disagreement(moments), 1.0)
    return _Noise(seen=seen, counted=min(seen + guard, 1.0), trials=runs)


def alarms(forecasts: list[Forecast], runs: float, alpha: float) -> float:
    """How many unchanged candidates are failed by chance, at most, of so many gated runs."""
    judged = [one for one in forecasts if one.kind == "chance"]
    proofs = sum(one.mode == "prove" for one in judged)
    guards = any(one.mode == "guard" for one in judged)
    return false_alarms(runs, proofs + guards, alpha=alpha)
