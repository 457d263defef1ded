"""A run made in shards by jobs that know nothing of each other is the run one process makes."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.config import load_project
from evalkit.errors import ExitCode, Undecided, UsageError
from evalkit.model import Case, RunStatus
from evalkit.runner.baselines import unfit
from evalkit.runner.gating import judge
from evalkit.runner.shards import Shard
from evalkit.runner.shards_join import export_run, import_bundle, merge
from evalkit.store import Store
from tests.runner.projects import SmallProject, rows

CASES = 40


def context_rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"case-{n}",
            "question": f"How many days does rule {n} give?",
            "context": [f"Rule {n} gives {n + 3} days.", f"Rule {n + 1} is void."],
            "expected": f"{n + 3} days",
            "tags": {"lang": "es" if n % 2 else "en"},
        }
        for n in range(count)
    ]


@pytest.fixture
def ready(small: SmallProject) -> SmallProject:
    small.write_prompt("{% for one in context %}{{ one }}{% endfor %}\n{{ question }}\n")
    return small.write(
        {"t": {"kind": "builtin:extractive", "prompt": "prompts/ask.j2"}},
        context_rows(CASES),
        scorers=["exact_match", "rouge_l", "bleu"],
        suite={
            "slices": ["lang"],
            "gates": [{"id": "q", "metric": "rouge_l.mean", "max_drop": 0.2}],
        },
    )


def shard(small: SmallProject, index: int, count: int, **flags: Any) -> str:
    outcome = small.run(shard=Shard(index, count), **flags)
    assert outcome.exit_code is ExitCode.PASS
    return outcome.run_id


def scored(store: Store, run_id: str) -> Any:
    return store.query(
        "SELECT suite, target, case_id, trial, t.seed, t.output, t.request_hash, t.case_row,"
        " s.name, s.value, s.passed, s.stats, s.signature FROM trials AS t JOIN scores AS s"
        f" USING (run_id, suite, target, case_id, trial) WHERE run_id = '{run_id}' ORDER BY ALL"
    ).to_pylist()


def test_shards_are_by_content_and_share_everything_out() -> None:
    ids = [Case.of({"n": n}).id for n in range(4_000)]
    for count in (1, 3, 8):
        parts = [{one for one in ids if Shard(i, count).holds(one)} for i in range(1, count + 1)]
        assert sum(map(len, parts)) == len(ids) == len(set.union(*parts))
        # binomial: six deviations from an even split
        even = len(ids) / count
        assert all(abs(len(one) - even) <= 6 * even**0.5 for one in parts)


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "1/0", "-1/3", "a/b", "1/99999", "1/2/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Shard.parse(text)
    assert "--shard" in caught.value.hint


@pytest.mark.parametrize("flags", [{}, {"sample": 17, "seed": 5}, {"tags": ("lang:es",)}])
def test_the_plan_says_the_same_on_every_shard_in_any_order_of_rows(
    ready: SmallProject, flags: dict[str, Any]
) -> None:
    whole = ready.plan(**flags)
    plans = [ready.plan(shard=Shard(i, 3), **flags) for i in (1, 2, 3)]
    mixed = context_rows(CASES)
    random.Random(3).shuffle(mixed)
    ready.write_cases(mixed)
    again = [ready.plan(shard=Shard(i, 3), **flags) for i in (1, 2, 3)]
    found: list[set[str]] = []
    for plan, other in zip(plans, again, strict=True):
        for facts in ("datasets", "suite_hashes", "targets", "prompts", "scorers", "slices"):
            assert getattr(plan.run, facts) == getattr(whole.run, facts)
        assert plan.run.settings["whole"] == whole.run.planned
        found.append({one.id for one in other.suites[0].cases})
        assert plan.run.planned == other.run.planned == len(found[-1])
    assert sum(map(len, found)) == whole.run.planned == len(set.union(*found))


def test_merged_shards_are_the_run_of_one_process(ready: SmallProject, tmp_path: Path) -> None:
    whole = ready.run(trials=2, seed=9).run_id
    places = []
    for index in (2, 3, 1):
        run_id = shard(ready, index, 3, trials=2, seed=9)
        places.append(str(tmp_path / f"shard{index}.zip"))
        export_run(ready.store, run_id, places[-1])
    shutil.copytree(ready.folder / ".evalkit", tmp_path / "before")
    by_run = merge(ready.store, [Path(one).stem and one for one in places])
    elsewhere = Store(tmp_path / "ci" / "store.duckdb")
    by_path = merge(elsewhere, places)
    assert (by_run.run_id, by_run.known, by_path.missing) == (by_path.run_id, False, ())
    for store in (ready.store, elsewhere):
        assert scored(store, by_path.run_id) == scored(ready.store, whole)
        run, one = store.load_run(by_path.run_id), ready.store.load_run(whole)
        assert (run.status, run.planned, run.shard) == (RunStatus.COMPLETE, one.planned, None)
        assert (run.datasets, run.scorers, run.seed) == (one.datasets, one.scorers, one.seed)
    # the shards were moved, and nothing is counted twice
    assert [one.run_id for one in ready.store.runs()] == [by_path.run_id, whole]
    project = load_project(ready.folder / "evalkit.yaml")
    verdict = judge(project, ready.store, by_path.run_id, baseline=f"run:{whole}").verdict
    same = judge(project, ready.store, whole, baseline=f"run:{by_path.run_id}").verdict
    assert verdict.status == same.status
    assert [(g.status, g.candidate, g.n) for g in verdict.results] == [
        (g.status, g.baseline, g.n) for g in same.results
    ]
    assert merge(elsewhere, places).known
    run_id, now, known = import_bundle(elsewhere, places[0])
    assert (now, known) == (by_path.run_id, True)
    with pytest.raises(UsageError, match="is part of run"):
        merge(ready.store, [run_id])


def test_shards_have_no_verdict_and_are_no_baseline(ready: SmallProject) -> None:
    whole = ready.run().run_id
    part = shard(ready, 1, 2)
    project = load_project(ready.folder / "evalkit.yaml")
    with pytest.raises(Undecided, match="only shard 1/2"):
        judge(project, ready.store, part)
    verdict = judge(project, ready.store, whole, baseline=f"run:{part}").verdict
    assert verdict.exit_code is ExitCode.UNDECIDED
    from evalkit.gate.stored import Stored

    run = ready.store.load_run(part)
    assert any("shard 1/2" in one for one in unfit(Stored(run=run, sides={}, runs=(part,))))


def _prompt(small: SmallProject) -> None:
    small.write_prompt("{% for one in context %}{{ one }}{% endfor %}\n{{ question }}{# new #}\n")


def _data(small: SmallProject) -> None:
    small.write_cases(context_rows(CASES + 1))


def _suite(small: SmallProject) -> None:
    small.write_suite(
        {"dataset": "golden/cases.jsonl", "targets": ["t"], "scorers": ["exact_match"]}
    )


CHANGES: dict[str, tuple[Callable[[SmallProject], None], dict[str, Any]]] = {
    "prompt 'prompts/ask.j2' changed": (_prompt, {}),
    "dataset .* changed": (_data, {}),
    r"scorer 'rouge_l \(suite s\)' is gone": (_suite, {}),
    "seed 0 and 4": (lambda _: None, {"seed": 4}),
    "--trials None and 2": (lambda _: None, {"trials": 2}),
    "--limit None and 30": (lambda _: None, {"limit": 30}),
}


@pytest.mark.parametrize("words", CHANGES)
def test_shards_of_something_else_are_refused_by_name(ready: SmallProject, words: str) -> None:
    first = shard(ready, 1, 2)
    change, flags = CHANGES[words]
    change(ready)
    second = shard(ready, 2, 2, **flags)
    with pytest.raises(UsageError, match=words) as caught:
        merge(ready.store, [first, second])
    assert "shard 1/2" in caught.value.what
    assert len(ready.store.runs()) == 2


def test_missing_double_and_foreign_shards_are_refused(ready: SmallProject) -> None:
    one, two, other, whole = (
        shard(ready, 1, 3),
        shard(ready, 2, 3),
        shard(ready, 1, 2),
        ready.run().run_id,
    )
    with pytest.raises(UsageError, match="shard 3/3 missing"):
        merge(ready.store, [one, two])
    with pytest.raises(UsageError, match="one is of 2, the other of 3"):
        merge(ready.store, [one, other])
    with pytest.raises(UsageError, match="shard 2/3 is there twice"):
        merge(ready.store, [one, two, shard(ready, 2, 3)])
    with pytest.raises(UsageError, match="is no shard"):
        merge(ready.store, [one, whole])
    with pytest.raises(UsageError, match="unknown run"):
        merge(ready.store, ["nothing"])
    # where bundles of other machines are joined, there is no store yet
    with pytest.raises(UsageError, match="no such bundle, and no run store"):
        merge(Store(ready.folder / "none.duckdb"), ["shards/*"])


def test_a_partial_run_is_marked_has_no_verdict_and_is_completed(ready: SmallProject) -> None:
    whole = ready.run(seed=2).run_id
    parts = [shard(ready, index, 3, seed=2) for index in (1, 3)]
    joined = merge(ready.store, parts, partial=True)
    assert joined.missing == ("2/3",)
    run = ready.store.load_run(joined.run_id)
    assert (run.status, run.settings["missing"]) == (RunStatus.STOPPED, ["2/3"])
    project = load_project(ready.folder / "evalkit.yaml")
    verdict = judge(project, ready.store, joined.run_id, baseline=f"run:{whole}").verdict
    assert verdict.exit_code is ExitCode.UNDECIDED
    outcome = ready.resume(joined.run_id)
    assert outcome.status is RunStatus.COMPLETE
    assert 0 < outcome.kept < outcome.planned == CASES
    assert scored(ready.store, joined.run_id) == scored(ready.store, whole)


def test_a_whole_run_stands_in_for_the_partial_one(ready: SmallProject, tmp_path: Path) -> None:
    places = []
    for index in (1, 2):
        places.append(str(tmp_path / str(index)))
        export_run(ready.store, shard(ready, index, 2), places[-1])
    store = Store(tmp_path / "ci.duckdb")
    merge(store, places[:1], partial=True)
    joined = merge(store, places)
    assert [one.run_id for one in store.runs()] == [joined.run_id]
    assert len(store.finished(joined.run_id)) == CASES
    with pytest.raises(UsageError, match="holds some of these shards already"):
        merge(store, places[1:], partial=True)


def test_an_empty_shard_is_a_part_too(small: SmallProject) -> None:
    small.write(
        {"t": {"kind": "builtin:extractive", "prompt": "prompts/ask.j2"}},
        rows(2),
        scorers=["exact_match"],
    )
    ids = [shard(small, index, 6) for index in range(1, 7)]
    assert merge(small.store, ids).missing == ()
    empty = small.run(shard=Shard(1, 1), filter="what")
    assert empty.planned == 2


def test_personal_data_has_the_same_marks_in_every_shard(small: SmallProject) -> None:
    small.write_prompt("{% for one in context %}{{ one }}{% endfor %}\n{{ question }}\n")
    cases = [
        {**one, "question": f"person{n}@example.org asks: {one['question']}"}
        for n, one in enumerate(context_rows(12))
    ]
    small.write(
        {"t": {"kind": "builtin:extractive", "prompt": "prompts/ask.j2"}},
        cases,
        privacy={"mask": ["email"]},
    )
    whole = small.run().run_id
    joined = merge(small.store, [shard(small, index, 3) for index in (1, 2, 3)])

    def asked(run_id: str) -> Any:
        return small.sql(
            f"SELECT case_id, messages FROM trials WHERE run_id = '{run_id}' ORDER BY ALL"
        )

    assert asked(joined.run_id) == asked(whole)
    assert "EMAIL_12" in json.dumps(asked(whole))


def test_a_shard_is_resumed_as_a_shard(ready: SmallProject) -> None:
    run_id = shard(ready, 1, 2)
    planned = ready.store.load_run(run_id).planned
    import duckdb

    with duckdb.connect(str(ready.store.path)) as connection:
        connection.execute("DELETE FROM trials WHERE case_row < 10")
        connection.execute("UPDATE runs SET status = 'interrupted'")
    outcome = ready.resume(run_id)
    assert (outcome.planned, outcome.kept + outcome.answered) == (planned, planned)


def test_bundles_go_to_addresses_fsspec_knows(ready: SmallProject, tmp_path: Path) -> None:
    run_id = ready.run().run_id
    store = Store(tmp_path / "other.duckdb")
    for place in ("memory://team/run.zip", f"memory://team/{run_id}", f"file://{tmp_path}/x.zip"):
        export_run(ready.store, run_id, place)
        import_bundle(store, place)
    assert scored(store, run_id) == scored(ready.store, run_id)
    with pytest.raises(UsageError, match="no such bundle"):
        import_bundle(store, "memory://team/nothing.zip")
    with pytest.raises(UsageError, match="nosuch:// needs a package"):
        import_bundle(store, "nosuch://team/nothing.zip")
