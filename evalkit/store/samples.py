"""The samples of a run, read from the store one at a time: see ``evalkit.stats.samples``.

Every sample is one query, or one a column; rows of the same trials come in the same order each
time, that of the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from evalkit.model import CONFIRMING, Run
from evalkit.stats.ranking import Ranking
from evalkit.stats.samples import (
    COLUMNS,
    Picked,
    ScoreCounts,
    ScoreSample,
    Slices,
    Sums,
    TrialCounts,
    TrialSample,
    WorstCase,
)
from evalkit.store.memory import roomy
from evalkit.store.numbering import KEY, Numbering, in_order
from evalkit.store.reads import batches, fetch, numbers
from evalkit.store.worst import pick, worst_cases

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from evalkit.stats.samples import Cases, Numbers

_TRIALS = "FROM trials WHERE run_id = ? AND suite = ? AND target = ? AND trial < ?"
_SCORES = (
    "FROM scores WHERE run_id = ? AND suite = ? AND target = ? AND name = ?"
    " AND status = 'scored' AND trial < ?"
)
_KNOWN = ", ".join(f"count({name}) FILTER (trial < {CONFIRMING}) > 0 AS {name}" for name in COLUMNS)


class StoredSamples:
    """The samples of one run, as long as the connection is open."""

    def __init__(self, connection: DuckDBPyConnection, run: Run):
        self._connection = connection
        self._run = run
        self._numbered: dict[str, Numbering] = {}

    @cached_property
    def trial_counts(self) -> Sequence[TrialCounts]:
        """Of every target of every suite, the targets in the order of the run."""
        rows = fetch(
            self._connection,
            "SELECT suite, target, sum(coalesce(spent_usd, 0) + coalesce(assumed_usd, 0))"  # noqa: S608 -- constant names
            " FILTER (spent_usd IS NOT NULL OR assumed_usd > 0) AS spent_usd,"
            " coalesce(sum(assumed_usd), 0) AS assumed_usd,"
            " count(*) FILTER (assumed_usd > 0) AS assumed, sum(saved_usd) AS saved_usd,"
            f" count(*) FILTER (trial < {CONFIRMING}) AS done,"
            f" count(*) FILTER (trial < {CONFIRMING} AND status <> 'ok') AS errors,"
            f" count(*) FILTER (trial < {CONFIRMING} AND status = 'ok' AND cost_usd IS NULL"
            f" AND NOT coalesce(assumed_usd, 0) > 0) AS unpriced, {_KNOWN}"
            " FROM trials WHERE run_id = ? GROUP BY suite, target",
            [self._run.id],
        )
        classes: dict[tuple[str, str], dict[str, int]] = {}
        for row in fetch(
            self._connection,
            "SELECT suite, target, coalesce(error_class, 'unknown') AS class, count(*) AS n"
            " FROM trials WHERE run_id = ? AND status = 'error'"
            " GROUP BY ALL ORDER BY n DESC, class",
            [self._run.id],
        ):
            classes.setdefault((row["suite"], row["target"]), {})[row["class"]] = row["n"]
        found = [
            TrialCounts(
                **{name: value for name, value in row.items() if name not in COLUMNS},
                known=frozenset(name for name in COLUMNS if row[name]),
                error_classes=classes.get((row["suite"], row["target"]), {}),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: (one.suite, self._place(one.target)))

    @cached_property
    def score_counts(self) -> Sequence[ScoreCounts]:
        """Of every scorer on every one of these, the scorers in the order of the suite."""
        rows = fetch(
            self._connection,
            "SELECT suite, target, name, min(position) AS place,"
            " count(*) FILTER (status = 'scored') AS scored,"
            " count(*) FILTER (status = 'unscored') AS unscored,"
            " count(*) FILTER (status = 'error') AS errors, sum(cost_usd) AS cost_usd"
            " FROM scores WHERE run_id = ? AND trial < ? GROUP BY suite, target, name",
            [self._run.id, CONFIRMING],
        )
        reasons: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
        # every text may be another
        with roomy(self._connection):
            missing = fetch(
                self._connection,
                "SELECT * FROM (SELECT suite, target, name, left(coalesce(reason, ''), 200) AS why,"
                " count(*) AS n FROM scores WHERE run_id = ? AND status <> 'scored' GROUP BY ALL)"
                " QUALIFY row_number() OVER (PARTITION BY suite, target, name"
                " ORDER BY n DESC, why) <= 3 ORDER BY n DESC, why",
                [self._run.id],
            )
        for row in missing:
            key = (row["suite"], row["target"], row["name"])
            reasons.setdefault(key, []).append((row["why"], row["n"]))
        rows.sort(key=lambda one: (one["suite"], self._place(one["target"]), one.pop("place")))
        return [
            ScoreCounts(
                **row, reasons=tuple(reasons.get((row["suite"], row["target"], row["name"]), ()))
            )
            for row in rows
        ]

    def _place(self, target: str) -> int:
        places = [one.name for one in self._run.targets]
        return places.index(target) if target in places else len(places)

    def cases(self, suite: str) -> int:
        """How many cases the targets whose trials were read have between them."""
        return len(self._numbers_of(suite))

    def _numbers_of(self, suite: str) -> Numbering:
        return self._numbered.setdefault(suite, Numbering())

    def _done(self, suite: str, target: str) -> int:
        counts = self.trial_counts
        return next(one.done for one in counts if (one.suite, one.target) == (suite, target))

    def trials(self, suite: str, target: str) -> TrialSample:
        """The trials of one target."""
        import numpy as np

        given = [self._run.id, suite, target, CONFIRMING]
        rows = self._done(suite, target)
        keys, ok = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=bool)
        live = np.empty(rows, dtype=bool)
        for at, batch in self._parts(
            f"SELECT {KEY} AS key, status = 'ok' AS ok,"
            f" coalesce(provenance = 'live', false) AS live {_TRIALS}",
            given,
        ):
            for name, column in (("key", keys), ("ok", ok), ("live", live)):
                column[at] = numbers(batch.column(name))
        numbering = self._numbers_of(suite)
        return TrialSample(
            cases=numbering.add(keys),
            ok=ok,
            live=live,
            column=partial(self._column, given, rows),
            known_cases=len(numbering),
        )

    def _column(self, given: Sequence[Any], rows: int, name: str) -> Numbers:
        import numpy as np

        if name not in COLUMNS:
            raise ValueError(f"trials have no column {name!r}")
        column = np.empty(rows)
        sql = f"SELECT coalesce({name}::DOUBLE, 'nan'::DOUBLE) AS it {_TRIALS}"
        for at, batch in self._parts(sql, given):
            column[at] = numbers(batch.column("it"))
        return column

    def scores(self, suite: str, target: str, name: str) -> ScoreSample:
        """The scores of one scorer on one target whose trials were read before."""
        import numpy as np

        counts = self.score_counts
        rows = next(
            one.scored
            for one in counts
            if (one.suite, one.target, one.name) == (suite, target, name)
        )
        given = [self._run.id, suite, target, name, CONFIRMING]
        values, passed = np.empty(rows), np.empty(rows, dtype=np.int8)
        owners = _Owners(self._numbers_of(suite), rows)
        for at, batch in self._parts(
            f"SELECT {KEY} AS key, trial::SMALLINT AS trial, value,"
            f" CASE WHEN passed THEN 1 WHEN passed IS NULL THEN -1 ELSE 0 END::TINYINT AS passed"
            f" {_SCORES}",
            given,
        ):
            owners.add(at, numbers(batch.column("key")))
            values[at] = numbers(batch.column("value"))
            passed[at] = numbers(batch.column("passed"))
        cases, order = owners.cases(), None
        if not isinstance(cases, range):
            trials = np.empty(rows, dtype=np.int16)
            for at, batch in self._parts(f"SELECT trial::SMALLINT AS it {_SCORES}", given):
                trials[at] = numbers(batch.column("it"))
            order = in_order(cases, trials)
            cases, values, passed = cases[order], values[order], passed[order]
        return ScoreSample(
            cases=cases,
            values=values,
            passed=passed,
            sums=partial(self._sums, given, cases, order),
        )

    def _sums(self, given: Sequence[Any], cases: Cases, order: npt.NDArray[np.intp] | None) -> Sums:
        parts = (
            _rows_of_numbers(batch.column("stats"))
            for _, batch in self._parts(f"SELECT stats {_SCORES}", given)
        )
        return Sums(cases=cases, stats=_joined_rows(parts, len(cases), order))

    def _parts(self, sql: str, given: Sequence[Any]) -> Iterator[tuple[slice, pa.RecordBatch]]:
        """The rows a batch at a time, with their places."""
        start = 0
        for batch in batches(self._connection, sql, given):
            yield slice(start, start + batch.num_rows), batch
            start += batch.num_rows

    def slices(self, suite: str) -> Mapping[str, Slices]:
        """The declared slices of a suite by tag; of all its cases, which get their numbers."""
        if not self._run.slices:
            return {}
        targets = [one.target for one in self.trial_counts if one.suite == suite]
        owners = [(target, self.trials(suite, target).cases) for target in targets]
        cases = self.cases(suite)
        return {tag: self._slices(suite, tag, owners, cases) for tag in self._run.slices}

    def _slices(self, suite: str, tag: str, owners: Sequence[tuple[str, Cases]], n: int) -> Slices:
        """What the trial of each case that began last says."""
        import numpy as np

        places: dict[str | None, int] = {None: -1}
        codes = np.full(n, -1, dtype=np.int32)
        begun = np.full(n, np.iinfo(np.int64).min)
        for target, cases in owners:
            for at, batch in self._parts(
                f"SELECT epoch_us(started_at) AS begun, tags[?] AS tag {_TRIALS}",
                [tag, self._run.id, suite, target, CONFIRMING],
            ):
                begins = numbers(batch.column("begun"))
                said = np.array(
                    [
                        places.setdefault(one, len(places) - 1)
                        for one in batch.column("tag").to_pylist()
                    ],
                    dtype=np.int32,
                )
                its = np.asarray(cases[at])
                # of several trials of one case, the last to begin is written last
                order = np.argsort(begins, kind="stable")
                order = order[begins[order] > begun[its[order]]]
                codes[its[order]] = said[order]
                begun[its[order]] = begins[order]
        sizes = np.bincount(codes[codes >= 0], minlength=len(places) - 1).tolist()
        return Slices(
            sizes={value: sizes[at] for value, at in places.items() if value is not None},
            of_case=codes,
        )

    def pick(self, suite: str, target: str, ranking: Ranking) -> Sequence[Picked]:
        """The first few cases of a ranking of that target, the worst first."""
        given = [self._run.id, suite, target, CONFIRMING]
        found = pick(self._connection, _TRIALS, given, self._numbers_of(suite), ranking)
        return [
            Picked(suite=suite, target=target, key=key, scorer=scorer, sign=sign)
            for key, scorer, sign in found
        ]

    def worst(self, picked: Sequence[Picked]) -> Sequence[WorstCase]:
        """What is shown of picked cases, in their order."""
        return worst_cases(self._connection, self._run.id, picked)


class _Owners:
    """The cases of rows that come a part at a time: a range, as long as they are one."""

    def __init__(self, numbering: Numbering, rows: int):
        self._numbering = numbering
        self._rows = rows
        self._cases: npt.NDArray[np.int32] | None = None

    def add(self, at: slice, keys: npt.NDArray[np.uint64]) -> None:
        import numpy as np

        found = self._numbering.of(keys, at.start)
        if self._cases is None and not isinstance(found, range):
            self._cases = np.arange(self._rows, dtype=np.int32)
        if self._cases is not None:
            self._cases[at] = found

    def cases(self) -> range | npt.NDArray[np.int32]:
        return range(self._rows) if self._cases is None else self._cases


def _rows_of_numbers(lists: pa.ListArray) -> Any:
    """Lists of numbers as the rows of an array, or as lists when they differ in length.

    Counts take one to four bytes each: most of what is held of a score that has any.
    """
    import numpy as np

    if lists.null_count == len(lists) or not len(lists.values):
        return [None] * len(lists)
    ends = np.frombuffer(lists.offsets.buffers()[1], dtype=np.int32)
    ends = ends[lists.offset : lists.offset + len(lists) + 1]
    lengths = np.diff(ends)
    if lists.null_count or (lengths != lengths[0]).any():
        return lists.to_pylist()
    # flatten() would import all of Arrow's functions, a tenth of a second
    flat = numbers(lists.values.slice(int(ends[0]), int(ends[-1] - ends[0])))
    if isinstance(flat, list):
        return lists.to_pylist()
    for small in (np.int8, np.int16, np.int32):
        if np.abs(flat).max(initial=0.0) <= np.iinfo(small).max:
            counts = flat.astype(small)
            flat = counts if (counts == flat).all() else flat
            break
    return flat.reshape(len(lists), lengths[0])


def _joined_rows(parts: Iterator[Any], count: int, order: npt.NDArray[np.intp] | None) -> Any:
    """The rows in their order; those that are there when some are empty."""
    import numpy as np

    table: Any = None
    listed: list[Any] = []
    start = 0
    for one in parts:
        if table is None and not listed and not isinstance(one, list):
            table = np.empty((count, one.shape[1]), dtype=one.dtype)
        if table is not None and (isinstance(one, list) or one.shape[1] != table.shape[1]):
            listed, table = table[:start].tolist(), None
        if table is None:
            listed += one if isinstance(one, list) else one.tolist()
        else:
            table = table.astype(np.promote_types(table.dtype, one.dtype), copy=False)
            table[start : start + len(one)] = one
        start += len(one)
    if table is not None:
        return table if order is None else table[order]
    rows = listed if order is None else [listed[place] for place in order.tolist()]
    return [one for one in rows if one]
