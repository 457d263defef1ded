"""Whether the training script writes the trees that LightGBM grew, the same ones every time."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from evalkit.scorers import _grounding_forest as forest

pytest.importorskip("lightgbm", reason="the dependency group 'train' is not installed")


@pytest.fixture
def training(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "training")
    return importlib.import_module("grounding_model")


def rows(many: int) -> list[dict]:
    contexts = [f"The fee is {n} dollars. Write to office {n} in Madrid." for n in range(many)]
    return [
        {
            "context": context,
            "query": "",
            "response": f"The fee is {n + n % 3} dollars. Write to Madrid.",
            "label": float(n % 3 > 0),
            "spans": json.dumps([{"start": 11, "end": 14}] if n % 3 else []),
            "group": str(n // 2),
        }
        for n, context in enumerate(contexts)
    ]


def test_the_stored_trees_add_up_to_lightgbms(training):
    import lightgbm

    draw = np.random.default_rng(0)
    seen, label = draw.normal(size=(400, 5)).round(2), draw.integers(0, 2, 400)
    booster = lightgbm.train(training.SENTENCES, lightgbm.Dataset(seen, label), 30)
    stored = training.flat(booster.dump_model()["tree_info"])
    found = forest.Forest.read(stored).log_odds(seen)
    assert found == pytest.approx(booster.predict(seen, raw_score=True), abs=30 * 1e-5)


def test_the_same_data_give_the_same_bytes_and_a_model_that_learned(training):
    labelled = training.examples(rows(300))
    first, second = (json.dumps(training.fit([labelled])) for _ in range(2))
    assert first == second
    value, _ = training.predict(json.loads(first), labelled)
    assert value[labelled.label == 1].mean() > value[labelled.label == 0].mean() + 0.3


def test_a_source_is_never_on_both_sides_of_a_fold(training):
    labelled = training.examples(rows(60))
    fold = training.folds(labelled.group)
    for group in np.unique(labelled.group):
        assert len(set(fold[labelled.group == group].tolist())) == 1


def test_a_part_keeps_its_sentences(training):
    labelled = training.examples(rows(30))
    keep = labelled.label == 1
    part = training.pick(labelled, keep)
    assert len(part.label) == keep.sum()
    assert part.row.max() == keep.sum() - 1
    assert part.marked.sum() == labelled.marked.sum()


def test_scale_brings_stretched_odds_back(training):
    draw = np.random.default_rng(1)
    odds = draw.normal(size=20_000)
    label = (draw.random(20_000) < 1 / (1 + np.exp(-(0.5 * odds - 1)))).astype(float)
    slope, offset = training.scale(label, 1 / (1 + np.exp(-odds)))
    assert (slope, offset) == pytest.approx((0.5, -1.0), abs=0.05)


def test_the_threshold_has_the_best_f1(training):
    label = np.array([1, 1, 0, 1, 0, 0], dtype=float)
    value = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.1])
    assert training.best_threshold(label, value) == pytest.approx(0.45)


def test_edited_answers_differ_from_a_clean_one_where_they_are_marked(training):
    given = [{**one, "task": "QA", "model": "m", "query": ""} for one in rows(90)]
    made = training.edited(given)
    assert made == training.edited(given)
    answers = {one["group"]: one["response"] for one in given if not one["label"]}
    wrong = [one for one in made if one["label"]]
    assert wrong
    assert len(wrong) < len(made)
    for one in made:
        spans = json.loads(one["spans"])
        assert bool(spans) == bool(one["label"])
        assert one["group"] in answers
    for one in wrong:
        (span, *_) = json.loads(one["spans"])
        said = one["response"][span["start"] : span["end"]]
        assert said.strip()
        assert one["response"] != answers[one["group"]]


def test_held_out_sources_are_not_edited_into_training(training, monkeypatch):
    given = [{**one, "task": "QA", "model": "m"} for one in rows(60)]
    main, extra = training.examples(given), training.edits(given)
    seen = []

    def fitted(sets):
        seen.append([set(one.group.tolist()) for one in sets])
        return

    def predicted(stored, one):
        own, edited = seen[-1]
        assert not own & set(one.group.tolist())
        assert edited <= own
        return np.zeros(len(one.label)), np.zeros(len(one.row))

    monkeypatch.setattr(training, "fit", fitted)
    monkeypatch.setattr(training, "predict", predicted)
    training.unseen(main, extra)
    assert len(seen) == training.FOLDS
