"""From names of runs to a verdict: what a candidate is compared with, and what it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from evalkit.config.spec import GatePolicy, GateSpec, Project, SuiteSpec
from evalkit.config.tree import shown_path
from evalkit.errors import Undecided, UsageError
from evalkit.gate.comparability import chosen_cases
from evalkit.gate.decide import compare, decide
from evalkit.gate.looks import chosen_end
from evalkit.gate.result import Attacks, Compared, Verdict
from evalkit.gate.stored import Stored
from evalkit.model import Run, RunKind, RunStatus
from evalkit.runner.ancestry import file_at, merge_base_commits, past_commits
from evalkit.runner.baselines import read_baseline, thawed
from evalkit.runner.calibrating import load_records
from evalkit.runner.repeats import POOLED_AT_MOST, with_repeats
from evalkit.runner.rescore import Rescore, Rescorer
from evalkit.runner.rules import rules_of
from evalkit.runner.unchanged import completed
from evalkit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with the two sides it is about."""

    verdict: Verdict
    stored: Stored
    against: Stored | None
    specs: tuple[SuiteSpec, ...] = ()

    @property
    def candidate(self) -> Run:
        """The run that was judged."""
        return self.stored.run

    @property
    def baseline(self) -> Run | None:
        """The run it was judged against."""
        return None if self.against is None else self.against.run


def judge(
    project: Project,
    store: Store,
    candidate: str = "latest",
    *,
    baseline: str | None = None,
    suites: Sequence[str] = (),
    policy_ref: str = "",
    rescore: Rescore = "auto",
    allow_code: bool = False,
) -> Judged:
    """Judge the gates of a stored run.

    ``baseline`` is ``merge-base``, ``rolling``, ``latest~N``, ``run:ID``, ``tag:NAME``,
    ``file:PATH`` or a part of a run's id; without it the policy of the first suite says. ``suites``
    keeps only these. With ``policy_ref`` gates, policy and baseline files are those of that commit.
    A stored baseline that other scorers had judged is scored again as ``rescore`` allows.
    Raises ``Undecided`` when the run had none of the suites.
    """
    with store.together():
        return _judge(
            project,
            store,
            candidate,
            baseline=baseline,
            suites=suites,
            policy_ref=policy_ref,
            rescore=rescore,
            allow_code=allow_code,
        )


def _judge(
    project: Project,
    store: Store,
    candidate: str,
    *,
    baseline: str | None,
    suites: Sequence[str],
    policy_ref: str,
    rescore: Rescore,
    allow_code: bool,
) -> Judged:
    run = store.load_run(store.resolve(candidate, kind=RunKind.EVALUATION))
    if run.kind is not RunKind.EVALUATION:
        raise UsageError(
            f"the run {run.id} is a load test: it has objectives and no gates",
            hint=f"its objectives are judged by evalkit load --slo, see evalkit show {run.id};"
            " name an evaluation: evalkit runs",
        )
    if run.shard:
        raise Undecided(
            f"the run {run.id} is only shard {run.shard} of a run",
            hint="join the shards, then judge the whole: evalkit merge --help",
        )
    wanted = [one for one in run.suites if not suites or one in suites]
    if not wanted:
        raise Undecided(
            f"the run {run.id} has no suite {suites[0]!r}" if suites else "the run has no suite",
            hint="it ran: " + ", ".join(run.suites),
        )
    rules = rules_of(project, wanted, policy_ref, every=not suites)
    specs = rules.specs
    policy = specs[0].policy if specs else GatePolicy()
    stored = Stored(
        run=run, sides=store.sides(run.id), confirming=store.sides(run.id, confirming=True)
    )
    stored, missing = completed(store, stored)
    scoring = Rescorer(project, store, specs, run, rescore, allow_code)
    finder = Finder(project, store, run, policy.baseline_runs, policy_ref, rules.commit, scoring)
    named = baseline or policy.baseline
    old, why = finder.find(named)
    leak = ("a rolling baseline leaks: drops too small to see add up; set gate.anchor",)
    anchors = {one.name: finder.find(one.policy.anchor.ref) for one in specs if one.policy.anchor}
    verdict = decide(
        specs,
        stored,
        old,
        today=datetime.now(UTC).date(),
        rows=offending(store, specs, run.id, None if old is None else old.run.id),
        no_baseline=why,
        anchors=anchors,
        said=(
            *rules.said,
            *scoring.said,
            *(leak if named == "rolling" and policy.anchor is None else ()),
        ),
        problems=(*rules.problems, *([missing] if missing else [])),
        records=load_records(project, wanted, commit=rules.commit),
    )
    if named.startswith("file:"):
        verdict = replace(verdict, against=named)
    return Judged(verdict=verdict, stored=stored, against=old, specs=specs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A run with what it is compared with; ``verdict`` is there when its suites have gates."""

    candidate: Stored
    baseline: Stored | None
    verdict: Verdict | None
    compared: tuple[Compared, ...] = ()
    policies: Mapping[str, GatePolicy] = field(default_factory=dict)


def pair_of(project: Project, store: Store, runs: Sequence[str]) -> Pair:
    """A baseline and a candidate by name, one run alone, or the latest beside its baseline."""
    name = runs[-1] if runs else "latest"
    if len(runs) == 1:
        run = store.load_run(store.resolve(name))
        return Pair(candidate=_stored(store, run), baseline=None, verdict=None)
    judged = judge(project, store, name, baseline=runs[0] if runs else None)
    run = judged.candidate
    if judged.against is None and not runs:
        return Pair(candidate=_stored(store, run), baseline=None, verdict=None)
    verdict = judged.verdict
    return Pair(
        candidate=judged.stored,
        baseline=judged.against,
        verdict=verdict if verdict.results else None,
        compared=verdict.compared
        or (
            compare(run.suites, judged.stored, judged.against)[0]
            if judged.against is not None
            else ()
        ),
        policies={one.name: one.policy for one in judged.specs},
    )


def _stored(store: Store, run: Run) -> Stored:
    return completed(store, Stored(run=run, sides=store.sides(run.id)))[0]


class Differs(NamedTuple):
    """How two runs differ, and both of them."""

    compared: tuple[Compared, ...]
    attacks: tuple[Attacks, ...]
    runs: tuple[Run, Run]

    def to_json(self) -> list[dict[str, object]]:
        """Every target's cases, with its attacks where it has any."""
        attacks = {(one.suite, one.target): asdict(one) for one in self.attacks}
        return [
            {**asdict(one), "attacks": attacks.get((one.suite, one.target))}
            for one in self.compared
        ]


def difference(project: Project, store: Store, baseline: str, candidate: str) -> Differs:
    """How two runs differ, case by case; each is stored, or a baseline as ``file:PATH``.

    A baseline's file keeps no prompts; they are the stored run's, where that is known.
    """
    old, new = (_one(project, store, name) for name in (baseline, candidate))
    runs = [
        store.load_run(one.run.id) if any(one.run.id == row.run_id for row in store.runs())
        else one.run
        for one in (old, new)
    ]  # fmt: skip
    return Differs(*compare(new.run.suites, new, old), (runs[0], runs[1]))


def _one(project: Project, store: Store, name: str) -> Stored:
    if name.startswith("file:"):
        return read_baseline(project.root / name.removeprefix("file:"))
    return _stored(
        store, store.load_run(store.resolve(name.removeprefix("run:"), kind=RunKind.EVALUATION))
    )


def offending(
    store: Store, specs: Sequence[SuiteSpec], run: str, baseline: str | None
) -> dict[tuple[str, str], int]:
    """How many rows the query of every ``sql`` gate returns, by suite and gate."""
    found = {}
    for suite in specs:
        for gate in suite.gates:
            if gate.sql is not None:
                try:
                    found[suite.name, gate.id] = store.offending(
                        gate.query, run=run, baseline=baseline
                    )
                except UsageError as error:
                    raise broken_query(gate, error) from error
    return found


def broken_query(gate: GateSpec, error: UsageError) -> UsageError:
    """What the store says of a gate's query, with the file and the line it speaks of."""
    line = re.search(r"LINE (\d+):", error.what)
    place = "" if gate.sql is None else f"{shown_path(gate.sql)}{f':{line[1]}' if line else ''}"
    what = f"the query of gate {gate.id!r} cannot be run: {error.what}"
    return UsageError(what, where=place, hint=error.hint)


_PROMOTED = "file:baselines/main.json"


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds what a candidate is compared with.

    ``repeats`` are pooled at most. ``against`` names the branch a change is merged into, and files
    are read at its ``commit``; both empty means the usual branch and the files that are there.
    """

    project: Project
    store: Store
    candidate: Run
    repeats: int
    against: str = ""
    commit: str = ""
    scoring: Rescorer | None = None

    def find(self, wanted: str) -> tuple[Stored | None, str]:
        """The baseline that is meant, stored repeats pooled; or ``None`` and why there is none."""
        store, candidate = self.store, self.candidate
        if wanted.startswith("file:"):
            return self._file(wanted.removeprefix("file:")), ""
        if wanted == "merge-base":
            run, why = self._on_main()
        elif wanted == "rolling":
            run = _at(store, candidate, None)
            why = "there is no baseline: no complete, clean run is stored before this one"
        elif wanted.startswith("tag:"):
            name = wanted.removeprefix("tag:")
            run = _at(store, candidate, past_commits(self.project.root, f"refs/tags/{name}"))
            why = f"no complete run is stored at or before the tag {name!r}"
        else:
            name = wanted.removeprefix("run:")
            run = store.load_run(store.resolve(name, kind=RunKind.EVALUATION))
            why = ""
            if run.id == candidate.id:
                raise UsageError(
                    f"{wanted!r} is the candidate itself",
                    hint="name another run: evalkit runs; or --baseline latest~1",
                )
        if run is None:
            return None, f"{why}; {self._instead()}"
        return with_repeats(store, run, candidate, self.repeats, self.scoring), ""

    def _instead(self) -> str:
        """What can be done where there is no baseline, with what is there."""
        others = [
            one
            for one in self.store.runs()
            if one.kind is RunKind.EVALUATION
            and one.run_id != self.candidate.id
            and one.started_at <= self.candidate.started_at
            and set(self.candidate.suites) <= set(one.suites)
        ]
        if others:
            return (
                f"compare with an earlier run, as --baseline run:{others[0].run_id} or latest~1, or"
                f" with a promoted one: evalkit baseline promote RUN, then --baseline {_PROMOTED}"
            )
        return (
            "this is the first run: keep it with evalkit baseline promote latest, and judge later"
            f" runs with --baseline {_PROMOTED}"
        )

    def _file(self, name: str) -> Stored:
        root = self.project.root
        if not self.commit:
            return read_baseline(root / name)
        content = file_at(root, self.commit, name)
        if content is None:
            raise UsageError(
                f"there is no baseline {name!r} at {self.against}",
                hint="promote one and merge it first; a change brings no baseline of its own",
            )
        return thawed(content, f"{self.against}:{name}")

    def _on_main(self) -> tuple[Run | None, str]:
        if self.candidate.git is None:
            return None, "there is no baseline: the candidate was not made in a git repository"
        root = self.project.root
        commits = merge_base_commits(root, self.candidate.git.commit, against=self.against)
        return (
            _at(self.store, self.candidate, commits),
            "there is no baseline: no complete, clean run is stored where this branch began",
        )


def _at(store: Store, candidate: Run, commits: Sequence[str] | None) -> Run | None:
    """The last run at the nearest of these commits, of the same suites; clean and complete.

    Without ``commits`` the last run of all.
    """
    place = {commit: index for index, commit in enumerate(commits or ())}
    rows = [
        one
        for one in store.runs()
        if (commits is None or one.git_commit in place)
        and one.kind is RunKind.EVALUATION
        and not one.git_dirty
        and one.status is RunStatus.COMPLETE
        and one.run_id != candidate.id
        and one.started_at <= candidate.started_at
        and set(candidate.suites) <= set(one.suites)
    ]
    if not rows:
        return None
    # the same suite content first: another one measured something else
    runs = [store.load_run(one.run_id) for one in sorted(
        rows, key=lambda one: (place.get(one.git_commit or "", 0), -one.started_at.timestamp())
    )[:POOLED_AT_MOST]]  # fmt: skip
    # one that ended as soon as its verdict was certain ended where it looked best or worst
    # and one that chose other cases says nothing about these
    fitting = ((), chosen_cases(candidate))
    runs = [
        one
        for one in runs
        if not one.shard and not chosen_end(one) and chosen_cases(one) in fitting
    ]
    if not runs:
        return None
    alike = [one for one in runs if one.suite_hashes == candidate.suite_hashes]
    return (alike or runs)[0]
