"""Whether the shipped model is what the file says, whole, and as good as its card."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.model import Case, Output
from evalkit.scorers import _grounding_forest as forest
from evalkit.scorers._grounding_sentence import FEATURES
from tests.scorers.helpers import bound

FILE = Path(forest.__file__).parent / "data" / "grounding_model.json"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
STORED = json.loads(FILE.read_text("ascii"))


def slow(stored, row) -> float:
    """One row through the stored trees, node by node, as the format says."""
    total = 0.0
    for root in stored["roots"]:
        at = root
        while stored["feature"][at] >= 0:
            left = row[stored["feature"][at]] <= stored["number"][at]
            at = at + 1 if left else stored["right"][at]
        total += stored["number"][at]
    return total


@pytest.mark.parametrize("name", ["sentences", "answers"])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_trees_weigh_as_their_format_says(name, seed):
    stored = STORED[name]
    width = max(stored["feature"]) + 1
    rows = np.random.default_rng(seed).exponential(0.7, (3, width)).round(1)
    found = forest.Forest.read(stored).log_odds(rows)
    assert found == pytest.approx([slow(stored, row) for row in rows.tolist()], abs=1e-9)


def test_the_file_is_small_whole_and_of_this_version():
    assert FILE.stat().st_size < 800_000
    assert tuple(STORED["features"]) == (*FEATURES, "doubt")
    for name in ("sentences", "answers"):
        trees = STORED[name]
        size = len(trees["feature"])
        assert size == len(trees["number"]) == len(trees["right"])
        assert all(math.isfinite(one) for one in trees["number"])
        assert all(0 <= one < size for one in (*trees["roots"], *trees["right"]))


def test_the_card_is_of_this_model():
    card = forest.card()
    assert card["model"] == forest.load().hash
    assert card["bytes"] == FILE.stat().st_size
    assert card["blind_spots"]
    assert all(one["licence"] for one in card["training_data"])


def test_the_signature_names_the_model_and_the_umbrella_agrees_with_its_rungs():
    model = f"model:{forest.load().hash}"
    assert model in bound("grounding_model").signature
    assert model in bound("hallucination").signature
    assert "model:" not in bound("hallucination", method="lexical").signature
    case = Case.of({"question": "?"}, context=["Refunds take 14 days. Write to Madrid."])
    pairs = [(case, Output(text="Refunds take 45 days. Write to Barcelona."))]
    for method, rung in (("lexical", "grounding"), ("model", "grounding_model")):
        (one,) = bound("hallucination", method=method).score_sync(pairs)
        (other,) = bound(rung).score_sync(pairs)
        assert one.score == other.score
        assert one.score is not None


def test_the_model_is_read_only_when_it_is_used():
    code = (
        "import sys; from evalkit import registry;"
        "registry.get(registry.Kind.SCORER, 'grounding_model');"
        "from evalkit.scorers import _grounding_forest as one;"
        "assert one.load.cache_info().currsize == 0; assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_tells_marked_answers_from_clean_ones_as_its_card_says():
    if not SHARED.is_dir():
        pytest.skip("the shared measuring data is not here")
    import pyarrow.parquet as pq
    from scipy.stats import mannwhitneyu

    rows = pq.read_table(SHARED / "begin_wow.parquet").to_pylist()[::4]
    scorer = bound("grounding_model")
    values: dict[bool, list[float]] = {True: [], False: []}
    for one in rows:
        case = Case.of({"message": one["message"]}, context=[one["knowledge"]])
        (record,) = scorer.score_sync([(case, Output(text=one["response"]))])
        assert record.score is not None, record.reason
        values[one["begin_label"] != "Fully attributable"].append(record.score.value)
    pairs = len(values[True]) * len(values[False])
    area = mannwhitneyu(values[True], values[False]).statistic / pairs
    told = forest.card()["other_data_as_shipped"]["BEGIN (Wizard of Wikipedia)"]["grounding_model"]
    assert area == pytest.approx(told, abs=0.05)
