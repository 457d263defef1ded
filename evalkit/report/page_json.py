"""A report as JSON, and back: what was stored once is rendered any time, anywhere."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from evalkit.errors import UsageError
from evalkit.gate.result import Attacks, Fairness
from evalkit.report.page import FORMAT, ReportView

_IN_RUNS = {"Attacks": Attacks, "Fairness": Fairness}
"""What the view of a run imports for its annotations alone."""
_AGAIN = "write it anew: evalkit report --json > FILE"


def report_json(view: ReportView) -> str:
    """The whole view; lone surrogates are written as escapes."""
    return json.dumps(dataclasses.asdict(view), indent=1, default=str) + "\n"


def read_report(path: Path) -> ReportView:
    """The view in a file that ``report_json`` wrote; raises ``UsageError`` for anything else."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError("the file does not exist", where=str(path), hint=_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise UsageError("this is no JSON", where=str(path), hint=_AGAIN) from error
    if not isinstance(value, dict) or value.get("kind") != "report":
        raise UsageError("this is no report of evalkit", where=str(path), hint=_AGAIN)
    if value.get("format") != FORMAT:
        raise UsageError(
            f"the report has format {value.get('format')!r}, and this evalkit reads {FORMAT}",
            where=str(path),
            hint=f"use the evalkit that wrote it, or {_AGAIN}",
        )
    try:
        view: ReportView = _read(ReportView, value, "report")
    except _Damaged as error:
        raise UsageError(f"the report is damaged: {error}", where=str(path), hint=_AGAIN) from error
    return view


class _Damaged(ValueError):
    """A value is not what the view has in that place."""


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, localns=_IN_RUNS)


def _read(kind: Any, value: Any, place: str) -> Any:
    """The value as the type says, built up from what JSON has; raises ``_Damaged``."""
    if kind is Any or isinstance(kind, typing.ForwardRef | str):
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast("type", kind), value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _either(arguments, value, place)
    if origin is typing.Literal:
        if value not in arguments:
            raise _Damaged(f"{place} is {value!r}")
        return value
    if origin in {tuple, Sequence, list}:
        if not isinstance(value, list):
            raise _Damaged(f"{place} is no list")
        if origin is tuple and arguments[-1] is not ...:
            pairs = zip(arguments, value, strict=False)
            return tuple(_read(one, item, place) for one, item in pairs)
        found = (_read(arguments[0], item, f"{place}[{at}]") for at, item in enumerate(value))
        return list(found) if origin is list else tuple(found)
    if origin in {Mapping, dict}:
        if not isinstance(value, dict):
            raise _Damaged(f"{place} is no object")
        return {key: _read(arguments[1], one, f"{place}.{key}") for key, one in value.items()}
    return _plain(kind, value, place)


def _dataclass(kind: type, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise _Damaged(f"{place} is no object")
    hints = _hints(kind)
    names = {one.name for one in dataclasses.fields(kind)}
    try:
        return kind(
            **{
                name: _read(hints[name], one, f"{place}.{name}")
                for name, one in value.items()
                if name in names
            }
        )
    except TypeError as error:
        raise _Damaged(f"{place} is not whole") from error


def _either(kinds: Sequence[Any], value: Any, place: str) -> Any:
    """The first type that fits; of plain ones the value's own."""
    if value is None and type(None) in kinds:
        return None
    if type(value) in kinds:
        return value
    failure: _Damaged | None = None
    for one in kinds:
        if one is not type(None):
            try:
                return _read(one, value, place)
            except _Damaged as error:
                failure = error
    raise failure or _Damaged(f"{place} is {value!r}")


def _plain(kind: Any, value: Any, place: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise _Damaged(f"{place} is {value!r}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise _Damaged(f"{place} is no {kind.__name__}")
    return value
