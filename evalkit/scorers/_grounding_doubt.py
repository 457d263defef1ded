"""How strongly a sentence departs from its context, by weights set by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.scorers._grounding_sentence import INDEX

# How much each signal moves the doubt of a sentence, in log-odds; set by hand, in round numbers.
_START = -4.3
_WEIGHTS = {
    "new_share": 0.6,
    "new_run": 0.25,
    "pair_new": 2.2,
    "best": -0.7,
    "swapped_new": 0.4,
    "numbers_new": 2.2,
    "measure_differs": 0.6,
    "times_new": 2.0,
    "names_new": 0.8,
    "names_part": 0.8,
    "quote_new": 0.7,
    "null_stated": 2.8,
    "null_denied": 2.2,
    "false_stated": 3.2,
    "true_denied": 1.0,
    "hours_wrong": 3.0,
    "hours_right": -0.5,
    "days_closed": 1.0,
    "negation_new": 1.0,
    "opposite_near": 0.8,
    "opposite_far": 0.5,
    "denies": -1.0,
    "frames": -4.0,
}
_PLACED = tuple((INDEX[name], weight) for name, weight in _WEIGHTS.items())
_CAP = 3.0


def doubt_of(signals: Sequence[float]) -> float:
    """How strongly a sentence of these signals departs from its context, 0 to 1; no probability."""
    total = _START + sum(weight * min(signals[at], _CAP) for at, weight in _PLACED)
    return 1.0 / (1.0 + math.exp(-total))
