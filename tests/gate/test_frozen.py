"""A baseline as a file: whole, small, and never believed when it was touched."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.gate.frozen import freeze, thaw
from evalkit.model import GitState
from tests.gate.benches import gate, limit, pairs, side, stored, verdict

AT = datetime(2026, 11, 21, tzinfo=UTC)


def frozen(one):
    return json.loads(json.dumps(freeze(one, by="ana", reason="first", at=AT)))


def test_a_verdict_from_the_file_is_the_one_from_the_run():
    old, new = pairs(180, 3, 9, 8)
    again = thaw(frozen(stored(old)), where="baselines/main.json")
    gates = (
        gate(mode="prove"),
        gate("latency.p95", limit("max_rise", 0.1, relative=True)),
        gate("cost.mean", limit("max_rise", 0.1, relative=True), id="cost"),
    )
    assert verdict(again, new, *gates).results == verdict(old, new, *gates).results


def test_everything_of_a_side_survives():
    one = side(
        [[1.0, None], [0.0, 1.0]],
        scores=[[0.5, None], [0.25, 1.0]],
        tags={"lang": ["es", None]},
        names=["ñandú", None],
        run="old",
    )
    given = stored(one, git=GitState(commit="a1b2", branch="main"))
    back = thaw(frozen(given), where="x")
    (copy,) = back.sides.values()
    assert (copy.cases, copy.tags, copy.names, copy.runs) == (
        one.cases, one.tags, one.names, one.runs,
    )  # fmt: skip
    for name in ("owner", "ok", "live", "latency_s", "cost_usd"):
        assert np.array_equal(getattr(copy, name), getattr(one, name), equal_nan=True)
    for name, scores in one.scores.items():
        assert np.array_equal(copy.scores[name].values, scores.values, equal_nan=True)
        assert copy.scores[name].passed.tolist() == scores.passed.tolist()
    assert back.run.git == given.run.git
    assert back.run.scorers == given.run.scorers


def test_a_file_of_a_thousand_cases_is_small():
    old, _ = pairs(900, 0, 0, 100)
    assert len(json.dumps(frozen(stored(old)))) < 20_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value.update(run="another"),
        lambda value: value.update(columns=[*value["columns"][:-1], "AAAA"]),
        lambda value: value["levels"].clear(),
        lambda value: value.pop("hash"),
        lambda value: value.update(hash="0" * 20),
    ],
)
def test_a_touched_file_is_refused(damage):
    value = frozen(stored(pairs(20, 0, 0, 5)[0]))
    damage(value)
    with pytest.raises(UsageError, match="the baseline is damaged"):
        thaw(value, where="baselines/main.json")


@pytest.mark.parametrize("value", [None, [], "x", {"hash": "a"}, {"hash": 3, "format": 1}])
def test_what_is_no_baseline_is_refused(value):
    with pytest.raises(UsageError):
        thaw(value, where="baselines/main.json")


def test_a_newer_form_says_so():
    value = {**frozen(stored(pairs(20, 0, 0, 5)[0])), "format": 2}
    with pytest.raises(UsageError, match="has the form 2"):
        thaw(value, where="baselines/main.json")
