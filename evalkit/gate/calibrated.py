"""What a gate may say about a metric that stands in for people's judgement.

Scorers that estimate are uncalibrated until people's labels say how far to trust them. Without a
record of this very signature, or below 100 labels, a gate on them only warns, and proves nothing;
with one, answers are decided by its threshold and rates are corrected by what people said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from evalkit.config.gate_metrics import ATTACKS, MetricInfo
from evalkit.config.spec import GateMode
from evalkit.gate.attacked import judging
from evalkit.gate.record import Calibration
from evalkit.gate.result import GateResult, Standing, Status
from evalkit.model import Run
from evalkit.registry import ScorerPlugin
from evalkit.stats.agreement import JUDGE_KAPPA, JUDGE_LABELS
from evalkit.stats.evidence import Pivot, Resampled
from evalkit.stats.intervals import Floats
from evalkit.stats.judged import MEAN_LABELS, post_stratified, prediction_powered
from evalkit.stats.sides import Side

Records = Mapping[tuple[str, str], Calibration]
NO_RECORDS: Records = MappingProxyType({})
DRAWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far labels carry a metric; ``record`` is the one that may be used."""

    scorer: str = ""
    standing: Standing = "fact"
    record: Calibration | None = None

    def corrected(
        self, picked: float, cases: float, *, passing: bool, seed: int
    ) -> Resampled | None:
        """The true rate behind the scorer's ``picked`` of ``cases``; ``None`` without labels."""
        if self.record is None:
            return None
        of_picked, of_others = self.record.shares(passing=passing)
        return post_stratified((picked, cases), of_picked, of_others, draws=DRAWS, seed=seed)

    def corrected_mean(self, values: Floats) -> Pivot | None:
        """The true mean behind the scorer's of each case; ``None`` without enough labels of it."""
        labels = None if self.record is None else self.record.mean
        if labels is None or labels.n < MEAN_LABELS or len(values) < 2:
            return None
        return prediction_powered(labels, values)


FACT = Trust()


def usable(run: Run, suite: str, records: Records) -> dict[str, Calibration]:
    """The records of a suite that belong to the very scorers of a run, by their name there."""
    return {
        one.name: records[suite, one.name]
        for one in run.scorers
        if one.suite == suite
        and (suite, one.name) in records
        and records[suite, one.name].signature == one.signature
    }


def decided(side: Side, records: Mapping[str, Calibration]) -> Side:
    """The side with every calibrated scorer's decisions by the threshold people's labels gave."""
    scores = dict(side.scores)
    for name, record in records.items():
        one = scores.get(name)
        if one is None:
            continue
        known = ~np.isnan(one.values)
        good = one.values <= record.threshold if record.lower else one.values >= record.threshold
        scores[name] = replace(one, passed=np.where(known, good, -1).astype(np.int8))
    return replace(side, scores=scores)


def trust(
    info: MetricInfo,
    suite: str,
    plugins: Mapping[str, ScorerPlugin],
    held: Mapping[str, Calibration],
    *,
    deciders: Sequence[str],
    records: Records,
) -> Trust:
    """How far labels carry a metric: that of its scorer, or of all that decide what passes.

    What passes by a check of facts and an estimate together is not downgraded for the estimate.
    """
    names: Sequence[str] = (info.source,)
    if info.source == "pass":
        names = deciders
    elif info.source in ATTACKS:
        names = judging(info, deciders)
    found = [_of(name, suite, plugins, held, records) for name in names]
    if not found or any(one.standing == "fact" for one in found):
        return FACT
    worst = min(found, key=lambda one: _ORDER.index(one.standing))
    # what several scorers pass together was never held against people
    together = info.source == "pass" or info.source in ATTACKS
    return replace(worst, record=None) if together else worst


_ORDER: tuple[Standing, ...] = ("uncalibrated", "stale", "few", "weak", "calibrated", "fact")


def _of(
    name: str,
    suite: str,
    plugins: Mapping[str, ScorerPlugin],
    held: Mapping[str, Calibration],
    records: Records,
) -> Trust:
    record = held.get(name)
    if record is not None:
        standing: Standing = "calibrated" if record.may_prove else "weak"
        return Trust(scorer=name, standing=standing if record.may_block else "few", record=record)
    plugin = plugins.get(name)
    if (suite, name) in records:
        return Trust(scorer=name, standing="stale")
    if plugin is not None and plugin.estimates:
        return Trust(scorer=name, standing="uncalibrated")
    return FACT


def bounded(result: GateResult, trusted: Trust) -> GateResult:
    """The result with no more power than the labels behind its metric give it."""
    if trusted.standing == "fact":
        return result
    record = trusted.record
    result = replace(
        result,
        standing=trusted.standing,
        labels=0 if record is None else record.fit.n,
    )
    if result.status is Status.ERROR or trusted.standing == "calibrated":
        return result
    if result.mode == "prove":
        return replace(
            result,
            status=Status.INCONCLUSIVE,
            p_harm=None,
            needs_more=None,
            reason=f"{why(trusted)}, and proves only with {JUDGE_LABELS} labels and a kappa shown"
            f" to be {JUDGE_KAPPA:g} or more",
        )
    if trusted.standing == "weak" or result.mode == "advisory":
        return result
    note = f"{why(trusted)}, so it only warns"
    return replace(result, mode="advisory", notes=(*result.notes, note))


def why(trusted: Trust) -> str:
    """What labels say of the scorer, in words."""
    record = trusted.record
    if trusted.standing == "stale":
        return f"{trusted.scorer} is uncalibrated: its record is stale, made for another signature"
    if record is None or trusted.standing == "uncalibrated":
        return f"{trusted.scorer} is uncalibrated"
    low = record.fit.kappa.low or 0.0
    held = f"{trusted.scorer} is calibrated on {record.fit.n:,} labels"
    return f"{held} with kappa {record.fit.kappa.value or 0.0:.2f}, {low:.2f} at least"


def foreseen(mode: GateMode, trusted: Trust) -> tuple[GateMode, str]:
    """What a gate of this mode will be able to do, and why that is not what it says."""
    if trusted.standing in {"fact", "calibrated"} or mode == "advisory":
        return mode, ""
    if mode == "prove":
        return "advisory", f"{why(trusted)}: it proves nothing"
    return (
        (mode, "") if trusted.standing == "weak" else ("advisory", f"{why(trusted)}: it only warns")
    )


def warnings(trusts: Sequence[tuple[str, Trust]]) -> tuple[str, ...]:
    """A line for every scorer that a gate rests on and labels do not carry, naming its suites."""
    found: dict[str, None] = {}
    suites: dict[tuple[str, str], list[str]] = {}
    for suite, one in trusts:
        if one.standing in {"uncalibrated", "stale"}:
            suites.setdefault((why(one), one.scorer), []).append(suite)
        elif one.standing == "few" and one.record is not None:
            more = max(0, JUDGE_LABELS - one.record.fit.n)
            todo = f"; {more:,} more labels let it block" if more else ", no better than chance"
            found[f"{why(one)}{todo}"] = None
    bare = []
    for (said, scorer), all_of in suites.items():
        names = list(dict.fromkeys(all_of))
        several = f" in {len(names)} suites" if len(names) > 1 else ""
        todo = f"evalkit review latest --scorer {scorer}, then evalkit calibrate {names[0]}"
        bare.append(f"{said}{several}: {todo}{', and so on' if several else ''}")
    return (*bare, *found)
