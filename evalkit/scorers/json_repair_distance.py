"""How much of the output must change before it is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean, rate
from evalkit.registry import scorer
from evalkit.scorers._json_repair import repaired
from evalkit.scorers._text import parse_json

LONGEST = 200_000
"""Characters that are read; a longer text is unscored."""


def _prepare(options: Mapping[str, Any]) -> str:
    if not 0 <= options["max"] < 1:
        raise ValueError(f"max {options['max']:g} is no share below 1")
    return ""


@scorer(
    metrics=(mean, rate),
    range=(0.0, 1.0),
    direction="lower",
    examples=[
        ('{"a": [1, 2]}', None, 0.0),
        ("[1, 2,]", None, 1 / 7),
        ("no JSON at all", None, 1.0),
    ],
    prepare=_prepare,
    usage="json_repair_distance: {max: 0.05}",
    card=ScorerCard(
        family="structured",
        blind=(
            "what the values say: json_schema and json_equal look at them",
            "a cheaper repair than the one it finds: the distance is at most a little too long",
            "a lone text or number that was not meant to be JSON: it looks for an object or a list",
        ),
    ),
)
def json_repair_distance(case: Case, output: Output, *, max: float = 0.0) -> Score:
    """How much of the output must change before it is JSON.

    The number of characters to insert, leave out or replace, as a share of the longer of the two
    texts: 0 is JSON as it stands, 1 holds neither an object nor a list. Fences and prose around the
    value, single quotes, missing brackets and the like all count by what they take. Passed up to
    ``max``. Unscored above 200,000 characters and 200 levels.
    """
    text = output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to repair: {len(text):,} characters")
    try:
        parse_json(text)
    except ValueError as error:
        return _distance(text, str(error), max)
    return Score(value=0.0, passed=True)


def _distance(text: str, problem: str, most: float) -> Score:
    from rapidfuzz.distance import Levenshtein

    try:
        nearest = repaired(text)
    except ValueError as error:
        raise Unscorable(str(error)) from None
    if nearest is None:
        return Score(value=1.0, passed=False, reason=f"{problem}; no object or list in it")
    edits = Levenshtein.distance(text, nearest)
    value = edits / max(len(text), len(nearest))
    passed = value <= most
    counted = f"{edits:,} {'character' if edits == 1 else 'characters'} to change"
    return Score(value=value, passed=passed, reason=f"{problem}; {counted}"[:300])
