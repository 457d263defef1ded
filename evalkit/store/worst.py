"""The cases that went worst: found among columns of numbers, then read from the store one by one.

Only the few that are shown have their texts read; a query that ranked all of them took more memory
than everything else at the end of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.model import Run
from evalkit.stats.samples import ScoreSample, TrialSample, WorstCase
from evalkit.store.numbering import Numbering
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from duckdb import DuckDBPyConnection

WORST = 5
"""How many of the worst cases of each target are looked at more closely."""

_DETAILS = """
WITH asked AS (
    SELECT unnest($suites) AS suite, unnest($targets) AS target, unnest($keys) AS key,
        unnest($names) AS name, unnest($signs) AS sign, unnest($places) AS place
),
known AS (
    SELECT DISTINCT suite, case_id, hash(case_id) AS key FROM trials
    WHERE run_id = $run AND hash(case_id) IN (SELECT key FROM asked)
),
chosen AS (SELECT asked.*, case_id FROM asked JOIN known USING (suite, key)),
answered AS (
    SELECT suite, target, case_id, count(*) AS trials,
        count(*) FILTER (status = 'error') AS failed_trials,
        any_value(case_name) AS case_name,
        any_value(left(concat_ws(': ', error_class, error), 300)) FILTER (status = 'error') AS error
    FROM trials SEMI JOIN chosen USING (suite, target, case_id)
    WHERE run_id = $run GROUP BY ALL
),
judged AS (
    SELECT s.suite, s.target, s.case_id, min_by(s.trial, s.value * c.sign) AS trial
    FROM scores AS s JOIN chosen AS c USING (suite, target, case_id, name)
    WHERE s.run_id = $run AND s.status = 'scored' GROUP BY ALL
)
SELECT c.suite, c.target, c.case_id, a.case_name, a.trials, a.failed_trials, c.name AS scorer,
    s.value, s.passed, left(s.reason, 300) AS reason, left(t.output, 300) AS output, a.error
FROM chosen AS c JOIN answered AS a USING (suite, target, case_id)
LEFT JOIN judged AS j USING (suite, target, case_id)
LEFT JOIN scores AS s ON s.run_id = $run AND s.suite = c.suite AND s.target = c.target
    AND s.case_id = c.case_id AND s.trial = j.trial AND s.name = c.name
LEFT JOIN trials AS t ON t.run_id = $run AND t.suite = c.suite AND t.target = c.target
    AND t.case_id = c.case_id AND t.trial = j.trial
ORDER BY c.suite, c.target, c.place
"""


@dataclass(frozen=True, slots=True)
class _Chosen:
    suite: str
    target: str
    place: int
    number: int
    name: str | None
    sign: float


def worst_cases(
    connection: DuckDBPyConnection,
    run: Run,
    scores: Sequence[ScoreSample],
    trials: Sequence[TrialSample],
    numbered: Mapping[str, Numbering],
) -> tuple[WorstCase, ...]:
    """The worst cases of each target, the worst first; ``numbered`` has the cases of each suite.

    A case that was never answered is worse than one that did not pass, that one worse than a low
    score: the mean over the scorers of its percent rank among all cases.
    """
    signs = {
        (one.suite, one.name): 1.0 if one.direction == "higher" else -1.0
        for one in run.scorers
        if one.direction != "neutral" and not one.unit
    }
    chosen = [
        found
        for one in trials
        for found in _choose(
            one,
            [
                (score, signs[score.suite, score.name])
                for score in scores
                if (score.suite, score.target) == (one.suite, one.target)
                and (score.suite, score.name) in signs
            ],
        )
    ]
    if not chosen:
        return ()
    rows = fetch(
        connection,
        _DETAILS,
        {
            "run": run.id,
            "suites": [one.suite for one in chosen],
            "targets": [one.target for one in chosen],
            "keys": [numbered[one.suite].key(one.number) for one in chosen],
            "names": [one.name for one in chosen],
            "signs": [one.sign for one in chosen],
            "places": [one.place for one in chosen],
        },
    )
    return tuple(WorstCase(**row) for row in rows)


def _choose(trials: TrialSample, scores: Sequence[tuple[ScoreSample, float]]) -> Iterator[_Chosen]:
    import numpy as np

    owner = np.asarray(trials.cases, dtype=np.intp)
    n = int(owner.max(initial=-1)) + 1
    asked = np.bincount(owner, minlength=n)
    failed = np.bincount(owner, weights=~np.asarray(trials.ok, dtype=bool), minlength=n)
    rank_sum, judges, not_passed = np.zeros(n), np.zeros(n), np.zeros(n)
    worst_key, worst_judge = np.full(n, -1.0), np.full(n, -1, dtype=np.int32)
    for place, (score, sign) in enumerate(scores):
        where, badness, missed = _badness(score, sign)
        rank_sum[where] += badness
        judges[where] += 1
        not_passed[where] += missed
        key = badness + missed
        worse = key > worst_key[where]
        worst_key[where[worse]] = key[worse]
        worst_judge[where[worse]] = place
    badness = np.divide(rank_sum, judges, out=np.zeros(n), where=judges > 0)
    bad = np.flatnonzero((asked > 0) & ((failed > 0) | (not_passed > 0) | (badness > 0)))
    lost = (failed == asked)[bad]
    order = np.lexsort((bad, -badness[bad], -not_passed[bad], ~lost))[:WORST]
    for place, number in enumerate(bad[order].tolist()):
        name, sign = None, 1.0
        if (judge := int(worst_judge[number])) >= 0:
            name, sign = scores[judge][0].name, scores[judge][1]
        yield _Chosen(trials.suite, trials.target, place, number, name, sign)


def _badness(
    score: ScoreSample, sign: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The cases a scorer judged, the percent rank of each from the best, and who did not pass."""
    import numpy as np

    owner = np.asarray(score.cases, dtype=np.intp)
    counts = np.bincount(owner)
    where = np.flatnonzero(counts)
    goodness = (np.bincount(owner, weights=np.asarray(score.values)) * sign)[where] / counts[where]
    ascending = np.sort(-goodness)
    ranks = np.searchsorted(ascending, -goodness, side="left")
    # a list holds NULL: whether that one passed is unknown
    undecided = isinstance(score.passed, list)
    missed = (
        np.array([one is False for one in score.passed])
        if undecided
        else ~np.asarray(score.passed, dtype=bool)
    )
    not_passed = (np.bincount(owner, weights=missed) > 0)[where]
    return where, ranks / max(1, len(where) - 1), not_passed.astype(np.float64)
