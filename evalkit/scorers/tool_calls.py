"""How many of the expected tool calls were made, with the arguments they should have."""

from __future__ import annotations

from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean, rate
from evalkit.registry import scorer
from evalkit.scorers._tools import MOST, Arguments, Wanted, mismatch, tools_card, wanted_calls


@scorer(
    metrics=(mean, rate),
    usage="tool_calls: {arguments: subset, ordered: true, extra: false}",
    card=tools_card("whether a call did what it should: only names and arguments are compared"),
)
def tool_calls(
    case: Case,
    output: Output,
    *,
    field: str = "tool_calls",
    arguments: Arguments = "exact",
    ordered: bool = False,
    extra: bool = True,
) -> Score:
    """How many of the expected tool calls were made, with the arguments they should have.

    The value is the share of the expected calls that were made, each matched with a call of its
    own; it passed when all were. Expected are the case's metadata under ``field`` or its expected
    value: names, or ``{name: ..., arguments: {...}}``; none means that no call should be made.
    ``arguments``: exact, subset (other keys are allowed), ignore. ``ordered``: in that order.
    ``extra: false``: no other calls. The reason says what is missing or differs.
    """
    wanted = wanted_calls(case, field)
    calls = output.tool_calls
    if len(calls) > MOST:
        raise Unscorable(f"more than {MOST} calls to compare")
    fits: list[list[bool]] = []
    close: list[str] = []
    for one in wanted:
        said = [mismatch(call, one, arguments) for call in calls]
        fits.append([each is None for each in said])
        close.append(next((each for each in said if each), ""))
    pairs = _in_order(fits, len(calls)) if ordered else _pairs(fits, len(calls))
    missing = [at for at in range(len(wanted)) if at not in pairs]
    surplus = len(calls) - len(pairs)
    value = len(pairs) / len(wanted) if wanted else float(not calls)
    wrong = [close[at] or f"no call of {_shown(wanted[at])}" for at in missing]
    if ordered and missing and all(any(fits[at]) for at in missing):
        wrong = ["called in another order than expected"]
    if surplus and (not extra or not wanted):
        names = sorted({one.name for at, one in enumerate(calls) if at not in pairs.values()})
        wrong.append(f"{surplus} calls too many: {', '.join(names)[:100]}")
    return Score(value=value, passed=not wrong, reason="; ".join(wrong)[:300] or None)


def _shown(one: Wanted) -> str:
    return one.name[:60]


def _pairs(fits: list[list[bool]], calls: int) -> dict[int, int]:
    """The most expected calls that can each have a call of their own (Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(want: int, seen: set[int]) -> bool:
        for call in range(calls):
            if fits[want][call] and call not in seen:
                seen.add(call)
                if call not in taken or place(taken[call], seen):
                    taken[call] = want
                    return True
        return False

    for want in range(len(fits)):
        place(want, set())
    return {want: call for call, want in taken.items()}


def _in_order(fits: list[list[bool]], calls: int) -> dict[int, int]:
    """The most of them whose calls stand in the expected order: a longest common subsequence."""
    best = [[0] * (calls + 1) for _ in range(len(fits) + 1)]
    for i in range(len(fits) - 1, -1, -1):
        for j in range(calls - 1, -1, -1):
            here = best[i + 1][j + 1] + 1 if fits[i][j] else 0
            best[i][j] = max(here, best[i + 1][j], best[i][j + 1])
    found, i, j = {}, 0, 0
    while i < len(fits) and j < calls:
        if fits[i][j] and best[i][j] == best[i + 1][j + 1] + 1:
            found[i] = j
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return found
