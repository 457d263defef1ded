"""Chance that is the same on every machine and every Python, and what a transform may return."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Numbers drawn from SHA-256 of a key and a counter: equal keys give equal numbers for ever."""

    def __init__(self, *key: object):
        self._key = "\n".join(map(str, key)).encode("utf-8", "surrogatepass")
        self._drawn = 0

    def below(self, end: int) -> int:
        """A whole number from 0 to ``end`` − 1, each as likely, to one in 2**190."""
        if end < 1:
            raise ValueError("nothing can be drawn from nothing")
        block = hashlib.sha256(b"%d\n%s" % (self._drawn, self._key)).digest()
        self._drawn += 1
        return int.from_bytes(block) % end

    def pick(self, of: Sequence[T]) -> T:
        """One of them."""
        return of[self.below(len(of))]

    def sample(self, of: Sequence[T], count: int) -> list[T]:
        """So many of them, each at most once, in their own order."""
        places = list(range(len(of)))
        for place in range(count):
            other = place + self.below(len(places) - place)
            places[place], places[other] = places[other], places[place]
        return [of[place] for place in sorted(places[:count])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The new text of an attack, or its turns, and tags that its case gets."""

    text: str = ""
    turns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
