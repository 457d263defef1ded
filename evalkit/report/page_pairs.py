"""Pairs that were not answered alike, side by side, with what was asked and answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.gate.result import Fairness, UnequalPair
from evalkit.model import Trial
from evalkit.report.page import PairView, Variant
from evalkit.report.page_cases import Fetch
from evalkit.secrets import redact

PER_AXIS = 4
"""Pairs of one axis and target that are shown."""
MOST = 40
LONGEST = 600
"""Characters of one text."""


def pair_views(found: Sequence[Fairness], fetch: Fetch) -> tuple[PairView, ...]:
    """The first pairs of every axis that differ, the widest gap first."""
    chosen = list(_chosen(found))[:MOST]
    ids = list(dict.fromkeys(each.case_id for _, pair in chosen for each in pair.members))
    trials = fetch(ids) if ids else {}
    return tuple(
        PairView(
            title=redact(f"{one.suite} / {one.target}: {pair.pair}"),
            unit=one.unit,
            outcome=pair.outcome,
            variants=tuple(
                _variant(one, each.group, each.value, trials.get(each.case_id, ()))
                for each in pair.members
            ),
        )
        for one, pair in chosen
    )


def _chosen(found: Sequence[Fairness]) -> Iterator[tuple[Fairness, UnequalPair]]:
    for one in sorted(found, key=lambda one: (-(one.gap or 0.0), one.axis, one.target)):
        yield from ((one, pair) for pair in one.listed[:PER_AXIS])


def _variant(of: Fairness, group: str, value: float | None, trials: Sequence[Trial]) -> Variant:
    mine = [one for one in trials if (one.suite, one.target) == (of.suite, of.target)]
    asked, answer = "", ""
    if mine:
        texts = [one for one in mine[0].case.inputs.values() if isinstance(one, str)]
        asked = "\n".join(texts)
        output = mine[0].output
        answer = mine[0].error or "no answer" if output is None else output.text
    return Variant(group=redact(group), asked=_cut(asked), answer=_cut(answer), value=value)


def _cut(text: str) -> str:
    text = redact(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
