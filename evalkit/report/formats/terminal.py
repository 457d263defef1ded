"""A run on a terminal: how it went in one line, how well in tables, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from textwrap import wrap
from typing import TYPE_CHECKING

from evalkit.model import RunStatus
from evalkit.registry import renderer
from evalkit.report import words
from evalkit.report.screen import Column, Screen, fits, flow, grid, labelled
from evalkit.report.view import EARLY, Cell, MetricRow, RunView, SliceRow, SuiteView, WorstView

if TYPE_CHECKING:
    from rich.console import RenderableType

SLICES_SHOWN = 12
WORST_SHOWN = 3
LABEL = 9
INTERVAL = 1
"""How soon an interval is dropped; what goes before it has a higher number."""

_HEADS = {
    RunStatus.RUNNING: ("…", "RUNNING", "cyan"),
    RunStatus.INTERRUPTED: ("!", "INTERRUPTED", "yellow"),
    RunStatus.STOPPED: ("!", "STOPPED", "yellow"),
    RunStatus.FAILED: ("✕", "FAILED", "red"),
}


FEW_ATTACKED = 3
"""Suites of attacks that are shown whole; of more, each has its line in the table of attacks."""


@renderer(suffix=".txt")
def terminal(
    view: RunView, *, width: int = 100, colour: bool = False, unicode: bool = False
) -> str:
    """A run as text for a terminal of ``width`` columns."""
    screen = Screen(width=width, colour=colour, unicode=unicode)
    parts: list[RenderableType] = [*_head(view, screen)]
    whole = f"evalkit show {view.run_id} --json"
    attacked = {one.suite for one in view.attacks}
    brief = attacked if len(attacked) > FEW_ATTACKED else set[str]()
    empty = [one.name for one in view.suites if not one.targets]
    idle = empty if len(empty) > 1 else []
    if idle:
        said = f"no trial was done of {', '.join(words.clean(one, lines=False) for one in idle)}"
        parts += ["", labelled("", said, 0)]
    for suite in view.suites:
        if suite.name not in brief and suite.name not in idle:
            its = _attacked(suite) if suite.name in attacked else suite
            parts += ["", *_suite(its, screen, whole)]
    if view.attacks:
        from evalkit.report.attacks import attack_parts

        parts += attack_parts(view.attacks, screen, whole=whole)
    if brief:
        # twins bring nothing for some scorers, which leaves no attack open
        open_ = {one.suite for one in view.attacks if one.attacks.undecidable} & brief
        told = [
            f"{suite.name}: {said}"
            for suite in view.suites
            if suite.name in open_
            for said in _missing(suite)
        ]
        parts += _noted(told, screen)
        more = f"evalkit show {view.run_id} --suite {min(brief)}"
        parts += ["", labelled("more", f"all of one suite: {more}", LABEL)]
    if view.fairness:
        from evalkit.report.fairness import fairness_parts

        parts += fairness_parts(view.fairness, screen)
    parts.append("")
    parts += [
        labelled("next" if place == 0 else "", command, LABEL)
        for place, command in enumerate(view.next)
    ]
    return screen.render(parts)


def _attacked(suite: SuiteView) -> SuiteView:
    """A suite of attacks, whose rates of what passed say so: they are no shares of hits.

    Its worst cases are left out: those that succeeded are listed, and to refuse one is not bad.
    """
    passing = {one.metric for one in suite.rows if one.unit == "%" and one.direction == "higher"}
    told = {one: f"{one} (passed)" for one in passing}
    return replace(
        suite,
        worst=(),
        rows=tuple(replace(one, metric=told.get(one.metric, one.metric)) for one in suite.rows),
        slices=tuple(replace(one, metric=told.get(one.metric, one.metric)) for one in suite.slices),
    )


def headline(view: RunView) -> tuple[str, str, str, str]:
    """Glyph, word and sentence of how a run went, and the colour of its glyph."""
    answered = view.done - view.errors
    classes = f" ({words.tally(view.error_classes)})" if view.error_classes else ""
    failed = f"{words.count(view.errors)} failed{classes}"
    sentence = f"{words.count(answered)} of {words.counted(view.planned, 'trial')} answered"
    status = RunStatus(view.status)
    if status in _HEADS:
        glyph, word, style = _HEADS[status]
        return glyph, word, f"{sentence}{', ' + failed if view.errors else ''}", style
    if view.done == view.planned == 0 and view.part:
        return "✓", "DONE", "no case falls into this shard", "green"
    if view.done == 0:
        return "✕", "EMPTY", "no trial was done", "red"
    if answered == 0:
        return "✕", "FAILED", f"every trial failed{classes}", "red"
    scorers = _failed_scorers(view)
    short = view.done < view.planned and view.part != EARLY
    if view.errors or short or scorers:
        said = [sentence, *([failed] if view.errors else []), *([scorers] if scorers else [])]
        return "!", "DONE", ", ".join(said), "yellow"
    return "✓", "DONE", sentence, "green"


def _failed_scorers(view: RunView) -> str:
    """Which scorers have errors, in a few words; a row a metric tells the same of its scorer."""
    failed: dict[str, int] = {}
    for suite in view.suites:
        for row in suite.rows:
            errors = sum(cell.errors for cell in row.cells if cell is not None)
            if errors and row.group != "errors":
                name = words.clean(row.metric.rpartition(".")[0], lines=False)
                failed[name] = max(failed.get(name, 0), errors)
    names = [f"{name} on {words.count(errors)}" for name, errors in failed.items()]
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"scorers failed: {', '.join(names[:2])}{more}" if names else ""


def _head(view: RunView, screen: Screen) -> list[RenderableType]:
    from rich.text import Text

    glyph, word, sentence, style = headline(view)
    first = Text(f"{screen.say(glyph)} {word}", style=f"bold {style}")
    first.append(f"  {screen.say(sentence)}", style="not bold default")
    facts = [f"run {view.run_id}"]
    if view.part:
        facts.append(words.clean(view.part, lines=False))
    at = words.commit(view.commit, view.branch, dirty=view.dirty)
    if at:
        facts.append(words.clean(at, lines=False))
    if view.elapsed_s is not None:
        facts.append(words.duration(view.elapsed_s))
    facts.append(_cost(view))
    if view.saved_usd:
        facts.append(f"{words.money(view.saved_usd)} saved by kept answers")
    if view.scorer_cost_usd:
        facts.append(f"scoring {words.money(view.scorer_cost_usd)}")
    return [first, Text(flow([screen.say(one) for one in facts], screen.width))]


def _cost(view: RunView) -> str:
    if view.cost_usd is None:
        return "cost unknown" if view.done else f"cost {words.money(0.0)}"
    more = f" and {words.counted(view.unpriced, 'answer')} without a price" if view.unpriced else ""
    if view.assumed:
        untold = f"for calls of {words.counted(view.assumed, 'trial')} whose tokens nobody told"
        more = f", of which {words.money(view.assumed_usd)} assumed {untold}{more}"
    return f"cost {words.money(view.cost_usd)}{more}"


def _suite(suite: SuiteView, screen: Screen, whole: str) -> list[RenderableType]:
    from rich.text import Text

    if not suite.targets:
        return [Text(screen.say(f"{suite.name}  no trial was done"))]
    title = Text(words.clean(suite.name, lines=False), style="bold")
    title.append(
        screen.say(f"  {words.counted(suite.cases, 'case')}{_sources(suite)}"), style="not bold"
    )
    parts: list[RenderableType] = [title]
    if len(suite.targets) == 1:
        parts.append(Text(_about(suite, 0, screen), style="dim"))
    parts += [grid(block, screen) for block in _blocks(suite, screen)]
    if len(suite.targets) > 1:
        parts.append("")
        parts += [
            labelled("" if place else "targets", _about(suite, place, screen), LABEL)
            for place in range(len(suite.targets))
        ]
    parts += _slices(suite, screen, whole)
    parts += _notes(suite, screen)
    parts += _worst(suite, screen)
    return parts


def _sources(suite: SuiteView) -> str:
    shown = [words.clean(str(one["source"]), lines=False) for one in suite.datasets[:2]]
    more = f" and {len(suite.datasets) - 2} more" if len(suite.datasets) > 2 else ""
    return f"  of {', '.join(shown)}{more}" if shown else ""


def _about(suite: SuiteView, place: int, screen: Screen) -> str:
    """What a target is: model, prompt, and the options in which the targets differ."""
    target = suite.targets[place]
    said = [target.name, target.kind, target.model or ""]
    if target.prompt:
        label = f" ({target.prompt_label})" if target.prompt_label else ""
        said.append(f"prompt {target.prompt[:7]}{label}")
    for name, value in target.options.items():
        differs = any(one.options.get(name) != value for one in suite.targets)
        named = name == "model" and value == target.model
        if differs and not named and "${env:" not in str(value):
            said.append(f"{name} {words.cut(str(value), 40)}")
    parts = [screen.say(words.clean(one, lines=False)) for one in said if one]
    return flow(parts, screen.width - (LABEL if len(suite.targets) > 1 else 0))


def _blocks(suite: SuiteView, screen: Screen) -> list[list[Column]]:
    """The metrics, as many targets side by side as the screen takes."""
    return _side_by_side(suite, lambda places: _columns(suite, places, screen), screen)


def _side_by_side(
    suite: SuiteView, columns: Callable[[Sequence[int]], list[Column]], screen: Screen
) -> list[list[Column]]:
    """A table of all targets, or tables of fewer below each other.

    An interval is worth more than two targets in one line; where not even one target's fits it
    stands below the value.
    """
    places = range(len(suite.targets))
    for change in (list[Column], _stacked):
        for size in range(len(places), 0, -1):
            blocks = [change(columns(places[at : at + size])) for at in range(0, len(places), size)]
            least = [[one for one in each if one.drop <= INTERVAL] for each in blocks]
            if all(fits(each, screen.width) for each in least):
                return blocks
    return [_stacked(columns([place])) for place in places]


def _stacked(columns: Sequence[Column]) -> list[Column]:
    """The columns with every interval below the value before it."""
    found: list[Column] = []
    for one in columns:
        if one.drop != INTERVAL:
            found.append(one)
            continue
        value = found.pop()
        cells = [f"{a}\n{b}" if b else a for a, b in zip(value.cells, one.cells, strict=True)]
        found.append(replace(value, head=f"{value.head}\n{one.head}", cells=cells))
    return found


def _columns(suite: SuiteView, places: Sequence[int], screen: Screen) -> list[Column]:
    rows = [row for row in suite.rows if any(row.cells[place] is not None for place in places)]
    columns = [
        Column(
            head="metric",
            cells=[words.clean(row.metric, lines=False) for row in rows],
            fold=True,
        )
    ]
    single = len(suite.targets) == 1
    sizes = [{one.n for one in _cells(row, places)} for row in rows]
    same_n = all(len(one) <= 1 for one in sizes)
    for place in places:
        cells = [row.cells[place] for row in rows]
        pairs = list(zip(rows, cells, strict=True))
        name = _over(suite, place, len(places), screen)
        columns += [
            Column(
                head="value" if single else name,
                cells=[screen.say(value_text(row, one)) for row, one in pairs],
                right=True,
                style="bold" if screen.colour else "",
            ),
            Column(
                head=f"{_level(cells)} interval",
                cells=[
                    "" if one is None else screen.say(interval_text(row, one)) for row, one in pairs
                ],
                drop=INTERVAL,
                style="dim",
            ),
        ]
        if not same_n:
            columns.append(
                Column(
                    head="n",
                    cells=["" if one is None else words.count(one.n) for one in cells],
                    right=True,
                    drop=2,
                )
            )
    if same_n:
        columns.append(
            Column(
                head="n",
                cells=[words.count(max(one, default=0)) for one in sizes],
                right=True,
                drop=2,
            )
        )
    return columns


def _cells(row: MetricRow, places: Sequence[int]) -> list[Cell]:
    return [one for one in (row.cells[place] for place in places) if one is not None]


def _over(suite: SuiteView, place: int, beside: int, screen: Screen) -> str:
    """The name of a target over its values: one too long for that stands in several lines.

    A name takes no more than a quarter of its share of the screen, so that the interval has room.
    """
    name = words.clean(suite.targets[place].name, lines=False)
    room = max(16, screen.width // (4 * beside))
    return "\n".join(wrap(name, room)) or name


def _level(cells: Sequence[Cell | None]) -> str:
    level = next((one.level for one in cells if one is not None), 0.95)
    return f"{level * 100:g} %"


def value_text(row: MetricRow | SliceRow, cell: Cell | None) -> str:
    """The value of a cell as it is shown; why not, when there is none."""
    if cell is None:
        return words.NONE
    if cell.value is None:
        return cell.note if cell.note == words.UNKNOWN else words.NONE
    text = words.quantity(cell.value, row.unit, low=cell.low, high=cell.high)
    partial = row.metric == "cost.total" and "unknown" in cell.note
    return f"≥ {text}" if partial else text


def interval_text(row: MetricRow | SliceRow, cell: Cell) -> str:
    """The interval of a cell as it is shown; empty without one."""
    return words.interval(cell.value, row.unit, cell.low, cell.high)


def _slices(suite: SuiteView, screen: Screen, whole: str) -> list[RenderableType]:
    """The first metric by slice, a table a tag; the command ``whole`` prints the others."""
    from rich.text import Text

    parts: list[RenderableType] = []
    first = next((one.metric for one in suite.slices), None)
    for tag in dict.fromkeys(one.tag for one in suite.slices):
        rows = [one for one in suite.slices if one.tag == tag and one.metric == first]
        shown = rows[:SLICES_SHOWN]
        label = words.clean(f"{first} by {tag}", lines=False)
        columns = partial(_slice_columns, suite, shown, label, screen)
        parts += ["", *(grid(block, screen) for block in _side_by_side(suite, columns, screen))]
        if len(rows) > len(shown):
            parts.append(Text(f"and {len(rows) - len(shown)} more values: {whole}"))
    return parts


def _slice_columns(
    suite: SuiteView, rows: Sequence[SliceRow], label: str, screen: Screen, places: Sequence[int]
) -> list[Column]:
    values = [words.clean(one.value, lines=False) or '""' for one in rows]
    columns = [Column(head=label, cells=values, fold=True)]
    for place in places:
        pairs = [(one, one.cells[place]) for one in rows]
        name = _over(suite, place, len(places), screen)
        columns += [
            Column(
                head="value" if len(suite.targets) == 1 else name,
                cells=[screen.say(value_text(row, cell)) for row, cell in pairs],
                right=True,
            ),
            Column(
                head="95 % interval",
                cells=[
                    "" if cell is None else screen.say(interval_text(row, cell))
                    for row, cell in pairs
                ],
                drop=INTERVAL,
                style="dim",
            ),
        ]
    cases = [words.count(one.cases) for one in rows]
    return [*columns, Column(head="cases", cells=cases, right=True, drop=2)]


def _notes(suite: SuiteView, screen: Screen) -> list[RenderableType]:
    """What is missing from the numbers above, and why."""
    return _noted([*suite.notes, *_missing(suite)], screen)


def _missing(suite: SuiteView) -> list[str]:
    """What each scorer left open, and why."""
    said: list[str] = []
    scorers: set[tuple[str, str]] = set()
    for row in suite.rows:
        scorer = row.metric.partition(".")[0]
        for target, cell in zip(suite.targets, row.cells, strict=True):
            if cell is None or (scorer, target.name) in scorers:
                continue
            missing = []
            if cell.unscored:
                missing.append(f"{words.count(cell.unscored)} unscored")
            if cell.errors:
                missing.append(words.counted(cell.errors, "scorer error"))
            about = f"{scorer} on {target.name}" if len(suite.targets) > 1 else scorer
            if missing:
                scorers.add((scorer, target.name))
                why = f": {words.cut(cell.note, 120)}" if cell.note else ""
                said.append(f"{about}: {', '.join(missing)}{why}")
            elif cell.note and cell.note != words.UNKNOWN:
                scorers.add((scorer, target.name))
                said.append(f"{about}: {cell.note}")
    return said


def _noted(said: Sequence[str], screen: Screen) -> list[RenderableType]:
    if not said:
        return []
    lines = [screen.say(words.clean(one, lines=False)) for one in said]
    return [
        "",
        *(labelled("" if place else "note", line, LABEL) for place, line in enumerate(lines)),
    ]


def _worst(suite: SuiteView, screen: Screen) -> list[RenderableType]:
    shown: list[WorstView] = []
    for target in suite.targets:
        mine = [one for one in suite.worst if one.target == target.name]
        shown += mine[: WORST_SHOWN if len(suite.targets) == 1 else 2]
    if not shown:
        return []
    several = len(suite.targets) > 1
    return [
        "",
        *(
            labelled("" if place else "worst", _worst_line(one, screen, several=several), LABEL)
            for place, one in enumerate(shown)
        ),
    ]


def _worst_line(worst: WorstView, screen: Screen, *, several: bool) -> str:
    """Case, what it did worst at and why; the texts of others in quotes, and cut."""
    said = [words.clean(worst.name, lines=False)]
    if several:
        said.append(words.clean(worst.target, lines=False))
    if worst.error is not None and worst.value is None:
        said.append(words.clean(words.cut(worst.error, 120), lines=False))
    elif worst.scorer is not None:
        said.append(screen.say(f"{worst.scorer} {words.quantity(worst.value, worst.unit)}"))
        why = worst.reason or worst.output
        if why is not None:
            said.append(f'"{words.cut(words.seen(why, lines=False), 80)}"')
    return "  ".join(said)
