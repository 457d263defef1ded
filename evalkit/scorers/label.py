"""Whether the output names the expected label; accuracy, precision, recall and F1 over a suite."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Metric, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import parse_json, unfence, unicode_normal

MOST_LABELS = 50
LONGEST = 200_000
"""Characters in which labels are looked for; a longer answer is unscored."""
NONE = "none of them"


def _prepare(options: Mapping[str, Any]) -> str:
    labels = options["labels"]
    normal = [_normal(one) for one in labels]
    if not 2 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"labels are 2 to {MOST_LABELS}, not {len(labels)}")
    if "" in normal or len(set(normal)) < len(normal):
        raise ValueError("two labels are the same but for case and spaces, or one is empty")
    if options["positive"] is not None and _normal(options["positive"]) not in normal:
        raise ValueError(f"positive is one of the labels, not {options['positive']!r}")
    return ""


def _cells(stats: Sequence[float]) -> tuple[int, list[tuple[float, float, float]]]:
    """The classes that are averaged, each as hits, times said, times expected.

    Four numbers are those of the positive class; more are a confusion matrix, a row an expected
    label, with a last column for answers that name none.
    """
    if len(stats) == 4:
        hit, false, missed, _ = stats
        return 1, [(hit, hit + false, hit + missed)]
    k = round((math.sqrt(1 + 4 * len(stats)) - 1) / 2)  # k × (k + 1) cells
    rows = [stats[at * (k + 1) : (at + 1) * (k + 1)] for at in range(k)]
    return k, [
        (rows[i][i], math.fsum(row[i] for row in rows), math.fsum(rows[i])) for i in range(k)
    ]


def _precision(stats: Sequence[float]) -> float:
    k, cells = _cells(stats)
    return math.fsum(hit / said if said else 0.0 for hit, said, _ in cells) / k


def _recall(stats: Sequence[float]) -> float:
    k, cells = _cells(stats)
    return math.fsum(hit / wanted if wanted else 0.0 for hit, _, wanted in cells) / k


def _f1(stats: Sequence[float]) -> float:
    k, cells = _cells(stats)
    each = (2 * hit / (said + wanted) if said + wanted else 0.0 for hit, said, wanted in cells)
    return math.fsum(each) / k


@scorer(
    needs=("expected",),
    metrics=(
        rate,
        Metric("precision", "corpus", corpus_value=_precision),
        Metric("recall", "corpus", corpus_value=_recall),
        Metric("f1", "corpus", corpus_value=_f1),
    ),
    prepare=_prepare,
    usage="label: {labels: [refund, exchange, other]}",
    card=ScorerCard(
        family="classification",
        blind=(
            "labels that are not in the list: name them all",
            "with search: a label that is named only to be denied",
            "few cases: a class with three cases has an F1 that jumps; look at the interval",
        ),
    ),
)
def label(
    case: Case,
    output: Output,
    *,
    labels: tuple[str, ...],
    positive: str | None = None,
    search: bool = False,
    field: str | None = None,
    fenced: bool = False,
) -> Score:
    """Whether the output names the expected label; accuracy, precision, recall and F1 over a suite.

    ``labels`` are all there are; case, outer spaces and quotes and a final full stop do not count.
    ``label.rate`` is the accuracy; ``precision``, ``recall`` and ``f1`` are means over the labels
    (macro), or those of the ``positive`` label alone; a class nobody was given counts 0, as in
    scikit-learn. The output is the label itself; with ``search`` the only label it holds as a
    whole word; with ``field`` what that key of its JSON says (``fenced`` reads a code fence).
    An answer that names none or several is wrong, and part of the confusion matrix:

    SELECT label, count(*) FROM results WHERE scorer = 'label' GROUP BY ALL
    """
    wanted = _place(case.references[0], labels)
    if wanted is None:
        raise Unscorable(f"the expected answer {case.references[0][:60]!r} is none of the labels")
    if len(output.text) > LONGEST:
        raise Unscorable(f"too long to look for a label: {len(output.text):,} characters")
    said, why = _said(output.text, labels, search=search, field=field, fenced=fenced)
    right = said == wanted
    shown = NONE if said is None else labels[said]
    return Score(
        value=float(right),
        passed=right,
        label=f"{labels[wanted]} → {shown}",
        reason=None if right else why or f"says {shown}, expected {labels[wanted]}",
        stats=_stats(wanted, said, labels, positive),
    )


def _stats(
    wanted: int, said: int | None, labels: Sequence[str], positive: str | None
) -> tuple[float, ...]:
    if positive is not None:
        one = _place(positive, labels)
        is_one, says_one = wanted == one, said == one
        cells = (is_one and says_one, not is_one and says_one, is_one and not says_one)
        return (*map(float, cells), float(not is_one and not says_one))
    k = len(labels)
    matrix = [0.0] * (k * (k + 1))
    matrix[wanted * (k + 1) + (k if said is None else said)] = 1.0
    return tuple(matrix)


def _said(
    text: str, labels: Sequence[str], *, search: bool, field: str | None, fenced: bool
) -> tuple[int | None, str]:
    """The place of the label an answer names; or nothing, and why."""
    if fenced:
        text = unfence(text)
    if field is not None:
        try:
            value = parse_json(text)
        except ValueError as error:
            return None, str(error)[:200]
        found = value.get(field) if isinstance(value, dict) else None
        if not isinstance(found, (str, int, float, bool)):
            return None, f"the JSON has no label under {field!r}"
        text = found if isinstance(found, str) else str(found).lower()
    exact = _place(text, labels)
    if exact is not None or not search:
        return exact, "" if exact is not None else f"names no label: {text.strip()[:60]!r}"
    named = {_normal(one) for one in _pattern(tuple(labels)).findall(unicode_normal(text))}
    places = [at for at, one in enumerate(labels) if _normal(one) in named]
    if len(places) != 1:
        said = ", ".join(labels[at] for at in places)
        return None, f"names {len(places)} labels: {said}" if places else "names no label"
    return places[0], ""


def _place(text: str, labels: Sequence[str]) -> int | None:
    normal = _normal(text)
    return next((at for at, one in enumerate(labels) if _normal(one) == normal), None)


def _normal(text: str) -> str:
    plain = unicode_normal(text).casefold()
    return plain.removesuffix(".").strip("\"'`*“”«» ")


@lru_cache(maxsize=64)
def _pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    # the longest first, so that "not spam" is not read as "spam"
    ordered = sorted(map(unicode_normal, labels), key=len, reverse=True)
    either = "|".join(re.escape(one) for one in ordered)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
