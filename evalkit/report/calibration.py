"""A calibration and the agreement of people, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from evalkit.gate.record import Calibration
from evalkit.report import words
from evalkit.report.screen import Column, Screen, grid, labelled
from evalkit.stats.calibration import Share

if TYPE_CHECKING:
    from rich.console import RenderableType

LABEL = 11


def share_text(share: Share | None, unit: str = "%") -> str:
    """A share with its interval, or that there is none."""
    if share is None or share.value is None:
        return words.NONE
    shown = words.quantity(share.value, unit, low=share.low, high=share.high)
    return f"{shown} {words.interval(share.value, unit, share.low, share.high)}"


def calibration_text(
    record: Calibration, screen: Screen, *, path: str = "", warnings: Sequence[str] = ()
) -> str:
    """What people's labels say of a scorer; every figure is from labels it was not fitted on."""
    from rich.text import Text

    fit, counts = record.fit, record.labels
    head = Text(f"{_clean(record.suite)} / {_clean(record.scorer)}", style="bold")
    people = ", ".join(_clean(one) for one in record.people)
    head.append(
        f"  {words.counted(fit.n, 'label')} on {words.counted(fit.cases, 'case')} by {people}",
        "not bold",
    )
    parts: list[RenderableType] = [head]
    parts += [labelled(screen.say(name), screen.say(said), LABEL) for name, said in _facts(record)]
    parts += ["", _confusion(record, screen), "", _bins(record, screen)]
    left = counts.get("answers", 0) - fit.n
    if left > 0:
        hard = counts.get("used", 0) - fit.n
        said = f"{words.counted(left, 'answer')} not counted"
        if hard:
            said += f", {hard} of them chosen for being hard: they only teach the threshold"
        parts += ["", Text(screen.say(said), style="dim")]
    if warnings:
        parts.append("")
        parts += [Text(screen.say(f"! {_clean(one)}"), style="yellow") for one in warnings]
    if path:
        parts += ["", labelled("record", f"{path}  (commit it: gates read it)", LABEL)]
    return screen.render(parts)


class Agreed(Protocol):
    """One figure of agreement between two sides."""

    @property
    def question(self) -> str:
        """What was asked."""
        ...

    @property
    def first(self) -> str:
        """One side."""
        ...

    @property
    def second(self) -> str:
        """The other."""
        ...

    @property
    def measure(self) -> str:
        """Which figure."""
        ...

    @property
    def share(self) -> Share:
        """Its value and interval."""
        ...

    @property
    def same(self) -> float | None:
        """The share of answers on which both said the same."""
        ...


def agreement_text(rows: Sequence[tuple[str, Agreed]], screen: Screen) -> str:
    """Who agrees with whom, how far, on how many answers."""
    several = len({suite for suite, _ in rows}) > 1
    named = [Column(head="suite", cells=[_clean(one) for one, _ in rows])] if several else []
    found = [one for _, one in rows]
    return screen.render([
        grid(
            [
                *named,
                Column(head="question", cells=[_clean(one.question) for one in found], drop=1),
                Column(
                    head="who",
                    cells=[f"{_clean(one.first)} / {_clean(one.second)}" for one in found],
                    fold=True,
                ),
                Column(head="measure", cells=[one.measure for one in found]),
                Column(
                    head="value",
                    cells=[screen.say(share_text(one.share, "")) for one in found],
                    right=True,
                ),
                Column(
                    head="same",
                    cells=["" if one.same is None else words.quantity(one.same, "%")
                           for one in found],
                    right=True,
                    drop=2,
                ),
                Column(head="n", cells=[words.count(one.share.n) for one in found], right=True),
            ],
            screen,
        )
    ])  # fmt: skip


def _clean(text: str) -> str:
    return words.clean(text, lines=False)


def _facts(record: Calibration) -> list[tuple[str, str]]:
    fit = record.fit
    better = "≤" if record.lower else "≥"
    ends = [fit.threshold_low, fit.threshold_high]
    if not record.lower:
        ends = [None if one is None else -one for one in reversed(ends)]
    cut = f"passes at {better} {words.number(record.threshold, 3)}"
    if ends[0] is not None and ends[1] is not None:
        cut += f" [{words.number(ends[0], 3)}, {words.number(ends[1], 3)}]"
    cut += {"given": ", as given", "f1": ", for the best F1"}.get(record.goal, "")
    flipped, pairs = record.flips
    found = [
        ("threshold", cut),
        ("precision", f"{share_text(fit.precision)}  of what it flags is bad"),
        ("recall", f"{share_text(fit.recall)}  of what is bad is flagged"),
        ("balanced", f"{share_text(fit.balanced_accuracy)}  accuracy"),
        ("kappa", f"{share_text(fit.kappa, '')}  with people"),
    ]
    if record.weighted_kappa is not None:
        found.append(("weighted", f"{share_text(record.weighted_kappa, '')}  kappa with ratings"))
    if record.calibration_error is not None:
        error = words.number(100 * record.calibration_error, 1)
        found.append(("error", f"{error} pt between score and share of bad answers"))
    said = "no answer was scored twice"
    if pairs:
        rate = words.quantity(flipped / pairs, "%")
        said = f"{rate} of {words.counted(pairs, 'pair')} of scorings of one answer"
    found.append(("flips", said))
    return found


def _confusion(record: Calibration, screen: Screen) -> RenderableType:
    fit = record.fit
    rows = [
        ("scorer flags", fit.flagged_bad, fit.flagged_good),
        ("scorer passes", fit.passed_bad, fit.passed_good),
    ]
    return grid(
        [
            Column(head="", cells=[one[0] for one in rows]),
            Column(head="people: bad", cells=[words.count(one[1]) for one in rows], right=True),
            Column(head="people: good", cells=[words.count(one[2]) for one in rows], right=True),
        ],
        screen,
    )


def _bins(record: Calibration, screen: Screen) -> RenderableType:
    sign = 1.0 if record.lower else -1.0
    found = record.fit.bins if record.lower else record.fit.bins[::-1]
    ends = [sorted((sign * one.low, sign * one.high)) for one in found]
    return grid(
        [
            Column(
                head="score",
                cells=[
                    screen.say(f"{words.number(low, 2)} … {words.number(high, 2)}")
                    for low, high in ends
                ],
            ),
            Column(
                head="mean", cells=[words.number(sign * one.mean, 2) for one in found], right=True
            ),
            Column(
                head="people find bad",
                cells=[screen.say(share_text(one.bad)) for one in found],
                right=True,
            ),
            Column(head="n", cells=[words.count(one.n) for one in found], right=True),
        ],
        screen,
    )
