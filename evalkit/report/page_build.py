"""From stored runs, their verdict and their cases to the one value that a page shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from evalkit.config.prompt_diff import diff_words
from evalkit.config.spec import GatePolicy
from evalkit.gate.moves import moves
from evalkit.gate.places import places
from evalkit.gate.result import Compared, Place, Verdict
from evalkit.gate.stored import Stored
from evalkit.gate.table import OUTCOMES, CaseTable, Outcome
from evalkit.model import Run
from evalkit.report import words
from evalkit.report.page import (
    CaseRows,
    Change,
    Frontier,
    Group,
    ReportView,
    RunFacts,
    Strip,
    Strips,
    Tag,
    Trend,
    TrendPoint,
)
from evalkit.report.page_cases import Fetch, case_texts
from evalkit.report.page_pairs import pair_views
from evalkit.report.view import Cell, MetricRow, RunView, SuiteView
from evalkit.secrets import redact
from evalkit.stats.intervals import Floats
from evalkit.stats.sides import Numbers, Side

ROOM = 24_000_000
"""Characters of case texts that are looked at; compressed they are about 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A stored run at a glance; ``scores`` has the mean of its first scorer, target by target."""

    run_id: str
    started_at: datetime
    commit: str | None
    scorer: str | None
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What stands around a comparison: earlier runs, newest first, and the tags of commits."""

    past: Mapping[str, Sequence[Past]]
    releases: Mapping[str, str]


def report_view(
    *,
    candidate: Stored,
    baseline: Stored | None,
    verdict: Verdict | None,
    compared: Sequence[Compared],
    run: RunView,
    before: RunView | None = None,
    policies: Mapping[str, GatePolicy] = {},
    tables: Sequence[CaseTable],
    context: Context,
    texts: Fetch,
    texts_before: Fetch | None,
    room: int = ROOM,
) -> ReportView:
    """The view of a candidate, against a baseline if there is one."""
    rows = case_rows(tables)
    listed = {one.name: [row.metric for row in one.rows] for one in run.suites}
    facts = _facts(candidate, run.cost_usd)
    return ReportView(
        title=_title(candidate.run),
        project=candidate.run.project,
        candidate=facts,
        baseline=None
        if baseline is None
        else _facts(baseline, before.cost_usd if before else None),
        run=run,
        before=before,
        moves=()
        if baseline is None
        else moves(candidate, baseline, shown=listed, policies=policies),
        verdict=verdict,
        compared=tuple(compared),
        changes=() if baseline is None else tuple(changes(baseline.run, candidate.run)),
        lifts=lifts(rows),
        strips=tuple(_strips(candidate, baseline)),
        trends=tuple(_trends(candidate.run, baseline, context)),
        frontier=tuple(one for suite in run.suites for one in frontier(suite)),
        rows=rows,
        texts=tuple(case_texts(rows, texts, texts_before, room=room)),
        pairs=pair_views(run.fairness, texts),
    )


def _title(run: Run) -> str:
    at = "" if run.git is None else run.git.branch or run.git.commit[:7]
    return redact(" · ".join(one for one in (run.project, at) if one))


def _facts(stored: Stored, spent: float | None) -> RunFacts:
    run = stored.run
    elapsed = None
    if run.finished_at is not None and run.finished_at >= run.started_at:
        elapsed = (run.finished_at - run.started_at).total_seconds()
    return RunFacts(
        run_id=run.id,
        started_at=run.started_at.isoformat(),
        commit=None if run.git is None else run.git.commit,
        branch=None if run.git is None else run.git.branch,
        dirty=bool(run.git and run.git.dirty),
        elapsed_s=elapsed,
        cost_usd=spent,
        repeats=max(0, len(stored.runs) - 1),
    )


def case_rows(tables: Sequence[CaseTable]) -> CaseRows:
    """The tables as one, the worst first over all of them."""
    names = tuple(map(str, OUTCOMES))
    if not tables:
        return CaseRows(outcomes=names)
    code = {one: place for place, one in enumerate(OUTCOMES)}
    outcome = np.array([code[each] for one in tables for each in one.outcome], dtype=np.intp)
    fall = np.concatenate([np.nan_to_num(one.gain * (one.after - one.before)) for one in tables])
    order = np.lexsort((fall, outcome))
    group = np.repeat(np.arange(len(tables)), [len(one.ids) for one in tables])

    def column(name: str) -> Floats:
        values: Floats = np.concatenate([getattr(one, name) for one in tables])[order]
        return values

    def texts(name: str) -> list[str]:
        found = [each for one in tables for each in getattr(one, name)]
        return [found[place] for place in order.tolist()]

    return CaseRows(
        groups=tuple(
            Group(
                suite=one.suite, target=one.target, metric=one.metric, unit=one.unit, gain=one.gain
            )
            for one in tables
        ),
        outcomes=names,
        group=tuple(group[order].tolist()),
        outcome=tuple(outcome[order].tolist()),
        id=tuple(texts("ids")),
        name=tuple(map(redact, texts("names"))),
        flaky=tuple(column("flaky").astype(np.intp).tolist()),
        before=_known(np.round(column("before"), 6)),
        after=_known(np.round(column("after"), 6)),
        before_ms=_ms(column("before_s")),
        after_ms=_ms(column("after_s")),
        tags=_tags(tables, order),
    )


def _known(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(one) else one for one in values.tolist())


def _ms(seconds: Floats) -> tuple[int | float | None, ...]:
    """Whole milliseconds, or as many decimals as a short time needs."""
    ms = 1000 * seconds
    short = np.where(ms >= 1, np.round(ms, 1), np.round(ms, 2))
    found = _known(np.where(ms >= 10, np.round(ms), short))
    return tuple(int(one) if one is not None and one >= 10 else one for one in found)


def _tags(tables: Sequence[CaseTable], order: Numbers) -> dict[str, Tag]:
    found = {}
    for tag in sorted({name for one in tables for name in one.tags}):
        values = [each for one in tables for each in one.tags.get(tag) or [None] * len(one.ids)]
        codes: dict[str | None, int] = {None: -1}
        places = [codes.setdefault(values[place], len(codes) - 1) for place in order.tolist()]
        found[redact(tag)] = Tag(
            values=tuple(redact(one) for one in codes if one is not None), codes=tuple(places)
        )
    return found


def lifts(rows: CaseRows) -> tuple[Place, ...]:
    """The slices in which cases regressed, or alone failed, more often than overall."""
    bad = {Outcome.REGRESSED, Outcome.FAILED}
    fell = np.array([rows.outcomes[one] in bad for one in rows.outcome], dtype=np.bool_)
    tags: dict[str, list[str | None]] = {
        "suite": [rows.groups[one].suite for one in rows.group],
        "target": [rows.groups[one].target for one in rows.group],
    }
    for tag, column in rows.tags.items():
        tags[tag] = [None if one < 0 else column.values[one] for one in column.codes]
    # a case that one side lacks, or did not answer, could not regress
    alone = all(one is None for one in rows.before)
    both = zip(rows.before, rows.after, strict=True)
    known = [now is not None and (alone or was is not None) for was, now in both]
    return places(tags, np.array(known, dtype=np.bool_) | fell, fell)


def changes(baseline: Run, candidate: Run) -> list[Change]:
    """What differs between the two configurations: prompts word by word, models, options."""
    found: dict[str, Change] = {}
    before = {one.name: one for one in baseline.targets}
    texts = {(0, one.version): one for one in baseline.prompts}
    texts |= {(1, one.version): one for one in candidate.prompts}
    for new in candidate.targets:
        old = before.get(new.name)
        if old is None:
            continue
        if old.prompt_version != new.prompt_version:
            one, two = (
                texts.get((0, old.prompt_version or "")),
                texts.get((1, new.prompt_version or "")),
            )
            if one is not None and two is not None:
                names = [each.label or each.version[:7] for each in (one, two)]
                found[f"prompt {one.version} {two.version}"] = Change(
                    title=redact(two.path),
                    note=redact(f"{names[0]} → {names[1]}"),
                    hunks=diff_words(*words.apart(redact(one.text), redact(two.text))),
                )
        options = {"kind": (old.kind, new.kind), "model": (old.model, new.model)} | {
            key: (old.options.get(key), new.options.get(key))
            for key in sorted({*old.options, *new.options} - {"model", "prompt"})
        }
        for key, (was, now) in options.items():
            if was != now:
                found[f"{new.name} {key}"] = Change(
                    title=redact(f"{new.name}: {key}"),
                    hunks=diff_words(*words.apart(redact(_said(was)), redact(_said(now)))),
                )
    return list(found.values())


def _said(value: object) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_said(one)}" for key, one in sorted(value.items()))
    return str(value)


_QUANTITIES = (("TTFT", "ttft_s", "s"), ("Latency", "latency_s", "s"), ("Cost", "cost_usd", "USD"))


def _strips(candidate: Stored, baseline: Stored | None) -> Iterable[Strips]:
    several = len(candidate.sides) > 1
    mine: Literal["run", "candidate"] = "run" if baseline is None else "candidate"
    for key, side in candidate.sides.items():
        old = None if baseline is None else baseline.sides.get(key)
        for title, name, unit in _QUANTITIES:
            found = []
            if old is not None and (strip := _strip("baseline", old, name)) is not None:
                found.append(strip)
            if (strip := _strip(mine, side, name)) is not None:
                found.append(strip)
            if found and not all(one.p99 == one.p5 == 0 for one in found):
                where = f"{title} · {key[0]} / {key[1]}" if several else title
                yield Strips(title=where, unit=unit, strips=tuple(found))


def _strip(which: Literal["baseline", "candidate", "run"], side: Side, name: str) -> Strip | None:
    values = getattr(side, name)
    kept = side.ok & ~np.isnan(values)
    if name != "cost_usd":
        kept &= side.live
    values = values[kept]
    if not len(values):
        return None
    ends = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95, 0.99), method="inverted_cdf")
    p5, p25, p50, p75, p95, p99 = map(float, ends)
    return Strip(
        side=which,
        n=len(values),
        p5=p5,
        p25=p25,
        p50=p50,
        p75=p75,
        p95=p95,
        p99=p99,
    )


def _trends(candidate: Run, baseline: Stored | None, context: Context) -> Iterable[Trend]:
    old = set() if baseline is None else set(baseline.runs or (baseline.run.id,))
    for suite, past in context.past.items():
        scorer = next((one for one in candidate.scorers if one.suite == suite), None)
        if scorer is None:
            continue
        for target in (one.name for one in candidate.targets):
            points = []
            for one in reversed(past):
                value = one.scores.get(target) if one.scorer == scorer.name else None
                if value is None:
                    continue
                mark = "candidate" if one.run_id == candidate.id else ""
                mark = mark or ("baseline" if one.run_id in old else "")
                mark = mark or context.releases.get(one.commit or "", "")
                points.append(
                    TrendPoint(
                        run_id=one.run_id,
                        started_at=one.started_at.isoformat(),
                        value=value,
                        mark=mark,
                    )
                )
            if len(points) > 2:
                yield Trend(
                    suite=suite,
                    target=target,
                    metric=f"{scorer.name}.mean",
                    unit=scorer.unit,
                    points=tuple(points),
                )


def frontier(suite: SuiteView) -> list[Frontier]:
    """The targets of a suite by quality, cost and latency, with who dominates whom."""
    rows = {one.metric: one for one in suite.rows}
    quality = next((one for one in suite.rows if one.group == "quality"), None)
    if quality is None or len(suite.targets) < 2:
        return []
    found = []
    for place, target in enumerate(suite.targets):
        cell = quality.cells[place]
        if cell is None or cell.value is None:
            continue
        found.append(
            Frontier(
                suite=suite.name,
                target=target.name,
                metric=quality.metric,
                unit=quality.unit,
                quality=cell.value,
                low=cell.low,
                high=cell.high,
                cost_usd=_value(rows.get("cost.mean"), place),
                latency_s=_value(rows.get("latency.p50"), place),
            )
        )
    gain = -1 if quality.direction == "lower" else 1
    return [_with_dominance(one, found, gain) for one in found]


def _value(row: MetricRow | None, place: int) -> float | None:
    cell: Cell | None = None if row is None else row.cells[place]
    return None if cell is None else cell.value


def _with_dominance(one: Frontier, others: Sequence[Frontier], gain: int) -> Frontier:
    def axes(each: Frontier) -> tuple[float | None, float | None, float | None]:
        cost = None if each.cost_usd is None else -each.cost_usd
        return gain * each.quality, cost, None if each.latency_s is None else -each.latency_s

    mine = axes(one)
    for other in others:
        pairs = list(zip(axes(other), mine, strict=True))
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        better = all(a >= b for a, b in known) and any(a > b for a, b in known)
        if other is not one and len(known) > 1 and better:
            return replace(one, dominated_by=other.target)
    return one
