"""Labels that were given elsewhere: read from CSV or JSON Lines, checked row by row, taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.config.tree import shown_path
from evalkit.datasets.csv import read_csv
from evalkit.datasets.jsonl import jsonl
from evalkit.errors import EvalkitError, Position, Undecided, UsageError, suggestion
from evalkit.labels import Label, LabelSource, Selection
from evalkit.model import JSON
from evalkit.runner.reviewing import WHOLE
from evalkit.spreadsheets import as_written
from evalkit.store import Store
from evalkit.store.labels import Answer

FIELDS = (
    "case", "passed", "rating", "reason", "author", "question", "suite", "target", "trial",
    "labelled_at", "blind", "selection", "output", "output_hash",
)  # fmt: skip
SHOWN = 5
_YES = {"true", "yes", "y", "pass", "passed", "p", "1", "good", "ok"}
_NO = {"false", "no", "n", "fail", "failed", "f", "0", "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for rows that say nothing themselves."""

    author: str
    question: str = WHOLE
    suite: str | None = None
    selection: Selection = Selection.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """Labels of a file, and the cases it names that the run has not, with their lines."""

    labels: tuple[Label, ...]
    unknown: tuple[tuple[int, str], ...] = ()


class _Bad(ValueError):
    """A value of a row that says nothing usable."""

    def __init__(self, column: str, what: str, hint: str):
        super().__init__(what)
        self.column, self.what, self.hint = column, what, hint


@dataclass(slots=True)
class _Answers:
    """The answers of a run by case id and by name."""

    store: Store
    run_id: str
    found: dict[str, list[Answer]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, run_id: str) -> _Answers:
        held = cls(store, run_id)
        for one in store.answers(run_id):
            for name in {one.case_id, one.name or one.case_id}:
                held.found.setdefault(name, []).append(one)
        return held

    def text(self, answer: Answer) -> str | None:
        for one in self.store.trial(self.run_id, answer.case_id):
            if (one.suite, one.target, one.index) == (answer.suite, answer.target, answer.trial):
                return one.output.text if one.output else None
        return None


def read_labels(
    path: Path, store: Store, run: str, defaults: Defaults, columns: Mapping[str, str]
) -> LabelFile:
    """The labels of a file about the answers of a run.

    ``columns`` maps fields to columns of the file. A row names its case by id or name, and says
    ``passed`` or ``rating``. Nothing is taken from a file with a wrong row: raises ``UsageError``
    with the place of each. Raises ``Undecided`` when the run has none of its cases.
    """
    _check_map(columns)
    run_id = store.resolve(run)
    answers = _Answers.of(store, run_id)
    named = {name: columns.get(name, name) for name in FIELDS}
    # of a file without times: as old as the file, so that reading it again changes nothing newer
    written = datetime.fromtimestamp(_modified(path), UTC)
    labels: list[Label] = []
    unknown: list[tuple[int, str]] = []
    problems: list[tuple[Position, str, str]] = []
    rows = 0
    for line, row in _rows(path):
        if isinstance(row, EvalkitError):
            where = row.where if isinstance(row.where, Position) else Position(path, line)
            problems.append((where, row.what, row.hint))
            continue
        if not any(one not in (None, "") for one in row.values()):
            continue
        rows += 1
        if rows == 1:
            _check_columns(path, line, row, named, columns)
        try:
            label = _label(row, named, defaults, answers, written)
        except _Bad as error:
            problems.append((_place(path, line, error.column, row), error.what, error.hint))
            continue
        if label is None:
            unknown.append((line, str(row.get(named["case"]))))
        else:
            labels.append(label)
    if problems:
        raise _refused(problems)
    if not rows:
        raise UsageError(
            "the file holds no label", where=shown_path(path), hint="a row needs case and passed"
        )
    if not labels:
        raise Undecided(
            f"the run {run_id} has none of the {rows:,} cases of the file",
            where=shown_path(path),
            hint="name the run they are from with --run; see: evalkit runs",
        )
    return LabelFile(labels=tuple(labels), unknown=tuple(unknown))


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise UsageError(
            (error.strerror or str(error)).lower(), where=path, hint="name a CSV or JSON Lines file"
        ) from error


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, JSON] | EvalkitError]]:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        for number, row in read_csv(str(path)):
            yield number, row if isinstance(row, EvalkitError) else _plain(row)
    elif name.endswith((".jsonl", ".ndjson", ".json")):
        yield from jsonl(str(path))
    else:
        raise UsageError(
            "labels are read from CSV and JSON Lines", where=path, hint="name it .csv or .jsonl"
        )


def _plain(row: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A row of a CSV file as it was before its formulas were disarmed."""
    return {
        name: as_written(value) if isinstance(value, str) else value for name, value in row.items()
    }


def _check_map(columns: Mapping[str, str]) -> None:
    for name in columns:
        if name not in FIELDS:
            raise UsageError(f"--column: unknown field {name!r}", hint=suggestion(name, FIELDS))


def _check_columns(
    path: Path,
    line: int,
    row: Mapping[str, JSON],
    named: Mapping[str, str],
    columns: Mapping[str, str],
) -> None:
    """Of a CSV file all rows have the columns of the first: what is not there is a mistake."""
    if not path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return
    for name, column in columns.items():
        if column not in row:
            raise UsageError(
                f"the file has no column {column!r} for {name}",
                where=Position(path, 1),
                hint=suggestion(column, row),
            )
    if named["case"] not in row:
        raise UsageError(
            "the file has no column 'case'",
            where=Position(path, 1),
            hint=f"say which it is: --column case=NAME; it has {', '.join(list(row)[:8])}",
        )
    if not {named["passed"], named["rating"]} & set(row):
        raise UsageError(
            "the file has neither a column 'passed' nor 'rating'",
            where=Position(path, 1),
            hint=f"say which it is: --column passed=NAME; it has {', '.join(list(row)[:8])}",
        )
    del line


def _label(
    row: Mapping[str, JSON],
    named: Mapping[str, str],
    defaults: Defaults,
    answers: _Answers,
    written: datetime,
) -> Label | None:
    """The label of a row; ``None`` for a case that the run has not."""

    def read(name: str, convert: Callable[[str, JSON], Any]) -> Any:
        value = row.get(named[name])
        return None if value is None or value == "" else convert(named[name], value)

    case = read("case", _text)
    if case is None:
        raise _Bad(named["case"], "the row names no case", "fill the column, or remove the row")
    passed, rating = read("passed", _flag), read("rating", _rating)
    if passed is None and rating is None:
        raise _Bad(
            named["passed"], "the row says neither passed nor rating", "fill one, or remove the row"
        )
    wanted = {
        "suite": read("suite", _text) or defaults.suite,
        "target": read("target", _text),
        "trial": read("trial", _whole),
    }
    answer = _chosen(
        [
            one
            for one in answers.found.get(case, ())
            if all(value is None or getattr(one, name) == value for name, value in wanted.items())
        ],
        read("output_hash", _text),
        read("output", _text),
        answers,
        named,
    )
    if answer is None:
        return None
    return Label(
        case_id=answer.case_id,
        name=read("question", _text) or defaults.question,
        author=read("author", _text) or defaults.author,
        labelled_at=read("labelled_at", _instant) or written,
        run_id=answers.run_id,
        suite=answer.suite,
        target=answer.target,
        trial=answer.trial,
        rating=rating,
        passed=passed,
        reason=read("reason", _text),
        blind=read("blind", _flag),
        source=LabelSource.IMPORT,
        selection=read("selection", _selection) or defaults.selection,
        output_hash=answer.output_hash,
    )


def _chosen(
    found: Sequence[Answer],
    output_hash: str | None,
    output: str | None,
    answers: _Answers,
    named: Mapping[str, str],
) -> Answer | None:
    """The one answer that a row is about; ``None`` when the run has it not."""
    if output_hash is not None:
        found = [one for one in found if one.output_hash == output_hash]
    if output is not None:
        found = [one for one in found if answers.text(one) == output]
    if len({(one.suite, one.output_hash) for one in found}) > 1:
        places = sorted({f"{one.target}, trial {one.trial}" for one in found})
        raise _Bad(
            named["case"],
            f"{len(places)} different answers of the run are to this case",
            f"add columns target and trial, or output: {'; '.join(places[:4])}",
        )
    return found[0] if found else None


def _text(column: str, value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _Bad(column, f"{column!r} must be text, not {_shown(value)}", "write it as text")


def _flag(column: str, value: JSON) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise _Bad(
        column, f"{column!r} must be yes or no, not {_shown(value)}", "yes, no, pass, fail, 1 or 0"
    )


def _rating(column: str, value: JSON) -> int:
    found = _whole(column, value)
    if not 1 <= found <= 5:
        raise _Bad(column, f"{column!r} must be 1 to 5, not {_shown(value)}", "1 is the worst")
    return found


def _whole(column: str, value: JSON) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = str(value).strip()
    if isinstance(value, str) and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise _Bad(column, f"{column!r} must be a whole number, not {_shown(value)}", "as 3")


def _instant(column: str, value: JSON) -> datetime:
    try:
        found = datetime.fromisoformat(str(value).strip())
    except ValueError as error:
        raise _Bad(
            column, f"{column!r} must be a time, not {_shown(value)}", "as 2026-11-21T09:30:00Z"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _selection(column: str, value: JSON) -> Selection:
    try:
        return Selection(str(value).strip().lower())
    except ValueError as error:
        raise _Bad(
            column,
            f"{column!r} must say how the answer was chosen, not {_shown(value)}",
            ", ".join(Selection),
        ) from error


def _shown(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _place(path: Path, line: int, column: str, row: Mapping[str, JSON]) -> Position:
    """Where in its line a value of a row begins, as well as one look at the line can tell."""
    if not line:
        return Position(path)
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            text = next((one for number, one in enumerate(file, 1) if number == line), "")
    except OSError:
        return Position(path, line)
    if path.name.lower().endswith((".csv", ".tsv")):
        mark = "\t" if path.name.lower().endswith(".tsv") else ","
        return Position(path, line, _nth_field(text, list(row).index(column), mark)
                        if column in row else 1)  # fmt: skip
    at = text.find(f'"{column}"')
    return Position(path, line, at + 1 if at >= 0 else 1)


def _nth_field(text: str, place: int, mark: str) -> int:
    quoted, passed = False, 0
    for index, character in enumerate(text):
        if passed == place:
            return index + 1
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            passed += 1
    return len(text.rstrip("\r\n")) + 1 if passed == place else 1


def _refused(problems: Sequence[tuple[Position, str, str]]) -> UsageError:
    where, what, hint = problems[0]
    lines = [hint] if hint else []
    lines += [f"also at {at}: {said}" for at, said, _ in problems[1:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN:,} more; nothing was taken in")
    return UsageError(what, where=where, hint="\n".join(lines))
