"""Continuing a run: the same work, exactly the trials that are missing or failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.model import Run, RunKind
from evalkit.runner.done import Done, is_in
from evalkit.runner.flight import Flight, Key
from evalkit.runner.plan import LooksAsked, Plan, RunOptions
from evalkit.runner.shards import Shard
from evalkit.runner.unchanged import Unchanged
from evalkit.runner.unpaid import Unpaid, unpaid_trials

if TYPE_CHECKING:
    from evalkit.store import Store


@dataclass(frozen=True, slots=True)
class Resumed:
    """The answered trials of a stored run: case and index, by suite and target.

    ``unpaid`` are those of them that lack a verdict, because a budget of judges was spent.
    """

    done: Mapping[tuple[str, str], Done]
    unpaid: Unpaid = field(default_factory=dict)

    def unjudged(self, suite: str, target: str) -> int:
        """How many answers of a target to a suite lack such a verdict."""
        return sum(key[:2] == (suite, target) for key in self.unpaid)

    @property
    def settled(self) -> dict[tuple[str, str], Done]:
        """The answered trials that lack no such verdict."""
        again: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for suite, target, case, index in self.unpaid:
            again.setdefault((suite, target), []).append((case, index))
        return {
            key: done.without(again[key]) if key in again else done
            for key, done in self.done.items()
        }


def stored_options(run: Run, given: RunOptions) -> RunOptions:
    """The flags a run was started with.

    How hard its targets are driven and for how long, what it may spend and whether answers are kept
    may differ: what is ``given`` counts. A run that was started offline is continued offline.
    """
    kept: Mapping[str, Any] = run.settings
    return RunOptions(
        suites=tuple(kept.get("suites") or run.suites),
        targets=tuple(kept.get("targets") or ()),
        trials=kept.get("trials"),
        seed=run.seed,
        tags=tuple(kept.get("tags") or ()),
        filter=kept.get("filter") or "",
        sample=kept.get("sample"),
        limit=kept.get("limit"),
        concurrency=given.concurrency,
        allow_code=given.allow_code,
        max_usd=kept.get("max_usd") if given.max_usd is None else given.max_usd,
        max_tokens=kept.get("max_tokens") if given.max_tokens is None else given.max_tokens,
        cache=given.cache or kept.get("cache"),
        offline=given.offline or bool(kept.get("offline")),
        interleave=kept.get("interleave"),
        reference=bool(kept.get("reference")),
        shard=Shard.parse(run.shard) if run.shard else None,
        engine=given.engine,
        ray_address=given.ray_address,
        workers=given.workers,
        max_time_s=given.max_time_s,
        looks=LooksAsked.of(kept.get("looks")),
        unchanged=Unchanged.kept(kept),
    )


def resume(plan: Plan, run: Run, store: Store) -> tuple[Plan, Resumed]:
    """The plan under the stored run's identity, and what needs no second answer.

    Raises ``UsageError`` that names every difference when suites, data, prompts, targets or scorers
    changed since: answers to different questions do not belong into one run.
    """
    from dataclasses import replace

    if run.kind is not RunKind.EVALUATION:
        raise UsageError(
            f"run {run.id} is a load test, and a load test is not continued",
            hint=f"start it again: evalkit load {run.suites[0]}",
        )
    changed = differences(run, plan.run)
    if changed:
        raise UsageError(
            f"run {run.id} cannot be continued: {'; '.join(changed)}",
            where=plan.project.path,
            hint="undo the change, or start a new run: evalkit run",
        )
    # what looks at a run decided rests on the scores it had
    unpaid = {} if run.settings.get("looks") else unpaid_trials(store, run.id)
    return replace(plan, run=run), Resumed(store.finished_by(run.id, Done), unpaid)


def take_up(flight: Flight, plan: Plan, resumed: Resumed, *, note: Callable[[str], object]) -> None:
    """Count what was paid for answers that came before a kill and whose trials are not stored.

    Those of stored trials are forgotten, except where a verdict is still to come.
    """

    def is_stored(key: Key) -> bool:
        return key not in resumed.unpaid and is_in(resumed.done, key)

    flight.drop(is_stored)
    came = 0
    for one in flight.left:
        fleet = plan.judging if one.judge else plan.fleet
        lane = fleet.lanes.get(one.lane)
        if lane is not None and lane.account is not None:
            lane.account.charge(one.came.spend)
        came += 1
    if came:
        note(f"{came:,} answers had come when the run was killed: they are not asked for again")


def differences(stored: Run, now: Run) -> list[str]:
    """What of the present project is not what the stored run used, in words."""
    targets = _changes(
        "target", stored.targets, now.targets, lambda t: t.name, lambda t: t.content_hash
    )
    prompts = _changes("prompt", stored.prompts, now.prompts, lambda p: p.path, lambda p: p.version)
    if prompts:
        # a changed prompt changes its targets; the prompt is what to look at
        prompted = {
            one.name
            for one in stored.targets
            if one.prompt_version not in {p.version for p in now.prompts}
            and one.prompt_version is not None
        }
        targets = [one for one in targets if not any(repr(name) in one for name in prompted)]
    return [
        *_changes("suite", stored.suite_hashes.items(), now.suite_hashes.items(), _key, _value),
        *_changes(
            "dataset",
            stored.datasets,
            now.datasets,
            lambda d: f"{d.source} (suite {d.suite})",
            lambda d: (d.version, d.selected),
        ),
        *prompts,
        *targets,
        *_changes(
            "scorer",
            stored.scorers,
            now.scorers,
            lambda s: f"{s.name} (suite {s.suite})",
            lambda s: s.signature,
        ),
    ]


def _key(pair: tuple[str, str]) -> str:
    return pair[0]


def _value(pair: tuple[str, str]) -> str:
    return pair[1]


def _changes(
    what: str,
    before: Iterable[Any],
    after: Iterable[Any],
    name: Callable[[Any], str],
    content: Callable[[Any], object],
) -> list[str]:
    old = {name(one): content(one) for one in before}
    new = {name(one): content(one) for one in after}
    return [
        f"{what} {one!r} "
        + ("is new" if one not in old else "is gone" if one not in new else "changed")
        for one in sorted({*old, *new})
        if old.get(one) != new.get(one)
    ]
