"""Columns of a row become the parts of a case: the column map, declared types, and the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from evalkit.config.spec import DatasetSpec
from evalkit.datasets._rows import shown
from evalkit.datasets._types import CONVERT, Convert
from evalkit.errors import DatasetError, suggestion
from evalkit.model import JSON


class Part(Enum):
    """A part of a case that a column can fill."""

    ID = auto()
    EXPECTED = auto()
    CONTEXT = auto()
    TAGS = auto()
    METADATA = auto()
    INPUTS = auto()
    INPUT = auto()
    TAG = auto()
    METADATUM = auto()


_WHOLE = {
    "id": Part.ID,
    "expected": Part.EXPECTED,
    "context": Part.CONTEXT,
    "tags": Part.TAGS,
    "metadata": Part.METADATA,
    "inputs": Part.INPUTS,
}
_UNDER = {"inputs": Part.INPUT, "tags": Part.TAG, "metadata": Part.METADATUM}
_FIELDS = (*_WHOLE, *(f"{one}.<name>" for one in _UNDER))

_MAX_COLUMNS = 2_000


class BadValue(ValueError):
    """A value that cannot fill its part: what is wrong, and what to do."""

    def __init__(self, what: str, hint: str):
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(slots=True)
class Parts:
    """What one row says of a case, before it has an identity."""

    inputs: dict[str, JSON] = field(default_factory=dict)
    expected: JSON = None
    context: Sequence[str] = ()
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, JSON] = field(default_factory=dict)
    name: str | None = None
    empty_expected: bool = False


@dataclass(slots=True)
class Missing:
    """A mapped column that rows lack: the first of them, how many, the nearest column it has."""

    row: int
    line: int
    hint: str
    rows: int = 0


_Role: TypeAlias = "tuple[Part, str, Convert | None]"


@dataclass(frozen=True, slots=True)
class _Mapped:
    """One entry of the column map."""

    field: str
    part: Part
    name: str
    column: str
    convert: Convert | None


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
    ``metadata`` and columns such as ``tags.lang`` take the column of their own name when they are
    not mapped; every other column is an input variable, unless the map names inputs.
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
        self._kinds = spec.types
        self._mapped = [
            _Mapped(name, *_field(name, spec), column, self._types.get(column))
            for name, column in spec.columns.items()
        ]
        self._fields = {one.field for one in self._mapped}
        self._sources = {one.column for one in self._mapped}
        self._open_inputs = not any(one.part in {Part.INPUT, Part.INPUTS} for one in self._mapped)
        self._roles: dict[str, _Role | None] = {}
        self.rows = 0
        """How many rows the map was applied to."""
        self.missing: dict[str, Missing] = {}
        """Mapped columns that rows lack."""
        self.columns: dict[str, None] = {}
        """Every column met, in order."""

    def unused_types(self) -> list[str]:
        """Declared types whose column no row had."""
        return [one for one in self._types if one not in self.columns and one not in self._sources]

    def parts_of(self, column: str) -> set[Part]:
        """The parts of a case that this column is mapped to."""
        return {one.part for one in self._mapped if one.column == column}

    def parts(self, row: Mapping[str, JSON], number: int, line: int) -> Parts:
        """The parts of one row; raises ``BadValue``."""
        found = Parts()
        roles = self._roles
        for column, value in row.items():
            try:
                role = roles[column]
            except KeyError:
                role = self._classify(column)
            if role is not None:
                part, name, convert = role
                if convert is not None:
                    value = self._converted(column, value, convert)  # noqa: PLW2901 (the typed value)
                if part is Part.INPUT:
                    found.inputs[name] = value
                else:
                    _fill(found, part, name, column, value)
        self.rows += 1
        for one in self._mapped:
            mapped = _lookup(row, one.column)
            if mapped is _ABSENT:
                self._miss(one.column, row, number, line)
                continue
            if one.convert is not None:
                mapped = self._converted(one.column, mapped, one.convert)
            _fill(found, one.part, one.name, one.column, mapped)
        return found

    def _converted(self, column: str, value: JSON, convert: Convert) -> JSON:
        try:
            return convert(value)
        except ValueError as error:
            raise BadValue(
                f"column {column!r} must be {error}, not {shown(value)}",
                f"correct the value, or declare types: {{{column}: text}}",
            ) from None

    def _miss(self, column: str, row: Mapping[str, JSON], number: int, line: int) -> None:
        if column not in self.missing:
            hint = suggestion(column, _paths(row))
            self.missing[column] = Missing(row=number, line=line, hint=hint)
        self.missing[column].rows += 1

    def _classify(self, column: str) -> _Role | None:
        role = self._role_of(column)
        if len(self._roles) < _MAX_COLUMNS:
            self._roles[column] = role
            self.columns[column] = None
        return role

    def _role_of(self, column: str) -> _Role | None:
        convert = self._types.get(column)
        head, dot, rest = column.partition(".")
        if column in self._fields or column in self._sources:
            return None
        if column in _WHOLE and column != "inputs":
            return _WHOLE[column], "", convert
        if dot and rest and head in {"tags", "metadata"}:
            return _UNDER[head], rest, convert
        if not self._open_inputs:
            return None
        if dot and rest and head == "inputs":
            return Part.INPUT, rest, convert
        return Part.INPUT, column, convert


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


def _fill(found: Parts, part: Part, name: str, column: str, value: JSON) -> None:
    if part is Part.INPUT:
        found.inputs[name] = value
    elif part is Part.EXPECTED:
        found.expected, found.empty_expected = _expected(value)
    elif part is Part.CONTEXT:
        found.context = _context(value, column)
    elif part is Part.ID:
        found.name = _name(value, column)
    elif part is Part.TAGS:
        found.tags.update(_tags(value, column))
    elif part is Part.TAG:
        text = _tag(value, column)
        if text is not None:
            found.tags[name] = text
    elif part is Part.METADATUM:
        found.metadata[name] = _metadatum(value, column)
    elif value is None:
        return
    elif not isinstance(value, dict):
        which = "metadata" if part is Part.METADATA else "inputs"
        raise BadValue(
            f"column {column!r} must be an object of {which}, not {shown(value)}",
            f"map {which}.<name> to a column, or declare types: {{{column}: json}}",
        )
    elif part is Part.METADATA:
        found.metadata.update(value)
    else:
        found.inputs.update(value)


def _metadatum(value: JSON, column: str) -> JSON:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue(f"column {column!r}: {value} is not JSON", "write null for no value")
    if isinstance(value, bytes):
        raise BadValue(f"column {column!r} holds bytes that are not text", "leave the column out")
    return value


def _expected(value: JSON) -> tuple[JSON, bool]:
    if isinstance(value, str) and not value.strip():
        return None, True
    if isinstance(value, list):
        if not value:
            return None, True
        return value, any(isinstance(one, str) and not one.strip() for one in value)
    return value, False


def _context(value: JSON, column: str) -> Sequence[str]:
    if isinstance(value, str):
        return (value,) if value else ()
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [str(one) for one in value]
    raise BadValue(
        f"column {column!r} must be a text or a list of texts, not {shown(value)}",
        f"map context to the text inside, such as '{column}.text'"
        if isinstance(value, list | dict)
        else f"declare types: {{{column}: text}}",
    )


def _name(value: JSON, column: str) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadValue(
        f"column {column!r} names the case and must be a text, not {shown(value)}",
        "write the id as a text",
    )


def _tag(value: JSON, column: str) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    raise BadValue(
        f"column {column!r}: a tag must be a text, not {shown(value)}",
        "keep lists and objects in metadata",
    )


def _tags(value: JSON, column: str) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict):
        texts = {key: _tag(one, f"{column}.{key}") for key, one in value.items()}
        return {key: one for key, one in texts.items() if one is not None}
    words: Sequence[JSON] = value.split(",") if isinstance(value, str) else ()
    if isinstance(value, list):
        words = value
    elif not isinstance(value, str):
        raise BadValue(
            f"column {column!r} must be tags, not {shown(value)}",
            'write {"lang": "es"}, or a list such as ["lang:es", "urgent"]',
        )
    found = {}
    for one in words:
        if not isinstance(one, str):
            raise BadValue(
                f"column {column!r}: a tag must be a text, not {shown(one)}",
                'write {"lang": "es"}, or a list such as ["lang:es", "urgent"]',
            )
        key, colon, text = one.strip().partition(":")
        if key.strip():
            found[key.strip()] = text.strip() if colon else "yes"
    return found
