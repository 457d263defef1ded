"""Whether the output contains given texts: any of them, all of them, none of them."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer


def _prepare(options: Mapping[str, Any]) -> str:
    for name in ("any", "all", "none"):
        texts = options.get(name)
        if texts is None:
            continue
        if not texts:
            raise ValueError(f"{name!r} is an empty list")
        if "" in texts:
            raise ValueError(f"{name!r} holds an empty text, which every output contains")
    return ""


@scorer(
    metrics=(rate,),
    examples=[
        ("You get a refund within 14 days.", "14 days", 1.0),
        ("You get no refund.", ["14 days", "no refund"], 1.0),
        ("Please call us.", "14 days", 0.0),
        ("", "14 days", 0.0),
    ],
    prepare=_prepare,
    usage="contains: {any: [refund, money back], ignore_case: true}",
    card=ScorerCard(
        family="match",
        blind=('a text that is named only to be denied: "not within 14 days" contains "14 days"',),
    ),
)
def contains(
    case: Case,
    output: Output,
    *,
    any: list[str] | None = None,
    all: list[str] | None = None,
    none: list[str] | None = None,
    ignore_case: bool = False,
) -> Score:
    """Whether the output contains given texts: any of them, all of them, none of them.

    Every list given must hold. Without a list, the output must contain one of the expected
    answers. ``ignore_case`` compares case-folded texts.
    """
    text = output.text.casefold() if ignore_case else output.text

    def has(needle: str) -> bool:
        return (needle.casefold() if ignore_case else needle) in text

    wrong: list[str] = []
    if any is None and all is None and none is None:
        wanted = [one for one in case.references if one]
        if not wanted:
            raise Unscorable("the case expects no text, and neither any, all nor none is given")
        if not builtins.any(map(has, wanted)):
            wrong.append(f"holds none of {_listed(wanted)}")
    if any is not None and not builtins.any(map(has, any)):
        wrong.append(f"holds none of {_listed(any)}")
    missing = [one for one in all or () if not has(one)]
    if missing:
        wrong.append(f"lacks {_listed(missing)}")
    unwanted = [one for one in none or () if has(one)]
    if unwanted:
        wrong.append(f"holds {_listed(unwanted)}")
    return Score(value=float(not wrong), passed=not wrong, reason="; ".join(wrong) or None)


def _listed(texts: Sequence[str]) -> str:
    shown = ", ".join(repr(one if len(one) <= 60 else one[:59] + "…") for one in texts[:5])
    return shown + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
