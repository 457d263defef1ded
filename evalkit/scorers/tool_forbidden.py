"""Whether the output calls none of the tools that must not be called."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._tools import tools_card


def _prepare(options: Mapping[str, Any]) -> str:
    if not options["names"] or "" in options["names"]:
        raise ValueError("names are the tools that must not be called, at least one")
    return ""


@scorer(
    metrics=(rate,),
    prepare=_prepare,
    usage="tool_forbidden: {names: [delete_account, 'admin_*']}",
    card=tools_card("what a permitted tool does with its arguments"),
)
def tool_forbidden(case: Case, output: Output, *, names: tuple[str, ...]) -> Score:
    """Whether the output calls none of the tools that must not be called.

    ``names`` may hold ``*`` and ``?``, as in ``admin_*``; case counts. The value is 1 when no
    forbidden tool is called, else 0, and the reason says which was.
    """
    called = [
        one.name
        for one in output.tool_calls
        if any(fnmatchcase(one.name, pattern) for pattern in names)
    ]
    reason = f"calls {', '.join(dict.fromkeys(called))}"[:300] if called else None
    return Score(value=float(not called), passed=not called, reason=reason)
