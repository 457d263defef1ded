"""Runs go in and come out; names resolve; wrong files are said to be wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib import resources
from pathlib import Path

import duckdb
import pytest
from example_runs import START, example_run, example_trial, example_trials, rich_trial

from evalkit.errors import (
    ConfigError,
    ErrorClass,
    StoreError,
    StoreVersionError,
    UnknownName,
    UsageError,
)
from evalkit.model import RunStatus, Trial
from evalkit.stats.ranking import Ranking
from evalkit.stats.samples import COLUMNS
from evalkit.store import Store

RUN = "20261121-093000-4e77"


def values(store: Store, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in store.query(sql).to_pylist()]


def test_a_run_comes_back_as_it_was(store: Store) -> None:
    run = example_run()
    store.create_run(run)
    assert store.load_run(run.id) == run
    end = START + timedelta(minutes=3)
    store.finish_run(run.id, RunStatus.COMPLETE, end)
    assert store.load_run(run.id).finished_at == end
    again = store.reopen_run(run.id)
    assert (again.status, again.finished_at) == (RunStatus.RUNNING, None)
    assert values(store, "SELECT kind, actor FROM events ORDER BY happened_at") == [
        ("run.started", "ana"),
        ("run.finished", "ana"),
        ("run.resumed", "ana"),
    ]
    with pytest.raises(UsageError, match="exists already"):
        store.create_run(run)


def test_a_trial_comes_back_as_it_was(store: Store) -> None:
    trials = [rich_trial(), *example_trials(cases=3)]
    store.append(trials)
    assert store.trial(RUN, "refund-003") == (trials[0],)
    wanted = sorted(
        (one for one in trials if one.case.name == "refund-001"), key=lambda one: one.target
    )
    assert list(store.trial(RUN, "refund-001")) == wanted
    assert values(store, "SELECT count(*), count(DISTINCT case_id) FROM cases") == [(4, 4)]


def test_appending_again_replaces_and_never_goes_back_in_time(store: Store) -> None:
    case = example_trials(cases=1)[0].case
    old = example_trial(RUN, case, "small", quality=0.2)
    new = example_trial(RUN, case, "small", quality=0.9, started_at=START + timedelta(hours=1))
    other = example_trial(RUN, case, "large", quality=0.4)
    store.append([old, other])
    store.append([new])
    store.append([old])
    # what the first attempt spent is not forgotten
    both = replace(new.spend, usd=2 * (new.spend.usd or 0), tokens=2 * (new.spend.tokens or 0))
    assert store.trial(RUN, case.id) == (other, replace(new, spend=both))
    assert values(store, "SELECT count(*) FROM scores") == [(6,)]


def test_labels_of_a_case_follow_the_last_run_but_trials_keep_theirs(store: Store) -> None:
    first = example_trials("one", cases=1, targets=("small",))[0]
    renamed = type(first.case)(
        id=first.case.id, name="better name", inputs=first.case.inputs,
        expected=first.case.expected, context=first.case.context, tags={"lang": "fr"},
    )  # fmt: skip
    second = example_trial("two", renamed, "small", quality=0.5)
    store.append([first])
    store.append([second])
    assert values(store, "SELECT name, tags['lang'] FROM cases") == [("better name", "fr")]
    assert values(store, "SELECT case_name, tags['lang'] FROM trials ORDER BY run_id") == [
        ("refund-000", "en"),
        ("better name", "fr"),
    ]


def test_finished_leaves_out_what_is_worth_another_attempt(store: Store) -> None:
    trials = example_trials(cases=4)
    store.append(trials)
    done = {one.key for one in trials if one.error_class is None}
    everything = {one.key for one in trials}
    assert done < everything
    assert store.finished(RUN) == done
    assert store.finished(RUN, retry=[ErrorClass.TIMEOUT]) == done
    assert store.finished(RUN, retry=[ErrorClass.QUOTA]) == everything
    assert store.finished(RUN, retry=[]) == everything
    assert store.finished("another") == set()


def test_names_resolve_to_runs(store: Store) -> None:
    for number, run_id in enumerate(["20261120-abcd", "20261121-abff", "20261121-cdef"]):
        store.create_run(example_run(run_id, started_at=START + timedelta(hours=number)))
    assert store.resolve("latest") == "20261121-cdef"
    assert store.resolve("latest~2") == "20261120-abcd"
    assert store.resolve("20261120") == store.resolve("abcd") == "20261120-abcd"
    with pytest.raises(UsageError, match="2 runs") as ambiguous:
        store.resolve("ab")
    assert "20261121-abff, 20261120-abcd" in ambiguous.value.hint
    with pytest.raises(UsageError, match="holds 3"):
        store.resolve("latest~3")
    with pytest.raises(UnknownName) as unknown:
        store.resolve("20261121-abfg")
    assert unknown.value.hint.startswith("did you mean '20261121-abff'")
    assert unknown.value.hint.endswith("; all: evalkit runs")


def test_cases_are_found_by_parts_of_their_names(store: Store) -> None:
    trials = example_trials(cases=12, targets=("small",))
    store.append(trials)
    assert store.trial(RUN, "007")[0].case.name == "refund-007"
    assert store.trial(RUN, trials[5].case.id[:12])[0].case.name == "refund-005"
    with pytest.raises(UsageError, match="12 cases"):
        store.trial(RUN, "refund")
    with pytest.raises(UnknownName, match="unknown case"):
        store.trial(RUN, "refunt-001")


def test_listing_runs(store: Store) -> None:
    assert store.runs() == []
    store.create_run(example_run())
    store.append(example_trials())
    store.create_run(
        example_run("later", started_at=START + timedelta(hours=1), suites=("policy",))
    )
    later, first = store.runs()
    assert (later.run_id, later.trials, later.cost_usd, later.scores) == ("later", 0, None, ())
    assert (first.cases, first.trials, first.errors, first.unpriced) == (24, 48, 1, 24)
    assert first.cost_usd == pytest.approx(23 * 0.00006)
    assert first.scorer == "exact_match"
    assert [name for name, _ in first.scores] == ["small", "large"]
    assert [row.run_id for row in store.runs(limit=1)] == ["later"]
    assert [row.run_id for row in store.runs(suite="support")] == [first.run_id]


def test_listing_prompts(store: Store) -> None:
    store.create_run(example_run())
    store.create_run(example_run("later", started_at=START + timedelta(hours=1)))
    (prompt,) = store.prompts()
    assert (prompt.path, prompt.label, prompt.runs) == ("prompts/answer.j2", "v3", 2)
    assert (prompt.first_used, prompt.last_used) == (START, START + timedelta(hours=1))


def test_samples_are_columns_of_the_stored_trials(store: Store) -> None:
    trials = example_trials(trials=2)
    store.create_run(example_run())
    store.append(trials)
    with store.samples(RUN) as (run, samples):
        assert run == example_run()
        assert [(one.target, one.name, one.scored) for one in samples.score_counts] == [
            (target, name, scored)
            for target, scored in (("small", 46), ("large", 48))
            for name in ("exact_match", "rouge_l", "bleu")
        ]
        counts = samples.trial_counts[0]
        assert (counts.done, counts.errors, counts.error_classes) == (48, 2, {"timeout": 2})
        assert counts.known == {*COLUMNS}
        slices = samples.slices("support")["lang"]
        assert slices.sizes == {"en": 8, "es": 8, "de": 8}
        assert slices.of_case[:4].tolist() == [0, 1, 2, 0]
        small = samples.trials("support", "small")
        assert int(small.ok.sum()) == 46
        assert len(small.column("cost_usd")) == 48
        with pytest.raises(ValueError, match="no column"):
            small.column("case_id")
        rouge = samples.scores("support", "small", "rouge_l")
        assert rouge.values.tolist() == [
            one.scores[1].score.value
            for one in trials
            if one.target == "small" and one.scores and one.scores[1].score
        ]
        assert list(rouge.cases) == [number for number in range(23) for _ in range(2)]
        assert set(rouge.passed.tolist()) == {-1}
        exact = samples.scores("support", "small", "exact_match")
        assert exact.passed.tolist() == exact.values.tolist()
        bleu = samples.scores("support", "small", "bleu").sums()
        assert bleu.stats.shape == (46, 10)
        assert bleu.stats.dtype.itemsize == 1
        assert samples.cases("support") == 24


def test_of_an_answer_of_any_length_the_beginning_is_shown(store: Store) -> None:
    trial = example_trial(RUN, example_trials(cases=1)[0].case, "small", quality=0.1)
    assert trial.output is not None
    long = replace(trial, output=replace(trial.output, text="word " * 6_000_000))
    store.create_run(example_run())
    store.append([long])
    with store.samples(RUN) as (_, samples):
        ranking = Ranking(samples.trials("support", "small"), 1)
        sample = samples.scores("support", "small", "exact_match")
        ranking.add("exact_match", sample, sign=1.0)
        ranking.means()
        (worst,) = samples.worst(samples.pick("support", "small", ranking))
    assert worst.output == "word " * 60
    assert (worst.scorer, worst.value, worst.passed) == ("exact_match", 0.0, False)


def test_reading_before_anything_is_there(store: Store) -> None:
    def samples(run_id: str) -> None:
        with store.samples(run_id):
            pass

    for read in (store.resolve, store.load_run, samples, store.query):
        with pytest.raises(UsageError, match="no run store yet"):
            read("latest")
    assert not store.path.exists()


def test_columns_are_explained(store: Store) -> None:
    store.prepare()
    described = store.query("describe trials").to_pylist()
    assert {"latency_s", "ttft_s", "cost_usd"} <= {row["column_name"] for row in described}
    uncommented = store.query(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        " AND comment IS NULL AND table_name NOT IN ('evalkit_schema', 'results')"
    )
    assert uncommented.num_rows == 0
    assert store.query("SELECT * FROM duckdb_tables() WHERE comment IS NULL").num_rows == 0


def test_a_file_of_another_kind_is_said_to_be_one(store: Store) -> None:
    store.path.parent.mkdir()
    store.path.write_text("these are notes, not a database\n" * 300)
    for use in (store.prepare, store.runs):
        with pytest.raises(ConfigError, match="not a DuckDB database") as error:
            use()
        assert error.value.where == store.path
    assert store.path.read_text().startswith("these are notes")


def test_a_database_of_something_else_is_left_alone(store: Store) -> None:
    store.path.parent.mkdir()
    with duckdb.connect(str(store.path)) as other:
        other.execute("CREATE TABLE invoices (id INTEGER)")
    for use in (store.prepare, store.runs):
        with pytest.raises(ConfigError, match="not a run store"):
            use()


def test_a_newer_store_is_not_touched(store: Store) -> None:
    store.prepare()
    with duckdb.connect(str(store.path)) as newer:
        newer.execute("INSERT INTO evalkit_schema VALUES (99, now(), '9.0')")
    before = store.path.read_bytes()
    for use in (store.prepare, store.runs):
        with pytest.raises(StoreVersionError, match="schema 99") as error:
            use()
        assert error.value.exit_code == 2
        assert "upgrade" in error.value.hint
    assert store.path.read_bytes() == before


def test_a_damaged_store_is_said_to_be_damaged(store: Store) -> None:
    store.create_run(example_run())
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"):
        store.runs()


def test_an_empty_file_is_a_store_to_be_made(store: Store) -> None:
    store.path.parent.mkdir()
    store.path.touch()
    assert store.runs() == []
    store.create_run(example_run())
    assert len(store.runs()) == 1


@pytest.mark.parametrize("where", ["notes.txt/evalkit.duckdb", "folder"])
def test_a_place_that_cannot_be_written_is_a_mistake_of_the_configuration(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / "notes.txt").write_text("a file where a folder is needed")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be written") as error:
        Store(tmp_path / where).prepare()
    assert error.value.exit_code == 2
    assert error.value.hint


def test_new_stores_can_be_read_by_older_duckdb(store: Store) -> None:
    store.prepare()
    with duckdb.connect(str(store.path)) as connection:
        tags = connection.sql("SELECT tags FROM duckdb_databases() WHERE NOT internal")
        assert str(tags.fetchall()).count("v1.4.0")


def test_large_batches(store: Store) -> None:
    trials: list[Trial] = example_trials(cases=3000)
    store.append(trials)
    assert values(store, "SELECT count(*), (SELECT count(*) FROM scores) FROM trials") == [
        (6000, 3 * 5999)
    ]


def test_a_store_from_before_load_tests_is_brought_up(store: Store) -> None:
    """Runs that were made before there were kinds are evaluations."""
    store.path.parent.mkdir(parents=True, exist_ok=True)
    first = (resources.files("evalkit.store") / "schema" / "0001_init.sql").read_text("utf-8")
    with duckdb.connect(store.path) as connection:
        connection.execute(
            "CREATE TABLE evalkit_schema (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT"
            " NULL, evalkit_version VARCHAR NOT NULL)"
        )
        connection.execute(first)
        connection.execute("INSERT INTO evalkit_schema VALUES (1, now(), '0.1.0')")
        connection.execute(
            "INSERT INTO runs BY NAME SELECT 'old' AS run_id, 'p' AS project, 'complete' AS"
            " status, now() AS started_at, 0 AS planned, ['s'] AS suites, MAP {} AS suite_hashes,"
            " [] AS slices, 0 AS seed, '{}' AS settings, '0.1.0' AS evalkit_version"
        )
    assert store.load_run("old").kind == "evaluation"
    assert store.load_steps("old") == ()
