"""Columns of a row become the parts of a case: the column map, declared types, and the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from evalkit.config.spec import DatasetSpec
from evalkit.datasets._parts import FILL, Fill, Part, Parts
from evalkit.datasets._rows import BadValue, shown
from evalkit.datasets._types import CONVERT, Convert
from evalkit.errors import DatasetError, suggestion
from evalkit.model import JSON

_WHOLE = {
    "id": Part.ID,
    "expected": Part.EXPECTED,
    "context": Part.CONTEXT,
    "tags": Part.TAGS,
    "metadata": Part.METADATA,
    "inputs": Part.INPUTS,
    "turns": Part.TURNS,
}
_UNDER = {"inputs": Part.INPUT, "tags": Part.TAG, "metadata": Part.METADATUM}
_FIELDS = (*_WHOLE, *(f"{one}.<name>" for one in _UNDER))

_MAX_COLUMNS = 2_000


@dataclass(slots=True)
class Missing:
    """A mapped column that rows lack: the first of them, how many, the nearest column it has."""

    row: int
    line: int
    hint: str
    rows: int = 0


_Role: TypeAlias = "tuple[Fill, str, Convert | None]"


@dataclass(frozen=True, slots=True)
class _Mapped:
    """One entry of the column map."""

    field: str
    part: Part
    name: str
    column: str


def _field(name: str, spec: DatasetSpec) -> tuple[Part, str]:
    if name in _WHOLE:
        return _WHOLE[name], ""
    head, dot, rest = name.partition(".")
    if dot and rest and head in _UNDER:
        return _UNDER[head], rest
    if dot and head in _WHOLE:
        raise DatasetError(
            f"columns: {name!r} does not exist, {head!r} is one value",
            where=spec.position,
            hint=f"map {head!r} to the column",
        )
    near = suggestion(head, _WHOLE)
    raise DatasetError(
        f"columns: unknown field {name!r}",
        where=spec.position,
        hint=near if near.startswith("did") else f"fields: {', '.join(_FIELDS)}",
    )


class Mapper:
    """Turns rows into ``Parts`` as one ``DatasetSpec`` says.

    A mapped field takes its column; the fields ``id``, ``expected``, ``context``, ``tags``,
    ``metadata``, ``turns`` and columns such as ``tags.lang`` take the column of their own name when
    they are not mapped; every other column is an input variable, unless the map names inputs.
    Raises ``DatasetError`` for an unknown field or type in the map.
    """

    def __init__(self, spec: DatasetSpec):
        for column, kind in spec.types.items():
            if kind not in CONVERT:
                raise DatasetError(
                    f"types: unknown type {kind!r} of column {column!r}",
                    where=spec.position,
                    hint=suggestion(kind, CONVERT),
                )
        self._types = {column: CONVERT[kind] for column, kind in spec.types.items()}
        self._mapped = [
            _Mapped(name, *_field(name, spec), column) for name, column in spec.columns.items()
        ]
        self._fields = {one.field for one in self._mapped}
        # A column that is mapped in part, as answers in answers.text, is no input either: it would
        # put the expected answer before the prompt.
        self._used = {
            ".".join(one.column.split(".")[:depth])
            for one in self._mapped
            for depth in range(1, one.column.count(".") + 2)
        }
        self._open_inputs = not any(one.part in {Part.INPUT, Part.INPUTS} for one in self._mapped)
        self._roles: dict[str, _Role | None] = {}
        self.rows = 0
        """How many rows the map was applied to."""
        self.missing: dict[str, Missing] = {}
        """Mapped columns that rows lack."""
        self._untyped = set(self._types) - {one.column for one in self._mapped}

    def unused_types(self) -> list[str]:
        """Declared types whose column no row had."""
        return sorted(self._untyped)

    def columns(self) -> list[str]:
        """The columns met, in order; at most 2,000."""
        return list(self._roles)

    def fills(self, column: str, part: Part) -> bool:
        """Whether the map gives this column to that part of a case."""
        return any(one.column == column and one.part is part for one in self._mapped)

    def parts(self, row: Mapping[str, JSON], number: int, line: int) -> Parts:
        """The parts of one row; raises ``BadValue``."""
        found = Parts()
        roles = self._roles
        for column, value in row.items():
            try:
                role = roles[column]
            except KeyError:
                role = self._classify(column)
            if role is None:
                continue
            fill, name, convert = role
            fill(found, name, column, value if convert is None else self._converted(column, value))
        self.rows += 1
        lacks: BadValue | None = None
        for one in self._mapped:
            mapped = _lookup(row, one.column)
            if mapped is _ABSENT:
                hint = self._miss(one.column, row, number, line)
                if one.part in {Part.INPUT, Part.INPUTS} and lacks is None:
                    lacks = BadValue(f"there is no column {one.column!r} in the row", hint)
                continue
            if one.column in self._types:
                mapped = self._converted(one.column, mapped)
            FILL[one.part](found, one.name, one.column, mapped)
        if lacks is not None and not found.turns:
            raise lacks
        return found

    def _converted(self, column: str, value: JSON) -> JSON:
        try:
            return self._types[column](value)
        except ValueError as error:
            raise BadValue(
                f"column {column!r} must be {error}, not {shown(value)}",
                f"correct the value, or declare types: {{{column}: text}}",
            ) from None

    def _miss(self, column: str, row: Mapping[str, JSON], number: int, line: int) -> str:
        missing = self.missing.get(column)
        if missing is None:
            hint = suggestion(column, _paths(row))
            missing = self.missing[column] = Missing(row=number, line=line, hint=hint)
        missing.rows += 1
        return missing.hint

    def _classify(self, column: str) -> _Role | None:
        role = self._role_of(column)
        self._untyped.discard(column)
        if len(self._roles) < _MAX_COLUMNS:
            self._roles[column] = role
        return role

    def _role_of(self, column: str) -> _Role | None:
        if column in self._fields or column in self._used:
            return None
        head, dot, rest = column.partition(".")
        if column in _WHOLE and column != "inputs":
            part, name = _WHOLE[column], ""
        elif dot and rest and head in {"tags", "metadata"}:
            part, name = _UNDER[head], rest
        elif not self._open_inputs:
            return None
        else:
            part, name = Part.INPUT, rest if dot and rest and head == "inputs" else column
        return FILL[part], name, self._types.get(column)


class _Absent(Enum):
    ABSENT = auto()


_ABSENT = _Absent.ABSENT


def _lookup(value: JSON | Mapping[str, JSON], path: str) -> JSON | _Absent:
    """The value of a column, or of ``a.b`` inside a nested one; a list gives a list."""
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        head, dot, rest = path.partition(".")
        while dot:
            if head in value:
                return _lookup(value[head], rest)
            more, dot, rest = rest.partition(".")
            head = f"{head}.{more}"
        return _ABSENT
    if isinstance(value, list):
        found = [_lookup(one, path) for one in value]
        kept = [one for one in found if one is not _ABSENT]
        return kept if len(kept) == len(found) else _ABSENT
    return None if value is None else _ABSENT


def _paths(row: Mapping[str, JSON]) -> list[str]:
    paths = list(row)
    for column, value in row.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict):
            paths.extend(f"{column}.{one}" for one in inner)
    return paths
