"""What people say of an answer together; how far they agree with each other and with scorers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evalkit.labels import Label, Selection
from evalkit.stats.agreement import Scale, kappa, krippendorff_alpha
from evalkit.stats.calibration import Share
from evalkit.stats.evidence import Resampled

AnswerKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What those who judged one answer say together: the majority, ``None`` where they are split.

    ``rating`` is their mean, ``blind`` whether every one of them was. ``selection`` is the least
    representative way in which the answer was chosen.
    """

    passed: bool | None
    rating: float | None
    blind: bool
    selection: Selection
    people: int


_LEAST_FAIR = (
    Selection.UNCERTAIN,
    Selection.DISAGREE,
    Selection.UNKNOWN,
    Selection.SAMPLE,
    Selection.ALL,
)


def settle(labels: Iterable[Label]) -> dict[AnswerKey, Opinion]:
    """The opinion on every answer whose text is known.

    A judgement given blind goes before those given in sight of the score, whoever gave them.
    """
    by_answer: dict[AnswerKey, list[Label]] = {}
    for one in labels:
        if one.output_hash is not None:
            by_answer.setdefault((one.case_id, one.output_hash), []).append(one)
    return {key: _opinion(found) for key, found in by_answer.items()}


def _opinion(labels: Sequence[Label]) -> Opinion:
    heard = [one for one in labels if one.blind] or list(labels)
    votes = [one.passed for one in heard if one.passed is not None]
    yes = sum(votes)
    ratings = [one.rating for one in heard if one.rating is not None]
    return Opinion(
        passed=None if 2 * yes == len(votes) else 2 * yes > len(votes),
        rating=sum(ratings) / len(ratings) if ratings else None,
        blind=all(bool(one.blind) for one in heard),
        selection=min((one.selection for one in heard), key=_LEAST_FAIR.index),
        people=len({one.author for one in heard}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two sides agree on one question beyond chance; ``measure`` says by which figure."""

    question: str
    first: str
    second: str
    measure: str
    share: Share
    same: float | None = None


def agreements(
    labels: Sequence[Label], scores: Mapping[str, Mapping[AnswerKey, bool]]
) -> list[Agreement]:
    """Every pair of people on every question, all of them together, and people against scorers.

    ``scores`` has what each scorer decided of an answer. Those who judged none in common are left
    out.
    """
    found: list[Agreement] = []
    for question in sorted({one.name for one in labels}):
        mine = [one for one in labels if one.name == question and one.output_hash is not None]
        people = _by_person(mine)
        names = sorted(people)
        for place, first in enumerate(names):
            for second in names[place + 1 :]:
                found += _pair(question, first, second, people)
        if len(names) > 1:
            found += _everyone(question, people)
        if question in scores:
            found += _against(question, mine, scores[question])
    return found


def _by_person(labels: Iterable[Label]) -> dict[str, dict[AnswerKey, Label]]:
    found: dict[str, dict[AnswerKey, Label]] = {}
    for one in labels:
        found.setdefault(one.author, {})[one.case_id, one.output_hash or ""] = one
    return found


def _pair(
    question: str, first: str, second: str, people: Mapping[str, Mapping[AnswerKey, Label]]
) -> list[Agreement]:
    both = sorted(set(people[first]) & set(people[second]))
    pairs = [(people[first][one], people[second][one]) for one in both]
    decided = [
        (one.passed, two.passed)
        for one, two in pairs
        if one.passed is not None and two.passed is not None
    ]
    rated = [
        (one.rating, two.rating)
        for one, two in pairs
        if one.rating is not None and two.rating is not None
    ]
    found = []
    if decided:
        mine, theirs = zip(*decided, strict=True)
        same = sum(one == two for one, two in decided) / len(decided)
        share = _share(kappa(mine, theirs, categories=(False, True)), len(decided))
        found.append(_agreement(question, (first, second), "kappa", share, same))
    if rated:
        mine, theirs = zip(*rated, strict=True)
        weighted = kappa(mine, theirs, weights="quadratic", categories=(1, 2, 3, 4, 5))
        share = _share(weighted, len(rated))
        found.append(_agreement(question, (first, second), "weighted kappa", share))
    return found


def _agreement(
    question: str, sides: tuple[str, str], measure: str, share: Share, same: float | None = None
) -> Agreement:
    first, second = sides
    return Agreement(
        question=question, first=first, second=second, measure=measure, share=share, same=same
    )


def _share(found: Resampled, n: int) -> Share:
    ends = found.interval(0.95)
    return Share(value=found.value, low=ends.low, high=ends.high, n=n)


def _everyone(question: str, people: Mapping[str, Mapping[AnswerKey, Label]]) -> list[Agreement]:
    answers = sorted({key for one in people.values() for key in one})
    everyone = f"all {len(people)}"
    found = []
    scales: tuple[tuple[str, Scale, str], ...] = (
        ("passed", "nominal", "alpha"),
        ("rating", "ordinal", "ordinal alpha"),
    )
    for field, scale, measure in scales:
        table = [
            [_number(getattr(held[key], field)) if key in held else None for key in answers]
            for held in people.values()
        ]
        common = sum(
            sum(row[place] is not None for row in table) >= 2 for place in range(len(answers))
        )
        if common:
            share = _share(krippendorff_alpha(table, scale), common)
            found.append(_agreement(question, (everyone, "each other"), measure, share))
    return found


def _number(value: bool | int | None) -> float | None:
    return None if value is None else float(value)


def _against(
    question: str, labels: Sequence[Label], scores: Mapping[AnswerKey, bool]
) -> list[Agreement]:
    sides: dict[str, dict[AnswerKey, bool]] = {}
    for person, held in sorted(_by_person(labels).items()):
        sides[person] = {key: one.passed for key, one in held.items() if one.passed is not None}
    if len(sides) > 1:
        sides["people together"] = {
            key: one.passed for key, one in settle(labels).items() if one.passed is not None
        }
    found = []
    for person, said in sides.items():
        both = sorted(set(said) & set(scores))
        if both:
            mine, theirs = [said[one] for one in both], [scores[one] for one in both]
            same = sum(one == two for one, two in zip(mine, theirs, strict=True)) / len(both)
            share = _share(kappa(mine, theirs, categories=(False, True)), len(both))
            found.append(_agreement(question, (person, f"scorer {question}"), "kappa", share, same))
    return found
