"""How a gate is said: its rule, its numbers, and the one sentence, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from evalkit.gate.moves import MetricChange
from evalkit.gate.result import Compared, GateResult, Place, Status, Verdict
from evalkit.report import words

GLYPHS = {
    Status.PASS: ("✓", "PASS", "green"),
    Status.FAIL: ("✕", "FAIL", "red"),
    Status.INCONCLUSIVE: ("?", "INCONCL.", "yellow"),
    Status.ERROR: ("!", "ERROR", "red"),
}
NAMED = 6
"""Gates that are named where one sentence is about many."""
_ORDER = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE, Status.PASS)


def worst_first(results: tuple[GateResult, ...]) -> list[GateResult]:
    """The results that block first, then those that do not pass, else as they were written."""

    def rank(one: GateResult) -> tuple[bool, bool, int]:
        return one.status is Status.PASS, one.effect == "none", _ORDER.index(one.status)

    return sorted(results, key=rank)


def name(result: GateResult) -> str:
    """The gate with its place: target, slice, cases."""
    if result.where.startswith(f"{result.gate}="):
        return result.where  # a gate called as the tag it goes by needs no name beside its slice
    return " ".join(one for one in (result.gate, result.where) if one)


def subject(verdict: Verdict, result: GateResult) -> str:
    """What tells a result from those of other suites and targets; where none has, its target."""
    several = [
        getattr(result, name)
        for name in ("suite", "target")
        if len({getattr(one, name) for one in verdict.results if getattr(one, name)}) > 1
    ]
    return " / ".join(one for one in several or [result.target] if one)


def level(result: GateResult, value: float | None) -> str:
    """A level in the metric's unit."""
    if result.about == "gap":
        return change(result, value, signed=False)
    if result.unit == "rows":
        return words.NONE if value is None else words.counted(int(value), "row")
    return words.quantity(value, result.unit if result.unit != "tokens" else "")


def change(result: GateResult | MetricChange, value: float | None, *, signed: bool = True) -> str:
    """A change with its sign: points of a share, a share of the baseline, or the metric's unit.

    That of a plain score has the decimals of its levels.
    """
    if value is None:
        return words.NONE
    sign = "−" if value < 0 else "+" if signed else ""
    size = abs(value)
    if result.relative:
        return f"{sign}{_fixed(100 * size)} %"
    if result.unit == "%":
        return f"{sign}{_fixed(100 * size)} pt"
    levels = [abs(one) for one in (result.baseline, result.candidate) if one is not None]
    if not result.unit and levels:
        return f"{sign}{words.number(size, max(2, words.decimals(max(levels))))}"
    return f"{sign}{words.quantity(size, result.unit if result.unit != 'tokens' else '')}"


def _fixed(value: float) -> str:
    return words.number(value, 2 if 0 < value < 0.095 else 1)


def shown_value(result: GateResult, value: float | None) -> str:
    """A point on the axis that the limit is on."""
    if result.about == "change":
        return change(result, value)
    return level(result, value)


def rule(result: GateResult) -> str:
    """The limit as a short formula."""
    limit = result.limit
    if limit.kind == "must":
        return "must pass"
    if limit.kind == "sql":
        return f"rows ≤{limit.value:,.0f}"
    if limit.kind in {"max_drop", "max_rise"}:
        sign = "≥−" if limit.kind == "max_drop" else "≤+"
        return f"Δ{sign}{_allowed(result)}"
    if limit.kind == "max_gap":
        return f"gap ≤{_allowed(result)}"
    sign = "≥" if limit.kind == "min" else "≤"
    total = "total " if limit.kind == "total" else ""
    unit = result.unit if result.unit != "tokens" else ""
    return f"{total}{sign}{words.quantity(limit.value, unit)}"


def _allowed(result: GateResult) -> str:
    """How much a change or a gap may be; of a plain score as it was written."""
    limit = result.limit
    if not result.unit and not limit.relative:
        return f"{limit.value:g}"
    return change(replace(result, relative=limit.relative), limit.value, signed=False)


def interval(result: GateResult) -> str:
    """Both ends in words; empty for a fact."""
    if result.about == "fact" or (result.low is None and result.high is None):
        return ""
    ends = [
        words.NONE if one is None else shown_value(result, one) for one in (result.low, result.high)
    ]
    return f"{ends[0]} … {ends[1]}"


def bracket(one: GateResult | MetricChange, say: Callable[[Any, float | None], str]) -> str:
    """Both ends as a table has them beside a value: ``[−15.2, −7.1]``, empty without any."""
    if one.low is None and one.high is None:
        return ""
    ends = [words.NONE if end is None else say(one, end) for end in (one.low, one.high)]
    units = {end.rpartition(" ")[2] for end in ends if " " in end}
    if len(units) == 1:  # the value beside them has it
        ends = [end.removesuffix(f" {min(units)}") for end in ends]
    return f"[{ends[0]}, {ends[1]}]"


def sentence(result: GateResult) -> str:
    """The status and what was found; moved cases and what is needed follow it."""
    return f"{result.status} {finding(result)}"


def finding(result: GateResult) -> str:
    """What was found, in one sentence; moved cases and what is needed follow it."""
    head = name(result)
    if result.target:
        head += f" on {result.target}"
    measured = _measured(result)
    parts = [f"{measured}: {claim(result)}." if measured else f"{claim(result)}."]
    head += "" if measured else ":"
    if result.worse is not None and result.better is not None and result.about == "change":
        parts.append(f"{words.count(result.worse)} worse, {words.count(result.better)} better.")
    if result.missing and result.status is not Status.ERROR:
        parts.append(f"{words.counted(result.missing, 'case lacks', 'cases lack')} a result.")
    if more := offered(result):
        parts.append(f"About {words.count(more)} more cases would settle it.")
    if result.population is not None and None not in result.population:
        low, high = (change(result, one) for one in result.population)
        parts.append(f"For cases like these the interval is {low} … {high}.")
    if result.uncorrected is not None:
        alone = level(result, result.uncorrected)
        labels = words.counted(result.labels, "label")
        parts.append(f"Corrected by {labels} of people: the scorer alone says {alone}.")
    elif result.labels:
        labels = words.counted(result.labels, "label")
        parts.append(f"Decided by the threshold that {labels} of people gave, not corrected.")
    parts += [f"{one[:1].upper()}{one[1:]}." for one in result.notes]
    return " ".join([head, *parts])


def offered(result: GateResult) -> int:
    """How many more cases would likely settle it; 0 where that is not known.

    Of fewer than can ever pass the sentence says how many can.
    """
    return (result.needs_more or 0) if result.shows == "either" else 0


def _measured(result: GateResult) -> str:
    value = result.difference if result.about == "change" else result.candidate
    unjudged = result.status is Status.ERROR and result.p_pass is None and result.about != "fact"
    if value is None or unjudged:
        return ""
    shown = shown_value(result, value)
    ends = interval(result)
    return f"{shown} ({100 * result.level:.3g} % interval {ends})" if ends else shown


def claim(result: GateResult) -> str:
    """What the status says about the limit."""
    if result.status is Status.ERROR or (result.reason and result.status is not Status.PASS):
        return result.reason or "could not be judged"
    cases = words.counted(result.n, "case")
    on = f"on these {cases}" if result.claim == "these cases" else f"on {cases}"
    beyond = f"{_violation(result)} {on}"
    if result.about == "fact":
        return _fact(result)
    if result.status is Status.PASS:
        harm = _shown_harm(result)
        return f"{beyond} is ruled out{harm}"
    if result.status is Status.FAIL and result.about == "change" and not _beyond(result):
        word = "drop" if result.limit.kind == "max_drop" else "rise"
        return f"a real {word} is shown, and {beyond} is not ruled out"
    if result.status is Status.FAIL:
        return f"{beyond} is shown"
    return f"{beyond} is neither shown nor ruled out"


def _beyond(result: GateResult) -> bool:
    """Whether the whole interval of a change lies beyond the limit."""
    if result.bound is None:
        return False
    if result.limit.kind == "max_drop":
        return result.high is not None and result.high < result.bound
    return result.low is not None and result.low > result.bound


def _violation(result: GateResult) -> str:
    kind = result.limit.kind
    if kind in {"max_drop", "max_rise"}:
        return f"a {'drop' if kind == 'max_drop' else 'rise'} larger than {_allowed(result)}"
    if kind == "max_gap":
        return f"a gap larger than {_allowed(result)}"
    word = "below" if kind == "min" else "above"
    return f"{result.metric} {word} {level(result, result.limit.value)}"


def _shown_harm(result: GateResult) -> str:
    worse = result.p_harm is not None and result.p_harm <= (1 - result.level) / 2
    return ", a smaller real one is shown" if worse and result.about == "change" else ""


def _fact(result: GateResult) -> str:
    if result.limit.kind == "must":
        done = "all pass" if result.status is Status.PASS else "must pass and does not"
        return f"{done} ({words.counted(result.n, 'case')})"
    if result.reason:
        return result.reason
    allowed = level(result, result.bound)
    return f"within {allowed}" if result.status is Status.PASS else f"more than {allowed}"


def pairs(compared: Sequence[Compared]) -> str:
    """How many cases were paired, each counted once however many targets answered it."""
    by_suite: dict[str, int] = {}
    for one in compared:
        by_suite[one.suite] = max(one.paired, by_suite.get(one.suite, 0))
    said = words.counted(sum(by_suite.values()), "paired case")
    targets = len({one.target for one in compared if one.paired})
    return f"{said} × {targets} targets" if targets > 1 else said


def decided(verdict: Verdict) -> str:
    """How a run came to its verdict that was looked at, or not asked all, and what that saved."""
    one = verdict.decided
    if one is None:
        return ""
    said = []
    if one.early:
        said.append(f"Decided after {words.count(one.cases)} of {words.counted(one.of, 'case')}")
    elif one.added_calls:
        said.append(f"Extended by {words.counted(one.added_calls, 'call')}")
    elif one.looks > 1:
        said.append(
            f"Looked at {words.counted(one.looks, 'time')}; the intervals hold over all looks"
        )
    if one.unchanged:
        said.append(
            f"{words.counted(one.unchanged, 'case')} asked what the baseline's run asked and"
            f" {'has' if one.unchanged == 1 else 'have'} its answers: no change, unless the"
            " provider has changed since"
        )
    if one.saved_calls and said:
        money = "" if one.saved_usd is None else f", {words.money(one.saved_usd)}"
        said[-1] += f"; saved {words.counted(one.saved_calls, 'call')}{money}"
    return "".join(f"{' ' if place else ''}{one}." for place, one in enumerate(said))


def place(one: Place) -> str:
    """A slice with how many of its cases regressed, and how much more often than all do."""
    return (
        f"{one.slice} {words.count(one.regressed)} of {words.count(one.cases)}"
        f" (×{words.number(one.lift, 1)})"
    )


def gone(compared: Sequence[Compared]) -> list[str]:
    """The slices that only the baseline has, each once; with the suite where there are several."""
    several = len({one.suite for one in compared}) > 1
    said = {
        f"{f'{one.suite} ' if several else ''}{slice_}, all {words.counted(had, 'case')}": None
        for one in compared
        for slice_, had in one.gone
    }
    return list(said)


def headline(verdict: Verdict) -> str:
    """How many gates failed, and attacks are new; or what stood in the way of judging any."""
    if verdict.problems:
        return verdict.problems[0]
    results = verdict.results
    if not results:
        return "there is nothing to judge"
    counts = {
        status: sum(one.status is status and one.mode != "advisory" for one in results)
        for status in Status
    }
    total = sum(counts.values())
    advisory = len(results) - total
    fail = counts[Status.FAIL]
    lead, verb = (fail, "fail") if fail else (counts[Status.PASS], "pass")
    ending = "" if lead != 1 else "s" if fail else "es"
    said = [f"{words.count(lead)} of {words.count(total)} gates {verb}{ending}"]
    said[0] += _waived(results, Status.FAIL)
    if counts[Status.ERROR]:
        said.append(f"{counts[Status.ERROR]} could not be judged{_waived(results, Status.ERROR)}")
    if counts[Status.INCONCLUSIVE]:
        said += _open(verdict)
    if advisory:
        said.append(f"{advisory} advisory")
    new = sum(case.what == "new" for one in verdict.attacks for case in one.cases)
    if new:
        said.append(f"{words.counted(new, 'new attack')} succeed{'s' if new == 1 else ''}")
    return ", ".join(said)


def _waived(results: Sequence[GateResult], status: Status) -> str:
    """Who lets the gates of a status be, and how many of them where that is not all."""
    those = [one for one in results if one.status is status and one.mode != "advisory"]
    mine = [one for one in those if one.waived]
    if not mine:
        return ""
    by = " and ".join(dict.fromkeys(one.waived for one in mine))
    return f", {by}" if len(mine) == len(those) else f", {len(mine)} of them {by}"


def _open(verdict: Verdict) -> list[str]:
    """How many gates are inconclusive; beside a PASS also which of them could not have passed."""
    those = [
        one
        for one in verdict.results
        if one.status is Status.INCONCLUSIVE and one.mode != "advisory"
    ]
    waived = _waived(verdict.results, Status.INCONCLUSIVE)
    if verdict.status is not Status.PASS:
        return [f"{len(those)} inconclusive{waived}"]
    few = sum(one.shows != "either" for one in those)
    rest = len(those) - few
    said = []
    if few:
        can = "has" if few == 1 else "have"
        said.append(f"{few} {can} too few cases to rule harm out")
    if rest:
        neither = "rules harm out nor shows" if rest == 1 else "rule harm out nor show"
        said.append(f"{rest} neither {neither} it")
    said[-1] += waived
    return said


def sentences(results: Sequence[GateResult]) -> list[tuple[str, int]]:
    """The sentence of every result with 1, or one for all that say the same, with how many.

    Those of further slices of a gate come after one of every gate and status.
    """
    alike: dict[tuple[Any, ...], list[GateResult]] = {}
    told: dict[tuple[str, str, str, Status], int] = {}

    def again(one: GateResult) -> bool:
        key = (one.suite, one.target, one.gate, one.status)
        told[key] = told.get(key, 0) + 1
        return told[key] > 1

    for place, one in enumerate(sorted(results, key=again)):
        same = one.status is Status.ERROR and one.reason and not _measured(one)
        key = (one.reason, one.notes, one.where, one.suite) if same else (place,)
        alike.setdefault(key, []).append(one)
    return [(_together(those), len(those)) for those in alike.values()]


def _together(those: Sequence[GateResult]) -> str:
    first = those[0]
    if len(those) == 1:
        return sentence(first)
    names = list(dict.fromkeys(map(name, those)))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    targets = list(dict.fromkeys(one.target for one in those if one.target))
    on = f" on {targets[0]}" if len(targets) == 1 else f" on {len(targets)} targets"
    head = ", ".join(names[:NAMED]) + more + (on if targets else "")
    return f"{first.status} {head}{finding(replace(first, target='')).removeprefix(name(first))}"


def worst(verdict: Verdict) -> GateResult | None:
    """The result the verdict rests on: the first that blocks, else the first that is not PASS."""
    ordered = worst_first(verdict.results)
    return ordered[0] if ordered and ordered[0].status is not Status.PASS else None
