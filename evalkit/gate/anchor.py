"""The drift since a release: what many merges, each within its tolerance, add up to.

Thirty merges that lose half a point each pass one by one and lose twelve together. So every gate on
a change of a share is asked once more against the anchor, with the budget as its margin. The change
since the anchor is measured, not summed: it is what the tolerated drops really came to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalkit.config.gate_metrics import MetricInfo, metric_info
from evalkit.config.spec import GateLimit, GatePolicy, GateSpec, SuiteSpec
from evalkit.gate.result import GateResult, Status

SEPARATOR = " since "


def anchored(suite: SuiteSpec, infos: Mapping[str, MetricInfo]) -> tuple[GateSpec, ...]:
    """The gates of a suite as they are asked of the anchor: guards on the whole, with its budget.

    Those on groups, on chosen cases and on what is no share of one are left out: the budget is a
    share.
    """
    anchor = suite.policy.anchor
    if anchor is None:
        return ()
    found: dict[tuple[str, str, str], GateSpec] = {}
    for gate in suite.gates:
        info = metric_info(gate.metric, infos)
        if info is None or gate.by or gate.cases or gate.mode == "advisory" or info.spread != 1:
            continue
        for limit in gate.limits:
            if limit.kind in {"max_drop", "max_rise"} and not limit.relative:
                found.setdefault(
                    (gate.metric, limit.kind, gate.target),
                    replace(
                        gate,
                        id=f"{gate.id}{SEPARATOR}{anchor.ref}",
                        mode="guard",
                        limits=(GateLimit(kind=limit.kind, value=anchor.budget),),
                        waiver=None,
                        # those in force have their cases left out; one that ended fails once
                        waivers=tuple(
                            one for one in gate.waivers if set(one.cases) <= set(gate.left_out)
                        ),
                    ),
                )
    return tuple(found.values())


def with_budget(result: GateResult, budget: float) -> GateResult:
    """The result of an anchored gate with how much of the budget is used."""
    if result.difference is None:
        return result
    lost = -result.difference if result.limit.kind == "max_drop" else result.difference
    used = max(0.0, lost)
    note = f"{100 * used:.1f} pt of the {100 * budget:.1f} pt allowed in all are used"
    return replace(result, notes=(*result.notes, note))


def tolerated(result: GateResult, policy: GatePolicy) -> GateResult:
    """A real drop that is within its margin, marked: it counts against the anchor's budget."""
    if policy.anchor is None or SEPARATOR in result.gate or result.p_harm is None:
        return result
    real = result.status is Status.PASS and result.p_harm <= policy.alpha
    if not real or result.about != "change":
        return result
    note = f"tolerated, and counted in the change since {policy.anchor.ref}"
    return replace(result, notes=(*result.notes, note))
