"""Short ways to make cases and outputs and to bind scorers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.config.spec import ScorerSpec
from evalkit.model import Case, Output, Score, ScoreRecord, ScoreStatus
from evalkit.scorers import BoundScorer, bind


def case(expected: Any = None, **inputs: Any) -> Case:
    return Case.of(inputs or {"question": "?"}, expected=expected)


def bound(
    scorer: str,
    *,
    threshold: float | None = None,
    root: Path | None = None,
    allow_code: bool | None = None,
    **options: Any,
) -> BoundScorer:
    spec = ScorerSpec(name=scorer, scorer=scorer, options=options, threshold=threshold)
    return bind(spec, root=root, allow_code=allow_code)


def record(one: BoundScorer, text: str | Output, expected: Any = None) -> ScoreRecord:
    output = text if isinstance(text, Output) else Output(text=text)
    (found,) = one.score_sync([(case(expected), output)])
    return found


def score(scorer: str, text: str | Output, expected: Any = None, **options: Any) -> Score:
    found = record(bound(scorer, **options), text, expected)
    assert found.status is ScoreStatus.SCORED, found.reason
    assert found.score is not None
    return found.score


def value(scorer: str, text: str | Output, expected: Any = None, **options: Any) -> float:
    return score(scorer, text, expected, **options).value


def unscored(scorer: str, text: str | Output, expected: Any = None, **options: Any) -> str:
    found = record(bound(scorer, **options), text, expected)
    assert found.status is ScoreStatus.UNSCORED, found
    assert found.score is None
    assert found.reason
    return found.reason
