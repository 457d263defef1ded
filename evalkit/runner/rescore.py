"""Scoring a baseline's stored answers again with the scorers of the candidate.

When a scorer changed, the two runs were measured with two instruments and a difference says nothing
about the product. The answers are still there: measured again with the new one they can be
compared. Scorers that ask a model cost money, and are used only when that is allowed. What decided
nothing when the run was made, whatever was answered, decides nothing now.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from evalkit.config.spec import Project, SuiteSpec
from evalkit.errors import EvalkitError
from evalkit.model import Case, Output, Run, ScoreRecord, ScorerVersion, ScoreStatus, Trial
from evalkit.runner.fleet import calls_tools
from evalkit.runner.flight import Key
from evalkit.runner.judges import Judge, judges_for
from evalkit.runner.shown import shown_then, unscored, without_tools
from evalkit.runner.window import children_then, plugin_of
from evalkit.stats.sides import Side, SideScores
from evalkit.store import Store

if TYPE_CHECKING:
    from evalkit.scorers import BoundScorer

Rescore: TypeAlias = Literal["auto", "judges", "off"]
"""``auto`` uses what costs nothing, ``judges`` also scorers that ask a model, ``off`` none."""

Sides: TypeAlias = dict[tuple[str, str], Side]


@dataclass(slots=True)
class Rescorer:
    """Gives the sides of stored runs as the candidate's scorers see them.

    ``said`` tells what was scored again, and what could have been.
    """

    project: Project
    store: Store
    specs: Sequence[SuiteSpec]
    candidate: Run
    mode: Rescore
    allow_code: bool
    said: dict[str, None] = field(default_factory=dict)

    def run_and_sides(self, run: Run) -> tuple[Run, Sides]:
        """A run with its sides; scores of another version replaced where that can be done."""
        sides = self.store.sides(run.id)
        if self.mode == "off":
            return run, sides
        for spec in self.specs:
            for scorer in self._changed(spec, run):
                run = self._again(spec, scorer, run, sides)
        return run, sides

    def _changed(self, spec: SuiteSpec, run: Run) -> list[BoundScorer]:
        """The suite's scorers as the candidate used them that the run had otherwise, or not."""
        from evalkit.scorers import bind

        now = _signatures(self.candidate, spec.name)
        then = _signatures(run, spec.name)
        found = []
        for one in spec.scorers:
            if one.name not in now or now[one.name] == then.get(one.name):
                continue
            try:
                bound = bind(
                    one,
                    root=self.project.root,
                    allow_code=self.allow_code,
                    judges=judges_for(
                        self.project, one, allow_code=self.allow_code, store=self.store
                    ),
                )
            except EvalkitError as error:
                self._refused(one.name, error.what)
                continue
            if bound.signature != now[one.name]:
                self.said[f"scorer {one.name!r} changed since the candidate was made"] = None
            elif bound.is_async and self.mode != "judges":
                self.said[
                    f"scorer {one.name!r} asks a model: --rescore judges lets it score the"
                    " baseline's answers again, which costs money"
                ] = None
            else:
                found.append(bound)
        return found

    def _refused(self, scorer: str, why: str) -> None:
        self.said[f"scorer {scorer!r} cannot score the baseline again: {why}"] = None

    def _again(self, spec: SuiteSpec, scorer: BoundScorer, run: Run, sides: Sides) -> Run:
        """The run as if it had been scored so; its sides get the new scores."""
        stored = {key: self.store.trials(run.id, *key) for key in sides if key[0] == spec.name}
        try:
            shown = shown_then(run, self.store, [spec])
        except EvalkitError as error:
            self._refused(scorer.name, error.what)
            return run
        records: dict[Key, ScoreRecord] = {}
        judged: list[tuple[Trial, Output]] = []
        for one in (one for trials in stored.values() for one in trials):
            if one.output is None:
                continue
            if why := shown.untried(one.suite, one.target, one.case, one.output):
                records[one.key] = unscored(scorer.name, scorer.signature, why)
            else:
                judged.append((one, one.output))
        pairs = [(one.case, output) for one, output in judged]
        made = asyncio.run(_asked(scorer, pairs)) if scorer.is_async else scorer.score_sync(pairs)
        unable = _without_tools(run) if scorer.wants_tools else frozenset()
        for (one, output), record in zip(judged, made, strict=True):
            blind = one.target in unable
            records[one.key] = without_tools(record, one.target, output) if blind else record
        for key, trials in stored.items():
            column = _column([records.get(one.key) for one in trials])
            side = sides[key]
            sides[key] = replace(side, scores={**side.scores, scorer.name: column})
        what = (
            f"scorer {scorer.name!r} changed: {len(judged):,} stored answers of {run.id} were"
            " scored again with the new one"
        )
        if judged:  # a baseline without this suite has nothing to score
            self.said[what] = None
        version = next(
            one
            for one in self.candidate.scorers
            if (one.suite, one.name) == (spec.name, scorer.name)
        )
        return replace(run, scorers=_with(run.scorers, version))


def _without_tools(run: Run) -> frozenset[str]:
    """The targets of a stored run that could call nothing, by what it stored of them."""
    targets, asked = {one.name: one for one in run.targets}, children_then(run)

    def able(name: str) -> bool:
        one = targets.get(name)
        plugin = None if one is None else plugin_of(one.kind)
        if one is None or plugin is None:
            return True
        return calls_tools(plugin, one.options, map(able, asked.get(name, ())))

    return frozenset(name for name in targets if not able(name))


async def _asked(scorer: BoundScorer, pairs: Sequence[tuple[Case, Output]]) -> list[ScoreRecord]:
    """What an asynchronous scorer says; its judges are let go in the same event loop."""
    try:
        return await scorer.score(pairs)
    finally:
        for one in scorer.judges.values():
            if isinstance(one, Judge):
                await one.lane.aclose()


def _signatures(run: Run, suite: str) -> dict[str, str]:
    return {one.name: one.signature for one in run.scorers if one.suite == suite}


def _with(scorers: Sequence[ScorerVersion], new: ScorerVersion) -> tuple[ScorerVersion, ...]:
    kept = [one for one in scorers if (one.suite, one.name) != (new.suite, new.name)]
    return (*kept, new)


def _column(records: Sequence[ScoreRecord | None]) -> SideScores:
    """One scorer's results over the rows of a side; a row without an answer has none."""
    scores = [None if one is None else one.score for one in records]
    width = max((len(one.stats) for one in scores if one is not None), default=0)
    stats = np.full((len(records), width), np.nan) if width else None
    if stats is not None:
        for row, one in enumerate(scores):
            if one is not None and len(one.stats) == width:
                stats[row] = one.stats
    decided = [-1 if one is None or one.passed is None else int(one.passed) for one in scores]
    return SideScores(
        values=np.array([np.nan if one is None else one.value for one in scores]),
        passed=np.array(decided, dtype=np.int8),
        unscored=np.array(
            [one is not None and one.status is ScoreStatus.UNSCORED for one in records],
            dtype=np.bool_,
        ),
        stats=stats,
        reasons=Counter(
            one.reason or ""
            for one in records
            if one is not None and one.status is ScoreStatus.UNSCORED
        ),
    )
