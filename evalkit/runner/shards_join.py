"""Runs that come back: bundles taken into the store, and shards joined into one run."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from evalkit.errors import UnknownName, UsageError
from evalkit.model import JSON, GitState, Run, RunKind, RunStatus
from evalkit.runner.resume import differences
from evalkit.runner.shards import Shard
from evalkit.store import Store
from evalkit.store.access import Access
from evalkit.store.bundle import export_bundle
from evalkit.store.bundle_place import fetched, is_remote, send
from evalkit.store.bundle_read import Staged, staged
from evalkit.store.bundle_take import Part, join, joined_run, take
from evalkit.store.bundle_take import holds as store_holds

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A run made of shards; ``known`` when the store had it already, ``missing`` names shards."""

    run_id: str
    shards: int
    count: int
    known: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """One shard: its run, the store that holds it, and what the user called it."""

    run: Run
    shard: Shard
    store: Store
    shown: str

    def __str__(self) -> str:
        return f"shard {self.shard} ({self.shown})"


def export_run(store: Store, run_id: str, to: str) -> str:
    """Write the bundle of a stored run to a path or an address; returns the hash that names it."""
    access = Access(store.path, patience_s=PATIENCE_S)
    if not is_remote(to):
        return export_bundle(access, run_id, Path(to)).sha256
    with tempfile.TemporaryDirectory(prefix="evalkit-") as work:
        name = "bundle.zip" if to.endswith(".zip") else "bundle"
        manifest = export_bundle(access, run_id, Path(work) / name)
        send(Path(work) / name, to)
    return manifest.sha256


def import_bundle(store: Store, place: str) -> tuple[str, str, bool]:
    """Take a bundle into the store once.

    Returns the id of its run, the id of the run it is in now, and whether the store had it.
    """
    access = Access(store.path, patience_s=PATIENCE_S)
    with _staged(place) as bundle:
        run_id = bundle.manifest.run_id
        before = store_holds(access, run_id)
        now = take(access, bundle)
    return run_id, now, before or now != run_id


@contextmanager
def _staged(place: str) -> Iterator[Staged]:
    with tempfile.TemporaryDirectory(prefix="evalkit-") as work:
        folder = Path(work) / "staged"
        folder.mkdir()
        with staged(fetched(place, Path(work)), folder, shown=place) as bundle:
            yield bundle


def merge(store: Store, names: Sequence[str], *, partial: bool = False) -> Joined:
    """Join shards, named by run or bundle, into one run; merging twice changes nothing.

    Raises ``UsageError`` for shards that are not of one whole, naming what differs, for shards that
    are there twice, and, unless ``partial``, for shards that are missing or incomplete.
    """
    access = Access(store.path, patience_s=PATIENCE_S)
    with ExitStack() as stack:
        sources = [_source(store, access, one, stack) for one in names]
        sources = list({one.run.id: one for one in sources}.values())
        sources.sort(key=lambda one: (one.shard.count, one.shard.index, one.run.id))
        _refuse_unlike(sources)
        missing = _missing(sources, partial=partial)
        run = _whole(sources, missing)
        done = Joined(
            run_id=run.id,
            shards=len(sources),
            count=sources[0].shard.count,
            missing=missing,
        )
        if store_holds(access, run.id):
            return replace(done, known=True)
        store.prepare()
        earlier = _earlier(store, sources)
        parts = [Part(one.run, one.store.path) for one in sources]
        join(access, run, parts, instead_of=earlier)
    return done


def _source(store: Store, access: Access, name: str, stack: ExitStack) -> _Source:
    """The shard that a name means: a bundle's path or address, else a run of the store."""
    if not is_remote(name) and not Path(name).exists():
        if not store.exists:
            raise UsageError(
                "there is no such bundle, and no run store to look for a run of that name",
                where=name,
                hint="give the paths of bundles; write one with: evalkit export",
            )
        try:
            run = store.load_run(store.resolve(name))
        except UnknownName as error:
            _refuse_joined(access, name)
            error.hint = f"{error.hint}; or give the path of a bundle"
            raise
        return _Source(run, _shard(run, name), store, name)
    bundle = stack.enter_context(_staged(name))
    run_id = bundle.manifest.run_id
    if store_holds(access, run_id):
        # it is the same one, or it is refused
        take(access, bundle)
        run = store.load_run(run_id)
        return _Source(run, _shard(run, name), store, name)
    other = Store(bundle.file)
    run = other.load_run(run_id)
    return _Source(run, _shard(run, name), other, name)


def _refuse_joined(access: Access, name: str) -> None:
    whole = joined_run(access, name)
    if whole is not None:
        raise UsageError(
            f"run {name} is part of run {whole} already",
            hint=f"look at the whole: evalkit show {whole}",
        )


def _shard(run: Run, shown: str) -> Shard:
    if not run.shard or run.kind is not RunKind.EVALUATION:
        raise UsageError(
            f"run {run.id} is no shard",
            where=shown,
            hint="shards are made by: evalkit run --shard I/N; import takes whole runs in",
        )
    if run.status is RunStatus.RUNNING:
        raise UsageError(
            f"run {run.id} is still running, or died", where=shown, hint="wait for it, or resume it"
        )
    return Shard.parse(run.shard)


def _refuse_unlike(sources: Sequence[_Source]) -> None:
    first, *others = sources
    for one in others:
        changed = _unlike(first.run, one.run)
        if one.shard.count != first.shard.count:
            changed.insert(0, f"one is of {first.shard.count}, the other of {one.shard.count}")
        if changed:
            raise UsageError(
                f"{first} and {one} are not of one run: {'; '.join(changed)}",
                where=one.shown,
                hint="run all shards from the same files with the same flags",
            )
        if one.shard == first.shard:
            raise UsageError(
                f"shard {one.shard} is there twice: {first.run.id} and {one.run.id}",
                where=one.shown,
                hint="leave one of them out",
            )
        first = one


def _unlike(before: Run, now: Run) -> list[str]:
    """In what two shards differ that one run cannot."""
    changed = differences(before, now)
    changed += [
        f"{what} {old!r} and {new!r}"
        for what, old, new in (
            ("project", before.project, now.project),
            ("seed", before.seed, now.seed),
            ("whole", before.settings.get("whole"), now.settings.get("whole")),
            *(
                (f"--{flag}", before.settings.get(flag), now.settings.get(flag))
                for flag in ("trials", "tags", "filter", "sample", "limit")
            ),
        )
        if old != new
    ]
    prices = {one.name: one.price for one in now.targets}
    changed += [
        f"price of target {one.name!r} changed"
        for one in before.targets
        if one.name in prices and prices[one.name] != one.price
    ]
    return changed


def _missing(sources: Sequence[_Source], *, partial: bool) -> tuple[str, ...]:
    """The shards that are not there or not complete, in words; refused unless ``partial``."""
    count = sources[0].shard.count
    there = {one.shard.index for one in sources}
    absent = [str(Shard(index, count)) for index in range(1, count + 1) if index not in there]
    cut = []
    for one in sources:
        made = one.store.finished(one.run.id, retry=())
        strange = sum(not one.shard.holds(case) for _, _, case, _ in made)
        if strange:
            raise UsageError(
                f"{one} holds {strange:,} trials of cases that are not its own",
                where=one.shown,
                hint="make it again: evalkit run --shard",
            )
        if one.run.status is not RunStatus.COMPLETE or len(made) != one.run.planned:
            cut.append(f"{one.shard} is {one.run.status}, {len(made):,} of {one.run.planned:,}")
    if (absent or cut) and not partial:
        said = [f"shard {', '.join(absent)} missing"] if absent else []
        said += [f"shard {one} trials" for one in cut]
        raise UsageError(
            f"the run is not whole: {'; '.join(said)}",
            hint="add what is missing (an incomplete shard: evalkit run --resume), or --partial",
        )
    return (*absent, *(one.partition(" ")[0] for one in cut))


def _whole(sources: Sequence[_Source], missing: Sequence[str]) -> Run:
    """The run that the shards make; its id follows from theirs."""
    first = sources[0].run
    ids = sorted(one.run.id for one in sources)
    started = min(one.run.started_at for one in sources)
    ended = [one.run.finished_at for one in sources if one.run.finished_at is not None]
    settings: dict[str, JSON] = {
        name: value for name, value in first.settings.items() if name not in {"shard", "whole"}
    }
    settings["joined"] = list[JSON](ids)
    if missing:
        settings["missing"] = list[JSON](missing)
    whole = first.settings.get("whole")
    made = sum(one.run.planned for one in sources)
    planned = whole if missing and isinstance(whole, int) else made
    if planned != whole or planned < made:
        raise UsageError(
            f"the shards have {made:,} trials, and the whole run {whole}",
            hint="run all shards from the same files with the same flags",
        )
    digest = hashlib.sha256("\0".join(ids).encode()).hexdigest()
    return replace(
        first,
        id=f"{started:%Y%m%d-%H%M%S}-{digest[:6]}",
        started_at=started,
        finished_at=max(ended) if ended else None,
        status=RunStatus.STOPPED if missing else RunStatus.COMPLETE,
        planned=planned,
        settings=settings,
        git=_agreed(sources),
    )


def _agreed(sources: Sequence[_Source]) -> GitState | None:
    """The commit of all shards; of different ones the first, with files that differ from it."""
    states = [one.run.git for one in sources]
    first = states[0]
    if first is None:
        return None
    same = all(one is not None and one.commit == first.commit for one in states)
    return replace(first, dirty=not same or any(one.dirty for one in states if one is not None))


def _earlier(store: Store, sources: Sequence[_Source]) -> tuple[str, ...]:
    """Partial runs made of some of these shards, which the new one stands in for."""
    if not store.exists:
        return ()
    ids = {one.run.id for one in sources}
    rows = store.query(
        "SELECT run_id, status, settings->'joined' AS joined FROM runs"
        " WHERE json_exists(settings, '$.joined')"
    ).to_pylist()
    found = []
    for row in rows:
        theirs = set(json.loads(row["joined"]))
        if not theirs & ids:
            continue
        if not theirs <= ids or row["status"] == RunStatus.COMPLETE:
            raise UsageError(
                f"run {row['run_id']} holds some of these shards already",
                hint=f"give all of its shards, or use it: evalkit show {row['run_id']}",
            )
        found.append(str(row["run_id"]))
    return tuple(found)
