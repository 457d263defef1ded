"""Conversations in the store: what goes in comes back, and every text of them is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from example_runs import START, example_run, example_trials

from evalkit.model import (
    Case,
    ErrorClass,
    InterToken,
    Output,
    Provenance,
    ScriptedTurn,
    ToolCall,
    Trial,
    TrialStatus,
    Turn,
    Usage,
)
from evalkit.store import Store
from evalkit.store.access import Access
from evalkit.store.bundle import export_bundle
from evalkit.store.bundle_check import problem
from evalkit.store.bundle_read import staged
from evalkit.store.bundle_take import take
from evalkit.store.journal import Journal

RUN = "20261121-093000-4e77"
CASE = Case.of(
    {},
    turns=[
        ScriptedTurn(user="first \x00 thing", expected=["a", "b"], metadata={"n": [1, None]}),
        ScriptedTurn(user="second thing", expected={"deep": 1.5}),
        ScriptedTurn(user="third"),
    ],
    name="talk",
    row=7,
)
FULL = Output(
    text="said",
    finish_reason="stop",
    tool_calls=(ToolCall(name="f", arguments="{}", id="c"),),
    context=("found",),
    model="m-1",
    usage=Usage(input_tokens=3, output_tokens=2, cached_tokens=1, reasoning_tokens=0),
    latency_s=0.5,
    ttft_s=0.1,
    inter_token=InterToken(count=2, mean_s=0.1, p95_s=0.2, max_s=0.3),
    cost_usd=0.01,
    provenance=Provenance.CACHE,
    extra={"a": [1, None]},
)
TURNS = (Turn(user="<first>", output=FULL), Turn(user="<second>", output=Output(text="")))


def trial(index: int, **more: Any) -> Trial:
    return Trial(
        run_id=RUN,
        suite="support",
        target="small",
        case=CASE,
        index=index,
        started_at=datetime(2026, 11, 21, tzinfo=UTC),
        request_hash="h",
        **more,
    )


def talks() -> list[Trial]:
    answered = Output(text="", usage=Usage(), turns=TURNS)
    failed = {"status": TrialStatus.ERROR, "error_class": ErrorClass.SERVER, "error": "broke"}
    return [
        trial(0, status=TrialStatus.OK, output=answered),
        trial(1, turns_before=TURNS[:1], **failed),
        trial(2, **failed),
    ]


@pytest.fixture
def full(store: Store) -> Store:
    store.create_run(example_run(RUN))
    store.append([*example_trials(RUN, trials=1), *talks()])
    store.finish_run(RUN, "complete", START)  # type: ignore[arg-type]
    return store


def test_what_goes_in_comes_back(full: Store) -> None:
    assert list(full.trial(RUN, "talk")) == talks()
    # singles beside them have none, and are told from conversations by it
    (row,) = full.query(
        "SELECT count(*) FILTER (turns IS NULL) AS singles, count(turns) AS talks FROM trials"
    ).to_pylist()
    assert row["singles"] > 20
    assert row["talks"] == 2


def test_another_tool_call_is_another_answer_and_another_id_of_it_is_not(store: Store) -> None:
    def called(arguments: str, number: str) -> Output:
        call = ToolCall(name="f", arguments=arguments, id=number)
        return replace(FULL, tool_calls=(call,))

    store.create_run(example_run(RUN))
    answers = [called("{}", "c"), called("{}", "d"), called('{"a":1}', "c"), Output(text="said")]
    talked = [replace(FULL, turns=(Turn(user="u", output=one),)) for one in answers]
    store.append(
        [
            trial(place, status=TrialStatus.OK, output=one)
            for place, one in enumerate([*answers, *talked])
        ]
    )
    store.finish_run(RUN, "complete", START)  # type: ignore[arg-type]
    texts = store.sides(RUN)["support", "small"].texts
    assert texts is not None
    for first, again, other, none in (texts[:4].tolist(), texts[4:].tolist()):
        assert first == again
        assert len({first, other, none}) == 3


def test_a_journal_of_both_kinds_is_taken_in(store: Store) -> None:
    store.create_run(example_run(RUN))
    journal = Journal(store.journal_directory, RUN)
    for some in (example_trials(RUN, trials=1), talks(), example_trials(RUN, trials=2)[:5]):
        journal.append(some)
        journal.flush()
    journal.close()
    store.recover()
    assert [one.turns for one in store.trial(RUN, "talk")] == [TURNS, TURNS[:1], ()]


def test_a_note_of_a_turn_may_change_without_making_another_case(full: Store) -> None:
    first, *rest = CASE.turns
    changed = Case.of({}, turns=[ScriptedTurn(user=first.user, expected=first.expected), *rest])
    assert changed.id == CASE.id
    later = Trial(
        **{
            **{name: getattr(talks()[0], name) for name in Trial.__slots__},
            "case": changed,
            "started_at": datetime(2026, 11, 22, tzinfo=UTC),
        }
    )
    full.append([later])
    assert full.trial(RUN, CASE.id)[0].case.turns[0].metadata == {}


def test_every_text_of_a_turn_is_searched(full: Store) -> None:
    texts = {text for _, some in full.texts() for text in some}
    assert {"second thing", "<second>", "said", "found", '{"deep":1.5}'} <= texts


def test_a_bundle_holds_conversations_and_false_ones_are_refused(
    full: Store, tmp_path: Path
) -> None:
    bundle = tmp_path / "a"
    export_bundle(Access(full.path, patience_s=5.0), RUN, bundle)
    other = Store(tmp_path / "other.duckdb", patience_s=5.0)
    (tmp_path / "work").mkdir()
    with staged(bundle, tmp_path / "work") as found:
        take(Access(other.path, patience_s=5.0), found)
    assert list(other.trial(RUN, "talk")) == talks()
    copy = tmp_path / "copy.duckdb"
    late = (
        "UPDATE trials SET turns = list_transform(turns, lambda x: struct_update(x,"
        " latency_s := -1.0)) WHERE turns IS NOT NULL"
    )
    for change, words in (
        ("UPDATE cases SET turns = list_reverse(turns) WHERE name = 'talk'", "identity"),
        ("UPDATE cases SET turns = [] WHERE name = 'talk'", "says nothing"),
        (late, "a turn has no text"),
    ):
        shutil.copy(other.path, copy)
        with duckdb.connect(str(copy)) as connection:
            connection.execute(change)
            why = problem(connection, RUN)
        assert why is not None, change
        assert words in why


def test_a_column_without_a_value_takes_no_bytes() -> None:
    from evalkit.store.columns import trial_columns

    columns = trial_columns(example_trials(RUN, trials=1))
    assert columns.trials.schema.field("turns").type == pa.null()
    assert columns.cases.schema.field("turns").type == pa.null()
    assert columns.scores.schema.field("cost_usd").type == pa.null()
