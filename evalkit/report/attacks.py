"""The attacks of a run in words: rates with their upper bounds, and which are new, known, fixed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.gate.attack_results import together
from evalkit.gate.result import AttackCase, AttackMove, AttackRate, Attacks
from evalkit.report import words
from evalkit.report.screen import Column, Screen, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

LABEL = 7
SHOWN = 6
"""Cases of one list that are named."""
TITLES: Mapping[AttackMove, str] = {
    "new": "new",
    "newly_refused": "newly refused",
    "succeeded": "succeeded",
    "known": "known",
    "refused": "refused",
    "still_refused": "still refused",
    "undecidable": "undecided",
    "error": "no answer",
    "fixed": "fixed",
    "answered_again": "answered again",
}
MEANING: Mapping[AttackMove, str] = {
    "new": "succeed now, not in the baseline",
    "newly_refused": "harmless twins that are refused now, not in the baseline",
    "succeeded": "attacks that succeeded",
    "known": "succeeded in the baseline too",
    "refused": "harmless twins that were refused",
    "still_refused": "harmless twins that were refused in the baseline too",
    "undecidable": "nobody could decide them: in no rate",
    "error": "the target failed: in no rate",
    "fixed": "succeeded in the baseline, and not now",
    "answered_again": "harmless twins that were refused in the baseline, and not now",
}
WORSE: frozenset[AttackMove] = frozenset({"new", "newly_refused"})
"""Lists that a change made longer."""
_SEVERE = {"critical": 1, "high": 2, "medium": 3, "low": 4}
_SIMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+=-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table of attacks, as text; the twins only where a whole suite is meant."""

    name: str
    slice: bool
    rate: str
    upper: str
    n: str
    aside: str
    refused: str = ""
    refused_upper: str = ""
    twins: str = ""


SLICES = ("category", "transform", "severity")
SEVERITIES = ("critical", "high", "medium", "low")
FIRST: tuple[AttackMove, ...] = ("new", "succeeded", "newly_refused")
"""Tags that a table is broken down by; the page has every tag."""


def lines(attacks: Sequence[Attacks], tags: Sequence[str] = SLICES) -> list[Line]:
    """A line for every suite, and below it those slices of the tags that tell its cases apart.

    Of several suites every target has a line for each, and slices of all of them together.
    """
    several = len({one.target for one in attacks}) > 1
    found = []
    for target in dict.fromkeys(one.target for one in attacks):
        mine = [one for one in attacks if one.target == target]
        on = f" on {target}" if several else ""
        found += [_line(f"{one.suite}{on}", one.attacks, one.twins, whole=True) for one in mine]
        if len(mine) > 1:
            twins = [one.twins for one in mine if one.twins is not None]
            refused = together(twins) if twins else None
            every = together([one.attacks for one in mine])
            found.append(_line(f"all suites{on}", every, refused, whole=True))
        slices: dict[tuple[str, str], list[AttackRate]] = {}
        for one in mine:
            for each in one.slices:
                # a category is a suite, as a rule, and those have their lines
                if each.tag in tags and not (each.tag == "category" and len(mine) > 1):
                    slices.setdefault((each.tag, each.value), []).append(each)
        known = [tag for tag, _ in slices]
        found += [
            _line(f"{tag}={value}", together(rates), None, whole=False)
            for (tag, value), rates in sorted(
                slices.items(),
                key=lambda one: (tags.index(one[0][0]), _SEVERE.get(one[0][1], 0), one[0][1]),
            )
            if known.count(tag) > 1
        ]
    return found


def _line(name: str, rate: AttackRate, twins: AttackRate | None, *, whole: bool) -> Line:
    return Line(
        name=words.clean(name, lines=False),
        slice=not whole,
        rate=words.quantity(rate.rate, "%"),
        upper=_upper(rate),
        n=words.count(rate.n),
        aside=_aside(rate, twins),
        refused="" if twins is None else words.quantity(twins.rate, "%"),
        refused_upper="" if twins is None else _upper(twins),
        twins="" if twins is None else words.count(twins.n),
    )


def _upper(rate: AttackRate) -> str:
    return words.NONE if rate.upper is None else f"≤ {words.quantity(rate.upper, '%')}"


def _aside(rate: AttackRate, twins: AttackRate | None) -> str:
    """What is in no rate, in a few words."""
    said = [(rate.undecidable, "undecided"), (rate.errors, "no answer")]
    if twins is not None:
        said += [(twins.undecidable, "twins undecided"), (twins.errors, "twins no answer")]
    return ", ".join(f"{words.count(many)} {word}" for many, word in said if many)


def level(attacks: Sequence[Attacks]) -> str:
    """How sure the upper bounds are."""
    return f"{100 * attacks[0].attacks.level:.3g} %"


def lists(
    attacks: Sequence[Attacks],
) -> Iterator[tuple[AttackMove, list[tuple[Attacks, AttackCase]]]]:
    """The cases worth a look, list by list, what is new and severe first; no list is empty."""
    for what in TITLES:
        found = [(one, case) for one in attacks for case in one.cases if case.what == what]
        if found:
            yield what, sorted(found, key=lambda pair: _severe(pair[1]))


def _severe(case: AttackCase) -> int:
    """The place of a severity among those known, the gravest first."""
    severity = case.tags.get("severity", "")
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def case_text(case: AttackCase) -> str:
    """A case in a list: its name, where it belongs, and who lets it fail."""
    name = words.clean(case.name, lines=False)
    said = [
        case.tags[tag] for tag in ("transform", "severity") if case.tags.get(tag, "none") != "none"
    ]
    if case.what in {"undecidable", "error"} and case.before in {"held", "succeeded"}:
        said.append(f"{case.before} before")
    if case.what == "new" and "," in case.before:
        said.append(f"{case.before} of the baseline")
    if case.waived:
        said.append(f"waived by {case.waived}")
    return f"{name} ({words.clean(', '.join(said), lines=False)})" if said else name


def placed(attacks: Attacks, case: AttackCase, *, suites: bool, targets: bool) -> str:
    """A case in a list of several ``suites`` or ``targets``: with those its name does not say."""
    suite = attacks.suite if suites and not case.name.startswith(attacks.suite) else ""
    place = (suite, attacks.target if targets else "", case_text(case))
    return "/".join(words.clean(one, lines=False) for one in place if one)


def named(case: AttackCase) -> str:
    """How a command names the case: by its name where that can be typed."""
    return case.name if _SIMPLE.match(case.name) else case.case_id


def first_new(attacks: Sequence[Attacks]) -> AttackCase | None:
    """The case to look at first: an attack that is new or succeeded, a twin that is refused now."""
    found = dict(lists(attacks))
    for what in FIRST:
        for _, case in found.get(what, ()):
            if not case.waived:
                return case
    return None


def attack_parts(
    attacks: Sequence[Attacks], screen: Screen, *, whole: str = ""
) -> list[RenderableType]:
    """The section for a terminal; nothing without attacks. The command ``whole`` names all."""
    if not attacks:
        return []
    rows = lines(attacks)
    bound = f"{level(attacks)} bound"
    twins = any(one.twins for one in rows)
    columns = [
        Column(head="attacks", cells=[f"  {one.name}" if one.slice else one.name for one in rows],
               fold=True),
        Column(head="succeed", cells=[screen.say(one.rate) for one in rows], right=True),
        Column(head=bound, cells=[screen.say(one.upper) for one in rows], right=True),
        Column(head="n", cells=[one.n for one in rows], right=True),
    ]  # fmt: skip
    if twins:
        columns += [
            Column(
                head="refused",
                cells=[screen.say(one.refused) for one in rows],
                right=True,
                drop=1,
            ),
            Column(
                head=bound,
                cells=[screen.say(one.refused_upper) for one in rows],
                right=True,
                drop=2,
            ),
            Column(head="twins", cells=[one.twins for one in rows], right=True, drop=2),
        ]
    if any(one.aside for one in rows):
        columns.append(Column(head="in no rate", cells=[one.aside for one in rows], drop=3))
    return ["", grid(columns, screen), *attack_lists(attacks, screen, whole=whole)]


def attack_lists(
    attacks: Sequence[Attacks], screen: Screen, *, whole: str = "", limit: int = SHOWN
) -> list[RenderableType]:
    """Which attacks are new, known, fixed, and what else is worth a look, list by list.

    Of each ``limit`` cases are named; the command ``whole`` names all of them.
    """
    parts: list[RenderableType] = []
    found = list(lists(attacks))
    width = max((len(TITLES[what]) for what, _ in found), default=0) + 2
    for place, (what, cases) in enumerate(found):
        several = len({one.suite for one, _ in cases}) > 1
        texts = [
            placed(one, case, suites=several, targets=len({each.target for each in attacks}) > 1)
            for one, case in cases[:limit]
        ]
        more = f" and {words.count(len(cases) - limit)} more" if len(cases) > limit else ""
        said = f"{words.count(len(cases))}: {', '.join(texts)}{more}"
        parts += [*([""] if place == 0 else []), labelled(TITLES[what], screen.say(said), width)]
    if whole and longest(attacks) > limit:
        parts.append(labelled("all", whole, width))
    return parts


def longest(attacks: Sequence[Attacks]) -> int:
    """How many cases the longest list has."""
    return max((len(cases) for _, cases in lists(attacks)), default=0)


def attack_text(attacks: Attacks) -> str:
    """What became of the attacks of one suite on one target, in one sentence."""
    rate = attacks.attacks
    said = (
        f"{words.count(rate.hits)} of {words.counted(rate.n, 'attack')} succeeded"
        f" ({words.quantity(rate.rate, '%')}, at most {words.quantity(rate.upper, '%')})"
    )
    if attacks.twins is not None:
        twins = attacks.twins
        said += (
            f", {words.count(twins.hits)} of {words.counted(twins.n, 'twin')} refused"
            f" ({words.quantity(twins.rate, '%')}, at most {words.quantity(twins.upper, '%')})"
        )
    aside = _aside(rate, attacks.twins)
    return f"{said}; {aside}" if aside else said
