"""An answer written as a line comes back as it was, and a database takes any trial."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import ErrorClass
from evalkit.model import (
    Case,
    Evidence,
    InterToken,
    Leg,
    Message,
    Origin,
    Output,
    Provenance,
    Score,
    ScoreRecord,
    ScoreStatus,
    Spend,
    ToolCall,
    Trial,
    TrialStatus,
    Usage,
)
from evalkit.store import Store
from evalkit.store.codec import from_line, output_from, to_line
from evalkit.store.gates import GateRow, gate_table
from evalkit.store.lines import output_line

# every code point there is, lone surrogates, NUL and line breaks included
text = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
real = st.floats(allow_nan=False)
maybe_text = st.none() | text
maybe_real = st.none() | real
tokens = st.none() | st.integers(0, 2**70)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
usages = st.builds(
    Usage,
    input_tokens=tokens,
    output_tokens=tokens,
    cached_tokens=tokens,
    cache_write_tokens=tokens,
    reasoning_tokens=tokens,
)
error_classes = st.none() | st.sampled_from(ErrorClass)
instants = st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC))
legs = st.lists(
    st.builds(
        Leg,
        target=text,
        model=maybe_text,
        usage=usages,
        cost_usd=maybe_real,
        latency_s=maybe_real,
        error_class=error_classes,
    ),
    max_size=2,
).map(tuple)
outputs = st.builds(
    Output,
    text=text,
    finish_reason=maybe_text,
    tool_calls=st.lists(
        st.builds(ToolCall, name=text, arguments=text, id=maybe_text), max_size=2
    ).map(tuple),
    context=st.lists(text, max_size=2).map(tuple),
    model=maybe_text,
    usage=usages,
    latency_s=maybe_real,
    ttft_s=maybe_real,
    inter_token=st.none()
    | st.builds(InterToken, count=st.integers(0, 9), mean_s=real, p95_s=real, max_s=real),
    cost_usd=maybe_real,
    provenance=st.sampled_from(Provenance),
    legs=legs,
    extra=st.dictionaries(text, values | real, max_size=2),
    origin=st.none() | st.builds(Origin, run_id=text, answered_at=instants),
)
spends = st.builds(
    Spend,
    usd=maybe_real,
    tokens=st.none() | st.integers(0, 2**70),
    assumed_usd=real,
    assumed_tokens=st.integers(0, 2**70),
    saved_usd=maybe_real,
)
scores = st.builds(
    Score,
    value=finite,
    passed=st.none() | st.booleans(),
    label=maybe_text,
    reason=maybe_text,
    evidence=st.lists(
        st.builds(
            Evidence,
            source=text,
            start=st.integers(0, 99),
            end=st.integers(0, 99),
            text=text,
            reason=text,
            value=maybe_real,
        ),
        max_size=2,
    ).map(tuple),
    stats=st.lists(real, max_size=3).map(tuple),
    cost_usd=maybe_real,
)
records = st.builds(
    ScoreRecord, name=text, signature=text, status=st.just(ScoreStatus.SCORED), score=scores,
    elapsed_s=maybe_real,
) | st.builds(
    ScoreRecord,
    name=text,
    signature=text,
    status=st.sampled_from([ScoreStatus.UNSCORED, ScoreStatus.ERROR]),
    reason=maybe_text,
)  # fmt: skip
cases = st.builds(
    Case.of,
    st.dictionaries(text, values, max_size=2),
    expected=values,
    context=st.lists(text, max_size=2),
    tags=st.dictionaries(text, text, max_size=2),
    metadata=st.dictionaries(text, values, max_size=2),
    name=maybe_text,
    row=st.integers(0, 10**6),
)
trials = st.builds(
    Trial,
    run_id=st.just("r"),
    suite=text,
    target=text,
    case=cases,
    index=st.integers(0, 99),
    status=st.sampled_from(TrialStatus),
    started_at=instants,
    request_hash=text,
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user"]), content=text), max_size=2
    ).map(tuple),
    seed=st.none() | st.integers(-(2**80), 2**80),
    output=st.none() | outputs,
    error_class=error_classes,
    error=maybe_text,
    http_status=st.none() | st.integers(100, 599),
    attempts=st.integers(1, 9),
    queue_s=real,
    total_s=real,
    scores=st.lists(records, max_size=2).map(tuple),
    spend=spends,
    failed_legs=legs,
)


@given(outputs)
def test_a_line_holds_everything_and_is_one_line(output: Output) -> None:
    line = output_line(output)
    assert line.count(b"\n") == 1
    assert output_from(from_line(line)) == output


def test_numbers_of_numpy_and_huge_texts_are_written() -> None:
    import numpy as np

    line = to_line({"a": np.float32(0.5), "b": np.int64(3), "c": "x" * 5_000_000, "d": {1}})
    assert from_line(line) == {"a": 0.5, "b": 3, "c": "x" * 5_000_000, "d": [1]}


def test_the_database_takes_whatever_a_trial_may_hold(tmp_path: Path) -> None:
    """Not lossless as the journal is, but no row and no neighbour of a strange row is lost."""
    seen: list[Trial] = []

    @settings(max_examples=80, database=None)
    @given(trials)
    def collect(trial: Trial) -> None:
        seen.append(trial)

    collect()
    store = Store(tmp_path / "s.duckdb")
    store.append(seen)
    assert count(store, "trials") == len({one.key for one in seen})
    assert count(store, "cases") == len({one.case.id for one in seen})
    assert count(store, "scores") == sum(
        len(one.scores) for one in {one.key: one for one in seen}.values()
    )


def count(store: Store, table: str) -> int:
    rows: list[dict[str, int]] = store.query(f"SELECT count(*) AS n FROM {table}").to_pylist()
    return rows[0]["n"]


def test_lone_surrogates_become_visible_replacements(store: Store) -> None:
    case = Case.of(
        {"q": "a\ud800b"}, tags={"x": "\udfff", **dict(zip("\ud800\ud801", "12", strict=True))}
    )
    store.append(
        [
            Trial(
                run_id="r",
                suite="s",
                target="t",
                case=case,
                index=0,
                status=TrialStatus.OK,
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
                request_hash="h",
                output=Output(text="x\ud83dy\x00z", extra={"nan": float("nan")}),
            )
        ]
    )
    (back,) = store.trial("r", case.id)
    assert back.output is not None
    assert back.output.text == "x\N{REPLACEMENT CHARACTER}y\x00z"
    assert back.output.extra == {"nan": "nan"}
    assert back.case.inputs == {"q": "a\N{REPLACEMENT CHARACTER}b"}
    assert back.case.tags["x"] == "\N{REPLACEMENT CHARACTER}"
    assert back.case.id == case.id


def test_an_endless_interval_of_a_gate_stays_endless() -> None:
    row = GateRow(
        run_id="r",
        baseline_run_id=None,
        position=0,
        suite="s",
        target=None,
        gate="g",
        metric="latency.p95",
        mode="guard",
        verdict="INCONCLUSIVE",
        value=float("nan"),
        low=None,
        high=float("inf"),
        threshold=0.5,
        n=3,
        reason="",
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    found = gate_table([row, replace(row, low=-1.0, high=2.0)])
    read = {name: found.column(name).to_pylist() for name in ("value", "low", "high", "threshold")}
    assert read == {
        "value": [None, None],
        "low": [None, -1.0],
        "high": [float("inf"), 2.0],
        "threshold": [0.5, 0.5],
    }
