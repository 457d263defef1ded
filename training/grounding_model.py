"""Train the model of ``grounding_model`` from labelled data; the same data give the same bytes.

    python training/grounding_model.py ../shared/data

Trains on RAGTruth's training half (its words marked by people, MIT) and on edited sentences of it
(``small_edits.py``); everything else in the folder is for checking (see
``benchmarks/bench_grounding.py``). Needs the dependency group ``train``. One thread, fixed seeds:
two runs with one version of LightGBM write the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from small_edits import edited  # noqa: E402 - beside this script

from evalkit.scorers import _grounding_forest as forest  # noqa: E402 - the path comes first
from evalkit.scorers._grounding_claims import claims  # noqa: E402 - the path comes first
from evalkit.scorers._grounding_source import prepare, stems_of  # noqa: E402 - the path comes first

MODEL = ROOT / "evalkit" / "scorers" / "data" / "grounding_model.json"
EDITS_WEIGHT = 0.5
"""How loud an edited answer is beside one of a model."""
FOLDS = 5

# A fact that can only speak for a hallucination is held to that, so that the trees cannot learn the
# habits of one task from it the wrong way round. Signals of wording are free: new words are an
# invention in one place and a paraphrase in another, and what stands beside them tells.
RISING = frozenset(
    {
        *("numbers_new", "measure_differs", "times_new", "names_new", "names_part"),
        *("null_stated", "null_denied", "false_stated", "true_denied"),
        *("hours_wrong", "days_closed", "negation_new", "opposite_near", "opposite_far"),
        *("quote_new", "doubt"),
    }
)
FALLING = frozenset({"hours_right"})

COMMON = {
    "objective": "binary",
    "learning_rate": 0.05,
    "min_child_samples": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 0,
    "verbose": -1,
}
ANSWERS = {**COMMON, "num_leaves": 15, "max_depth": 8}
SENTENCES = {**COMMON, "num_leaves": 31, "max_depth": 10}
ANSWER_TREES, SENTENCE_TREES = 250, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Labelled answers with the signals of their sentences.

    ``row`` tells for every sentence which answer it is of; ``marked`` whether a word of it is
    marked, which sets without spans do not know; such a set is for checking only.
    """

    signals: np.ndarray
    row: np.ndarray
    marked: np.ndarray
    label: np.ndarray
    group: np.ndarray
    task: np.ndarray
    model: np.ndarray
    weight: float = 1.0

    @property
    def summaries(self) -> np.ndarray:
        """The signals of every answer as a whole."""
        ends = np.searchsorted(self.row, np.arange(len(self.label) + 1))
        return np.stack(
            [
                forest.summary(self.signals[start:end] if end > start else _nothing())
                for start, end in pairwise(ends)
            ]
        )


def _nothing() -> np.ndarray:
    return np.zeros((1, len(forest.COLUMNS)))


def examples(rows: Iterable[dict[str, Any]], *, weight: float = 1.0) -> Examples:
    """Read rows of context, query, response, label and spans into signals."""
    signals: list[list[float]] = []
    row: list[int] = []
    marked: list[bool] = []
    kept: list[dict[str, Any]] = []
    for number, one in enumerate(rows):
        kept.append(one)
        source = prepare((one["context"],))
        spans = json.loads(one.get("spans") or "[]")
        for claim in claims(source, one["response"], stems_of((one.get("query") or "",))):
            signals.append(claim.signals)
            row.append(number)
            marked.append(
                any(span["start"] < claim.end and span["end"] > claim.start for span in spans)
            )
    return Examples(
        signals=forest.columns(signals),
        row=np.array(row),
        marked=np.array(marked),
        label=np.array([one["label"] for one in kept], dtype=float),
        group=np.array([one.get("group", "") for one in kept]),
        task=np.array([one.get("task", "") for one in kept]),
        model=np.array([one.get("model", "") for one in kept]),
        weight=weight,
    )


def ragtruth(data: Path) -> list[dict[str, Any]]:
    """The rows of RAGTruth's training half, answers to one source side by side."""
    rows = pq.read_table(data / "ragtruth_train.parquet").to_pylist()
    rows.sort(key=lambda one: (one["source_id"], one["id"]))
    return [{**one, "group": one["source_id"], "task": one["task_type"]} for one in rows]


def edits(rows: Sequence[dict[str, Any]]) -> Examples:
    """Edited sentences of these rows, counted so that they are heard beside them."""
    return examples(edited(rows), weight=EDITS_WEIGHT)


def pick(one: Examples, keep: np.ndarray) -> Examples:
    """The answers that a mask keeps, with their sentences."""
    rows = keep[one.row]
    number = np.cumsum(keep) - 1
    return Examples(
        signals=one.signals[rows],
        row=number[one.row[rows]],
        marked=one.marked[rows],
        label=one.label[keep],
        group=one.group[keep],
        task=one.task[keep],
        model=one.model[keep],
        weight=one.weight,
    )


def _monotone(names: Sequence[str]) -> list[int]:
    return [1 if one in RISING else -1 if one in FALLING else 0 for one in names]


def _trees(parts: Sequence[Part], settings: dict[str, Any], many: int) -> dict[str, Any]:
    import lightgbm

    rows, label, weight = (np.concatenate([one[at] for one in parts]) for at in range(3))
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, label, weight=weight), many)
    return flat(booster.dump_model()["tree_info"])


def flat(trees: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """LightGBM's trees as arrays in preorder, numbers rounded to what matters."""
    feature: list[int] = []
    number: list[float] = []
    right: list[int] = []
    roots: list[int] = []
    deepest = 0
    for tree in trees:
        roots.append(len(feature))
        # a node waits with the parent whose right child it is, as its place is known only now
        waiting = [(tree["tree_structure"], -1, 0)]
        while waiting:
            node, parent, depth = waiting.pop()
            here = len(feature)
            deepest = max(deepest, depth)
            if parent >= 0:
                right[parent] = here
            right.append(here)
            if "leaf_value" in node:
                feature.append(-1)
                number.append(round(node["leaf_value"], 5))
                continue
            feature.append(node["split_feature"])
            number.append(float(f"{node['threshold']:.7g}"))
            waiting.append((node["right_child"], here, depth + 1))
            waiting.append((node["left_child"], -1, depth + 1))
    return {"roots": roots, "feature": feature, "number": number, "right": right, "depth": deepest}


Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def fit(sets: Sequence[Examples]) -> dict[str, Any]:
    """Both forests from labelled answers; scale and threshold are still the neutral ones."""
    monotone = _monotone(forest.COLUMNS)
    sentences = _trees(
        [
            (one.signals, one.marked.astype(float), np.full(len(one.row), one.weight))
            for one in sets
        ],
        {**SENTENCES, "monotone_constraints": monotone},
        SENTENCE_TREES,
    )
    answers = _trees(
        [(one.summaries, one.label, np.full(len(one.label), one.weight)) for one in sets],
        {**ANSWERS, "monotone_constraints": monotone * 2},
        ANSWER_TREES,
    )
    return {
        "format": forest.FORMAT,
        "features": list(forest.COLUMNS),
        "sentences": sentences,
        "answers": answers,
        "slope": 1.0,
        "offset": 0.0,
        "threshold": 0.5,
    }


def predict(stored: dict[str, Any], one: Examples) -> tuple[np.ndarray, np.ndarray]:
    """The probability of every answer and of every sentence."""
    model = forest.model_of(stored, "")
    answers = np.zeros(len(one.label))
    sentences = np.zeros(len(one.row))
    ends = np.searchsorted(one.row, np.arange(len(one.label) + 1))
    for at, (start, end) in enumerate(pairwise(ends)):
        if end > start:
            answers[at], sentences[start:end] = model.weigh_rows(one.signals[start:end])
    return answers, sentences


def folds(groups: np.ndarray) -> np.ndarray:
    """The fold of every answer; answers to one source are in one fold."""
    names = np.unique(groups)
    order = np.random.default_rng(0).permutation(len(names))
    place = dict(zip(names[order].tolist(), (np.arange(len(names)) % FOLDS).tolist(), strict=True))
    return np.array([place[one] for one in groups.tolist()])


def unseen(main: Examples, extra: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of every answer and sentence by models that did not see its source."""
    fold = folds(main.group)
    answers, sentences = np.zeros(len(main.label)), np.zeros(len(main.row))
    for number in range(FOLDS):
        held = fold == number
        known = np.isin(extra.group, main.group[~held])
        found = predict(fit([pick(main, ~held), pick(extra, known)]), pick(main, held))
        answers[held], sentences[held[main.row]] = found
    return answers, sentences


def best_threshold(label: np.ndarray, value: np.ndarray) -> float:
    """The threshold with the best F1, in the middle between the two values it parts."""
    order = np.argsort(-value, kind="stable")
    right = np.cumsum(label[order])
    f1 = 2 * right / (np.arange(1, len(label) + 1) + label.sum())
    at = int(np.argmax(f1))
    upper = value[order[at]]
    lower = value[order[at + 1]] if at + 1 < len(order) else 0.0
    return float((upper + lower) / 2)


def scale(label: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """Slope and offset that bring log-odds to the labels' scale (Platt 1999), by Newton's steps."""
    odds = np.log(value / (1 - value))
    slope, offset = 1.0, 0.0
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(slope * odds + offset)))
        weight = chance * (1 - chance)
        gradient = np.array([((chance - label) * odds).sum(), (chance - label).sum()])
        cross = (weight * odds).sum()
        curve = np.array([[(weight * odds**2).sum(), cross], [cross, weight.sum()]])
        step = np.linalg.solve(curve, gradient)
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < 1e-10:
            break
    return round(float(slope), 6), round(float(offset), 6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, bring to scale, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="the folder with the labelled parquet files")
    parser.add_argument("--out", type=Path, default=MODEL, help="the model's file")
    given = parser.parse_args(arguments)
    rows = ragtruth(given.data)
    main_set, extra = examples(rows), edits(rows)
    value, _ = unseen(main_set, extra)
    value = np.clip(value, 1e-6, 1 - 1e-6)
    stored = fit([main_set, extra])
    stored["slope"], stored["offset"] = scale(main_set.label, value)
    scaled = 1 / (1 + np.exp(-(stored["slope"] * np.log(value / (1 - value)) + stored["offset"])))
    stored["threshold"] = round(best_threshold(main_set.label, scaled), 4)
    text = json.dumps(stored, separators=(",", ":"), allow_nan=False)
    given.out.write_text(text + "\n", encoding="ascii")
    print(f"{given.out.name}: {len(text):,} bytes, threshold {stored['threshold']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
