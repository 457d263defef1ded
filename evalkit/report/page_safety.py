"""What a page says of attacks and of fairness, for the template to put in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.report import attacks, fairness, words
from evalkit.report.page import ReportView
from evalkit.secrets import redact

Shown = Mapping[str, Any]
LISTED = 50
"""Attacks of one list that are named."""
TAGS = (*attacks.SLICES, "lang")
_OPEN = {*attacks.WORSE, "succeeded"}
_GOOD = {"fixed", "answered_again"}


def attacks_shown(view: ReportView) -> Shown | None:
    """The rates of attacks and twins, and which are new; ``None`` without attacks."""
    found = view.run.attacks
    if not found:
        return None
    lists = []
    run = view.candidate.run_id
    suites, targets = (
        len(set(of)) > 1 for of in zip(*((one.suite, one.target) for one in found), strict=True)
    )
    for what, cases in attacks.lists(found):
        old = None if view.baseline is None else view.baseline.run_id
        first = attacks.named(cases[0][1])
        more = len(cases) - LISTED
        named = [
            redact(attacks.placed(one, case, suites=suites, targets=targets))
            for one, case in cases[:LISTED]
        ]
        lists.append(
            {
                "title": attacks.TITLES[what],
                "meaning": attacks.MEANING[what],
                "tone": "good" if what in _GOOD else "bad" if what in _OPEN else "doubt",
                "open": what in _OPEN,
                "n": words.count(len(cases)),
                "cases": [*named, *([f"and {words.count(more)} more"] if more > 0 else [])],
                "how": f"evalkit show {run} {first}"
                if old is None
                else f"evalkit why {first} {old} {run}",
            }
        )
    lines = attacks.lines(found, TAGS)
    slices = [one for one in lines if one.slice]
    tags = [tag for tag in TAGS if any(one.name.startswith(f"{tag}=") for one in slices)]
    return {
        "level": attacks.level(found),
        "rows": [one for one in lines if not one.slice],
        "by": ", ".join(tags),
        # of several targets each has its slices below its own line
        "slices": lines if slices and targets else slices,
        "lists": lists,
    }


def fairness_shown(view: ReportView) -> Shown | None:
    """Every axis with its groups, the widest gap first, and the pairs that differ."""
    found = sorted(view.run.fairness, key=lambda one: (-(one.gap or 0.0), one.axis, one.target))
    if not found:
        return None
    several = len({one.target for one in found}) > 1
    axes = [
        {
            "name": redact(fairness.title(one, several)),
            "worst": redact(fairness.group_text(one, one.worst)),
            "best": redact(fairness.group_text(one, one.best)),
            "gap": fairness.gap_text(one),
            "interval": fairness.ends_text(one),
            "differ": fairness.differ_text(one),
            "groups": [
                {
                    "name": redact(words.clean(each.group, lines=False)),
                    "value": fairness.value_text(one, each),
                    "interval": words.interval(each.value, one.unit, each.low, each.high),
                    "n": words.count(each.n),
                    "missing": words.count(each.missing) if each.missing else "",
                }
                for each in one.groups
            ],
        }
        for one in found
    ]
    pairs = [
        {
            "title": words.clean(one.title, lines=False),
            "outcome": one.outcome,
            "variants": [
                {
                    "group": words.clean(each.group, lines=False),
                    "value": words.quantity(each.value, one.unit),
                    "asked": words.quoted(words.seen(each.asked)),
                    "answer": words.quoted(words.seen(each.answer)),
                }
                for each in one.variants
            ],
        }
        for one in view.pairs
    ]
    return {
        "level": f"{100 * found[0].level:.3g} %",
        "metric": words.clean(found[0].metric, lines=False),
        "axes": axes,
        "pairs": pairs,
    }
