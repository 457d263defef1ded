"""How a sentence speaks: negation, opposites, hedges, praise, quotes, talk about the sources."""

from __future__ import annotations

import re
from itertools import pairwise

from evalkit.scorers._grounding_sentence import Sentence
from evalkit.scorers._grounding_source import COMMON, without_prefix
from evalkit.scorers._grounding_text import (
    ANTONYMS,
    FRAMES,
    HEDGES,
    NEGATIONS,
    OPENERS,
    PRAISE,
    STOP,
    Token,
    stem,
    tokens,
)

_CAUSE = re.compile(
    r"\b(?:because|due to|therefore|as a result|leading to|thus|in order to|which)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{3,200})[\"”]")
_DENIES = re.compile(
    r"\b(?:unable to (?:answer|provide|determine)|(?:does|do|did) not (?:\w+ ){0,3}?"
    r"(?:mention|provide|contain|specify|include|state|answer)|not (?:mentioned|provided|specified)"
    r"|no (?:specific )?(?:information|mention)|cannot (?:be )?(?:answer|determine))",
    re.IGNORECASE,
)


def tone(this: Sentence) -> None:
    """Hedges, praise, and talk about the sources themselves."""
    norms = [one.norm for one in this.words]
    n = max(1, len(norms))
    this.set("hedges", sum(one in HEDGES for one in norms))
    this.set("praise", sum(one in PRAISE for one in norms) / n)
    this.set("frames", sum(one in FRAMES for one in norms) / n)
    this.set("opener", float(bool(norms) and norms[0] in OPENERS))
    this.set("denies", float(_DENIES.search(this.text) is not None))
    this.set("because", len(_CAUSE.findall(this.text)))
    quotes = 0
    for match in _QUOTED.finditer(this.text):
        pairs = list(pairwise(one.stem for one in tokens(match.group(1))))
        if pairs and sum(one in this.source.pairs for one in pairs) < 0.6 * len(pairs):
            quotes += 1
            start, end = match.span(1)
            this.doubt("quote", this.start + start, this.start + end)
    this.set("quote_new", quotes)


def contrast(this: Sentence) -> None:
    """Negation and opposites against the nearest units."""
    negations = [at for at, one in enumerate(this.words) if one.norm in NEGATIONS]
    this.set("negated", float(bool(negations)))
    units = [this.source.units[at] for at in (this.unit, this.second) if at is not None]
    if not units:
        return
    here = any(one.negated for one in units)
    if this.coverage > 0.4:
        this.set("negation_differs", float(bool(negations) and not here))
        this.set("negation_lost", float(not negations and units[0].negated))
    alone = sum(_only_here(this, at) for at in negations)
    this.set("negation_new", alone)
    mine = {one.stem for one in this.words}
    near = frozenset().union(*(one.stems for one in units))
    close = far = 0
    for one in this.words:
        others = [stem(other) for other in ANTONYMS.get(one.norm, ()) if stem(other) not in mine]
        if one.stem not in near and any(other in near for other in others):
            close += 1
            if one.norm not in STOP:
                this.doubt("opposite", one.start, one.end)
        elif one.stem in this.new and (
            any(other in this.source.where for other in others) or _unmade(this, one)
        ):
            far += 1
    this.set("opposite_near", close)
    this.set("opposite_far", far)


def _only_here(this: Sentence, at: int) -> bool:
    """Whether the word a negation turns around is nowhere negated in the context."""
    after = [one for one in this.words[at + 1 : at + 4] if one.norm not in STOP]
    if not after:
        return False
    here = this.source.where.get(after[0].stem)
    if not here or len(here) > COMMON:
        return False
    if any(this.source.units[unit].negated for unit in here):
        return False
    this.doubt("negation", this.words[at].start, after[0].end)
    return True


def _unmade(this: Sentence, one: Token) -> bool:
    """Whether a word and one of the context differ by a prefix that says no."""
    if len(one.norm) <= 3:
        return False
    if one.stem in this.source.unmade:
        return True
    return any(stem(rest) in this.source.where for rest in without_prefix(one.norm))
