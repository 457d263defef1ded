"""One sentence of an answer being held against its context: what is known of it so far.

A sentence becomes a vector (``FEATURES``) that both rungs weigh, and typed reasons with places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from evalkit.scorers._grounding_source import Source
from evalkit.scorers._grounding_text import STOP, Token

FEATURES = (
    *("length", "new", "new_share", "new_weight", "near_share", "asked_share", "new_run"),
    *("new_lower", "new_inflected", "praise_new", "pair_new", "triple_new", "longest_copy"),
    *("swapped_new", "swapped_known", "best", "best_two", "scattered", "best_gap", "split_pairs"),
    *("numbers", "numbers_new", "numbers_moved", "measure_differs", "times_new"),
    *("names", "names_new", "names_part", "names_moved"),
    *("null_stated", "null_denied", "false_stated", "true_denied", "true_stated"),
    *("field_elsewhere", "hours_wrong", "hours_right", "days_closed"),
    *("negated", "negation_differs", "negation_lost", "negation_new"),
    *("opposite_near", "opposite_far"),
    *("hedges", "praise", "frames", "opener", "denies", "because", "quote_new"),
    *("place", "last", "listed"),
)
INDEX = {name: at for at, name in enumerate(FEATURES)}


class Reason(NamedTuple):
    """Why a sentence is doubted: the kind, the words, and their place in the answer."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class Sentence:
    """One sentence with its words; each family of signals fills in its own."""

    source: Source
    answer: str
    asked: frozenset[str]
    start: int
    end: int
    words: Sequence[Token]
    text: str = ""
    content: list[Token] = field(default_factory=list)
    signals: list[float] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    unit: int | None = None
    second: int | None = None
    new: frozenset[str] = frozenset()
    coverage: float = 1.0

    def __post_init__(self) -> None:
        self.text = self.answer[self.start : self.end]
        self.content = [one for one in self.words if one.norm not in STOP]
        self.signals = [0.0] * len(FEATURES)

    def set(self, name: str, value: float) -> None:
        """Fill in one signal."""
        self.signals[INDEX[name]] = value

    def known(self, one: Token) -> bool:
        """Whether the context has the word in some form."""
        return one.stem in self.source.where or one.norm in self.source.norms

    def doubt(self, kind: str, start: int, end: int, text: str | None = None) -> None:
        """Add a reason; its words are the answer's own at that place unless given."""
        said = self.answer[start:end] if text is None else text
        self.reasons.append(Reason(kind, said, start, end))
