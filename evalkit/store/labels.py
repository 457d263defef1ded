"""People's judgements: one row each, the last word of a person on an answer stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalkit.labels import Label, LabelSource, Selection
from evalkit.store import arrays
from evalkit.store.append import insert
from evalkit.store.reads import fetch, table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_FIELDS = {"rating": "value", "word": "label"}
_TEXTS = ("case_id", "run_id", "suite", "target", "name", "word", "reason", "author", "source",
          "selection", "output_hash")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of labels that were given: new ones, changed ones, and those known already."""

    added: int = 0
    changed: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One stored answer that a person may judge, without its text.

    ``values`` and ``passed`` are what scorers said, by name; a scorer that did not decide is in
    ``values`` alone.
    """

    suite: str
    target: str
    case_id: str
    trial: int
    name: str | None
    output_hash: str
    tags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    passed: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswer:
    """What a scorer said of one answer that people judged, every time it was asked."""

    case_id: str
    output_hash: str
    target: str
    values: tuple[float, ...]
    passed: tuple[bool | None, ...]


def add_labels(connection: DuckDBPyConnection, labels: Sequence[Label]) -> Taken:
    """Store labels; one with the key of a stored one replaces it, unless it is older."""
    latest: dict[tuple[Any, ...], Label] = {}
    for one in labels:
        held = latest.get(one.key)
        if held is None or held.labelled_at <= one.labelled_at:
            latest[one.key] = one
    cases = sorted({one.case_id for one in labels})
    stored = {one.key: one for one in labels_from(connection, cases=cases)}
    added, changed = [], []
    for key, one in latest.items():
        old = stored.get(key)
        if old is None:
            added.append(one)
        elif old.labelled_at <= one.labelled_at and old.judgement != one.judgement:
            changed.append((old, one))
    for old, _ in changed:
        remove_label(connection, old)
    _insert(connection, [*added, *(new for _, new in changed)])
    return Taken(len(added), len(changed), len(latest) - len(added) - len(changed))


def _insert(connection: DuckDBPyConnection, labels: Sequence[Label]) -> None:
    import pyarrow as pa

    if not labels:
        return
    columns: dict[str, Any] = {
        _FIELDS.get(name, name): arrays.text([getattr(one, name) for one in labels])
        for name in _TEXTS
    }
    ratings = [None if one.rating is None else float(one.rating) for one in labels]
    columns |= {
        "value": arrays.real(ratings),
        "trial": arrays.whole([one.trial for one in labels], bits=32),
        "passed": arrays.flags([one.passed for one in labels]),
        "blind": arrays.flags([one.blind for one in labels]),
        "labelled_at": arrays.instants([one.labelled_at for one in labels]),
    }
    insert(connection, "labels", pa.table(columns))


def remove_label(connection: DuckDBPyConnection, label: Label) -> None:
    """Take one judgement back: of this person, on this question, of this answer."""
    connection.execute(
        "DELETE FROM labels WHERE author = ? AND name = ? AND suite IS NOT DISTINCT FROM ?"
        " AND case_id = ? AND output_hash IS NOT DISTINCT FROM ?"
        " AND (output_hash IS NOT NULL OR (run_id IS NOT DISTINCT FROM ?"
        " AND target IS NOT DISTINCT FROM ? AND trial IS NOT DISTINCT FROM ?))",
        [
            *(arrays.storable(one) for one in (label.author, label.name)),
            label.suite,
            label.case_id,
            label.output_hash,
            label.run_id,
            label.target,
            label.trial,
        ],
    )


def labels_from(
    connection: DuckDBPyConnection, suite: str | None = None, *, cases: Sequence[str] | None = None
) -> tuple[Label, ...]:
    """The stored labels, oldest first; of one suite, of some cases, or all."""
    rows = fetch(
        connection,
        "SELECT * FROM labels WHERE ($suite IS NULL OR suite = $suite)"
        " AND ($cases IS NULL OR list_contains($cases::VARCHAR[], case_id))"
        " ORDER BY labelled_at, author, name, case_id",
        {"suite": suite, "cases": None if cases is None else list(cases)},
    )
    return tuple(_label(one) for one in rows)


def _label(row: Mapping[str, Any]) -> Label:
    value = row["value"]
    named = {name: row[_FIELDS.get(name, name)] for name in _TEXTS}
    return Label(
        **{
            **named,
            "source": LabelSource(row["source"] or LabelSource.IMPORT),
            "selection": Selection(row["selection"] or Selection.UNKNOWN),
        },
        rating=None if value is None else round(value),
        trial=row["trial"],
        passed=row["passed"],
        blind=row["blind"],
        labelled_at=row["labelled_at"],
    )


_ANSWERS = """
SELECT a.suite, a.target, a.case_id, a.trial, a.case_name, a.tags, a.output_hash,
    s.name AS scorer, s.value, s.passed
FROM answers AS a
LEFT JOIN scores AS s ON s.run_id = a.run_id AND s.suite = a.suite AND s.target = a.target
    AND s.case_id = a.case_id AND s.trial = a.trial AND s.status = 'scored'
WHERE a.run_id = ?
ORDER BY a.suite, a.target, a.case_id, a.trial, s.position
"""


def answers_from(connection: DuckDBPyConnection, run_id: str) -> tuple[Answer, ...]:
    """Every answer of a run with what its scorers said, in the order of the store."""
    found: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for row in fetch(connection, _ANSWERS, [run_id]):
        key = (row["suite"], row["target"], row["case_id"], row["trial"])
        one = found.setdefault(
            key,
            {
                "name": row["case_name"],
                "output_hash": row["output_hash"],
                "tags": dict(row["tags"] or ()),
                "values": {},
                "passed": {},
            },
        )
        if row["scorer"] is not None:
            one["values"][row["scorer"]] = row["value"]
            if row["passed"] is not None:
                one["passed"][row["scorer"]] = row["passed"]
    return tuple(
        Answer(suite=suite, target=target, case_id=case_id, trial=trial, **fields)
        for (suite, target, case_id, trial), fields in found.items()
    )


_JUDGED = """
SELECT a.case_id, a.output_hash, min(a.target) AS target,
    list(s.value ORDER BY t.started_at DESC) AS "values",
    list(s.passed ORDER BY t.started_at DESC) AS passed
FROM answers AS a
JOIN scores AS s USING (run_id, suite, target, case_id, trial)
JOIN trials AS t USING (run_id, suite, target, case_id, trial)
WHERE a.suite = $suite AND s.name = $scorer AND s.signature = $signature AND s.status = 'scored'
    AND a.case_id IN (SELECT case_id FROM labels WHERE suite = $suite)
GROUP BY a.case_id, a.output_hash
ORDER BY a.case_id, a.output_hash
"""


def judged_answers_from(
    connection: DuckDBPyConnection, suite: str, scorer: str, signature: str
) -> tuple[JudgedAnswer, ...]:
    """What a scorer of this signature said of answers to labelled cases, the latest first."""
    given = {"suite": suite, "scorer": scorer, "signature": signature}
    return tuple(
        JudgedAnswer(**{**one, "values": tuple(one["values"]), "passed": tuple(one["passed"])})
        for one in fetch(connection, _JUDGED, given)
    )


_TABLE = """
SELECT l.case_id AS "case", c.name AS case_name, l.passed, l.value::INTEGER AS rating, l.reason,
    l.author, l.labelled_at, l.name AS question, l.label AS verdict, l.suite, l.target, l.trial,
    l.run_id AS run, l.blind, l.source, l.selection, l.output_hash
FROM labels AS l LEFT JOIN cases AS c USING (case_id)
WHERE $suite IS NULL OR l.suite = $suite
ORDER BY l.labelled_at, l.author, l.name, l.case_id
"""


def label_table(connection: DuckDBPyConnection, suite: str | None) -> pa.Table:
    """The labels as rows, oldest first, with the name of their case."""
    return table(connection, _TABLE, {"suite": suite})
