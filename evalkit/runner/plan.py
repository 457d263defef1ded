"""From a project and flags to everything a run needs, checked before the first call.

What can be known to fail is an error here: unknown names, environment variables of the targets that
are really used, parameters a model does not take, variables a prompt lacks, scorers that no case
can satisfy, and a selection that selects nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.config.spec import CacheMode, Project
from evalkit.config.suite import suites_in
from evalkit.config.target import askable
from evalkit.errors import UsageError
from evalkit.gate.beside import UNCHANGED, beside
from evalkit.model import JSON, PromptVersion, Run, RunStatus, ScorerVersion
from evalkit.runner.audit import user_name
from evalkit.runner.checks import (
    check_needs,
    check_prompts,
    check_reach,
    check_turns,
    refuse_nothing,
)
from evalkit.runner.fleet import Fleet, PlannedTarget, build_fleet
from evalkit.runner.git import GitQuestion
from evalkit.runner.judges import Judge, judges_of
from evalkit.runner.reach import keep_offline
from evalkit.runner.select import Selection
from evalkit.runner.shards import Shard
from evalkit.runner.stored_targets import with_baseline
from evalkit.runner.suites import (
    PlannedSuite,
    Scans,
    asked_by,
    find_suites,
    plan_suite,
    shown_source,
)
from evalkit.runner.unchanged import Unchanged

if TYPE_CHECKING:
    from evalkit.store import Store

EngineName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksAsked:
    """What a run is looked at for: its baseline and rules, kept with the run to be resumed."""

    baseline: str
    policy_ref: str = ""

    def to_json(self) -> dict[str, JSON]:
        """What the run stores."""
        return {"baseline": self.baseline, "policy_ref": self.policy_ref}

    @classmethod
    def of(cls, kept: object) -> LooksAsked | None:
        """What a run stored; ``None`` when it was not to be looked at."""
        if not isinstance(kept, Mapping):
            return None
        return cls(baseline=str(kept["baseline"]), policy_ref=str(kept["policy_ref"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The flags of ``evalkit run``; ``None`` and empty leave it to project and suites."""

    suites: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    trials: int | None = None
    seed: int | None = None
    tags: tuple[str, ...] = ()
    filter: str = ""
    sample: int | None = None
    limit: int | None = None
    concurrency: int | None = None
    allow_code: bool = False
    max_usd: float | None = None
    max_tokens: int | None = None
    cache: CacheMode | None = None
    offline: bool = False
    interleave: str | None = None
    reference: bool = False
    shard: Shard | None = None
    engine: EngineName = "local"
    ray_address: str | None = None
    workers: int | None = None
    max_time_s: float | None = None
    looks: LooksAsked | None = None
    unchanged: Unchanged | None = None

    def selection(self, seed: int) -> Selection:
        """The flags that choose cases."""
        return Selection(
            tags=self.tags, filter=self.filter, sample=self.sample, limit=self.limit, seed=seed
        )

    def settings(self) -> dict[str, JSON]:
        """What is stored with the run, enough to do it again."""
        return {
            "suites": list(self.suites),
            "targets": list(self.targets),
            "trials": self.trials,
            "tags": list(self.tags),
            "filter": self.filter,
            "sample": self.sample,
            "limit": self.limit,
            "max_usd": self.max_usd,
            "max_tokens": self.max_tokens,
            "cache": self.cache,
            "offline": self.offline,
            "interleave": self.interleave,
            "reference": self.reference,
            **({} if self.shard is None else {"shard": str(self.shard)}),
            **({} if self.looks is None else {"looks": self.looks.to_json()}),
            **({} if self.unchanged is None else {UNCHANGED: self.unchanged.to_json()}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run that can start: nothing was called and nothing stored yet.

    ``judging`` are the targets that scorers ask, apart from those under test even where they are
    the same; ``judges`` are what the scorers are handed of them.
    """

    project: Project
    run: Run
    suites: tuple[PlannedSuite, ...]
    fleet: Fleet
    warnings: tuple[str, ...]
    judging: Fleet
    judges: Mapping[str, Judge]


def build_plan(
    project: Project,
    options: RunOptions,
    *,
    environ: Mapping[str, str] = os.environ,
    store: Store | None = None,
) -> Plan:
    """Check everything and say what will run.

    ``store`` has the earlier runs that targets may replay. Raises the ``UsageError`` of the first
    thing that is wrong, and ``Undecided`` when nothing is selected.
    """
    if options.interleave is not None:
        if store is None:
            raise UsageError("a run is interleaved with a stored one, and there is no store")
        project = with_baseline(project, store, options.interleave)
    with GitQuestion(project.root) as git:
        return _build(project, options, git, environ=environ, store=store)


def _build(
    project: Project,
    options: RunOptions,
    git: GitQuestion,
    *,
    environ: Mapping[str, str],
    store: Store | None,
) -> Plan:
    seed = project.seed if options.seed is None else options.seed
    selection = options.selection(seed)
    named = [one for name in options.suites for one in suites_in(project, name)]
    options = replace(options, suites=tuple(named))  # a group may have grown when it is resumed
    specs = find_suites(project, options.suites)
    for name in options.targets:
        askable(project, name, hint="take 'judge: true' off it, or name another target")
    wanted = {one.name: _with_beside(options.targets or one.targets, project) for one in specs}
    fleet = build_fleet(
        project,
        _unique(name for names in wanted.values() for name in names),
        environ=environ,
        allow_code=options.allow_code,
        concurrency=options.concurrency,
        store=store,
    )
    judging = build_fleet(
        project,
        _unique(name for one in specs for name in asked_by(one)),
        environ=environ,
        allow_code=options.allow_code,
        concurrency=None,
        store=store,
        judging=True,
    )
    judges = judges_of(judging, seed)
    if options.offline:
        keep_offline(fleet)
        keep_offline(judging)
    scans = Scans()
    suites = tuple(
        plan_suite(
            one,
            project,
            scans,
            targets=wanted[one.name],
            trials=options.trials or one.trials,
            selection=selection,
            allow_code=options.allow_code,
            judges=judges,
            reference=options.reference,
            shard=options.shard,
        )
        for one in specs
    )
    refuse_nothing(suites, selection, scans.infos)
    warnings = [*fleet.warnings, *judging.warnings]
    for suite in suites:
        check_prompts(suite, fleet)
        warnings += [
            *suite.warnings,
            *check_needs(suite),
            *check_turns(suite),
            *check_reach(suite, fleet),
        ]
    return Plan(
        project=project,
        run=replace(_run(project, options, suites, fleet), seed=seed, git=git.answer()),
        suites=suites,
        fleet=fleet,
        warnings=_unique(warnings),
        judging=judging,
        judges=judges,
    )


def _with_beside(names: Iterable[str], project: Project) -> tuple[str, ...]:
    """The targets, each with the baseline's that is asked beside it."""
    pairs = ((one, beside(one)) for one in names)
    return _unique(one for pair in pairs for one in pair if one in project.targets)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _run(
    project: Project, options: RunOptions, suites: Sequence[PlannedSuite], fleet: Fleet
) -> Run:
    from evalkit import __version__

    now = datetime.now(UTC)
    return Run(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        project=project.name,
        started_at=now,
        status=RunStatus.RUNNING,
        planned=sum(
            planned_of(one, target, options.unchanged) for one in suites for target in one.targets
        ),
        suites=tuple(one.name for one in suites),
        suite_hashes={one.name: one.spec.content_hash for one in suites},
        targets=tuple(one.version for one in fleet.targets.values()),
        prompts=_prompts(project, fleet.targets.values(), suites),
        datasets=tuple(version for one in suites for version in one.datasets),
        scorers=tuple(
            ScorerVersion(
                suite=one.name,
                name=scorer.name,
                scorer=scorer.plugin.name,
                signature=scorer.signature,
                direction=scorer.plugin.direction,
                unit=scorer.plugin.unit,
                metrics=tuple(metric.name for metric in scorer.metrics),
            )
            for one in suites
            for scorer in one.scorers
        ),
        slices=_unique(name for one in suites for name in one.spec.slices),
        settings=_settings(options, suites),
        evalkit_version=__version__,
        user=user_name(),
    )


def planned_of(suite: PlannedSuite, target: str, unchanged: Unchanged | None) -> int:
    """The trials of a suite on a target, without those of cases that need not be asked."""
    less = 0 if unchanged is None else len(unchanged.of(suite.name, target))
    return suite.planned - less * suite.trials


def _settings(options: RunOptions, suites: Sequence[PlannedSuite]) -> dict[str, JSON]:
    named = options.suites or tuple(one.name for one in suites)
    settings = replace(options, suites=named).settings()
    if options.shard is not None:
        settings["whole"] = sum(one.whole * len(one.targets) for one in suites)
    return settings


def _prompts(
    project: Project, targets: Iterable[PlannedTarget], suites: Iterable[PlannedSuite]
) -> tuple[PromptVersion, ...]:
    from evalkit.config import load_prompt

    rubrics = {path for suite in suites for one in suite.scorers for path in one.prompts}
    shipped = {path for suite in suites for one in suite.scorers for path in one.plugin.rubrics}
    used = [one.prompt for one in targets if one.prompt is not None]
    found: dict[Path, PromptVersion] = {}
    for prompt in (*used, *map(load_prompt, sorted(rubrics))):
        if prompt.path not in found:
            found[prompt.path] = PromptVersion(
                version=prompt.version,
                path=f"evalkit:{prompt.path.name}"
                if prompt.path in shipped
                else shown_source(str(prompt.path), project),
                text=prompt.text,
                label=prompt.label,
                owner=prompt.owner,
                description=prompt.description or None,
            )
    return tuple(found.values())
