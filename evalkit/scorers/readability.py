"""How hard the output is to read, by a classic formula of word and sentence lengths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer

Formula: TypeAlias = Literal["ari", "coleman_liau", "lix", "flesch_kincaid", "gunning_fog"]
LONGEST = 1_000_000
"""Characters that are counted; a longer text is unscored."""
_FEWEST = 20
_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_END = re.compile(r"[.!?…:]+(?=\s|$)|\n\s*\n|\n(?=\s*(?:[-*•]|\d+[.)])\s)")
_SILENT = re.compile(
    r"(?<![aeiouy])(?:(?<!l)e|(?<=[aeiouy]l)e|(?<![td])ed|(?<![sxzcgl])es|(?<=[aeiouy]l)es)$"
)
_VOWELS = re.compile(r"[aeiouy]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def _prepare(options: Mapping[str, Any]) -> str:
    low, high = options["min"], options["max"]
    if low is not None and high is not None and low > high:
        raise ValueError(f"min {low:g} is above max {high:g}")
    return ""


@scorer(
    metrics=(mean,),
    range=(float("-inf"), float("inf")),
    direction="lower",
    prepare=_prepare,
    usage="readability: {formula: lix, max: 45}",
    card=ScorerCard(
        family="style",
        blind=(
            "meaning, order and clarity: it counts letters, words and sentences",
            "syllables: flesch_kincaid and gunning_fog count them by spelling, for English alone",
            "lists and tables, whose items count as sentences",
        ),
    ),
)
def readability(
    case: Case,
    output: Output,
    *,
    formula: Formula = "ari",
    min: float | None = None,
    max: float | None = None,
) -> Score:
    """How hard the output is to read, by a classic formula of word and sentence lengths.

    ``ari`` (Senter and Smith 1967) and ``coleman_liau`` (1975) give a school grade of English;
    ``flesch_kincaid`` (1975) and ``gunning_fog`` (Gunning 1952) do so by syllables, counted by
    spelling. ``lix`` (Björnsson 1968) works for languages with spaces: 25 is easy, 55 hard. Lower
    is easier; Flesch's reading ease says the same as Flesch-Kincaid the other way round.
    With ``min`` or ``max`` it also decides. Unscored below 20 words, above a million characters,
    and for scripts written without spaces.
    """
    text = output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to count: {len(text):,} characters")
    if len(_UNSPACED.findall(text)) > len(text) / 10:
        raise Unscorable("the text is written without spaces: its words cannot be counted")
    words = _WORD.findall(text)
    if len(words) < _FEWEST:
        raise Unscorable(f"{len(words)} words are too few; {_FEWEST} are needed")
    sentences = sum(1 for one in _END.split(text) if _WORD.search(one))
    letters = sum(sum(map(str.isalnum, one)) for one in words)
    value = _value(formula, letters, words, sentences)
    if min is None and max is None:
        return Score(value=value)
    inside = (min is None or value >= min) and (max is None or value <= max)
    return Score(value=value, passed=inside, reason=None if inside else f"{formula} {value:.1f}")


def _syllables(word: str) -> int:
    """The syllables of an English word by its spelling: groups of vowels, silent endings left out.

    A silent e goes, also before s and d, unless it is heard (tables, wanted, boxes).
    """
    plain = "".join(filter(str.isalpha, word.lower())).removesuffix("'s")
    if len(plain) <= 3:
        return 1
    stem = _SILENT.sub("", plain)
    return max(1, len(_VOWELS.findall(stem)))


def _value(formula: Formula, letters: int, words: list[str], sentences: int) -> float:
    count = len(words)
    if formula == "ari":
        return 4.71 * letters / count + 0.5 * count / sentences - 21.43
    if formula == "coleman_liau":
        return 0.0588 * (100 * letters / count) - 0.296 * (100 * sentences / count) - 15.8
    if formula == "flesch_kincaid":
        return 0.39 * count / sentences + 11.8 * sum(map(_syllables, words)) / count - 15.59
    if formula == "gunning_fog":
        hard = sum(_syllables(one) > 2 for one in words)
        return 0.4 * (count / sentences + 100 * hard / count)
    long = sum(sum(map(str.isalnum, one)) > 6 for one in words)
    return count / sentences + 100 * long / count
