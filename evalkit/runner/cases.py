"""The cases of one suite: its datasets one after the other, each case once, those selected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from evalkit.model import Case
from evalkit.runner.select import Selection, Selector
from evalkit.runner.shards import Shard

SAMPLED = 200
"""Cases looked at before a run to find what none of them gives."""


class Readable(Protocol):
    """A dataset that streams its cases as often as it is asked."""

    def cases(self) -> Iterator[Case]:
        """Every case once, in the order of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What a suite will run: cases selected by dataset, and the first of them.

    ``whole`` says that ``first`` are all. Both are the same for every shard; ``mine`` counts the
    cases of this one.
    """

    selected: tuple[int, ...]
    first: tuple[Case, ...]
    mine: int

    @property
    def total(self) -> int:
        """Cases selected over all datasets."""
        return sum(self.selected)

    @property
    def whole(self) -> bool:
        """Whether every selected case is among the first."""
        return self.total == len(self.first)


class SuiteCases:
    """Streams the selected cases of a suite that are the shard's; every pass gives the same."""

    def __init__(
        self,
        datasets: Sequence[Readable],
        counts: Sequence[int],
        selection: Selection,
        shard: Shard | None = None,
    ):
        self._shard = shard
        self._datasets = datasets
        self._counts = counts
        self._selector = Selector(selection)
        self._place = 0

    def survey(self) -> Survey:
        """Count what is selected; reads the data only as far as the selection needs it."""
        if self._selector.selection.everything and len(self._datasets) == 1:
            first = tuple(islice(self.whole(), SAMPLED))
            mine = sum(self._counts) if self._shard is None else sum(1 for _ in self)
            return Survey(tuple(self._counts), first, mine)
        self._selector.survey(self._all())
        selected = [0] * len(self._datasets)
        seen: list[Case] = []
        mine = 0
        for case in self.whole():
            selected[self._place] += 1
            mine += self._shard is None or self._shard.holds(case.id)
            if len(seen) < SAMPLED:
                seen.append(case)
        return Survey(tuple(selected), tuple(seen), mine)

    def __iter__(self) -> Iterator[Case]:
        chosen = self.whole()
        if self._shard is None:
            return chosen
        return (case for case in chosen if self._shard.holds(case.id))

    def whole(self) -> Iterator[Case]:
        """The selected cases of all shards."""
        return self._selector.choose(self._all())

    def _all(self) -> Iterator[Case]:
        if len(self._datasets) == 1:
            yield from self._datasets[0].cases()
            return
        # half of a hash is enough to tell cases apart, and takes little memory
        seen: set[int] = set()
        for place, dataset in enumerate(self._datasets):
            self._place = place
            for case in dataset.cases():
                mark = int(case.id[:16], 16)
                if mark not in seen:
                    seen.add(mark)
                    yield case
