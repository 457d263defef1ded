"""Which case of a run is meant by a name, an id, or a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalkit.errors import UnknownName, UsageError


def case_named(rows: Sequence[dict[str, Any]], case: str) -> str:
    """The id of the one case with this name or id, or with it in one of them.

    Raises ``UnknownName``, or ``UsageError`` with the candidates.
    """
    names = {row["case_id"]: row["case_name"] or "" for row in rows}
    exact = [key for key, name in names.items() if case in {key, name}]
    found = (
        exact
        or [key for key, name in names.items() if key.startswith(case) or name.startswith(case)]
        or [key for key, name in names.items() if case in name or case in key]
    )
    if len(found) == 1:
        return str(found[0])
    if found and case:
        shown = ", ".join(names[one] or one for one in found[:6])
        if len({names[one] for one in found}) < len(found):
            shown = ", ".join(found[:6])
        more = " …" if len(found) > 6 else ""
        raise UsageError(f"{case!r} could be {len(found)} cases", hint=f"one of: {shown}{more}")
    raise UnknownName("case", case, [name or key for key, name in names.items()])
