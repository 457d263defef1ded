"""What a user types for a run or a case, found among those that are stored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from evalkit.errors import UnknownName, UsageError
from evalkit.model import RunKind

_LATEST = re.compile(r"latest(?:~(\d+))?")


def run_named(
    rows: Sequence[Mapping[str, Any]], name: str, *, kind: RunKind | None, where: Path
) -> str:
    """The id that ``name`` means among rows of ``run_id`` and ``kind``, the newest first.

    ``latest`` counts runs of that kind; of any it counts evaluations, or all where there is none.
    """
    ids = [str(row["run_id"]) for row in rows]
    relative = _LATEST.fullmatch(name)
    if relative:
        of = RunKind.EVALUATION if kind is None else kind
        counted = [str(row["run_id"]) for row in rows if row["kind"] == of]
        ids = counted if counted or kind is not None else ids
        back = int(relative[1] or 0)
        if back < len(ids):
            return ids[back]
        what = "" if kind is None else f" of kind {kind}"
        raise UsageError(
            f"there is no run {name!r}: the store holds {len(ids)}{what}",
            where=where,
            hint="see: evalkit runs",
        )
    if name in ids:
        return name
    found = [one for one in ids if one.startswith(name)] or [one for one in ids if name in one]
    if len(found) == 1 and name:
        return found[0]
    if found and name:
        shown = ", ".join(found[:6]) + (" …" if len(found) > 6 else "")
        raise UsageError(
            f"{name!r} could be {len(found)} runs", where=where, hint=f"one of: {shown}"
        )
    error = UnknownName("run", name, [*ids, "latest"], where=where)
    near = get_close_matches(name, [*ids, "latest"], n=2, cutoff=0.6)
    newest = [one for one in ids if one not in near][: 4 - len(near)]
    told = [f"did you mean {' or '.join(map(repr, near))}?"] if near else []
    told += [f"the newest: {', '.join(newest)}"] if newest else []
    error.hint = "; ".join([*told, "all: evalkit runs"]) if ids else "none is stored: evalkit run"
    raise error


def case_named(rows: Sequence[Mapping[str, Any]], case: str) -> str:
    """The id that a name, an id or a part of one means among rows of ids and names."""
    names = {row["case_id"]: row["case_name"] or "" for row in rows}
    exact = [key for key, name in names.items() if case in {key, name}]
    found = (
        exact
        or [key for key, name in names.items() if key.startswith(case) or name.startswith(case)]
        or [key for key, name in names.items() if case in name or case in key]
    )
    if len(found) == 1 and case:
        return str(found[0])
    if found and case:
        shown = ", ".join(names[one] or one for one in found[:6])
        if len({names[one] for one in found}) < len(found):
            shown = ", ".join(found[:6])
        more = " …" if len(found) > 6 else ""
        raise UsageError(f"{case!r} could be {len(found)} cases", hint=f"one of: {shown}{more}")
    raise UnknownName("case", case, [name or key for key, name in names.items()])
