"""Verdicts that a budget of judges did not pay for: they are asked for again when a run is resumed.

The answers are there, so their targets are not asked; what else was said of them stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from evalkit.model import ScoreRecord, ScoreStatus, Trial
from evalkit.runner.flight import Key

if TYPE_CHECKING:
    from evalkit.store import Store

Unpaid: TypeAlias = Mapping[Key, Trial]
"""Stored trials with such a verdict: by suite, target, case and index."""

_REASON = r"^(turn \d+ of \d+: )?judge '[^']*' was not asked: "
_SAYS = re.compile(_REASON)


def not_asked(judge: str, why: str) -> str:
    """The reason of a score whose judge had no money left."""
    return f"judge {judge!r} was not asked: {why}"


def is_unpaid(record: ScoreRecord) -> bool:
    """Whether a score is missing because a budget of judges was spent."""
    return record.status is ScoreStatus.UNSCORED and bool(_SAYS.match(record.reason or ""))


def unpaid_trials(store: Store, run_id: str) -> dict[Key, Trial]:
    """The answered trials of a run that lack a verdict for want of money."""
    found: dict[Key, Trial] = {}
    for suite, target in store.unscored_for(run_id, _REASON):
        for one in store.trials(run_id, suite, target):
            if one.output is not None and any(map(is_unpaid, one.scores)):
                found[(suite, target, one.case.id, one.index)] = one
    return found


def paid_up(before: ScoreRecord, now: ScoreRecord) -> ScoreRecord:
    """The new verdict, with what was spent on the one that came to nothing."""
    if before.spent_usd is None:
        return now
    return replace(now, spent_usd=before.spent_usd + (now.spent_usd or 0.0))
