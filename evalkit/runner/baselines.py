"""Promoted baselines: small hashed files under ``baselines/``, read from disk or out of git."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from evalkit.config.spec import Project
from evalkit.config.tree import shown_path
from evalkit.errors import EvalkitError, UsageError
from evalkit.gate.comparability import chosen_cases
from evalkit.gate.frozen import freeze, thaw
from evalkit.gate.looks import decided
from evalkit.gate.stored import Stored
from evalkit.model import Provenance, RunKind, RunStatus
from evalkit.runner.audit import acting, note
from evalkit.runner.sealed import parsed
from evalkit.runner.unchanged import Unchanged
from evalkit.store import Store


def read_baseline(path: Path) -> Stored:
    """A promoted baseline; raises ``UsageError`` for a file that is missing or damaged."""
    shown = str(shown_path(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        what = f"the baseline cannot be read: {(error.strerror or str(error)).lower()}"
        raise UsageError(
            "there is no such baseline" if missing else what,
            where=shown,
            hint="see: evalkit baseline list",
        ) from error
    return thawed(content, shown)


def thawed(content: bytes, shown: str) -> Stored:
    """The baseline in the content of a file; raises ``UsageError`` when it is damaged."""
    value = parsed(content, shown, what="baseline", again="promote a run again")
    return thaw(value, where=shown)


def promote(
    project: Project,
    store: Store,
    name: str,
    path: Path,
    *,
    by: str | None = None,
    reason: str = "",
    force: bool = False,
) -> Stored:
    """Write a run as a baseline file, and who promoted it and why into the audit trail.

    Raises ``UsageError`` for a run that is not complete, has failed or cached answers, or was made
    from changed files, unless ``force`` with a ``reason``.
    """
    run = store.load_run(store.resolve(name, kind=RunKind.EVALUATION))
    stored = Stored(run=run, sides=store.sides(run.id), runs=(run.id,))
    problems = unfit(stored)
    if problems and not (force and reason):
        raise UsageError(
            f"the run {run.id} is not fit to be a baseline: {'; '.join(problems)}",
            hint="promote another, or this one with --force --reason WHY",
        )
    value = freeze(
        stored,
        by=acting(project.root, by),
        reason=reason,
        at=datetime.now(UTC).replace(microsecond=0),
    )
    note(
        project,
        store,
        "baseline.promoted",
        by=by,
        run_id=run.id,
        baseline=path.stem,
        replaces=_held(path),
        reason=reason,
        forced=list(problems),
        hash=value["hash"],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    return stored


def _held(path: Path) -> str | None:
    """The run that a baseline file held so far."""
    try:
        return read_baseline(path).run.id
    except EvalkitError:
        return None


def unfit(stored: Stored) -> list[str]:
    """Why a run should not be what others are measured against."""
    run = stored.run
    found = []
    if run.kind is not RunKind.EVALUATION:
        found.append("it is a load test")
    if run.shard:
        found.append(f"it is only shard {run.shard}")
    if run.status is not RunStatus.COMPLETE:
        found.append(f"it is not complete ({run.status})")
    chosen = chosen_cases(run)
    if chosen:
        asked, there = (
            sum(getattr(one, what) for one in run.datasets) for what in ("selected", "cases")
        )
        how = ", ".join(f"{name} {value}" for name, value in chosen)
        found.append(f"it was asked {asked:,} of {there:,} cases ({how})")
    early = decided(run, list(stored.sides.values()))
    if early is not None and early.early:
        found.append(f"it was decided after {early.cases:,} of {early.of:,} cases")
    if early is not None and early.added_calls:
        found.append(f"it was extended by {early.added_calls:,} calls until it was decided")
    kept = Unchanged.kept(run.settings)
    if kept is not None:
        count = sum(map(len, kept.cases.values()))
        found.append(f"{count:,} of its cases have the answers of the run {kept.baseline}")
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
