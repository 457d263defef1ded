"""TER with sacrebleu's values, some hundred times faster on long texts.

sacrebleu follows Tercom (Snover et al. 2006): greedily shift the run of words that lowers the edit
distance most, until none does or 1,000 shifts were tried. Its distance looks only at a band of 25
words around the diagonal. Here the candidates of a round are listed first and measured together:
by rapidfuzz where a shortest path provably stays inside the band, else by numpy, band and all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from evalkit.errors import Unscorable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SHIFT_SIZE = 10
MAX_SHIFT_DISTANCE = 50
BEAM = 25
MAX_CANDIDATES = 1000
INFINITY = 1 << 29

MAX_CHARACTERS = 1_000_000
MAX_WORDS = 20_000
MAX_CELLS = 150_000_000
"""Cells of banded distance tables that take about a second; more is refused."""


def tokenize(
    text: str, *, normalized: bool, no_punct: bool, asian_support: bool, case_sensitive: bool
) -> list[str]:
    """The words of sacrebleu's Tercom tokenizer, without its cache of whole texts."""
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

    tool: Any = TercomTokenizer(
        normalized=normalized,
        no_punct=no_punct,
        asian_support=asian_support,
        case_sensitive=case_sensitive,
    )
    return str(TercomTokenizer.__call__.__wrapped__(tool, text.rstrip())).split()


def ter_value(stats: Sequence[float]) -> float:
    """TER in percent from ``(edits, reference words)`` (``TER._compute_score_from_stats``)."""
    edits, length = stats[0], stats[1]
    if length > 0:
        return 100 * (edits / length)
    return 100.0 if edits > 0 else 0.0


def edits(answer: Sequence[str], reference: Sequence[str]) -> int:
    """The number of edits, a shift counting one (``lib_ter.translation_edit_rate``).

    Raises ``Unscorable`` for texts that would take longer than about a second.
    """
    if not reference:
        return len(answer)
    if max(len(answer), len(reference)) > MAX_WORDS:
        raise Unscorable(f"too long to compare: {len(answer):,} against {len(reference):,} words")
    return _Search(answer, reference).run()


class _Search:
    """The words of both sides as small integers, and how many shifts were tried."""

    def __init__(self, answer: Sequence[str], reference: Sequence[str]):
        import numpy as np

        ids: dict[str, int] = {}
        self.hyp = [ids.setdefault(one, len(ids)) for one in answer]
        self.ref = [ids.setdefault(one, len(ids)) for one in reference]
        self.ref_row = np.array(self.ref, dtype=np.int32)
        self.ref_text = "".join(map(chr, self.ref))
        self.places: dict[int, list[int]] = {}
        for place, one in enumerate(self.ref):
            self.places.setdefault(one, []).append(place)
        self.checked = 0
        self.cells = 0
        n_hyp, n_ref = len(self.hyp), len(self.ref)
        self.ratio = n_ref / n_hyp if n_hyp else 1.0
        half = self.ratio / 2
        self.beam = math.ceil(half + BEAM) if half > BEAM else BEAM

    def run(self) -> int:
        words, shifts = self.hyp, 0
        while True:
            rows = self._table([words])
            best, words_after = self._best_shift(words, rows)
            if self.checked >= MAX_CANDIDATES or best <= 0:
                # the last shift found is not made once the candidates are used up
                return shifts + int(rows[-1][1][0, -1])
            shifts += 1
            words = words_after

    def _band(self, i: int) -> tuple[int, int]:
        middle = math.floor(i * self.ratio)
        stop = len(self.ref) + 1
        if i < len(self.hyp):
            stop = min(stop, middle + self.beam)
        return max(0, middle - self.beam), stop

    def _table(self, texts: Sequence[Sequence[int]]) -> list[tuple[int, npt.NDArray[np.int32]]]:
        """Rows of the banded edit distance of several equally long texts: start, values."""
        return list(self._rows(texts))

    def _rows(self, texts: Sequence[Sequence[int]]) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
        import numpy as np

        hyp = np.array(texts, dtype=np.int32).reshape(len(texts), -1)
        count, n_ref = len(texts), len(self.ref)
        self.cells += count * (hyp.shape[1] + 1) * min(2 * self.beam, n_ref + 1)
        if self.cells > MAX_CELLS:
            raise Unscorable(
                f"too long to compare: {len(self.hyp):,} against {len(self.ref):,} words"
            )
        steps = np.arange(n_ref + 2, dtype=np.int32)
        start, row = 0, np.tile(steps[: n_ref + 1], (count, 1))
        yield start, row
        for i in range(1, hyp.shape[1] + 1):
            low, stop = self._band(i)
            width = stop - low
            # the row above, from one column to the left of this band, infinite where it has none
            above = np.full((count, width + 1), INFINITY, dtype=np.int32)
            first, last = max(start, low - 1), min(start + row.shape[1], stop)
            if first < last:
                above[:, first - low + 1 : last - low + 1] = row[:, first - start : last - start]
            here = above[:, 1:] + 1
            other = hyp[:, i - 1 : i] != self.ref_row[None, max(low - 1, 0) : stop - 1]
            skip = 1 if low == 0 else 0
            np.minimum(here[:, skip:], above[:, skip:-1] + other, out=here[:, skip:])
            # insertions: the least of everything to the left plus one a column
            shifted = here - steps[:width]
            here = np.minimum.accumulate(shifted, axis=1) + steps[:width]
            start, row = low, np.minimum(here, INFINITY).astype(np.int32, copy=False)
            yield start, row

    def _distances(self, texts: list[list[int]]) -> list[int]:
        from rapidfuzz.distance import Levenshtein

        found = [Levenshtein.distance("".join(map(chr, one)), self.ref_text) for one in texts]
        open_ = [place for place, one in enumerate(found) if not self._inside_band(one)]
        size = max(1, 2_000_000 // (len(self.ref) + 1))
        for at in range(0, len(open_), size):
            chunk = open_[at : at + size]
            # only the last row is kept
            ((_, last),) = deque(self._rows([texts[place] for place in chunk]), maxlen=1)
            for place, value in zip(chunk, last[:, -1].tolist(), strict=True):
                found[place] = value
        return found

    def _inside_band(self, distance: int) -> bool:
        """Whether every shortest path of that length stays in the band, so that it is the same.

        A path with so many edits leaves the diagonal by at most (distance ± Δ) / 2, where Δ is the
        difference in length, and the band's middle leaves it by at most Δ.
        """
        delta = len(self.ref) - len(self.hyp)
        lowest, highest = -(distance - delta) / 2, (distance + delta) / 2
        return lowest >= max(0, delta) - BEAM and highest <= min(0, delta) + BEAM - 2

    def _best_shift(
        self, words: list[int], rows: list[tuple[int, npt.NDArray[np.int32]]]
    ) -> tuple[int, list[int]]:
        align, ref_wrong, hyp_wrong = self._alignment(words, rows)
        keys: list[tuple[int, int, int]] = []
        texts: list[list[int]] = []
        for start, ref_start, length in self._runs(words, ref_wrong, hyp_wrong):
            if start <= align[ref_start] < start + length:
                continue
            previous = -1
            for offset in range(-1, length):
                place = ref_start + offset
                if place == -1:
                    target = 0
                elif place in align:
                    target = align[place] + 1
                else:
                    break
                if target == previous:
                    continue
                previous = target
                keys.append((length, -start, -target))
                texts.append(_shifted(words, start, length, target))
                self.checked += 1
            if self.checked >= MAX_CANDIDATES:
                break
        if not texts:
            return 0, words
        before = int(rows[-1][1][0, -1])
        gains = [before - one for one in self._distances(texts)]
        best = max(range(len(texts)), key=lambda i: (gains[i], *keys[i]))
        return gains[best], texts[best]

    def _runs(
        self, words: list[int], ref_wrong: list[int], hyp_wrong: list[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Equal runs of up to 10 words, wrong somewhere on both sides: starts and length."""
        hyp_sum, ref_sum = _sums(hyp_wrong), _sums(ref_wrong)
        n_hyp, n_ref = len(words), len(self.ref)
        for start, word in enumerate(words):
            if hyp_sum[min(start + MAX_SHIFT_SIZE, n_hyp)] == hyp_sum[start]:
                continue
            for ref_start in self.places.get(word, ()):
                if abs(ref_start - start) > MAX_SHIFT_DISTANCE:
                    continue
                length = 0
                most = min(MAX_SHIFT_SIZE, n_hyp - start, n_ref - ref_start)
                while length < most and words[start + length] == self.ref[ref_start + length]:
                    length += 1
                    if (
                        hyp_sum[start + length] > hyp_sum[start]
                        and ref_sum[ref_start + length] > ref_sum[ref_start]
                    ):
                        yield start, ref_start, length

    def _alignment(
        self, words: list[int], rows: list[tuple[int, npt.NDArray[np.int32]]]
    ) -> tuple[dict[int, int], list[int], list[int]]:
        """Where each reference word stands in the answer, and which words of each are wrong.

        Of several shortest paths the library's: a word kept or replaced before one deleted before
        one inserted, walking back from the end.
        """

        def cell(i: int, j: int) -> int:
            start, row = rows[i]
            return int(row[0, j - start]) if start <= j < start + row.shape[1] else INFINITY

        i, j = len(words), len(self.ref)
        steps: list[str] = []
        while i > 0 or j > 0:
            here = cell(i, j)
            if i and j and cell(i - 1, j - 1) + (words[i - 1] != self.ref[j - 1]) == here:
                steps.append("same" if words[i - 1] == self.ref[j - 1] else "replaced")
                i, j = i - 1, j - 1
            elif i and cell(i - 1, j) + 1 == here:
                steps.append("extra")
                i -= 1
            else:
                steps.append("missing")
                j -= 1
        align: dict[int, int] = {}
        ref_wrong: list[int] = []
        hyp_wrong: list[int] = []
        for step in reversed(steps):
            if step != "missing":
                hyp_wrong.append(int(step != "same"))
            if step != "extra":
                align[len(ref_wrong)] = len(hyp_wrong) - 1
                ref_wrong.append(int(step != "same"))
        return align, ref_wrong, hyp_wrong


def _sums(values: list[int]) -> list[int]:
    return [0, *accumulate(values)]


def _shifted(words: list[int], start: int, length: int, target: int) -> list[int]:
    run = words[start : start + length]
    if target < start:
        return words[:target] + run + words[target:start] + words[start + length :]
    if target > start + length:
        return words[:start] + words[start + length : target] + run + words[target:]
    return words[:start] + words[start + length : length + target] + run + words[length + target :]
