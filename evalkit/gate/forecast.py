"""What the gates of a suite can see, said before any money is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evalkit.config.gate_metrics import MetricInfo
from evalkit.config.spec import GateLimit, GateSpec, SuiteSpec
from evalkit.gate.measure import deciding, measure
from evalkit.gate.question import POWER_Z
from evalkit.stats.intervals import SPARSE
from evalkit.stats.planning import (
    cases_to_pass,
    false_alarms,
    pass_power,
    smallest_drop,
    smallest_suite_drop,
    structural_cases,
)
from evalkit.stats.quantiles import samples_for_quantile, samples_for_ratio
from evalkit.stats.repeats import disagreement
from evalkit.stats.sides import Side
from evalkit.stats.single_rates import cases_for_ceiling

ASSUMED = 0.08
"""The share of cases on which two runs disagree where none is stored: the noisier of two models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One limit of a gate on one target.

    ``never_below`` is the n with which it can pass at the earliest, ``enough`` the n with which an
    unchanged candidate passes in 8 of 10 runs, ``power`` the share of runs in which it does on the
    ``cases`` there are. ``visible`` is the smallest drop blocked in 8 of 10 runs, as a share.
    ``noise`` is the share of cases on which two runs disagree, ``measured`` or assumed.
    """

    gate: str
    target: str
    limit: GateLimit
    metric: str
    mode: str
    cases: int
    never_below: int | None = None
    enough: int | None = None
    power: float | None = None
    visible: float | None = None
    noise: float | None = None
    measured: bool = False
    note: str = ""


def forecast(
    suite: SuiteSpec, target: str, side: Side, infos: Mapping[str, MetricInfo]
) -> list[Forecast]:
    """What every gate of a suite can see on the cases, and with the noise, of a stored side.

    With two stored trials a case the noise is measured; else it is assumed, and said to be.
    """
    found = []
    for gate in suite.gates:
        info = infos.get(gate.metric)
        if info is None or gate.target not in {"", target}:
            continue
        found += [_limit(suite, gate, limit, info, target, side) for limit in gate.limits]
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
    change = limit.kind in {"max_drop", "max_rise"} and not limit.relative
    if change and 0 < share < 1 and population and info.kind != "corpus":
        return structural_cases(share, alpha=alpha)
    return None


def _limit(  # noqa: PLR0917 - one call, above
    suite: SuiteSpec,
    gate: GateSpec,
    limit: GateLimit,
    info: MetricInfo,
    target: str,
    side: Side,
) -> Forecast:
    alpha, n = suite.policy.alpha, len(side.cases)
    fields = {
        "gate": gate.id,
        "target": target,
        "limit": limit,
        "metric": info.name,
        "mode": gate.mode,
        "cases": n,
    }
    least = fewest_cases(limit, info, alpha=alpha, population=False)
    if least is not None:
        return _with_note(fields, n, least)
    share = limit.value / info.spread if math.isfinite(info.spread) else 0.0
    if limit.kind not in {"max_drop", "max_rise"} or limit.relative or not 0 < share < 1:
        return Forecast(**fields)  # type: ignore[arg-type]  # the fields above
    return _change(fields, share, info, side, suite)


def _with_note(fields: Mapping[str, object], n: int, least: int) -> Forecast:
    note = "" if n >= least else f"can never pass: {n:,} of {least:,} cases"
    return Forecast(**fields, never_below=least, note=note)  # type: ignore[arg-type]  # as above


def _change(
    fields: Mapping[str, object], share: float, info: MetricInfo, side: Side, suite: SuiteSpec
) -> Forecast:
    alpha, n = suite.policy.alpha, len(side.cases)
    noise, runs = _noise(info, side)
    if noise is not None and suite.policy.estimand != "population":
        return _on_the_suite(fields, share, noise, runs, alpha)
    discordance = ASSUMED if noise is None else noise
    least = structural_cases(share, alpha=alpha)
    return Forecast(
        **fields,  # type: ignore[arg-type]  # the fields of its caller
        never_below=least,
        enough=cases_to_pass(discordance, share, alpha=alpha),
        power=pass_power(n, discordance, share, alpha=alpha) if n else 0.0,
        visible=smallest_drop(n, discordance, alpha=alpha) if n else None,
        noise=discordance,
        measured=noise is not None,
        note="" if n >= least else f"can never pass: {n:,} of {least:,} cases",
    )


def _on_the_suite(
    fields: Mapping[str, object], share: float, noise: float, runs: int, alpha: float
) -> Forecast:
    """The same for the claim about exactly these cases, by the normal approximation.

    Only the noise within cases counts: half the disagreement, over the candidate's one trial and
    the baseline's. There is no structural n; with few cases the noise itself is guarded.
    """
    from scipy.special import ndtr, ndtri

    n = fields["cases"]
    assert isinstance(n, int)
    z, variance = float(ndtri(1 - alpha)), noise / 2 * (1 + 1 / runs)
    return Forecast(
        **fields,  # type: ignore[arg-type]  # the fields of its caller
        enough=math.ceil(variance * ((z + POWER_Z) / share) ** 2 - 1e-9),
        power=float(ndtr(share * math.sqrt(n / variance) - z)) if variance else 1.0,
        visible=smallest_suite_drop(n, noise / 2, baseline_runs=runs, alpha=alpha),
        noise=noise,
        measured=True,
    )


def _noise(info: MetricInfo, side: Side) -> tuple[float | None, int]:
    """How often two trials of a case disagree, on the scale from 0 to 1; and trials a case.

    While fewer than 20 cases vary, two more that dissented once are added, as the gate's test does:
    a case without variance in its few trials is not known to have none.
    """
    chosen = np.arange(len(side.cases), dtype=np.intp)
    measured = measure(info, side, chosen, deciders=deciding(side))
    known = ~np.isnan(measured.values)
    trials = np.bincount(measured.owner[known], minlength=measured.cases)
    kept = trials >= 2
    if not kept.any() or info.kind == "corpus":
        return None, 1
    part = measured.of_cases(kept)
    values = np.where(np.isnan(part.values), part.means(part.low)[part.owner], part.values)
    moments = part.moments(values / info.spread)
    runs = int(trials[kept].min())
    guard = 0.0 if np.count_nonzero(moments.variances) >= SPARSE else 4 / (runs * part.cases)
    return min(disagreement(moments) + guard, 1.0), runs


def alarms(forecasts: list[Forecast], runs: float, alpha: float) -> float:
    """How many unchanged candidates are failed by chance, at most, of so many gated runs."""
    proofs = sum(one.mode == "prove" for one in forecasts)
    guards = any(one.mode == "guard" for one in forecasts)
    return false_alarms(runs, proofs + guards, alpha=alpha)
