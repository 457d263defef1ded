"""What a scan finds in the rows of a dataset: cases, duplicates, and everything that is wrong."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from evalkit.config.spec import DatasetSpec
from evalkit.datasets._empty import EMPTY, meant_empty
from evalkit.datasets._mapping import Mapper, Missing
from evalkit.datasets._parts import Part, Parts
from evalkit.datasets._rows import BadValue, shown
from evalkit.datasets._seen import Seen
from evalkit.errors import DatasetError, Position, suggestion
from evalkit.hashing import MultisetHash, canonical
from evalkit.model import JSON, Case

KEPT_ISSUES = 20
"""How many issues are kept with their text; all are counted."""

MAX_TAG_VALUES = 1_000
"""How many values of one tag are counted; a tag with more groups nothing."""

Severity = Literal["warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIssue:
    """Something wrong with one row; ``row`` counts rows from 1, ``line`` is 0 where there are none.

    After a warning the run is still right: the row is skipped, or counted once, or complete enough.
    """

    row: int
    line: int
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """What a dataset holds.

    ``version`` is the hash of its cases whatever their order; ``cases`` counts different cases,
    ``rows`` everything that was read; ``issues`` are the first 20 of ``warnings`` and ``errors``;
    ``tags`` counts cases by tag and value.
    """

    version: str
    cases: int
    rows: int
    issues: tuple[RowIssue, ...] = ()
    warnings: int = 0
    errors: int = 0
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scanned:
    """The end of a scan: what there is, the rows that repeat an earlier one, the first error."""

    info: DatasetInfo
    repeated: array[int]
    error: DatasetError | None


@dataclass(frozen=True, slots=True)
class Found:
    """A row's case, and whether its expectation is there but empty."""

    case: Case
    empty_expected: bool


def place(source: str, row: int, line: int) -> Position | str:
    """Where a row is: a line of a file, or the row's number where there are no lines."""
    return Position(Path(source), line) if line else f"{source}, row {row}"


def is_empty(values: Mapping[str, JSON]) -> bool:
    """Whether a row says nothing: no columns, or only empty ones."""
    for value in values.values():  # noqa: SIM110 (any() costs three times as much, on every row)
        if value is not None and value != "":
            return False
    return True


def build(mapper: Mapper, values: Mapping[str, JSON], row: int, line: int) -> Found:
    """The case of one row; raises ``BadValue``."""
    parts = mapper.parts(values, row, line)
    inputs = parts.inputs
    if parts.turns:
        inputs = _of_conversation(parts)
    elif (
        not meant_empty(parts.metadata, inputs.values())
        and not _has_input(inputs)
        and (inputs or not parts.context)
    ):
        which = ", ".join(map(repr, inputs)) or "no column is left for one"
        hint = "fill an input column, or remove the row"
        if inputs:
            hint += f"; if nothing is to be asked, say so: metadata.{EMPTY}: true"
        raise BadValue(f"the row has no input ({which})", hint)
    try:
        if parts.metadata:
            # The identity leaves metadata out, so nothing else would notice a NaN there.
            canonical(parts.metadata)
        for turn in parts.turns:
            canonical(turn.metadata)
        case = Case.of(
            inputs,
            expected=parts.expected,
            context=parts.context,
            tags=parts.tags,
            metadata=parts.metadata,
            name=parts.name,
            row=row,
            turns=parts.turns,
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise _not_json(parts) from error
    return Found(case, parts.empty_expected)


def _of_conversation(parts: Parts) -> dict[str, JSON]:
    """The inputs of a case with turns: an empty cell is none, since the turns say what is asked."""
    last = parts.turns[-1].expected
    if parts.expected is not None and last is not None:
        raise BadValue(
            "what the last answer must be is said twice, in 'expected' and in the last turn",
            "keep one of them",
        )
    if EMPTY in parts.metadata:
        raise BadValue(
            f"the row is a conversation, and metadata.{EMPTY} is of a single question",
            f'say it of the turn: {{"user": "", "metadata": {{"{EMPTY}": true}}}}',
        )
    return {name: one for name, one in parts.inputs.items() if _has_input({name: one})}


def _not_json(parts: Parts) -> BadValue:
    """Which value of a row has no identity, because it has no place in JSON."""
    turns = ((f"turn {at}", [one.expected, one.metadata]) for at, one in enumerate(parts.turns, 1))
    given = (
        *parts.inputs.items(),
        ("expected", parts.expected),
        *parts.metadata.items(),
        *turns,
    )
    for name, value in given:
        try:
            canonical(value)
        except (ValueError, TypeError, RecursionError):
            return BadValue(
                f"the value of {name!r} is not JSON: {shown(value)}",
                "use text, finite numbers, lists and objects, and null for no value",
            )
    return BadValue("a value of the row is not JSON", "use text for the names of columns")


def _has_input(inputs: Mapping[str, JSON]) -> bool:
    for value in inputs.values():
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return True
    return False


def _has_nul(case: Case) -> bool:
    for value in (*case.inputs.values(), *case.context, case.expected):
        if isinstance(value, str) and "\0" in value:
            return True
    return any("\0" in one.user for one in case.turns) if case.turns else False


class Scan:
    """Adds up the rows of one dataset, in order."""

    def __init__(self, spec: DatasetSpec):
        self.mapper = Mapper(spec)
        self._spec = spec
        self._version = MultisetHash()
        self._ids = Seen()
        self._names = Seen()
        self._skip = array("Q")
        self._rows = 0
        self._empty = 0
        self._cases = 0
        self._tags: dict[str, dict[str, int]] = {}
        self._issues: list[RowIssue] = []
        self._warnings = 0
        self._first: DatasetError | None = None
        self._wrong: list[int] = []
        self._errors = 0

    def add(self, row: int, line: int, found: Found | DatasetError | None) -> Case | None:
        """Count one row; returns its case when that is a new one."""
        self._rows = row
        if found is None:
            self._empty += 1
            self._warn(row, line, f"row {row} is empty; skipped")
            return None
        if isinstance(found, DatasetError):
            self._fail(row, line, found)
            return None
        case = found.case
        first = self._ids.first(int(case.id[:16], 16), row)
        # Within one process Python's own hash of a text is as good a 64-bit key as any.
        if case.name is not None and self._names.first(hash(case.name), first) != first:
            earlier = self._names.first(hash(case.name), first)
            self._fail(
                row,
                line,
                DatasetError(
                    f"row {row} has the id {shown(case.name)} of row {earlier}, "
                    "and is another case",
                    where=place(self._spec.source, row, line),
                    hint="give every case an id of its own",
                ),
            )
            return None
        if first != row:
            self._skip.append(row)
            self._warn(row, line, f"row {row} is the same case as row {first}; counted once")
            return None
        if found.empty_expected:
            self._warn(row, line, f"row {row}: an expected answer is empty")
        if _has_nul(case):
            self._warn(row, line, f"row {row} holds a NUL character, where some programs cut text")
        self._version.add(case.id)
        self._cases += 1
        for tag, value in case.tags.items():
            self._count_tag(tag, value, row, line)
        return case

    def stop(self, error: DatasetError) -> None:
        """Count the error after which the source could not be read on."""
        line = error.where.line if isinstance(error.where, Position) else 0
        self._fail(self._rows + 1, line, error)

    def result(self) -> Scanned:
        """What there is, after the last row."""
        self._check_columns()
        if self._first is None and not self._cases:
            self._first = DatasetError(
                "the dataset has no cases",
                where=self._spec.source,
                hint=f"{self._empty} rows are empty" if self._empty else "there are no rows in it",
            )
        info = DatasetInfo(
            version=self._version.hexdigest(),
            cases=self._cases,
            rows=self._rows,
            issues=tuple(self._issues),
            warnings=self._warnings,
            errors=self._errors,
            tags=self._tags,
        )
        error = None if self._first is None else self._with_count(self._first)
        return Scanned(info, self._skip, error)

    def _check_columns(self) -> None:
        mapper = self.mapper
        for column, missing in mapper.missing.items():
            if missing.rows < mapper.rows:
                if mapper.fills(column, Part.EXPECTED):
                    self._warn_unexpected(column, missing)
                continue
            # Whatever the rows lack for want of this column follows from it: say the cause alone.
            self._first = None
            self._errors = self._warnings = 0
            self._issues.clear()
            self._no_column(f"there is no column {column!r}", missing.hint)
            return
        for column in mapper.unused_types() if self._cases else ():
            self._no_column(
                f"types: there is no column {column!r}", suggestion(column, mapper.columns())
            )

    def _no_column(self, what: str, hint: str) -> None:
        where = self._spec.position or self._spec.source
        self._fail(0, 0, DatasetError(what, where=where, hint=hint))

    def _warn_unexpected(self, column: str, missing: Missing) -> None:
        more = f" ({missing.rows} such rows)" if missing.rows > 1 else ""
        message = f"row {missing.row} has no column {column!r}{more}; nothing is expected there"
        self._warn(missing.row, missing.line, message)

    def _count_tag(self, tag: str, value: str, row: int, line: int) -> None:
        counts = self._tags.get(tag)
        if counts is None:
            if len(self._tags) == MAX_TAG_VALUES:
                return
            counts = self._tags[tag] = {}
        if value in counts:
            counts[value] += 1
        elif len(counts) < MAX_TAG_VALUES:
            counts[value] = 1
            if len(counts) == MAX_TAG_VALUES:
                self._warn(
                    row, line, f"tag {shown(tag)} has {MAX_TAG_VALUES} values; more are not counted"
                )

    def _warn(self, row: int, line: int, message: str) -> None:
        self._warnings += 1
        self._keep(RowIssue(row=row, line=line, message=message, severity="warning"))

    def _keep(self, issue: RowIssue) -> None:
        if len(self._issues) < KEPT_ISSUES:
            self._issues.append(issue)

    def _fail(self, row: int, line: int, error: DatasetError) -> None:
        self._errors += 1
        self._keep(RowIssue(row=row, line=line, message=error.what, severity="error"))
        if self._first is None:
            self._first = error
        elif len(self._wrong) < KEPT_ISSUES:
            self._wrong.append(row)

    def _with_count(self, error: DatasetError) -> DatasetError:
        more = self._errors - 1
        if more <= 0:
            return error
        listed = ", ".join(map(str, self._wrong[:5])) + (", …" if more > 5 else "")
        rows = "row is" if more == 1 else "rows are"
        what = f"{error.what}; {more} more {rows} wrong ({listed})"
        counted = DatasetError(what, where=error.where, hint=error.hint)
        counted.__cause__ = error.__cause__
        return counted
