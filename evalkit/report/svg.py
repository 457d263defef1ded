"""Small drawings for the page: intervals, distributions, trends, the frontier of targets.

Stroke and fill are attributes: they are still there where a server blocks style sheets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from evalkit.report import words
from evalkit.report.bars import Bar
from evalkit.report.page import Frontier, Strip, Strips, Trend

_INK = 'stroke="currentColor"'
_SOFT = 'stroke="currentColor" stroke-opacity="0.35"'
_LIMIT = "#b45309"


def _svg(width: int, height: int, label: str, body: Sequence[str]) -> Markup:
    # the label is escaped by the format; the body is made of numbers and escaped labels
    head = Markup(
        '<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
    ).format(width, height, width, height, label)
    return head + Markup("".join(body)) + Markup("</svg>")  # noqa: S704 - see above


def _line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {more}/>'


def _rect(x: float, y: float, width: float, height: float, more: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {more}/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    escaped = Markup.escape(words.clean(text, lines=False))
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" font-family="sans-serif"'
        f' fill="currentColor"{more}>{escaped}</text>'
    )


def interval(bar: Bar, label: str, *, width: int = 212, height: int = 22) -> Markup:
    """An interval with its estimate, the zero tick and the dashed limit."""
    middle = height / 2

    def at(place: float) -> float:
        return 1 + place * (width - 2)

    low = 1.0 if bar.low is None else at(bar.low)
    high = width - 1.0 if bar.high is None else at(bar.high)
    body = [_rect(0, middle - 2, width, 4, 'fill="currentColor" fill-opacity="0.12"')]
    if bar.zero is not None:
        body.append(_line(at(bar.zero), 2, at(bar.zero), height - 2, f'{_SOFT} stroke-width="1.5"'))
    body.append(
        _line(
            at(bar.limit), 1, at(bar.limit), height - 1,
            f'stroke="{_LIMIT}" stroke-width="2" stroke-dasharray="3 2"',
        )
    )  # fmt: skip
    if bar.low is not None or bar.high is not None:
        body.append(_line(low, middle, high, middle, f'{_INK} stroke-width="2"'))
    for end, known in ((low, bar.low), (high, bar.high)):
        if known is not None:
            body.append(_line(end, middle - 5, end, middle + 5, f'{_INK} stroke-width="2"'))
    body.append(f'<circle cx="{at(bar.value):.1f}" cy="{middle:.1f}" r="4" fill="currentColor"/>')
    return _svg(width, height, label, body)


STRIP = 30


def distributions(one: Strips, *, width: int = 380) -> Markup:
    """A strip a side on one scale: p5–p99, p25–p75, the median and p95."""
    left, right = 66, width - 92
    top = max(strip.p99 for strip in one.strips)
    scale = (right - left) / top if top > 0 else 0.0
    body = []
    for row, strip in enumerate(one.strips):
        y = 14 + row * STRIP

        def at(value: float) -> float:
            return left + value * scale

        body += [
            _text(0, y + 4, strip.side),
            _line(at(strip.p5), y, at(strip.p99), y, f'{_SOFT} stroke-width="2"'),
            _rect(
                at(strip.p25),
                y - 8,
                max(1.0, at(strip.p75) - at(strip.p25)),
                16,
                f'fill="currentColor" fill-opacity="0.15" {_SOFT}',
            ),
            _line(at(strip.p50), y - 8, at(strip.p50), y + 8, f'{_INK} stroke-width="2"'),
            f'<circle cx="{at(strip.p95):.1f}" cy="{y}" r="3.5" fill="currentColor"/>',
            _text(at(strip.p99) + 6, y + 4, f"p99 {words.quantity(strip.p99, one.unit)}"),
        ]
    return _svg(width, STRIP * len(one.strips), f"{one.title}: distributions", body)


def strip_words(strip: Strip, unit: str) -> str:
    """A strip for those who cannot see it."""
    said = ", ".join(
        f"{name} {words.quantity(getattr(strip, name), unit)}" for name in ("p50", "p95", "p99")
    )
    return f"{strip.side}: {said} ({words.counted(strip.n, 'answer')})"


def sparkline(trend: Trend, *, width: int = 380, height: int = 74) -> Markup:
    """The values of the last runs, with the marked ones named."""
    values = [one.value for one in trend.points]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = (width - 40) / max(1, len(values) - 1)
    places = [
        (20 + step * at, 18 + (high - value) / span * (height - 44))
        for at, value in enumerate(values)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    body = [f'<polyline points="{points}" fill="none" {_SOFT} stroke-width="2"/>']
    for (x, y), one in zip(places, trend.points, strict=True):
        radius = 4.5 if one.mark else 2.5
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="currentColor"/>')
        if one.mark:
            anchor = "end" if x > width * 0.8 else "start" if x < width * 0.2 else "middle"
            body.append(_text(x, height - 4, one.mark, f' text-anchor="{anchor}"'))
            body.append(_line(x, y + 6, x, height - 16, f'{_SOFT} stroke-dasharray="2 2"'))
    return _svg(width, height, f"{trend.metric} of {trend.target} over {len(values)} runs", body)


def plane(targets: Sequence[Frontier], *, width: int = 720, height: int = 260) -> Markup:
    """Targets by cost (or latency where nothing is priced) and quality; dominated ones hollow."""
    priced = all(one.cost_usd is not None for one in targets) and any(
        one.cost_usd for one in targets
    )
    across = [(one.cost_usd if priced else one.latency_s) or 0.0 for one in targets]
    slowest = max((one.latency_s or 0.0 for one in targets), default=0.0)
    low = min(one.quality if one.low is None else one.low for one in targets)
    high = max(one.quality if one.high is None else one.high for one in targets)
    pad = 0.08 * ((high - low) or 1.0)
    low, high, right = low - pad, high + pad, 1.15 * (max(across) or 1.0)

    def x(value: float) -> float:
        return 60 + value / right * (width - 200)

    def y(value: float) -> float:
        return 12 + (high - value) / (high - low) * (height - 52)

    metric, unit = targets[0].metric, targets[0].unit
    name = "cost of an answer" if priced else "median latency"
    body = [
        _line(60, height - 40, width - 20, height - 40, _SOFT),
        _line(60, 8, 60, height - 40, _SOFT),
        _text(60, height - 8, f"{name}, 0 to {words.quantity(right, 'USD' if priced else 's')}"),
        _text(0, 20, words.quantity(high - pad, unit)),
        _text(0, height - 44, words.quantity(low + pad, unit)),
        _text(66, 20, metric),
    ]
    for one, where in zip(targets, across, strict=True):
        radius = 5.0 + 7.0 * math.sqrt((one.latency_s or 0.0) / slowest) if slowest else 6.0
        fill = "none" if one.dominated_by else "currentColor"
        if one.low is not None and one.high is not None:
            body.append(_line(x(where), y(one.low), x(where), y(one.high), _SOFT))
        body.append(
            f'<circle cx="{x(where):.1f}" cy="{y(one.quality):.1f}" r="{radius:.1f}" fill="{fill}"'
            f' fill-opacity="0.75" {_INK} stroke-width="1.5"/>'
        )
        body.append(_text(x(where) + radius + 4, y(one.quality) + 4, one.target))
    return _svg(width, height, f"{metric} against {name}; area is latency", body)
