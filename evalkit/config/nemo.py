"""Gate policies of NVIDIA NeMo Evaluator, as gates of suites.

Its file names benchmarks, each with a tier, a metric and how far it may drop (version 1). What it
says is taken over where a gate can say the same, and what it cannot is named, never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalkit.config.check import Findings, Strict
from evalkit.config.tree import read_yaml
from evalkit.hashing import content_id

Tier = Literal["critical", "supporting", "advisory"]
Direction = Literal["higher_is_better", "lower_is_better"]

_MODES = {"critical": "prove", "supporting": "guard", "advisory": "advisory"}
_METRICS = {"mean_reward": "pass.rate", "pass@1": "pass.rate"}
_MAX_DROP = 0.015
"""What a benchmark may drop when neither it nor the defaults say."""


class BenchmarkModel(Strict):
    """What one benchmark, or the defaults of all, may lose."""

    tier: Tier | None = None
    max_drop: float | None = Field(None, ge=0)
    max_relative_drop: float | None = Field(None, ge=0)
    relative_guard_below: float | None = Field(None, ge=0, le=1)
    metric: str | None = None
    direction: Direction | None = None


class NemoModel(Strict):
    """The top level of a policy file."""

    version: Literal[1] = 1
    defaults: BenchmarkModel = BenchmarkModel()
    benchmarks: dict[str, BenchmarkModel | None] = Field(
        {}, description="what every benchmark may lose, by its name"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NemoGates:
    """The gates of every benchmark as they are written in a suite, and what they cannot say."""

    gates: dict[str, list[dict[str, Any]]]
    unsaid: tuple[str, ...]
    content_hash: str


def read_nemo(path: Path) -> NemoGates:
    """Read a policy; raises ``ConfigError`` with the place of what is wrong."""
    document = read_yaml(path)
    findings = Findings(document)
    model = findings.check(NemoModel, document.root, "the policy")
    findings.raise_any()
    assert model is not None
    unsaid = [
        "benchmarks without an entry fall under the defaults there: here every suite says its own",
        "its gate decides by the point estimate: here a drop is proved, so verdicts may differ",
        "supporting benchmarks without enough evidence do not block here: prove would",
    ]
    gates = {}
    for name, given in model.benchmarks.items():
        gate, left = _gate(name, given or BenchmarkModel(), model.defaults)
        gates[name] = [gate]
        unsaid += left
    if not model.benchmarks:
        unsaid.append("no benchmark has an entry: there is nothing to judge")
    return NemoGates(
        gates=gates, unsaid=tuple(unsaid), content_hash=content_id(document.root.plain())
    )


def _gate(
    name: str, own: BenchmarkModel, defaults: BenchmarkModel
) -> tuple[dict[str, Any], list[str]]:
    """One benchmark's gate, and what of it is left."""

    def value(key: str) -> Any:
        mine = getattr(own, key)
        return getattr(defaults, key) if mine is None else mine

    tier: Tier = value("tier") or "supporting"
    asked = value("metric") or "mean_reward"
    metric = _METRICS.get(asked, asked)
    worse = "max_rise" if value("direction") == "lower_is_better" else "max_drop"
    drop = value("max_drop")
    drop = _MAX_DROP if drop is None else drop
    left = []
    if asked not in _METRICS:
        left.append(
            f"{name}: the metric {asked!r} must be one of the suite's: name.mean, name.rate"
        )
    elif asked == "mean_reward":
        left.append(f"{name}: mean_reward is read as pass.rate; for rewards between 0 and 1 name"
                    " the scorer's mean instead")  # fmt: skip
    if drop == 0:
        left.append(f"{name}: a drop of 0 can never be ruled out: 0.5% is written instead")
        drop = 0.005
    relative, below = value("max_relative_drop"), value("relative_guard_below")
    if relative is not None:
        floor = "" if below is None else f" below a baseline of {100 * below:g}%"
        left.append(
            f"{name}: max_relative_drop {100 * relative:g}%{floor} is not judged:"
            " a relative drop has no gate; set a smaller max_drop"
        )
    elif below is not None:
        left.append(f"{name}: relative_guard_below says nothing without max_relative_drop")
    shown = f"{100 * drop:.6g}%" if metric == "pass.rate" else drop
    return {"id": name, "metric": metric, worse: shown, "mode": _MODES[tier]}, left
