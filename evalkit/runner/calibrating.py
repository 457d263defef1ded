"""From people's labels to a calibration record on disk, and from the records to a gate."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from evalkit import registry
from evalkit.config.spec import Project
from evalkit.config.suite import load_suite
from evalkit.config.tree import shown_path
from evalkit.errors import Undecided, UnknownName, UsageError
from evalkit.gate.record import Calibration, from_json, to_json
from evalkit.labels import Label, Selection
from evalkit.model import Run, RunKind, ScorerVersion
from evalkit.registry import ScorerPlugin
from evalkit.runner.ancestry import file_at, files_at
from evalkit.runner.audit import event
from evalkit.runner.opinions import Agreement, AnswerKey, agreements, settle
from evalkit.runner.sealed import parsed
from evalkit.stats import calibration
from evalkit.stats.agreement import JUDGE_LABELS, kappa
from evalkit.stats.calibration import MIN_EACH, MIN_LABELS, Goal, Judged, Share
from evalkit.stats.judged import MEAN_LABELS, Labelled
from evalkit.store import Store
from evalkit.store.labels import JudgedAnswer

FAIR = frozenset({Selection.ALL, Selection.SAMPLE, Selection.UNKNOWN})
FOLDER = "calibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A record, where it lies, and what to say of it."""

    record: Calibration
    path: Path
    warnings: tuple[str, ...] = ()


def record_path(project: Project, suite: str, scorer: str) -> Path:
    """Where the record of a scorer lies; what a file's name cannot hold becomes ``-``."""
    safe = (re.sub(r"[^\w-]+", "-", one) for one in (suite, scorer))
    return project.root / FOLDER / f"{'.'.join(safe)}.json"


def load_records(
    project: Project, suites: Sequence[str], *, commit: str = ""
) -> dict[tuple[str, str], Calibration]:
    """The calibration records of these suites, by suite and scorer; as they are at a ``commit``.

    Raises ``UsageError`` for a damaged one: a gate that ignored it would say something else.
    """
    found = {}
    for one in _at(project, commit) if commit else map(read_record, _files(project)):
        if one.suite in suites and one.project == project.name:
            found[one.suite, one.scorer] = one
    return found


def _files(project: Project) -> list[Path]:
    return sorted((project.root / FOLDER).glob("*.json"))


def _at(project: Project, commit: str) -> Iterator[Calibration]:
    for name in sorted(files_at(project.root, commit, FOLDER)):
        content = file_at(project.root, commit, f"{FOLDER}/{name}")
        if "/" not in name and name.endswith(".json") and content is not None:
            yield _read(content, f"{commit[:12]}:{FOLDER}/{name}")


def read_record(path: Path) -> Calibration:
    """One calibration record; raises ``UsageError`` for a file that is missing or damaged."""
    shown = str(shown_path(path))
    try:
        return _read(path.read_bytes(), shown)
    except FileNotFoundError as error:
        raise UsageError(
            "there is no such calibration record", where=shown, hint="make one: evalkit calibrate"
        ) from error


def _read(content: bytes, shown: str) -> Calibration:
    value = parsed(content, shown, what="calibration record", again="calibrate again")
    return from_json(value, where=shown)


def latest_scorers(store: Store, suite: str) -> tuple[Run, tuple[ScorerVersion, ...]]:
    """The scorers of the last run of a suite; raises ``Undecided`` when none is stored."""
    for row in store.runs(suite=suite):
        if row.kind is RunKind.EVALUATION:
            run = store.load_run(row.run_id)
            return run, tuple(one for one in run.scorers if one.suite == suite)
    raise Undecided(f"no run of suite {suite!r} is stored", hint=f"make one: evalkit run {suite}")


def estimating(scorers: Sequence[ScorerVersion]) -> dict[str, ScorerPlugin]:
    """Those scorers that stand in for people's judgement, by their name in the suite."""
    found = {}
    for one in scorers:
        try:
            plugin = registry.get(registry.Kind.SCORER, one.scorer)
        except UnknownName:
            continue  # of a plugin that is not here
        if isinstance(plugin, ScorerPlugin) and plugin.estimates:
            found[one.name] = plugin
    return found


def choose_scorers(
    store: Store, suite: str, named: Sequence[str]
) -> list[tuple[ScorerVersion, ScorerPlugin]]:
    """The scorers to calibrate: those named, else every one that estimates."""
    _, scorers = latest_scorers(store, suite)
    known = {one.name: one for one in scorers}
    for name in named:
        if name not in known:
            raise UnknownName("scorer", name, list(known))
    wanted = list(named) or list(estimating(scorers))
    if not wanted:
        raise UsageError(
            f"no scorer of suite {suite!r} stands in for people's judgement",
            hint="name one with --scorer: " + ", ".join(known),
        )
    found = []
    for name in wanted:
        plugin = registry.get(registry.Kind.SCORER, known[name].scorer)
        if not isinstance(plugin, ScorerPlugin) or plugin.direction == "neutral":
            raise UsageError(
                f"scorer {name!r} has no better direction, so no threshold suits it",
                hint="calibrate a scorer whose higher or lower values are better",
            )
        found.append((known[name], plugin))
    return found


def calibrate(
    project: Project,
    store: Store,
    suite: str,
    scorer: ScorerVersion,
    plugin: ScorerPlugin,
    *,
    question: str | None = None,
    goal: Goal = "balanced",
    threshold: float | None = None,
    by: str | None = None,
    write: bool = True,
) -> Calibrated:
    """Hold a scorer against the labels of a suite and write its record.

    ``question`` is what the labels answer, the scorer's own name without. ``threshold`` keeps a
    given one instead of fitting. Raises ``Undecided`` for too few labels to say anything.
    """
    load_suite(project, suite)
    labels = store.labels(suite)
    asked = question or scorer.name
    mine = [one for one in labels if one.name == asked and one.passed is not None]
    if not mine:
        raise _no_labels(labels, suite, asked)
    scored = store.judged_answers(suite, scorer.name, scorer.signature)
    data = _data(mine, scored, lower=plugin.direction == "lower")
    _check_enough(data, scorer.name, suite)
    lower = plugin.direction == "lower"
    cut = None if threshold is None else threshold if lower else -threshold
    try:
        fit = calibration.fit(data.judged, goal=goal, threshold=cut)
    except ValueError as error:
        raise Undecided(
            f"the labels for {scorer.name} cannot be cross-validated: {error}",
            hint=f"label more: evalkit review latest --scorer {scorer.name}",
        ) from error
    path = record_path(project, suite, scorer.name)
    done = event(
        project,
        "scorer.calibrated",
        by=by,
        suite=suite,
        scorer=scorer.name,
        signature=scorer.signature,
        labels=fit.n,
        file=str(path.relative_to(project.root)),
    )
    probability = plugin.range == (0.0, 1.0) and lower
    at = datetime.now(UTC).replace(microsecond=0)
    record = Calibration(
        project=project.name,
        suite=suite,
        scorer=scorer.name,
        signature=scorer.signature,
        question=asked,
        lower=lower,
        threshold=fit.threshold if lower else -fit.threshold,
        goal="given" if fit.fixed else goal,
        fit=fit,
        mean=_mean(data, plugin),
        weighted_kappa=_weighted(data, plugin),
        calibration_error=calibration.calibration_error(fit.bins) if probability else None,
        flips=calibration.flips(data.doubts, fit.threshold),
        labels=data.counts,
        people=tuple(sorted({one.author for one in mine})),
        first=min(one.labelled_at for one in mine).date().isoformat(),
        last=max(one.labelled_at for one in mine).date().isoformat(),
        by=done.actor or "",
        at=at.isoformat(),
        commit=done.git_commit,
    )
    if write:
        text = json.dumps(to_json(record), indent=1, ensure_ascii=False) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        store.record(done)
    return Calibrated(record=record, path=path, warnings=_warnings(record))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    judged: Judged
    doubts: tuple[tuple[float, ...], ...]
    ratings: tuple[float | None, ...]
    values: tuple[float, ...]
    counts: Mapping[str, int]


def _data(labels: Sequence[Label], scored: Sequence[JudgedAnswer], *, lower: bool) -> _Data:
    """Labels and scores of the same answers side by side; people who disagree cancel out."""
    opinions = settle(labels)
    held = {(one.case_id, one.output_hash): one for one in scored}
    rows, counts = [], Counter(labels=len(labels), answers=len(opinions))
    for key, opinion in opinions.items():
        answer = held.get(key)
        if opinion.passed is None:
            counts["split"] += 1
        elif answer is None:
            counts["not_scored"] += 1
        else:
            rows.append((answer, opinion))
    sign = 1.0 if lower else -1.0
    for name in ("split", "not_scored"):
        counts.setdefault(name, 0)
    counts["used"] = len(rows)
    counts["blind"] = sum(one.blind for _, one in rows)
    for _, one in rows:
        counts[f"chosen_{one.selection}"] += 1
    cases = {one.case_id: None for one, _ in rows}
    number = {name: place for place, name in enumerate(cases)}
    return _Data(
        judged=Judged(
            doubt=np.array([sign * one.values[0] for one, _ in rows], dtype=float),
            bad=np.array([not one.passed for _, one in rows], dtype=np.bool_),
            cases=np.array([number[one.case_id] for one, _ in rows], dtype=np.intp),
            fair=np.array([one.selection in FAIR for _, one in rows], dtype=np.bool_),
        ),
        doubts=tuple(tuple(sign * value for value in one.values) for one, _ in rows),
        ratings=tuple(one.rating for _, one in rows),
        values=tuple(one.values[0] for one, _ in rows),
        counts=dict(counts),
    )


def _no_labels(labels: Sequence[Label], suite: str, asked: str) -> Undecided:
    others = Counter(one.name for one in labels if one.passed is not None)
    hint = f"label some: evalkit review latest --suite {suite} --scorer {asked}"
    if others:
        name, count = others.most_common(1)[0]
        hint = f"{count} labels answer {name!r}: --question {name}, if that is what it estimates"
    return Undecided(f"no label of suite {suite!r} answers {asked!r}", hint=hint)


def _check_enough(data: _Data, scorer: str, suite: str) -> None:
    fair = data.judged.fair
    used, bad = int(fair.sum()), int(data.judged.bad[fair].sum())
    said = f"{used} usable labels"
    missing = data.counts.get("not_scored", 0)
    if missing and used < MIN_LABELS:
        raise Undecided(
            f"{scorer} has scored {used} of {used + missing} labelled answers with its present"
            f" signature, {MIN_LABELS} are needed",
            hint=f"score them: evalkit run {suite}",
        )
    todo = f"label more: evalkit review latest --suite {suite} --scorer {scorer}"
    if used < MIN_LABELS:
        hard = len(fair) - used
        more = f" ({hard} more were chosen for being hard)" if hard else ""
        raise Undecided(
            f"{said} for {scorer}{more}: below {MIN_LABELS} nothing can be said", hint=todo
        )
    for count, word in ((bad, "fail"), (used - bad, "pass")):
        if count < MIN_EACH:
            raise Undecided(
                f"of {said} for {scorer} {count} say {word}: below {MIN_EACH} of either kind"
                " nothing can be fitted",
                hint=todo,
            )


def _mean(data: _Data, plugin: ScorerPlugin) -> Labelled | None:
    """What people's scores on a scorer's own scale say of its mean; ``None`` for too few.

    Ratings of one to five steps, spread over the scale; or, where the score is the probability that
    an answer is bad, whether it is. Answers of one case are averaged, those that were chosen for
    being hard are left out.
    """
    low, high = plugin.range
    if not (np.isfinite(low) and np.isfinite(high)) or high <= low:
        return None
    lower = plugin.direction == "lower"
    rated = [rating is not None for rating in data.ratings]
    truth = [
        math.nan if one is None else low + (high - low) * ((5 - one if lower else one - 1) / 4)
        for one in data.ratings
    ]
    usable = np.array(rated, dtype=np.bool_) & data.judged.fair
    if len(np.unique(data.judged.cases[usable])) < MEAN_LABELS and lower and (low, high) == (0, 1):
        truth, usable = data.judged.bad.astype(float).tolist(), data.judged.fair
    cases, owner = np.unique(data.judged.cases[usable], return_inverse=True)
    if len(cases) < MEAN_LABELS:
        return None
    counts = np.bincount(owner)
    return Labelled.of(
        np.bincount(owner, weights=np.array(truth)[usable]) / counts,
        np.bincount(owner, weights=np.array(data.values)[usable]) / counts,
    )


def _weighted(data: _Data, plugin: ScorerPlugin) -> Share | None:
    """Quadratically weighted kappa of people's ratings and the score on the same five steps."""
    low, high = plugin.range
    if not (np.isfinite(low) and np.isfinite(high)) or high <= low:
        return None
    pairs = []
    for rating, value in zip(data.ratings, data.values, strict=True):
        if rating is not None:
            step = 1 + round(4 * (value - low) / (high - low))
            pairs.append((round(rating), 6 - step if plugin.direction == "lower" else step))
    if len(pairs) < MIN_LABELS:
        return None
    people, scores = zip(*pairs, strict=True)
    found = kappa(people, scores, weights="quadratic", categories=(1, 2, 3, 4, 5))
    ends = found.interval(0.95)
    return Share(value=found.value, low=ends.low, high=ends.high, n=len(pairs))


def _warnings(record: Calibration) -> tuple[str, ...]:
    fit, counts, found = record.fit, record.labels, []
    if fit.n < JUDGE_LABELS:
        found.append(f"{fit.n} labels: below {JUDGE_LABELS} a gate on {record.scorer} only warns")
    elif not record.may_prove:
        low = fit.kappa.low or 0.0
        found.append(f"kappa may be as low as {low:.2f}: a gate on {record.scorer} cannot prove")
    unknown = counts.get("chosen_unknown", 0)
    if unknown:
        found.append(
            f"nobody says how {unknown} of the answers were chosen: the corrected rate is right"
            " only if all were as likely to be"
        )
    seen = counts.get("used", 0) - counts.get("blind", 0)
    if seen:
        found.append(
            f"{seen} labels were not given blind: people who see a score agree with it more"
        )
    if counts.get("split"):
        found.append(f"{counts['split']} answers on which people are divided are left out")
    if counts.get("not_scored"):
        found.append(
            f"{counts['not_scored']} labelled answers were never scored with this signature"
        )
    return tuple(found)


def suite_agreements(
    project: Project, store: Store, suite: str | None
) -> list[tuple[str, Agreement]]:
    """How far people agree with each other and with the scorers they were asked about, by suite."""
    if suite is not None:
        suite = load_suite(project, suite).name
    labels = store.labels(suite)
    found = []
    for name in sorted({one.suite for one in labels if one.suite is not None}):
        mine = [one for one in labels if one.suite == name]
        asked = {one.name for one in mine}
        try:
            _, scorers = latest_scorers(store, name)
        except Undecided:
            scorers = ()
        records = load_records(project, [name])
        decided = {
            one.name: _decisions(store, one, records.get((name, one.name)))
            for one in scorers
            if one.name in asked
        }
        found += [(name, one) for one in agreements(mine, decided)]
    return found


def _decisions(
    store: Store, scorer: ScorerVersion, record: Calibration | None
) -> dict[AnswerKey, bool]:
    """What a scorer decided of labelled answers, by its record's threshold if it has one."""
    found = {}
    use = record is not None and record.signature == scorer.signature
    for one in store.judged_answers(scorer.suite, scorer.name, scorer.signature):
        said = one.passed[0]
        if use and record is not None:
            value = one.values[0]
            said = value <= record.threshold if record.lower else value >= record.threshold
        if said is not None:
            found[one.case_id, one.output_hash] = said
    return found
