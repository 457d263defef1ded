"""The metrics of a page: those of one run, and those of two side by side with their change."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from evalkit.gate.moves import MetricChange
from evalkit.report import gate_words, words
from evalkit.report.page import ReportView
from evalkit.report.view import Cell, MetricRow, RunView, SuiteView

Shown = Mapping[str, Any]
FEW = 3
"""Tables of metrics that all have their place; of more, those that did not move share one."""


def metrics(view: ReportView) -> list[Shown]:
    """The metrics of every suite of the candidate; with a baseline only where targets compete."""
    alone = view.baseline is None
    return [
        {
            "title": _line(f"Metrics of {one.name}" + ("" if alone else ", the candidate")),
            "targets": [_line(each.name) for each in one.targets],
            "rows": [_metric(each) for each in one.rows],
        }
        for one in view.run.suites
        if one.targets and (alone or len(one.targets) > 1 or not _moved(view, one.name))
    ]


def _line(text: str) -> str:
    return words.clean(text, lines=False)


def _moved(view: ReportView, suite: str) -> bool:
    return any(one.suite == suite for one in view.moves)


def _metric(row: MetricRow) -> Shown:
    cells = []
    for cell in row.cells:
        if cell is None or cell.value is None:
            note = words.NONE if cell is None else _line(cell.note) or words.NONE
            cells.append({"value": note, "interval": ""})
            continue
        low, high = cell.low, cell.high
        cells.append(
            {
                "value": words.quantity(cell.value, row.unit, low=low, high=high),
                "interval": words.interval(cell.value, row.unit, low, high),
            }
        )
    sizes = sorted({one.n for one in row.cells if one is not None and one.n})
    return {
        "metric": _line(row.metric),
        "cells": cells,
        "n": "–".join(words.count(one) for one in sorted({*sizes[:1], *sizes[-1:]})),
    }


def comparisons(view: ReportView) -> list[Shown]:
    """Baseline, candidate and change of every metric, a table for each target of each suite."""
    found: list[Shown] = []
    places = list(dict.fromkeys((one.suite, one.target) for one in view.moves))
    several = len(places) > 1
    for suite, target in places:
        rows = [one for one in view.moves if (one.suite, one.target) == (suite, target)]
        reasons = {one.reason for one in rows}
        bare = [one for one in rows if one.reason and one.baseline is one.candidate is None]
        why = reasons.pop() if len(reasons) == 1 and len(bare) == len(rows) else ""
        said: dict[str, list[str]] = {}
        for one in rows:
            if one.reason:
                said.setdefault(one.reason, []).append(one.metric)
        # what keeps several metrics from being compared is said once, below them
        shared = {one for one, names in said.items() if len(names) > 1}
        shared |= {one.reason for one in bare}
        found.append(
            {
                "title": _line(
                    f"Metrics of {suite} / {target}" if several else f"Metrics of {suite}"
                ),
                "moved": _tally(rows),
                "still": len(places) > FEW and not any(one.worse or one.better for one in rows),
                "open": not several or any(one.worse for one in rows),
                "level": f"{100 * rows[0].level:.3g} %",
                "why": _line(why),
                "rows": []
                if why
                else [_compared(view, one, shared) for one in rows if one not in bare],
                "reasons": [
                    _line(_because(names, one)) for one, names in said.items() if one in shared
                ],
            }
        )
    return found


def _because(metrics: Sequence[str], reason: str) -> str:
    """The reason for all of them, which may name the only one itself."""
    named = reason.startswith(metrics[0])
    return f"{reason}." if named else f"{', '.join(metrics)}: {reason}."


def _tally(rows: Sequence[MetricChange]) -> str:
    worse, better = sum(one.worse for one in rows), sum(one.better for one in rows)
    return f"{worse} worse ▼, {better} better ▲, {len(rows) - worse - better} not told apart"


def _compared(view: ReportView, one: MetricChange, shared: Container[str]) -> Shown:
    tone, glyph = ("bad", "▼ ") if one.worse else ("good", "▲ ") if one.better else ("", "")
    change = "" if one.difference is None else f"{glyph}{gate_words.change(one, one.difference)}"
    return {
        "metric": _line(one.metric),
        "sides": [
            _level(one, one.baseline, view.before),
            _level(one, one.candidate, view.run),
        ],
        "tone": tone,
        "change": change or words.NONE,
        "interval": gate_words.bracket(one, gate_words.change),
        "why": "" if one.reason in shared else _line(one.reason),
        "n": words.count(one.n) if one.n else "",
    }


def _level(one: MetricChange, value: float | None, run: RunView | None) -> Shown:
    """A level on the cases of both runs; with its interval where the run had no others."""
    cell = None if run is None else _cell(run.suites, one)
    if value is None:
        return {"value": words.NONE, "interval": ""}
    if cell is None or cell.value is None or abs(cell.value - value) > 1e-9 * max(1.0, abs(value)):
        return {"value": words.quantity(value, one.unit), "interval": ""}
    low, high = cell.low, cell.high
    return {
        "value": words.quantity(value, one.unit, low=low, high=high),
        "interval": words.interval(value, one.unit, low, high),
    }


def _cell(suites: Sequence[SuiteView], one: MetricChange) -> Cell | None:
    def cells() -> Iterator[Cell | None]:
        for suite in suites:
            for row in suite.rows:
                if suite.name == one.suite and row.metric == one.metric:
                    for target, cell in zip(suite.targets, row.cells, strict=True):
                        if target.name == one.target:
                            yield cell

    return next(cells(), None)
