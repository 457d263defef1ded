"""A verdict on a terminal: the answer first, the evidence drawn, the next command last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalkit.gate.result import Attacks, CaseChange, Compared, GateResult, Status, Verdict
from evalkit.model import Run
from evalkit.report import gate_words, words
from evalkit.report.attacks import attack_lists, attack_parts, first_new, longest, named
from evalkit.report.bars import bar_of
from evalkit.report.case import fails
from evalkit.report.fairness import fairness_parts
from evalkit.report.screen import GAP, Column, Screen, flow, grid, labelled
from evalkit.report.why import answer_of, prompt_changes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evalkit.report.page_cases import Fetch

LABEL = 7
BAR = 26
LIMIT = 40
"""Cases of one list that a difference names, unless more are asked for."""
WIDE = 104
"""Columns from which intervals are drawn; below they are printed."""
LEAST, ANSWER = 24, 72
"""Columns that an answer has at least, and at most, beside its case."""
READ = 2_000
"""Characters of an answer that are looked at for that."""


def verdict_text(
    verdict: Verdict,
    screen: Screen,
    *,
    candidate: Run | None = None,
    baseline: Run | None = None,
    quiet: bool = False,
    rates: bool = True,
) -> str:
    """A verdict as text; ``quiet`` keeps the first line, without ``rates`` attacks are only named.

    The rates are those of the run: who has just read them there need not read them again.
    """
    parts: list[RenderableType] = [_first(verdict, screen)]
    if quiet:
        return screen.render(parts)
    parts += _runs(verdict, screen, candidate, baseline)
    decided = gate_words.decided(verdict)
    if decided:
        parts += [labelled("looks", screen.say(decided), LABEL)]
    parts += _cautions(verdict, screen)
    if verdict.results:
        parts += ["", grid(_columns(verdict, screen), screen)]
        parts += _sentences(verdict, screen)
    shown = attack_parts if rates else attack_lists
    parts += shown(verdict.attacks, screen, whole=_whole(verdict))
    parts += fairness_parts(verdict.fairness, screen)
    parts += _counted(verdict.compared, screen)
    parts.append("")
    parts += [
        labelled("" if place else "next", command, LABEL)
        for place, command in enumerate(_next(verdict))
    ]
    if verdict.promise:
        parts.append(labelled("noise", screen.say(verdict.promise), LABEL))
    return screen.render(parts)


def _first(verdict: Verdict, screen: Screen) -> RenderableType:
    from rich.text import Text

    glyph, _, style = gate_words.GLYPHS[verdict.status]
    first = Text(f"{screen.say(glyph)} {verdict.status}", style=f"bold {style}")
    said = words.clean(gate_words.headline(verdict), lines=False)
    first.append(f"  {screen.say(said)}   exit {int(verdict.exit_code)}", "not bold default")
    return first


def _runs(
    verdict: Verdict, screen: Screen, candidate: Run | None, baseline: Run | None
) -> list[RenderableType]:
    from rich.text import Text

    old = _run(verdict.baseline[-1], baseline) if verdict.baseline else "none"
    if len(verdict.baseline) > 1:
        old += f" and {words.counted(len(verdict.baseline) - 1, 'repeat')}"
    parts = [f"baseline {old}", f"→ candidate {_run(verdict.candidate, candidate)}"]
    if any(one.paired for one in verdict.compared):
        parts.append(gate_words.pairs(verdict.compared))
    return [Text(flow([screen.say(one) for one in parts], screen.width))]


def _run(run_id: str, run: Run | None) -> str:
    if run is None or run.git is None:
        return run_id
    at = words.commit(run.git.commit, run.git.branch, dirty=run.git.dirty)
    return f"{run_id} {words.clean(at, lines=False)}"


def _cautions(verdict: Verdict, screen: Screen) -> list[RenderableType]:
    """What is not equal, once for all targets; and waivers."""
    said: dict[str, None] = {}
    for one in verdict.compared:
        for difference in one.differences:
            mark = "change is" if difference.weight == "change" else "!"
            said[f"{mark} {difference.text}"] = None
    told = any(one.reason == verdict.hint for one in verdict.results)  # by the gates, below
    for line in (*verdict.problems[1:], "" if told else verdict.hint, *verdict.warnings):
        if line:
            said[f"! {line}"] = None
    cleaned = [screen.say(words.clean(one, lines=False)) for one in said]
    from rich.text import Text

    return [Text(one, style="yellow" if one.startswith("!") else "dim") for one in cleaned]


def _columns(verdict: Verdict, screen: Screen) -> list[Column]:
    shown = gate_words.worst_first(verdict.results)
    several = len({(one.suite, one.target) for one in shown if one.target}) > 1

    def cells(say: object) -> list[str]:
        assert callable(say)
        return [screen.say(words.clean(say(one), lines=False)) for one in shown]

    wide = screen.width >= WIDE
    drawn = Column(
        head=screen.say(f"{100 * shown[0].level:.3g} % interval" + (" vs limit" if wide else "")),
        cells=[screen.say(bar(one) if wide else gate_words.interval(one)) for one in shown],
        drop=4,
    )
    named = []
    if several:
        said = cells(lambda one: gate_words.subject(verdict, one))
        alone = len({one.target for one in shown if one.target}) == 1
        named = [Column(head="suite" if alone else "target", cells=said, fold=True)]
    return [
        Column(head="", cells=cells(_status)),
        Column(head="gate", cells=cells(gate_words.name), fold=True),
        *named,
        Column(head="rule", cells=cells(gate_words.rule), drop=3),
        Column(
            head="base", cells=cells(lambda one: gate_words.level(one, one.baseline)), right=True,
            drop=1,
        ),
        Column(
            head="cand", cells=cells(lambda one: gate_words.level(one, one.candidate)), right=True,
            drop=1,
        ),
        Column(
            head="change",
            cells=cells(
                lambda one: gate_words.change(one, one.difference) if one.about == "change" else ""
            ),
            right=True,
        ),
        drawn,
        Column(
            head="n", cells=cells(lambda one: words.count(one.n) if one.n else ""), right=True,
            drop=2,
        ),
    ]  # fmt: skip


def _status(result: GateResult) -> str:
    glyph, word, _ = gate_words.GLYPHS[result.status]
    aside = " (advisory)" if result.mode == "advisory" else ""
    waived = " (waived)" if any(one.startswith("waived") for one in result.notes) else ""
    return f"{glyph} {word}{aside}{waived}"


def bar(result: GateResult, width: int = BAR) -> str:
    """The interval with its estimate, the zero tick and the limit, on one line of characters.

    An end without a bound has no stop; a limit inside the line shows through as ╪.
    """
    places = bar_of(result)
    if places is None:
        return ""

    def at(place: float) -> int:
        return round(place * (width - 1))

    line = [" "] * width
    start = 0 if places.low is None else at(places.low)
    end = width - 1 if places.high is None else at(places.high)
    if places.low is not None or places.high is not None:
        line[start : end + 1] = "─" * (end + 1 - start)
        if places.low is not None:
            line[start] = "├"
        if places.high is not None:
            line[end] = "┤"
    if places.zero is not None and line[at(places.zero)] == " ":
        line[at(places.zero)] = "│"
    place = at(places.limit)
    line[place] = "╪" if line[place] == "─" else "┊"
    line[at(places.value)] = "●"
    return "".join(line)


SHOWN = 6
FEW = 3
"""Targets of suites whose cases are all counted, moved or not."""


def _sentences(verdict: Verdict, screen: Screen) -> list[RenderableType]:
    """The sentence of every gate that did not pass, the worst first; of the first that did."""
    shown = [
        one for one in gate_words.worst_first(verdict.results) if one.status is not Status.PASS
    ] or list(verdict.results[:1])
    said = gate_words.sentences(shown)
    lines = [screen.say(words.clean(one, lines=False)) for one, _ in said[:SHOWN]]
    left = sum(number for _, number in said[SHOWN:])
    if left:
        lines.append(f"and {left} more: {_again(verdict)}")
    return ["", *(labelled("" if place else "why", one, LABEL) for place, one in enumerate(lines))]


def _counted(compared: Sequence[Compared], screen: Screen) -> list[RenderableType]:
    """The cases of every target; of many, those of which none went anywhere are only named."""
    several, many = len(compared) > 1, len(compared) > FEW
    still = [one for one in compared if many and one.paired and not one.stirred]
    parts: list[RenderableType] = []
    for one in compared:
        if one not in still:
            parts += counts(one, screen, several=several)
    if still:
        names = [words.clean(f"{one.suite}/{one.target}", lines=False) for one in still]
        parts += ["", labelled("same", flow(names, screen.width - LABEL), LABEL)]
    return parts


def counts(compared: Compared, screen: Screen, *, several: bool) -> list[RenderableType]:
    """How many cases went which way, and the worst of them."""
    if not compared.metric and not compared.paired:
        return []
    said = [f"{compared.suite}/{compared.target}"] if several else []
    tally = (
        ("▼", compared.regressed, "regressed"),
        ("✕", compared.errored, "error" if compared.errored == 1 else "errors"),
        ("", compared.unscored, "unscored"),
        ("", compared.flaky, "flaky"),
        ("", len(compared.lost), "lost"),
        ("+", len(compared.new), "new"),
        ("", len(compared.removed), "removed"),
        ("", len(compared.not_run), "not run"),
        ("", len(compared.changed), "changed"),
        ("▲", compared.improved, "improved"),
        ("≈", compared.reworded or 0, "reworded"),
        ("=", compared.same - (compared.reworded or 0), "same"),
    )
    said += [
        f"{glyph}{words.count(number)} {word}"
        for glyph, number, word in tally
        if number or (compared.metric and word in {"regressed", "improved", "same"})
    ]
    line = words.clean(flow(said, screen.width - LABEL), lines=False)
    parts: list[RenderableType] = ["", labelled("cases", screen.say(line), LABEL)]
    if compared.gone:
        gone = [words.clean(one, lines=False) for one in gate_words.gone([compared])]
        parts.append(labelled("gone", screen.say(flow(gone, screen.width - LABEL)), LABEL))
    fallen = [one for one in compared.moved if one.outcome == "regressed"]
    if fallen:
        one = fallen[0]
        text = f"{one.name}  {words.score(one.before)} → {words.score(one.after)}"
        parts.append(labelled("worst", screen.say(words.clean(text, lines=False)), LABEL))
    if compared.places:
        places = [words.clean(gate_words.place(one), lines=False) for one in compared.places]
        parts.append(labelled("where", screen.say(flow(places, screen.width - LABEL)), LABEL))
    return parts


def _next(verdict: Verdict) -> list[str]:
    if not verdict.baseline:
        attack = first_new(verdict.attacks)
        shown = "" if attack is None else f" {named(attack)}"
        return [f"evalkit show {verdict.candidate}{shown}"]
    lines = [f"evalkit diff {verdict.against or verdict.baseline[-1]} {verdict.candidate}"]
    attack = first_new(verdict.attacks)
    if attack is not None:
        return [*lines, _look(verdict, named(attack))]
    for one in verdict.compared:
        fallen = [case for case in one.moved if case.outcome == "regressed"]
        if fallen:
            lines.append(_look(verdict, _named(verdict.compared, fallen[0])))
            break
    return lines


def _whole(verdict: Verdict) -> str:
    """The command that names every attack of a list."""
    if not verdict.baseline:
        return f"evalkit show {verdict.candidate} --json"
    many = longest(verdict.attacks)
    return _next(verdict)[0] + (f" --limit {many}" if many > LIMIT else "")


def _again(verdict: Verdict) -> str:
    """The command that judges the same again, and leaves nothing out."""
    base = verdict.against or (f"run:{verdict.baseline[-1]}" if verdict.baseline else "")
    return f"evalkit gate {verdict.candidate}{f' --baseline {base}' if base else ''} --json"


def _differ(runs: tuple[Run, Run], limit: int, outcome: str) -> str:
    """The command that shows so many cases of a list."""
    only = f" --only {outcome}" if outcome else ""
    return f"evalkit diff {runs[0].id} {runs[1].id}{only} --limit {limit}"


def _named(compared: Sequence[Compared], case: CaseChange) -> str:
    """The case for a command: by its name, unless another that moved is called so too."""
    called = {one.case_id for each in compared for one in each.moved if one.name == case.name}
    return case.case_id if len(called) > 1 else words.typed(case.name, case.case_id)


def _look(verdict: Verdict, case: str) -> str:
    """The command that shows one case: on both sides where both are stored."""
    if verdict.against:
        return f"evalkit show {verdict.candidate} {case}"
    return f"evalkit why {case} {verdict.baseline[-1]} {verdict.candidate}"


def diff_text(
    compared: tuple[Compared, ...],
    screen: Screen,
    *,
    attacks: Sequence[Attacks] = (),
    runs: tuple[Run, Run] | None = None,
    outcome: str = "",
    limit: int = LIMIT,
    texts: Fetch | None = None,
) -> str:
    """Two runs case by case: what differs, the counts, and the cases that moved, worst first.

    Of several targets those in which nothing moved have one line. With the ``runs`` the prompts are
    compared word by word, and the next command is said. ``texts`` brings the candidate's trials of
    cases by their ids: where there is room, the answers stand beside the cases.
    """
    from rich.text import Text

    parts: list[RenderableType] = []
    if runs is not None:
        old, new = (_run(one.id, one) for one in runs)
        pairs = gate_words.pairs(compared)
        about = [screen.say(one) for one in (f"baseline {old}", f"→ candidate {new}", pairs)]
        parts.append(Text(flow(about, screen.width)))
    prompts: set[str] = set()
    still = [one for one in compared if len(compared) > 1 and one.paired and not one.stirred]
    for one in compared:
        if one in still:
            continue
        title = words.clean(f"{one.suite}  {one.target}", lines=False)
        parts += [*([""] if parts else []), Text(title, style="bold")]
        for difference in one.differences:
            mark = {"change": "change is ", "caution": "! ", "refused": "! not comparable: "}
            said = mark[difference.weight] + difference.text
            parts.append(Text(screen.say(words.clean(said, lines=False))))
        if runs is not None:
            parts += prompt_changes(*runs, one.target, screen, seen=prompts)
        parts += counts(one, screen, several=False)
        if not one.paired:
            parts.append(Text("nothing to compare: the two runs share no case here"))
        moved = [case for case in one.moved if not outcome or case.outcome == outcome]
        if moved:
            columns = _moved(moved[:limit], screen)
            if texts is not None:
                columns += _answers(one, moved[:limit], columns, screen, texts)
            parts += ["", grid(columns, screen)]
        if len(moved) > limit:
            more = f"and {len(moved) - limit} more"
            parts.append(Text(f"{more}: {_differ(runs, len(moved), outcome)}" if runs else more))
        for word in ("new", "removed", "changed", "lost"):
            names = getattr(one, word)
            if names:
                shown = ", ".join(names[:8]) + (
                    f" and {len(names) - 8} more" if len(names) > 8 else ""
                )
                parts.append(labelled(word, words.clean(shown, lines=False), LABEL + 1))
    parts += ["", *(Text(screen.say(_still(one))) for one in still)] if still else []
    whole = _differ(runs, longest(attacks), outcome) if runs else ""
    parts += attack_lists(attacks, screen, whole=whole, limit=limit)
    worst = [case for one in compared for case in one.moved if case.outcome == "regressed"]
    if runs is not None and worst:
        case = min(worst, key=lambda case: -abs(case.change))
        named = _named(compared, case)
        command = f"evalkit why {named} {runs[0].id} {runs[1].id}"
        parts += ["", labelled("next", command, LABEL)]
    return screen.render(parts)


def _answers(
    compared: Compared,
    moved: Sequence[CaseChange],
    beside: Sequence[Column],
    screen: Screen,
    texts: Fetch,
) -> list[Column]:
    """What the candidate said, cut to the room that other columns leave; none where that is little.

    Of several trials the first that fails, else the first.
    """
    room = screen.width - sum(one.width + GAP for one in beside)
    if room < LEAST:
        return []
    stored = texts([one.case_id for one in moved])

    def cell(case: CaseChange) -> str:
        here = (compared.suite, compared.target)
        trials = [one for one in stored.get(case.case_id, ()) if (one.suite, one.target) == here]
        failing = [one for one in trials if case.outcome == "regressed" and fails(one)]
        first = next(iter(failing or trials), None)
        if first is None:
            return ""
        text = str(first.error_class) if first.output is None else answer_of(first.output)
        return _fitted(
            words.seen(words.quoted(text)[:READ], lines=False), min(room, ANSWER), screen
        )

    return [Column(head="the candidate's answer", cells=[cell(one) for one in moved], drop=2)]


def _fitted(text: str, room: int, screen: Screen) -> str:
    """The text in at most so many columns of the screen."""
    from rich.cells import cell_len, set_cell_size

    end = screen.say("…")
    return text if cell_len(text) <= room else set_cell_size(text, room - len(end)).rstrip() + end


def _still(one: Compared) -> str:
    """A target in which nothing moved, on one line; what does not let it be compared stays said."""
    said = [f"{one.suite} {one.target}: nothing moved in {words.counted(one.paired, 'case')}"]
    said += [f"{words.count(one.reworded)} reworded"] if one.reworded else []
    said += [f"{words.count(one.unscored)} unscored"] if one.unscored else []
    said += [f"! {each.text}" for each in one.differences if each.weight != "change"]
    return words.clean(", ".join(said), lines=False)


def _moved(moved: Sequence[CaseChange], screen: Screen) -> list[Column]:
    def number(value: float) -> str:
        return screen.say(words.score(value))

    glyph = {"regressed": "▼", "improved": "▲"}
    return [
        Column(head="", cells=[screen.say(glyph[one.outcome]) for one in moved]),
        Column(
            head="case", cells=[words.clean(one.name, lines=False) for one in moved], fold=True
        ),
        Column(head="base", cells=[number(one.before) for one in moved], right=True),
        Column(head="cand", cells=[number(one.after) for one in moved], right=True),
        Column(
            head="change",
            cells=[f"{'+' if one.change > 0 else ''}{number(one.change)}" for one in moved],
            right=True,
        ),
        Column(head="metric", cells=[one.metric for one in moved], drop=1),
    ]  # fmt: skip
