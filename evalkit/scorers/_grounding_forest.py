"""The shipped model of grounding: boosted trees as arrays, read once, weighed with numpy.

Two sets of trees look at the same signals: one at every sentence, trained on the words people
marked, one at the answer as a whole. The answer's probability is the mean of both in log-odds,
brought to scale on answers neither had seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from evalkit.hashing import bytes_id
from evalkit.scorers._grounding_doubt import doubt_of
from evalkit.scorers._grounding_sentence import FEATURES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FORMAT = 1
_EDGE = 1e-4
COLUMNS = (*FEATURES, "doubt")
"""What the trees see of a sentence: its signals, and the doubt of the rung that is not trained."""
_FILE = "data/grounding_model.json"
_CARD = "data/grounding_model.card.json"


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees in one run of nodes, each tree in preorder: a node's left child stands right after it.

    A leaf points at itself on both sides, so every row can take the same number of steps.
    ``number`` is a threshold (``<=`` goes left) or, at a leaf, what it adds to the log-odds.
    """

    feature: NDArray[np.intp]
    threshold: Floats
    value: Floats
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    roots: NDArray[np.intp]
    depth: int

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Forest:
        """Unpack the arrays of the model's file, where a leaf has the feature -1."""
        import numpy as np

        feature = np.array(stored["feature"], dtype=np.intp)
        number = np.array(stored["number"], dtype=np.float64)
        leaf = feature < 0
        own = np.arange(len(feature))
        return cls(
            feature=np.where(leaf, 0, feature),
            threshold=np.where(leaf, np.inf, number),
            value=np.where(leaf, number, 0.0),
            left=np.where(leaf, own, own + 1),
            right=np.where(leaf, own, np.array(stored["right"], dtype=np.intp)),
            roots=np.array(stored["roots"], dtype=np.intp),
            depth=int(stored["depth"]),
        )

    def log_odds(self, rows: Floats) -> Floats:
        """The sum of all trees for every row of signals (rows × features)."""
        import numpy as np

        many, wide = rows.shape
        flat = rows.ravel()
        at = np.tile(self.roots, many)
        base = np.repeat(np.arange(many) * wide, len(self.roots))
        for _ in range(self.depth):
            goes_left = flat[base + self.feature[at]] <= self.threshold[at]
            at = np.where(goes_left, self.left[at], self.right[at])
        total: Floats = self.value[at].reshape(many, -1).sum(axis=1)
        return total


@dataclass(frozen=True, slots=True)
class Model:
    """Both forests, the scale of their mean, the default threshold, and the hash of the file."""

    sentences: Forest
    answers: Forest
    slope: float
    offset: float
    threshold: float
    hash: str

    def weigh(self, signals: Sequence[Sequence[float]]) -> tuple[float, list[float]]:
        """The probability that an answer is not grounded, and one for every sentence."""
        return self.weigh_rows(columns(signals))

    def weigh_rows(self, rows: Floats) -> tuple[float, list[float]]:
        """The same from the columns the trees see."""
        import numpy as np

        # of an answer of thousands of sentences the trees see blocks: memory stays small
        parts = [self.sentences.log_odds(rows[at : at + 256]) for at in range(0, len(rows), 256)]
        each = 1.0 / (1.0 + np.exp(-np.concatenate(parts)))
        whole = float(self.answers.log_odds(summary(rows)[None, :])[0])
        score = self.slope * combined(whole, any_of(each)) + self.offset
        value = 1.0 / (1.0 + math.exp(-score))
        return round(value, 6), [round(float(one), 6) for one in each]


def columns(signals: Sequence[Sequence[float]]) -> Floats:
    """The signals of sentences as the trees see them, a row a sentence."""
    import numpy as np

    return np.array([[*one, doubt_of(one)] for one in signals], dtype=np.float64)


def summary(rows: Floats) -> Floats:
    """An answer's signals: of every column the largest and the mean, never a count of sentences.

    What grows with length alone would teach the trees the habits of tasks, not hallucination.
    """
    import numpy as np

    return np.concatenate([rows.max(axis=0), rows.sum(axis=0) / len(rows)])


def any_of(each: Floats) -> float:
    """The chance that at least one sentence is not grounded, as if they were independent."""
    import numpy as np

    return -math.expm1(float(np.log1p(-np.clip(each, 0.0, 0.999)).sum()))


def combined(whole: float, some: float) -> float:
    """The answer's own log-odds and its sentences', added; neither may outweigh the other alone."""
    limit = math.log((1.0 - _EDGE) / _EDGE)
    sure = min(max(some, _EDGE), 1.0 - _EDGE)
    return min(max(whole, -limit), limit) + math.log(sure / (1.0 - sure))


@lru_cache(maxsize=1)
def load() -> Model:
    """The shipped model; raises ``ValueError`` when the file is not of this version of evalkit."""
    content = resources.files("evalkit.scorers").joinpath(_FILE).read_bytes()
    stored = json.loads(content)
    if stored["format"] != FORMAT or tuple(stored["features"]) != COLUMNS:
        raise ValueError("the grounding model's file does not fit this version of evalkit")
    return model_of(stored, bytes_id(content))


def model_of(stored: Mapping[str, Any], name: str) -> Model:
    """A model from what its file holds."""
    return Model(
        sentences=Forest.read(stored["sentences"]),
        answers=Forest.read(stored["answers"]),
        slope=stored["slope"],
        offset=stored["offset"],
        threshold=stored["threshold"],
        hash=name,
    )


def card() -> Mapping[str, Any]:
    """What the model was trained on, its measured quality and its known blind spots."""
    found: Mapping[str, Any] = json.loads(
        resources.files("evalkit.scorers").joinpath(_CARD).read_text("utf-8")
    )
    return found
