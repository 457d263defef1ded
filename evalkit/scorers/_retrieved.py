"""What was retrieved and what is relevant, as one list of gains that all rank metrics read.

Retrieved passages come from the target: their texts are ``Output.context``, their ids a list in
``Output.extra``. What is relevant stands on the case: ids or texts, or a mapping of them to grades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output
from evalkit.scorers._text import unicode_normal, words

By: TypeAlias = Literal["text", "id"]

MOST = 1_000
"""Passages that are compared on each side; more is unscored."""
LONGEST = 2_000_000
"""Characters of passages that are compared."""
CARD = ScorerCard(
    family="retrieval",
    blind=(
        "passages that would do as well and are not listed as relevant",
        "by text: a passage cut elsewhere counts when it holds the given share of the words",
    ),
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """``gains`` has the grade of every retrieved passage, 0 for an irrelevant one, best rank first.

    Each relevant passage counts once, at the first place where it is found; a passage that repeats
    one is irrelevant there. ``ideal`` has every relevant grade, the highest first.
    """

    gains: tuple[float, ...]
    ideal: tuple[float, ...]


def check(options: Mapping[str, Any]) -> str:
    """Raise ``ValueError`` for options that nothing can satisfy."""
    if options["k"] is not None and options["k"] < 1:
        raise ValueError(f"k is at least 1, not {options['k']}")
    if not 0 < options["share"] <= 1:
        raise ValueError(f"share lies above 0 and up to 1, not {options['share']:g}")
    return ""


def ranking(
    case: Case,
    output: Output,
    *,
    by: By,
    relevant: str,
    retrieved: str,
    k: int | None,
    share: float,
) -> Ranking:
    """The gains of what was retrieved, up to rank ``k``.

    Raises ``Unscorable`` where nothing relevant is known or the target tells nothing.
    """
    wanted = _relevant(case, relevant, by)
    given = _retrieved(output, retrieved, by)
    if len(given) > MOST or len(wanted) > MOST:
        raise Unscorable(f"more than {MOST:,} passages to compare")
    given = given[:k]
    if by == "id":
        left = dict(wanted)
        gains = tuple(left.pop(one, 0.0) for one in given)
    else:
        gains = _by_text(given, wanted, share)
    return Ranking(gains, tuple(sorted(wanted.values(), reverse=True)))


def _relevant(case: Case, name: str, by: By) -> dict[str, float]:
    found: Any = case.metadata.get(name)
    if found is None and by == "text":
        found = list(case.context)
    if isinstance(found, Mapping):
        grades = {str(one): grade for one, grade in found.items()}
        if not all(
            isinstance(one, (int, float)) and not isinstance(one, bool) and 0 <= one < 1e6
            for one in grades.values()
        ):
            raise Unscorable(f"metadata.{name} has a grade that is no number of at least 0")
        wanted = {one: float(grade) for one, grade in grades.items() if grade > 0}
    else:
        listed = [found] if isinstance(found, (str, int)) else found
        if isinstance(found, bool) or not isinstance(listed, (Sequence, type(None))):
            raise Unscorable(f"metadata.{name} is no list of what is relevant")
        wanted = {str(one): 1.0 for one in listed or ()}
    if not wanted:
        raise Unscorable(
            f"the case names nothing relevant (metadata.{name}{' or context' * (by == 'text')})"
        )
    return wanted


def _retrieved(output: Output, name: str, by: By) -> list[str]:
    if by == "text":
        if not output.context:
            raise Unscorable("the target tells no passages that it retrieved")
        return list(output.context)
    found = output.extra.get(name)
    if not isinstance(found, list):
        raise Unscorable(f"the target tells no list of ids that it retrieved (extra.{name})")
    return [str(one) for one in found]


def _by_text(given: Sequence[str], wanted: Mapping[str, float], share: float) -> tuple[float, ...]:
    """Each passage takes the best relevant text that is still free and of which it holds enough."""
    if sum(map(len, given)) + sum(map(len, wanted)) > LONGEST:
        raise Unscorable(f"more than {LONGEST:,} characters of passages to compare")
    texts = [(unicode_normal(one).casefold(), grade) for one, grade in wanted.items()]
    bags = [Counter(words(text)) for text, _ in texts]
    free = sorted(range(len(texts)), key=lambda at: -texts[at][1])
    gains = []
    for one in given:
        text = unicode_normal(one).casefold()
        bag = Counter(words(text))
        hit = next((at for at in free if _holds(text, bag, texts[at][0], bags[at], share)), None)
        gains.append(0.0 if hit is None else texts[hit][1])
        if hit is not None:
            free.remove(hit)
    return tuple(gains)


def _holds(
    text: str, bag: Counter[str], wanted: str, wanted_bag: Counter[str], share: float
) -> bool:
    if wanted in text:
        return bool(wanted) or text == wanted
    size = wanted_bag.total()
    return size > 0 and (bag & wanted_bag).total() >= share * size
