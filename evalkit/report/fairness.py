"""Groups of people in words: the worst group of every axis, its gap, and pairs that differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalkit.gate.result import Fairness, GroupRate, UnequalPair
from evalkit.report import words
from evalkit.report.screen import Column, Screen, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 3
"""Pairs of one axis that a terminal names."""


def gap_text(one: Fairness) -> str:
    """The gap with its sign left out, in points or in the metric's unit."""
    if one.gap is None:
        return words.NONE
    if one.unit == "%":
        return f"{words.number(100 * one.gap, 1)} pt"
    return words.quantity(one.gap, one.unit)


def ends_text(one: Fairness) -> str:
    """The interval of the gap."""
    if one.gap is None or (one.low is None and one.high is None):
        return ""

    def end(value: float | None) -> str:
        if value is None:
            return words.NONE
        return words.number(100 * value, 1) if one.unit == "%" else words.quantity(value, one.unit)

    return f"[{end(one.low)}, {end(one.high)}]"


def group_text(one: Fairness, name: str) -> str:
    """A group with its level: ``texting 13 %``."""
    rate = next((each for each in one.groups if each.group == name), None)
    if rate is None or not one.gap:
        return words.NONE
    return f"{words.clean(name, lines=False)} {value_text(one, rate)}"


def value_text(one: Fairness, rate: GroupRate) -> str:
    """The level of a group."""
    return words.quantity(rate.value, one.unit, low=rate.low, high=rate.high)


def title(one: Fairness, several: bool) -> str:
    """The axis, with its target where there are several."""
    return words.clean(f"{one.axis} on {one.target}" if several else one.axis, lines=False)


def pair_text(pair: UnequalPair, unit: str) -> str:
    """A pair with what became of its variants: ``loan.age.1: young 100 %, old 0 %``."""
    said = [f"{one.group} {words.quantity(one.value, unit)}" for one in pair.members]
    values = {one.value for one in pair.members}
    told = ", ".join(said) if len(values) > 1 else "other words"
    return words.clean(f"{pair.pair}: {told}", lines=False)


def differ_text(one: Fairness) -> str:
    """How many pairs differ: in outcome, or else in words."""
    if one.unequal or not one.listed:
        return f"{words.count(one.unequal)} of {words.count(one.pairs)}"
    return f"0 of {words.count(one.pairs)}, words only"


def axis_text(one: Fairness) -> str:
    """How the groups of an axis were served, in one sentence."""
    ends = ends_text(one)
    interval = f" ({100 * one.level:.3g} % interval {ends})" if ends else ""
    gap = (
        f"{group_text(one, one.worst)}, {group_text(one, one.best)}: gap {gap_text(one)}{interval}"
        if one.gap
        else "no gap between groups"
    )
    return f"{gap}; pairs differ: {differ_text(one)}"


def fairness_parts(found: Sequence[Fairness], screen: Screen) -> list[RenderableType]:
    """The section for a terminal; nothing without pairs."""
    if not found:
        return []
    several = len({one.target for one in found}) > 1
    ordered = sorted(found, key=lambda one: (-(one.gap or 0.0), one.axis, one.target))
    columns = [
        Column(head="fairness", cells=[title(one, several) for one in ordered], fold=True),
        Column(
            head="worst group", cells=[screen.say(group_text(one, one.worst)) for one in ordered]
        ),
        Column(
            head="best group",
            cells=[screen.say(group_text(one, one.best)) for one in ordered],
            drop=1,
        ),
        Column(head="gap", cells=[screen.say(gap_text(one)) for one in ordered], right=True),
        Column(
            head=f"{100 * ordered[0].level:.3g} % interval",
            cells=[screen.say(ends_text(one)) for one in ordered],
            drop=2,
        ),
        Column(head="pairs differ", cells=[differ_text(one) for one in ordered], drop=3),
    ]
    parts: list[RenderableType] = ["", grid(columns, screen)]
    named = [
        pair_text(pair, one.unit) for one in ordered for pair in one.listed[:SHOWN] if pair.outcome
    ][:SHOWN]
    if named:
        parts += [
            "",
            *(
                labelled("" if place else "differ", screen.say(words.cut(text, 300)), 8)
                for place, text in enumerate(named)
            ),
        ]
    return parts
