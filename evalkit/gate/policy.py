"""What the results of all gates say together: who blocks, who only warns, and what noise can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from evalkit.config.spec import GatePolicy, GateSpec, Waiver
from evalkit.gate.question import settled
from evalkit.gate.result import Effect, GateResult, Status
from evalkit.stats.several import holm


def corrected(results: Sequence[GateResult], alpha: float) -> list[GateResult]:
    """The results with Holm's correction over the guards, which may each block alone.

    Prove gates need none: all of them must pass. Facts and advisory results are in no family.
    """
    family = [
        place
        for place, one in enumerate(results)
        if one.mode == "guard" and one.p_harm is not None and one.p_pass is not None
    ]
    harms = holm([_known(results[one].p_harm) for one in family]).tolist()
    losses = holm([_lost(results[one]) for one in family]).tolist()
    found = list(results)
    for place, harm, lost in zip(family, harms, losses, strict=True):
        found[place] = settled(results[place], alpha, harm=harm, lost=lost)
    return found


def _known(p_value: float | None) -> float:
    return 1.0 if p_value is None else p_value


def _lost(result: GateResult) -> float:
    """The p-value of harm were the missing results as bad as can be."""
    return _known(result.p_harm if result.p_lost is None else result.p_lost)


def waived(gate: GateSpec, today: date) -> GateSpec:
    """The gate without the cases that someone lets fail today."""
    cases = [case for one in gate.waivers if today <= one.until for case in one.cases]
    return replace(gate, left_out=tuple(dict.fromkeys(cases)))


def with_effect(
    result: GateResult,
    policy: GatePolicy,
    waiver: Waiver | None,
    today: date,
    cases: Sequence[Waiver] = (),
) -> GateResult:
    """The result with what it does to the verdict, its waivers applied: of the gate, of ``cases``.

    The cases of a waiver in force were left out. One that ended makes the gate fail, whatever it
    found: somebody promised to be done by then, and a gate that passes needs no waiver.
    """
    for one in cases:
        named = _named(one.cases)
        if today <= one.until:
            said = f"without {named}, waived by {one.owner} until {one.until}: {one.reason}"
            result = replace(result, notes=(*result.notes, said))
    whole = () if waiver is None else (waiver,)
    ended = next((one for one in (*whole, *cases) if today > one.until), None)
    if ended is not None:
        return _ended(result, ended)
    if result.status is Status.PASS:
        unneeded = [f"the waiver of {waiver.owner} is not needed"] if waiver else []
        return replace(result, effect=_passing(result), notes=(*result.notes, *unneeded))
    if result.mode == "advisory":
        return replace(result, effect="none")
    if waiver is not None:
        by = f"waived by {waiver.owner} until {waiver.until}"
        notes = (*result.notes, f"{by}: {waiver.reason}")
        return replace(result, effect="none", notes=notes, waived=by)
    if result.status is not Status.INCONCLUSIVE:
        return replace(result, effect="blocks")
    # a guard that could neither pass nor fail, whatever the run, guards nothing
    must = result.mode == "prove" or result.shows == "nothing"
    closed = must and policy.on_inconclusive == "block"
    return replace(result, effect="undecided" if closed else "none")


def _ended(result: GateResult, waiver: Waiver) -> GateResult:
    """The gate fails for its waiver: more cases would not change that."""
    of = f" for {_named(waiver.cases)}" if waiver.cases else ""
    what = "take it out: the gate passes" if result.status is Status.PASS else "renew or mend it"
    return replace(
        result,
        status=Status.FAIL,
        effect="none" if result.mode == "advisory" else "blocks",
        reason=f"the waiver of {waiver.owner}{of} ended on {waiver.until}: {what}",
        needs_more=None,
    )


def _named(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - 3} more" if len(cases) > 3 else ""
    return ", ".join(cases[:3]) + more


def _passing(result: GateResult) -> Effect:
    return "none" if result.mode == "advisory" else "passes"


def overall(results: Sequence[GateResult], *, lenient: bool) -> Status:
    """FAIL if a gate blocks, ERROR if one could not judge, INCONCLUSIVE if one is unproved.

    PASS needs something that passed, or was waived by someone, or a policy that lets silence pass
    (``lenient``): without any, nothing was shown.
    """
    if not results:
        return Status.ERROR
    if any(one.effect == "blocks" and one.status is Status.FAIL for one in results):
        return Status.FAIL
    if any(one.effect == "blocks" for one in results):
        return Status.ERROR
    if any(one.effect == "undecided" for one in results):
        return Status.INCONCLUSIVE
    shown = any(one.effect == "passes" for one in results)
    waived = any(one.waived for one in results)
    judged = any(one.mode != "advisory" for one in results)
    return Status.PASS if shown or waived or (lenient and judged) else Status.INCONCLUSIVE


def promised(results: Sequence[GateResult], alpha: float) -> float | None:
    """The largest share of unchanged candidates that chance alone fails; ``None``: none was judged.

    α for every prove gate that can show harm, and once for all guards together (Holm, Bonferroni).
    """
    judged = [one for one in results if one.status is not Status.ERROR]
    if not judged:
        return None
    proofs = sum(one.mode == "prove" and one.p_harm is not None for one in judged)
    guards = any(one.mode == "guard" and one.p_harm is not None for one in judged)
    return min(1.0, alpha * (proofs + guards))


def promise(results: Sequence[GateResult], alpha: float) -> str:
    """The same in words; empty where gates could not be judged and what could are facts."""
    most = promised(results, alpha)
    failed = any(one.status is Status.ERROR for one in results)
    if most is None or (not most and failed):
        return ""
    if not most:
        # an interval that nothing was decided by is no fact either
        facts = all(one.low is None and one.high is None for one in results)
        return "every gate checks a fact: chance plays no part" if facts else ""
    return f"an unchanged candidate is failed by chance in at most {100 * most:.3g} % of runs"


def waivers(gates: Mapping[tuple[str, str], GateSpec], today: date) -> tuple[str, ...]:
    """A line for every waiver that is in force or has ended."""
    found = []
    for gate in gates.values():
        whole = () if gate.waiver is None else (gate.waiver,)
        for one in (*whole, *gate.waivers):
            state = "in force until" if today <= one.until else "ended on"
            what = f"{_named(one.cases)} in {gate.id}" if one.cases else gate.id
            found.append(f"waiver of {one.owner} for {what}: {state} {one.until}")
    return tuple(found)
