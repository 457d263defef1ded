"""From names of runs to a verdict: what a candidate is compared with, and what it is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evalkit.config.spec import GatePolicy, Project, SuiteSpec
from evalkit.config.suite import load_suite, suite_names
from evalkit.config.tree import shown_path
from evalkit.errors import EvalkitError, Undecided, UsageError
from evalkit.gate.decide import Stored, compare, decide
from evalkit.gate.frozen import freeze, thaw
from evalkit.gate.result import Compared, Verdict
from evalkit.model import Provenance, Run, RunKind, RunStatus
from evalkit.runner.ancestry import merge_base_commits, past_commits
from evalkit.runner.calibrating import load_records
from evalkit.stats.sides import pooled
from evalkit.store import Store

POOLED_AT_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with the two runs it is about."""

    verdict: Verdict
    candidate: Run
    baseline: Run | None


def judge(
    project: Project,
    store: Store,
    candidate: str = "latest",
    *,
    baseline: str | None = None,
    suites: Sequence[str] = (),
) -> Judged:
    """Judge the gates of a stored run.

    ``baseline`` is ``merge-base``, ``latest~N``, ``run:ID``, ``tag:NAME``, ``file:PATH`` or a part
    of a run's id; without it the policy of the first suite says. ``suites`` keeps only these.
    Raises ``Undecided`` when the run had none of them.
    """
    run = store.load_run(store.resolve(candidate))
    if run.kind is not RunKind.EVALUATION:
        raise UsageError(
            f"the run {run.id} is a load test: it has no gates",
            hint="name an evaluation: evalkit runs",
        )
    wanted = [one for one in run.suites if not suites or one in suites]
    if not wanted:
        raise Undecided(
            f"the run {run.id} has no suite {suites[0]!r}" if suites else "the run has no suite",
            hint="it ran: " + ", ".join(run.suites),
        )
    known = suite_names(project)
    specs = [load_suite(project, one) for one in wanted if one in known]
    policy = specs[0].policy if specs else GatePolicy()
    stored = Stored(run=run, sides=store.sides(run.id))
    old, why = find_baseline(project, store, run, baseline or policy.baseline, policy)
    verdict = decide(
        specs,
        stored,
        old,
        today=datetime.now(UTC).date(),
        rows=_rows(store, specs, run.id, None if old is None else old.run.id),
        no_baseline=why,
        records=load_records(project, wanted),
    )
    return Judged(verdict=verdict, candidate=run, baseline=None if old is None else old.run)


def difference(store: Store, baseline: str, candidate: str) -> tuple[Compared, ...]:
    """How two stored runs differ, case by case."""
    old, new = (store.load_run(store.resolve(one)) for one in (baseline, candidate))
    return compare(
        new.suites,
        Stored(run=new, sides=store.sides(new.id)),
        Stored(run=old, sides=store.sides(old.id)),
    )


def _rows(
    store: Store, specs: Sequence[SuiteSpec], run: str, baseline: str | None
) -> dict[tuple[str, str], int]:
    found = {}
    for suite in specs:
        for gate in suite.gates:
            if gate.sql is not None:
                sql = gate.sql.read_text(encoding="utf-8")
                try:
                    found[suite.name, gate.id] = store.offending(sql, run=run, baseline=baseline)
                except UsageError as error:
                    raise UsageError(
                        error.what, where=shown_path(gate.sql), hint=error.hint
                    ) from error
    return found


def find_baseline(
    project: Project, store: Store, candidate: Run, wanted: str, policy: GatePolicy
) -> tuple[Stored | None, str]:
    """The baseline that is meant, with stored repeats pooled; or ``None`` and why there is none."""
    if wanted.startswith("file:"):
        path = project.root / wanted.removeprefix("file:")
        return read_baseline(path), ""
    if wanted == "merge-base":
        run, why = _on_main(project, store, candidate)
    elif wanted.startswith("tag:"):
        name = wanted.removeprefix("tag:")
        run = _at(store, candidate, past_commits(project.root, f"refs/tags/{name}"))
        why = f"no complete run is stored at or before the tag {name!r}"
    else:
        run = store.load_run(store.resolve(wanted.removeprefix("run:")))
        why = ""
        if run.id == candidate.id:
            raise UsageError(
                f"{wanted!r} is the candidate itself",
                hint="name another run: evalkit runs; or --baseline latest~1",
            )
    if run is None:
        return None, f"{why}; name one with --baseline"
    return _with_repeats(store, run, candidate, policy.baseline_runs), ""


def _on_main(project: Project, store: Store, candidate: Run) -> tuple[Run | None, str]:
    if candidate.git is None:
        return None, "there is no baseline: the candidate was not made in a git repository"
    commits = merge_base_commits(project.root, candidate.git.commit)
    return (
        _at(store, candidate, commits),
        "there is no baseline: no complete, clean run is stored where this branch began",
    )


def _at(store: Store, candidate: Run, commits: Sequence[str]) -> Run | None:
    """The last run at the nearest of these commits, of the same suites; clean and complete."""
    place = {commit: index for index, commit in enumerate(commits)}
    rows = [
        one
        for one in store.runs()
        if one.git_commit in place
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
        rows, key=lambda one: (place[one.git_commit or ""], -one.started_at.timestamp())
    )[:POOLED_AT_MOST]]  # fmt: skip
    alike = [one for one in runs if one.suite_hashes == candidate.suite_hashes]
    return (alike or runs)[0]


def _identity(run: Run) -> tuple[object, ...]:
    """What must be equal for two runs to be repeats of one configuration."""
    return (
        run.project,
        sorted(run.suite_hashes.items()),
        sorted((one.name, one.content_hash) for one in run.targets),
        sorted((one.suite, one.version, one.selected) for one in run.datasets),
        sorted((one.suite, one.name, one.signature) for one in run.scorers),
    )


def repeats_of(store: Store, run: Run) -> Stored:
    """A run with everything stored of its very configuration."""
    return _with_repeats(store, run, None, POOLED_AT_MOST)


def _with_repeats(store: Store, run: Run, candidate: Run | None, most: int) -> Stored:
    """The run with older and newer runs of its very configuration, the candidate never."""
    repeats = [run]
    identity = _identity(run)
    for row in store.runs(limit=1_000):
        if len(repeats) >= most:
            break
        usable = (
            row.run_id not in {run.id, candidate.id if candidate is not None else ""}
            and row.kind is run.kind
            and row.status is RunStatus.COMPLETE
            and (candidate is None or row.started_at <= candidate.started_at)
            and not row.git_dirty
            and set(row.suites) == set(run.suites)
        )
        if usable and not (run.git is not None and run.git.dirty):
            other = store.load_run(row.run_id)
            if _identity(other) == identity:
                repeats.append(other)
    repeats.sort(key=lambda one: (one.started_at, one.id))
    sides = [store.sides(one.id) for one in repeats]
    keys = {key for one in sides for key in one}
    return Stored(
        run=run,
        sides={key: pooled([one[key] for one in sides if key in one]) for key in sorted(keys)},
        runs=tuple(one.id for one in repeats),
    )


def read_baseline(path: Path) -> Stored:
    """A promoted baseline; raises ``UsageError`` for a file that is missing or damaged."""
    shown = str(shown_path(path))
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            "there is no such baseline", where=shown, hint="see: evalkit baseline list"
        ) from error
    except ValueError as error:
        raise UsageError(
            "the baseline is damaged: it is no JSON",
            where=shown,
            hint="restore it from git, or promote a run again",
        ) from error
    return thaw(value, where=shown)


def promote(
    project: Project,
    store: Store,
    name: str,
    path: Path,
    *,
    by: str,
    reason: str = "",
    force: bool = False,
) -> Stored:
    """Write a run with its stored repeats as a baseline file.

    Raises ``UsageError`` for a run that is not complete, has failed or cached answers, or was made
    from changed files, unless ``force`` with a ``reason``.
    """
    run = store.load_run(store.resolve(name))
    stored = Stored(run=run, sides=store.sides(run.id), runs=(run.id,))
    problems = unfit(stored)
    if problems and not (force and reason):
        raise UsageError(
            f"the run {run.id} is not fit to be a baseline: {'; '.join(problems)}",
            hint="promote another, or this one with --force --reason WHY",
        )
    value = freeze(stored, by=by, reason=reason, at=datetime.now(UTC).replace(microsecond=0))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    del project
    return stored


def unfit(stored: Stored) -> list[str]:
    """Why a run should not be what others are measured against."""
    run = stored.run
    found = []
    if run.kind is not RunKind.EVALUATION:
        found.append("it is a load test")
    if run.status is not RunStatus.COMPLETE:
        found.append(f"it is not complete ({run.status})")
    trials = sum(one.trials for one in stored.sides.values())
    if not trials:
        found.append("it has no answers")
    failed = sum(int((~one.ok).sum()) for one in stored.sides.values())
    if failed:
        found.append(f"{failed:,} of {trials:,} trials failed")
    stale = sum(int((one.ok & ~one.live).sum()) for one in stored.sides.values())
    if stale:
        found.append(f"{stale:,} answers are not {Provenance.LIVE}")
    if run.git is not None and run.git.dirty:
        found.append("files differed from the commit")
    return found


def baseline_files(project: Project) -> list[tuple[Path, Stored | EvalkitError]]:
    """The files under ``baselines/``, each with what it holds or what is wrong with it."""
    found: list[tuple[Path, Stored | EvalkitError]] = []
    for path in sorted((project.root / "baselines").glob("*.json")):
        try:
            found.append((path, read_baseline(path)))
        except EvalkitError as error:
            found.append((path, error))
    return found
