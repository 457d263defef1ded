"""Whether two runs may be compared: equal, with a caution that is named, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from evalkit.gate.beside import is_beside
from evalkit.gate.looks import chosen_end
from evalkit.gate.result import Difference
from evalkit.model import DatasetVersion, Run, RunStatus, ScorerVersion, TargetVersion
from evalkit.stats.sides import Side


def differences(baseline: Run, candidate: Run, before: Side, after: Side) -> tuple[Difference, ...]:
    """Everything in which two runs of a suite on a target differ, the gravest first."""
    suite = after.suite
    found = [
        *_kind(baseline, candidate),
        *_status(baseline, "baseline"),
        *_status(candidate, "candidate"),
        *_data(baseline, candidate, suite),
        *_scorers(baseline, candidate, suite),
        *target_changes(baseline, candidate, after.target),
        *_models(before, after),
        *_judges(before, after),
        *_trials(before, after),
        *_provenance(before, after),
    ]
    order = {"refused": 0, "caution": 1, "change": 2}
    return tuple(sorted(found, key=lambda one: order[one.weight]))


def same_data(baseline: Run, candidate: Run, suite: str) -> bool:
    """Whether both runs set out to run the same cases of a suite."""
    before, after = _datasets(baseline, suite), _datasets(candidate, suite)
    if chosen_end(baseline):
        return False  # what it did not ask is not lost
    return bool(after) and [(one.version, one.selected) for one in before] == [
        (one.version, one.selected) for one in after
    ] and all(one.selected == one.cases for one in after)  # fmt: skip


def some_only(run: Run, suite: str) -> bool:
    """Whether a run was asked a part of a suite's cases, by a limit, a sample, tags or words."""
    return any(one.selected < one.cases for one in _datasets(run, suite))


def chosen_cases(run: Run) -> tuple[tuple[str, str], ...]:
    """What chose the cases of a run, option by option; empty when it was asked all of them.

    How many were chosen does not say which: 60 German cases are no repeat of 60 French ones.
    """
    if all(one.selected == one.cases for one in run.datasets):
        return ()
    settings = {**run.settings, "seed": run.seed if run.settings.get("sample") else None}
    found = ((name, settings.get(name)) for name in ("tags", "filter", "sample", "limit", "seed"))
    return tuple(
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in found
        if value not in (None, "", [])
    )


def _datasets(run: Run, suite: str) -> list[DatasetVersion]:
    return [one for one in run.datasets if one.suite == suite]


def _kind(baseline: Run, candidate: Run) -> list[Difference]:
    if baseline.kind is candidate.kind:
        return []
    text = f"one is of kind {baseline.kind}, the other of kind {candidate.kind}"
    return [Difference(kind="status", weight="refused", text=text)]


def _status(run: Run, side: str) -> list[Difference]:
    if run.shard:
        text = f"the {side} {run.id} is only shard {run.shard}: evalkit merge joins shards"
        return [Difference(kind="status", weight="refused", text=text)]
    if run.status is RunStatus.COMPLETE:
        return []
    text = f"the {side} {run.id} is not complete: {run.status}"
    return [Difference(kind="status", weight="refused", text=text)]


def _data(baseline: Run, candidate: Run, suite: str) -> list[Difference]:
    before, after = _datasets(baseline, suite), _datasets(candidate, suite)
    found = []
    if [one.version for one in before] != [one.version for one in after]:
        versions = [", ".join(one.version[:7] for one in side) for side in (before, after)]
        text = f"dataset differs: {versions[0] or 'none'} → {versions[1] or 'none'}"
        found.append(Difference(kind="dataset", weight="caution", text=text))
        return found
    counts = [sum(one.selected for one in side) for side in (before, after)]
    chosen = [chosen_cases(run) for run in (baseline, candidate)]
    if counts[0] != counts[1] or chosen[0] != chosen[1]:
        said = [
            f"{count:,}" + "".join(f" ({name} {value})" for name, value in options)
            for count, options in zip(counts, chosen, strict=True)
        ]
        text = f"cases selected differ: {said[0]} → {said[1]}"
        found.append(Difference(kind="selection", weight="caution", text=text))
    return found


def _scorers(baseline: Run, candidate: Run, suite: str) -> list[Difference]:
    def by_name(run: Run) -> dict[str, ScorerVersion]:
        return {one.name: one for one in run.scorers if one.suite == suite}

    before, after = by_name(baseline), by_name(candidate)
    found = []
    for name, one in after.items():
        old = before.get(name)
        if old is None:
            text = f"the baseline has no scorer {name!r}"
        elif old.signature != one.signature:
            text = f"scorer {name!r} differs: {_changed_parts(old.signature, one.signature)}"
        else:
            continue
        found.append(Difference(kind="scorer", weight="refused", text=text, scorer=name))
    return found


def _changed_parts(old: str, new: str) -> str:
    before, after = old.split("|"), new.split("|")
    gone = [one for one in before if one not in after]
    come = [one for one in after if one not in before]
    return f"{', '.join(gone) or '–'} → {', '.join(come) or '–'}"


def target_changes(baseline: Run, candidate: Run, name: str) -> list[Difference]:
    """What of a target was changed on purpose: kind, prompt, model, parameters; and its price."""
    old = next((one for one in baseline.targets if one.name == name), None)
    new = next((one for one in candidate.targets if one.name == name), None)
    if old is None or new is None:
        return []
    found = [
        Difference(kind=what, weight="change", text=f"{what}: {_said(one)} → {_said(two)}")
        for what, one, two in (
            ("kind", old.kind, new.kind),
            ("model", old.model, new.model),
        )
        if one != two
    ]
    if old.prompt_version != new.prompt_version:
        (path, was), (place, now) = (_prompt(*one) for one in ((baseline, old), (candidate, new)))
        said = f"{was} → {now}" if path == place else f"{was} → {place}{now}"
        found.append(Difference(kind="prompt", weight="change", text=f"prompt: {path}{said}"))
    found += _options(old, new)
    if old.price != new.price:
        text = "prices differ: the change of cost is not the answers' alone"
        found.append(Difference(kind="price", weight="caution", text=text))
    return found


def _prompt(run: Run, target: TargetVersion) -> tuple[str, str]:
    """The file of a prompt, and its label and version, as far as they are known."""
    version = target.prompt_version
    known = next((one for one in run.prompts if one.version == version), None)
    name = (version or "–")[:7]
    if known is None:
        return "", name
    return f"{known.path} ", f"{known.label} {name}" if known.label else name


def _options(old: TargetVersion, new: TargetVersion) -> list[Difference]:
    keys = sorted({*old.options, *new.options} - {"model"})
    return [
        Difference(
            kind=key,
            weight="change",
            text=f"{key}: {_said(old.options.get(key))} → {_said(new.options.get(key))}",
        )
        for key in keys
        if old.options.get(key) != new.options.get(key)
    ]


def _said(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _models(before: Side, after: Side) -> list[Difference]:
    """The names providers reported: a snapshot may move while the configuration stays."""
    if not before.models or not after.models or set(before.models) == set(after.models):
        return []
    text = f"model reported differs: {_named(before.models)} → {_named(after.models)}"
    return [Difference(kind="model reported", weight="caution", text=text)]


def _judges(before: Side, after: Side) -> list[Difference]:
    """Judges that report another model than before: the instrument changed, not the product."""
    found = []
    for name, one in after.scores.items():
        old = before.scores.get(name)
        if old is None or not old.models or not one.models or set(old.models) == set(one.models):
            continue
        text = f"judge of {name!r} reported differs: {_named(old.models)} → {_named(one.models)}"
        found.append(Difference(kind="scorer", weight="refused", text=text, scorer=name))
    return found


def _named(models: Mapping[str, int]) -> str:
    names = sorted(models)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _trials(before: Side, after: Side) -> list[Difference]:
    if not len(before.cases) or not len(after.cases):
        return []
    old = round(before.trials / len(before.cases) / max(len(before.runs), 1), 2)
    new = round(after.trials / len(after.cases) / max(len(after.runs), 1), 2)
    if old == new:
        return []
    text = f"trials a case differ: {old:g} → {new:g}"
    return [Difference(kind="trials", weight="caution", text=text)]


def _provenance(before: Side, after: Side) -> list[Difference]:
    found = []
    for side, name in ((before, "baseline"), (after, "candidate")):
        answered = int(side.ok.sum())
        stale = answered - int((side.ok & side.live).sum())
        if stale:
            text = f"{stale:,} of {answered:,} answers of the {name} were not live"
            found.append(Difference(kind="provenance", weight="caution", text=text))
    return found


def left_out(baseline: Iterable[str], targets: Collection[str]) -> list[str]:
    """Targets that only the baseline has: nothing says whether they got worse."""
    return [
        f"target {one!r} is in the baseline and was not run now"
        for one in sorted(set(baseline) - set(targets))
        if not is_beside(one)
    ]
