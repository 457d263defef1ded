"""What was spent, over runs, attempts and stores that an earlier evalkit wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from example_runs import START, example_run, example_trial, example_trials, failed_trial, scored

from evalkit.model import Leg, Provenance, RunStatus, Spend, Usage
from evalkit.store import Store
from evalkit.store.migrate import migrations

RUN = "20261121-093000-4e77"
EARLIER = """
INSERT INTO trials BY NAME SELECT * FROM (VALUES
    ('a', 'live', 0.5, 10, 5, 'ok'), ('b', 'replay', 0.5, 10, 5, 'ok'),
    ('c', 'live', NULL, NULL, 5, 'ok'), ('d', NULL, NULL, NULL, NULL, 'error')
) AS t(case_id, provenance, cost_usd, input_tokens, output_tokens, status),
(SELECT 'r' AS run_id, 's' AS suite, 't' AS target, 0 AS trial, 1 AS case_row, MAP {} AS tags,
    now() AS started_at, 1 AS attempts, '[]' AS messages, 'h' AS request_hash)
"""


def test_a_store_of_before_learns_what_was_spent(tmp_path: Path) -> None:
    path = tmp_path / "old.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE evalkit_schema (version INTEGER, applied_at TIMESTAMPTZ,"
            " evalkit_version VARCHAR)"
        )
        for number, sql in migrations().items():
            if number < 3:
                connection.execute(sql)
                connection.execute("INSERT INTO evalkit_schema VALUES (?, now(), '0')", [number])
        connection.execute(EARLIER)
    table = Store(path).query(
        "SELECT spent_usd, spent_tokens, saved_usd, assumed_usd FROM trials ORDER BY case_id"
    )
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (0.5, 15, None, 0.0),
        (0.0, 0, 0.5, 0.0),
        (None, None, None, 0.0),
        (None, None, None, 0.0),
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    """Answers of 1 and 2 dollars, a failure of 4, scoring of 8, and 16 of calls without a trial."""
    one, two, three = example_trials(cases=3, targets=("small",))
    store.create_run(example_run())
    judged = scored("judge", 0.5, cost_usd=8.0)
    store.append(
        [
            replace(one, spend=Spend(usd=1.0, tokens=10), scores=(judged,)),
            replace(two, spend=Spend(usd=0.5, tokens=20, assumed_usd=1.5, assumed_tokens=30)),
            replace(
                failed_trial(RUN, three.case, "route"),
                spend=Spend(usd=4.0, tokens=40),
                failed_legs=(
                    Leg(
                        target="small",
                        usage=Usage(input_tokens=30, output_tokens=10),
                        cost_usd=4.0,
                    ),
                ),
            ),
        ]
    )
    store.finish_run(
        RUN, RunStatus.STOPPED, START + timedelta(hours=1), unrecorded=Spend(usd=16.0, tokens=50)
    )
    return store


def test_a_run_counts_everything_it_took(filled: Store) -> None:
    spent = filled.spending(RUN)
    assert (spent.usd, spent.tokens, spent.judges_usd) == (1 + 2 + 4 + 8 + 16, 150, 8.0)
    assert spent.targets == {"small": (7.0, 100), "route": (4.0, 40)}, "legs count for their target"
    (row,) = filled.runs()
    assert row.cost_usd == 7.0


def test_a_month_counts_all_runs_but_one(filled: Store) -> None:
    assert filled.spent_since(START - timedelta(days=1)) == 31.0
    assert filled.spent_since(START + timedelta(days=1)) == 0.0
    assert filled.spent_since(START - timedelta(days=1), but=RUN) == 0.0


def test_the_end_of_every_start_adds_its_calls(filled: Store) -> None:
    filled.reopen_run(RUN)
    filled.finish_run(
        RUN, RunStatus.COMPLETE, START + timedelta(hours=2), unrecorded=Spend(usd=1.0, tokens=5)
    )
    assert (filled.spending(RUN).usd, filled.spending(RUN).tokens) == (32.0, 155)


def test_what_replaces_a_trial_holds_what_it_replaced(store: Store) -> None:
    case = example_trials(cases=1)[0].case
    failed = replace(
        failed_trial(RUN, case, "small"), spend=Spend(usd=1.0, assumed_usd=2.0, assumed_tokens=7)
    )
    answered = replace(
        example_trial(RUN, case, "small", quality=0.9, started_at=START + timedelta(hours=1)),
        spend=Spend(usd=4.0, tokens=3),
    )
    store.append([failed])
    for _ in range(3):
        # the same attempt again adds nothing
        store.append([answered])
        (found,) = store.trial(RUN, case.id)
        assert found.spend == Spend(usd=5.0, tokens=3, assumed_usd=2.0, assumed_tokens=7)


def test_the_history_of_a_target_is_of_its_latest_prompt(store: Store) -> None:
    assert store.history("small", "support") is None
    store.create_run(example_run())
    trials = example_trials(cases=5, targets=("small",))
    cached = replace(trials[0].output, provenance=Provenance.CACHE)  # type: ignore[type-var]
    store.append([replace(trials[0], output=cached), *trials[1:]])
    found = store.history("small", "support")
    assert found is not None
    answered = [one.output for one in trials if one.output is not None]
    assert found.answers == len(answered)
    assert found.output_tokens == 18
    sent = [one.usage.input_tokens or 0 for one in answered]
    assert found.input_tokens == pytest.approx(sum(sent) / len(sent))
    assert found.scoring_usd is None
    assert store.history("small", "other") is None
