"""A load test on a terminal: the steps in a table, then what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evalkit.report import words
from evalkit.report.load import LoadView, ObjectiveView, Percentile, StepView
from evalkit.report.screen import Column, Screen, flow, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType

LABEL = 12
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.:-=+*#"

_STOPPED = {
    "interrupted": "ended early by hand",
    "errors": "ended early: too many requests failed",
    "money": "ended early: the money allowed is spent or promised (--max-usd)",
    "requests": "ended early: as many requests as allowed were sent (--max-requests)",
    "in flight": "ended early: as many requests as allowed waited for an answer (--max-in-flight)",
}


def load_text(view: LoadView, screen: Screen) -> str:
    """A load test as text for a screen."""
    parts: list[RenderableType] = [*_head(view, screen)]
    if view.steps:
        parts += ["", grid(_columns(view, screen), screen)]
    parts.append("")
    parts += [labelled(label, screen.say(text), LABEL) for label, text in _facts(view, screen)]
    parts += [labelled("" if at else "next", one, LABEL) for at, one in enumerate(view.next)]
    return screen.render(parts)


def _head(view: LoadView, screen: Screen) -> list[RenderableType]:
    from rich.text import Text

    verdicts = {one.verdict for one in view.objectives}
    glyph, word, style = "✓", "DONE", "green"
    if "FAIL" in verdicts:
        glyph, word, style = "✕", "FAIL", "red"
    elif view.stopped or not view.answered:
        glyph, word, style = "!", view.status.upper(), "yellow" if view.answered else "red"
    elif "INCONCLUSIVE" in verdicts:
        glyph, word, style = "!", "INCONCLUSIVE", "yellow"
    elif verdicts:
        word = "PASS"
    sentence = f"{words.count(view.answered)} of {words.counted(view.sent, 'request')} answered"
    if view.failed:
        sentence += f", {words.count(view.failed)} failed ({words.tally(view.error_classes)})"
    if view.unfinished:
        sentence += f", {words.count(view.unfinished)} given up"
    first = Text(f"{screen.say(glyph)} {word}", style=f"bold {style}")
    first.append(f"  {screen.say(sentence)}", style="not bold default")
    facts = [f"run {view.run_id}", words.clean(f"load {view.suite} on {view.target}", lines=False)]
    if view.model:
        facts.append(words.clean(view.model, lines=False))
    if view.elapsed_s is not None:
        facts.append(words.duration(view.elapsed_s))
    cost = words.money(view.cost_usd)
    more = " and more" if view.unpriced and view.cost_usd is not None else ""
    facts.append(f"cost {cost}{more}")
    lines: list[RenderableType] = [
        first,
        Text(flow([screen.say(one) for one in facts], screen.width)),
    ]
    if view.stopped:
        lines.append(Text(screen.say(_STOPPED.get(view.stopped, view.stopped))))
    return lines


def _columns(view: LoadView, screen: Screen) -> list[Column]:
    steps = view.steps
    closed = view.arrivals == "closed"

    def right(head: str, cell: Callable[[StepView], str], drop: int = 0, style: str = "") -> Column:
        cells = [screen.say(cell(one)) for one in steps]
        return Column(head=head, cells=cells, right=True, drop=drop, style=style)

    def interval(percentile: Callable[[StepView], Percentile], drop: int) -> Column:
        cells = [screen.say(_interval(percentile(one))) for one in steps]
        return Column(head="95 % interval", cells=cells, drop=drop, style="dim")

    columns = [
        right("at once", lambda one: words.number(one.in_flight_mean, 0))
        if closed
        else right("asked/s", lambda one: words.number(one.offered or 0.0, _places(one.offered))),
        right("answered/s", lambda one: _rate(one.rate)),
        right("p50", lambda one: _time(one.latency["p50"].value)),
        right("p95", lambda one: _time(one.latency["p95"].value)),
        interval(lambda one: one.latency["p95"], 3),
        right("p99", lambda one: _time(one.latency["p99"].value)),
    ]
    if any(one.ttft["p95"].value is not None for one in steps):
        columns += [
            right("ttft p95", lambda one: _time(one.ttft["p95"].value), 2),
            right("itl p95", lambda one: _time(one.itl["p95"].value), 5),
        ]
    if any(one.tokens_per_s for one in steps):
        columns.append(right("tokens/s", lambda one: _rate(one.tokens_per_s), 4))
    if any(one.failed for one in steps):
        columns.append(
            right("errors", lambda one: words.quantity(one.failed / max(1, one.sent), "%"), 1)
        )
    if not closed:
        columns.append(right("in flight", lambda one: words.count(one.in_flight_max), 6))
    if any(not one.valid for one in steps):
        columns.append(
            Column(head="", cells=["" if one.valid else "client" for one in steps], style="yellow")
        )
    return columns


def _places(value: float | None) -> int:
    return 0 if value is None or value == int(value) else words.decimals(value)


def _rate(value: float | None) -> str:
    if value is None:
        return words.NONE
    return words.number(value, 0 if value >= 100 else 1)


def _time(value: float | None) -> str:
    if value is None:
        return words.NONE
    if math.isinf(value):
        return "never"
    if value < 1:
        return f"{words.number(value * 1e3, 0 if value >= 0.01 else 1)} ms"
    return f"{words.number(value, 2 if value < 10 else 1)} s"


def _interval(one: Percentile) -> str:
    if one.value is None or (one.low is None and one.high is None):
        return ""
    return f"[{_time(one.low)}, {_time(one.high)}]"


def _facts(view: LoadView, screen: Screen) -> list[tuple[str, str]]:
    found = [("latency", _latency_words(view))]
    if view.timeline:
        marks = sparkline(
            [one.in_flight for one in view.timeline],
            min(60, screen.width - LABEL - 24),
            _BARS if screen.unicode else _ASCII_BARS,
        )
        most = max(one.in_flight_max for one in view.steps)
        found.append(("in flight", f"{marks}  {words.count(most)} at most"))
    found.append(("saturation", saturation_words(view)))
    found += [("" if place else "client", text) for place, text in enumerate(client_words(view))]
    found += [
        ("" if place else "objectives", objective_words(one, view))
        for place, one in enumerate(view.objectives)
    ]
    return found


def _latency_words(view: LoadView) -> str:
    if view.arrivals == "closed":
        return (
            "of answers, from the instant a user was free to ask; users wait for their answers, so"
            " no rate is promised"
        )
    text = "of answers, from the instant each request was due, sent late or not"
    late = [
        one
        for one in view.steps
        if one.valid and (one.attempt["p99"].value or 0) * 1.5 < (one.latency["p99"].value or 0)
    ]
    if late:
        worst = max(late, key=lambda one: one.latency["p99"].value or 0)
        text += (
            f"; from the first byte sent p99 would seem {_time(worst.attempt['p99'].value)}"
            f" and not {_time(worst.latency['p99'].value)}"
        )
    return text


def sparkline(values: Sequence[int], width: int, bars: str = _BARS) -> str:
    """Values as a row of bars at most ``width`` wide, each the highest of its stretch."""
    if not values:
        return ""
    size = max(1, math.ceil(len(values) / max(1, width)))
    peaks = [max(values[start : start + size]) for start in range(0, len(values), size)]
    top = max(peaks)
    last = len(bars) - 1
    return "".join(bars[round(one / top * last) if top else 0] for one in peaks)


def saturation_words(view: LoadView) -> str:
    """Where the target stopped keeping up, and by which rule."""
    found = view.saturation
    unit = " requests a second" if found.arrivals == "open" else " at once"

    def level(value: float | None) -> str:
        if value is None:
            return words.NONE
        return words.number(value, _places(value) if unit != " at once" else 0)

    about = "about" if found.arrivals == "closed" else "at most"
    peak = f"; {about} {_rate(found.peak)} answers a second" if found.peak is not None else ""
    knee = f", the knee at about {level(found.knee)} at once" if found.knee is not None else ""
    if found.status == "found":
        text = f"between {level(found.held)} and {level(found.broken)}{unit}: {found.reason}"
    elif found.status == "lowest":
        text = f"already at {level(found.broken)}{unit}: {found.reason}"
    elif found.status == "not reached":
        only = "" if len(view.steps) > 1 else " (one step: its latency has nothing to be beside)"
        return f"not reached: {level(found.held)}{unit} were kept up with{only}{peak}"
    elif found.status == "errors":
        kept = f"; {level(found.held)}{unit} were kept up with" if found.held is not None else ""
        return f"unknown: {found.reason}, which load does not explain{kept}"
    elif found.status == "client":
        kept = f"; {level(found.held)}{unit} were kept up with" if found.held is not None else ""
        return f"unknown: the client was the limit first{kept}"
    else:
        return "unknown: nothing was sent"
    return f"{text}{peak}{knee}. Saturated is a step where {found.definition}"


def client_words(view: LoadView) -> list[str]:
    """Whether the figures are the target's: how busy and how late this process was."""
    bad = [one for one in view.steps if not one.valid]
    if not bad:
        cpu = max((one.cpu for one in view.steps), default=0.0)
        late = max((one.delay_p95 or 0.0 for one in view.steps), default=0.0)
        text = f"not the limit: its event loop took at most {cpu * 100:.0f} % of a core, and"
        return [f"{text} requests started {_time(late)} late (p95)"]
    first = bad[0]
    at = (
        f"at {words.number(first.offered, _places(first.offered))} a second"
        if first.offered
        else (f"at {first.users:,} users" if first.users else "")
    )
    count = f"{words.counted(len(bad), 'step')} of {len(view.steps)}"
    text = f"the bottleneck in {count}, whose figures are not the target's"
    return [text, *(f"{at}: {one}" for one in first.why_not)]


def objective_words(one: ObjectiveView, view: LoadView) -> str:
    """One objective: its verdict, what decided it, and up to where it held."""
    held = one.decided_by
    share = one.metric == "error.rate"

    def shown(value: float | None) -> str:
        if value is None:
            return words.NONE
        return words.quantity(value, "%") if share else _time(value)

    text = f"{one.verdict}  {one.metric} at most {shown(one.limit)}: {shown(held.value)}"
    if held.low is not None or held.high is not None:
        text += f" [{shown(held.low)}, {shown(held.high)}]"
    unit = "a second" if view.arrivals == "open" else "at once"
    if len(view.steps) > 1:
        text += f" in step {held.step + 1}"
        if one.verdict != "PASS":
            kept = "in no step" if one.held_to is None else f"to {one.held_to:,.4g} {unit}"
            text += f"; held {kept}"
    return f"{text}; {held.reason}" if held.reason else text
