"""Whether a regular expression is found in the output, or is not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Output, Score, rate
from evalkit.registry import scorer

if TYPE_CHECKING:
    import regex as engine

TIMEOUT_S = 1.0
MAX_REPEATS = 100_000
"""Counted repeats are unrolled by the engine: ``((a{1000}){1000}){1000}`` would fill the memory."""

_COUNTED = re.compile(r"\{(\d*)(?:,(\d*))?\}")


@lru_cache(maxsize=256)
def _compiled(pattern: str, flags: str) -> engine.Pattern[str]:
    import regex as package  # the installed package: imports are absolute, this file is a scorer

    counts = [max(int(one or 0) for one in found) for found in _COUNTED.findall(pattern)]
    if math.prod(one for one in counts if one > 1) > MAX_REPEATS:
        raise ValueError(f"the pattern's counted repeats multiply to more than {MAX_REPEATS:,}")
    wanted = 0
    for letter in flags:
        wanted |= getattr(package, letter.upper())
    try:
        compiled: engine.Pattern[str] = package.compile(pattern, wanted)
    except package.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise ValueError(f"the pattern is no regular expression: {error.msg}{at}") from None
    return compiled


def _prepare(options: Mapping[str, Any]) -> str:
    flags = options["flags"]
    unknown = sorted(set(flags) - set("imsx"))
    if unknown:
        raise ValueError(f"flags are letters of 'imsx', not {''.join(unknown)!r}")
    _compiled(options["pattern"], flags)
    return ""


@scorer(
    metrics=(rate,),
    prepare=_prepare,
    usage="regex: {pattern: '^(yes|no)$', flags: i}",
    card=ScorerCard(
        family="match",
        blind=("meaning: only the pattern is looked for",),
    ),
)
def regex(
    case: Case,
    output: Output,
    *,
    pattern: str,
    flags: str = "",
    match: Literal["must", "must_not"] = "must",
    where: Literal["anywhere", "whole"] = "anywhere",
) -> Score:
    """Whether a regular expression is found in the output, or is not.

    ``flags`` are letters: ``i`` ignore case, ``m`` ^ and $ at every line, ``s`` dot matches line
    ends, ``x`` verbose. ``where: whole`` needs the pattern to cover the whole output. A search that
    takes longer than a second is unscored: no pattern can hang a run.
    """
    compiled = _compiled(pattern, flags)
    find = compiled.fullmatch if where == "whole" else compiled.search
    try:
        found = find(output.text, timeout=TIMEOUT_S, concurrent=True)
    except TimeoutError:
        raise Unscorable(
            f"the pattern took longer than {TIMEOUT_S:g} s on {len(output.text):,} characters"
        ) from None
    good = (found is not None) == (match == "must")
    evidence: tuple[Evidence, ...] = ()
    if found is not None:
        start, end = found.span()
        evidence = (
            Evidence(source="output", start=start, end=end, text=output.text[start:end][:200]),
        )
    reason = None if good else ("not found" if match == "must" else "found, and must not be")
    return Score(value=float(good), passed=good, reason=reason, evidence=evidence)
