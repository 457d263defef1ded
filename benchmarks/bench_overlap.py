"""ROUGE, BLEU, chrF and TER against the libraries whose values they give: equal, and how fast.

python benchmarks/bench_overlap.py [--rounds 5]

Each round both sides score the same new texts, one after the other in one process, so that neither
has them in a cache; the ratio is the median over rounds. The library is called as --reference calls
it, one answer at a time, and for corpus metrics all at once; ours are then computed from the stored
statistics of every answer. English-like words drawn with Zipf's frequencies, three in ten replaced.
Last, answers of 50,000 words: scored, or refused, within a second.
"""

import argparse
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BARS = {"ROUGE-1+2+L": 10.0, "BLEU": 5.0, "chrF": 5.0, "chrF++": 5.0}
AT = 100
MEASURES = {
    "ROUGE-1+2+L": [("rouge_1", {}), ("rouge_2", {}), ("rouge_l", {})],
    "ROUGE-1+2+L, stemmed": [(f"rouge_{one}", {"stemmer": True}) for one in "12l"],
    "ROUGE-Lsum": [("rouge_lsum", {})],
    "BLEU": [("bleu", {})],
    "chrF": [("chrf", {})],
    "chrF++": [("chrf", {"word_order": 2})],
    "TER": [("ter", {})],
}
CORPUS: dict[str, tuple[str, dict[str, Any], str]] = {
    "corpus BLEU": ("bleu", {}, "BLEU"),
    "corpus chrF": ("chrf", {}, "CHRF"),
    "corpus chrF++": ("chrf", {"word_order": 2}, "CHRF"),
    "corpus TER": ("ter", {}, "TER"),
}
PAIRS = {20: 512, 100: 256, 500: 64}
SLOW = {"TER": {20: 256, 100: 16}, "corpus TER": {20: 256, 100: 16}}
LONG = 50_000
LONGEST_S = 1.0
LONG_HEAD = f"""| {LONG:,} words, seconds | against as many | against {AT} | against itself |
|---|--:|--:|--:|"""

Side = Callable[[Sequence[Any]], list[float]]


class Texts:
    """An endless supply of texts, each with another that is much like it."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        lengths = (max(1, round(self._random.gauss(5, 2.5))) for _ in range(5_000))
        self._words = ["".join(self._random.choices(string.ascii_lowercase, k=n)) for n in lengths]
        self._weights = [1 / place for place in range(1, len(self._words) + 1)]

    def pairs(self, words: int, count: int) -> list[tuple[str, str]]:
        return [self._pair(words) for _ in range(count)]

    def _pair(self, words: int) -> tuple[str, str]:
        one = self._random.choices(self._words, self._weights, k=words)
        other = [
            self._random.choice(self._words) if self._random.random() < 0.3 else word
            for word in one
        ]
        return self._written(one), self._written(other)

    def _written(self, words: list[str]) -> str:
        said = []
        for place, word in enumerate(words):
            text = word.capitalize() if place % 12 == 0 else word
            end = ".\n" if place % 12 == 11 else "," if place % 7 == 3 else ""
            said.append(text + end)
        return " ".join(said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    texts = Texts(7)
    print("| answers a CPU-second | words | library | evalkit | ratio | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    missed = []
    for name, (ours, theirs) in sides().items():
        for words, count in SLOW.get(name, PAIRS).items():
            library, own, ratio, largest = beside(ours, theirs, texts, words, count, rounds)
            print(
                f"| {name} | {words} | {library:,.0f} | {own:,.0f} | {ratio:.1f} | {largest:.0e} |"
            )
            if words == AT and ratio < BARS.get(name, 0.0):
                missed.append(f"{name} {ratio:.1f} × at {AT} words, {BARS[name]:g} × wanted")
            if largest > 1e-9:
                missed.append(f"{name} differs by {largest:g} at {words} words")
    print("\n" + LONG_HEAD)
    missed += long_answers(texts)
    print("\nmissed: " + "; ".join(missed) if missed else "\nevery bar is held")
    return 1 if missed else 0


def sides() -> dict[str, tuple[Side, Side]]:
    """For every measure, what gives evalkit's values of some answers, and what the library's."""
    from sacrebleu import metrics

    from evalkit.scorers import bind

    def each(bound: Sequence[Any], pairs: Sequence[Any]) -> list[float]:
        found = [one.score_sync(pairs) for one in bound]
        return [one.score.value for row in found for one in row]

    def whole(bound: Any, pairs: Sequence[Any]) -> list[float]:
        stats = [one.score.stats for one in bound.score_sync(pairs)]
        (metric,) = [one for one in bound.metrics if one.kind == "corpus"]
        return [metric.corpus_value([sum(column) for column in zip(*stats, strict=True)])]

    def library(metric: Any, pairs: Sequence[Any]) -> list[float]:
        wanted = [[case.expected for case, _ in pairs]]
        return [metric.corpus_score([output.text for _, output in pairs], wanted).score]

    found: dict[str, tuple[Side, Side]] = {}
    for name, scorers in MEASURES.items():
        specs = [spec(one, options) for one, options in scorers]
        fast, slow = ([bind(one, reference=side) for one in specs] for side in (False, True))
        found[name] = partial(each, fast), partial(each, slow)
    for name, (one, options, kind) in CORPUS.items():
        metric = getattr(metrics, kind)(**options)
        found[name] = partial(whole, bind(spec(one, options))), partial(library, metric)
    return found


def spec(name: str, options: dict[str, Any]) -> Any:
    from evalkit.config.spec import ScorerSpec

    return ScorerSpec(name=name, scorer=name, options=options)


def paired(texts: Sequence[tuple[str, str]]) -> list[Any]:
    from evalkit.model import Case, Output

    return [(Case.of({"q": "?"}, expected=one), Output(text=other)) for one, other in texts]


def beside(
    ours: Side, theirs: Side, texts: Texts, words: int, count: int, rounds: int
) -> tuple[float, float, float, float]:
    """Answers a CPU-second of the library and of evalkit, their ratio, the largest difference."""
    paces: list[tuple[float, float]] = []
    largest = 0.0
    for turn in range(rounds + 1):
        pairs = paired(texts.pairs(words, count))
        spent, values = [], []
        for side in (ours, theirs) if turn % 2 else (theirs, ours):
            started = time.process_time()
            values.append(side(pairs))
            spent.append(time.process_time() - started)
        own, library = spent if turn % 2 else spent[::-1]
        largest = max(largest, *map(abs, map(float.__sub__, *values)))
        if turn:  # the first round loads what both sides load
            paces.append((count / library, count / own))
    ratio = statistics.median(one / other for other, one in paces)
    library, own = (statistics.median(side) for side in zip(*paces, strict=True))
    return library, own, ratio, largest


def long_answers(texts: Texts) -> list[str]:
    """Print how long each scorer takes over one long answer; what took longer than the bar."""
    from evalkit.scorers import bind

    missed = []
    ((wanted, given),) = texts.pairs(LONG, 1)
    ((short, _),) = texts.pairs(AT, 1)
    for name, scorers in MEASURES.items():
        bound = [bind(spec(one, options)) for one, options in scorers]
        cells = []
        for expected in (wanted, short, given):
            slowest, refused = 0.0, False
            for one in bound:  # each scorer has the second to itself
                started = time.perf_counter()
                (found,) = one.score_sync(paired([(expected, given)]))
                slowest = max(slowest, time.perf_counter() - started)
                refused |= found.score is None
            cells.append(f"{slowest:.2f}" + (", refused" if refused else ""))
            if slowest > LONGEST_S:
                missed.append(f"{name} took {slowest:.1f} s over {LONG:,} words")
        print(f"| {name} | {' | '.join(cells)} |")
    return missed


if __name__ == "__main__":
    sys.exit(main())
