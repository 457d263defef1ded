"""Words, their order and their nearest place: how much of a sentence the context holds."""

from __future__ import annotations

from itertools import pairwise

from evalkit.scorers._grounding_numbers import WORDS
from evalkit.scorers._grounding_sentence import Sentence
from evalkit.scorers._grounding_source import COMMON, Source
from evalkit.scorers._grounding_text import PRAISE, STOP, Token

_COUNTED = WORDS.keys() | {"am", "pm"}
_ENDINGS = ("ing", "ed", "es", "s")


def novelty(this: Sentence) -> None:
    """Words the context does not have."""
    new: list[Token] = []
    near = asked = run = longest = 0
    content = this.content
    for at, one in enumerate(content):
        if this.known(one) or one.norm.isdigit() or one.norm in _COUNTED or _joined(this, at):
            run = 0
        elif one.stem in this.asked:
            asked += 1
            run = 0
        elif len(one.stem) >= 5 and one.stem[:5] in this.source.prefixes:
            near += 1
            run = 0
        else:
            run += 1
            longest = max(longest, run)
            new.append(one)
    n = max(1, len(content))
    if len(new) >= 2 and len(new) / n >= 0.25:
        said = ", ".join(this.answer[one.start : one.end] for one in new[:5])
        this.doubt("words", new[0].start, new[-1].end, said)
    lower = sum(one.norm == this.answer[one.start : one.end] for one in new)
    this.new = frozenset(one.stem for one in new)
    this.set("length", len(content))
    this.set("new", len(new))
    this.set("new_share", len(new) / n)
    this.set("new_weight", sum(min(len(one.stem), 8) for one in new) / 8.0)
    this.set("near_share", near / n)
    this.set("asked_share", asked / n)
    this.set("new_run", longest)
    this.set("new_lower", lower / n)
    this.set("new_inflected", sum(one.norm.endswith(_ENDINGS) for one in new) / n)
    this.set("praise_new", sum(one.norm in PRAISE for one in new))


def _joined(this: Sentence, at: int) -> bool:
    """Whether ``Wi-Fi`` or ``take out`` is known as one word."""
    content, norms = this.content, this.source.norms
    one = content[at]
    if at + 1 < len(content) and content[at + 1].start - one.end <= 1:
        return one.norm + content[at + 1].norm in norms
    return (
        at > 0 and one.start - content[at - 1].end <= 1 and content[at - 1].norm + one.norm in norms
    )


def order(this: Sentence) -> None:
    """How much of the wording follows the context, and single words changed inside its wording."""
    source = this.source
    stems = [one.stem for one in this.words]
    pairs = [one in source.pairs for one in pairwise(stems)]
    triples = [one in source.triples for one in zip(stems, stems[1:], stems[2:], strict=False)]
    run = longest = 0
    for known in pairs:
        run = run + 1 if known else 0
        longest = max(longest, run)
    this.set("pair_new", 1.0 - sum(pairs) / len(pairs) if pairs else 0.0)
    this.set("triple_new", 1.0 - sum(triples) / len(triples) if triples else 0.0)
    this.set("longest_copy", longest / max(1, len(pairs)))
    swapped = moved = 0
    for at, known in enumerate(triples):
        before, middle, after = this.words[at : at + 3]
        if known or middle.norm in STOP or (before.norm in STOP and after.norm in STOP):
            continue
        if (before.stem, after.stem) in source.skips:
            if this.known(middle):
                moved += 1
            else:
                swapped += 1
    this.set("swapped_new", swapped)
    this.set("swapped_known", moved)


def nearest(this: Sentence) -> None:
    """The units of the context that hold most of the sentence, by weight of telling words."""
    source = this.source
    weights = {one: source.weight(one) for one in sorted({one.stem for one in this.content})}
    if not weights:
        this.set("best", 1.0)
        this.set("best_two", 1.0)
        return
    total = sum(weights.values())
    held = sum(weight for one, weight in weights.items() if one in source.where)
    this.unit, best = _top(source, weights)
    if this.unit is not None:
        have = source.units[this.unit].stems
        rest = {one: weight for one, weight in weights.items() if one not in have}
        this.second, more = _top(source, rest)
        this.set("best_two", (best + more) / total)
    this.coverage = best / total
    this.set("best", this.coverage)
    this.set("scattered", (held - best) / total)
    this.set("best_gap", 1.0 - held / total)
    apart = joint = 0
    for one, other in pairwise(this.content):
        here, there = source.where.get(one.stem), source.where.get(other.stem)
        if here and there:
            joint += 1
            apart += here.isdisjoint(there)
    this.set("split_pairs", apart / joint if joint else 0.0)


def _top(source: Source, weights: dict[str, float]) -> tuple[int | None, float]:
    """The unit with the most weight, the first of equals; very common words do not decide."""
    scores: dict[int, float] = {}
    for one, weight in weights.items():
        here = source.where.get(one)
        if here and len(here) <= COMMON:
            for unit in here:
                scores[unit] = scores.get(unit, 0.0) + weight
    if not scores:
        return None, 0.0
    unit = min(scores, key=lambda one: (-scores[one], one))
    return unit, scores[unit]
