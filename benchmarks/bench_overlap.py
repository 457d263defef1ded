"""ROUGE, BLEU, chrF and TER against the libraries whose values they give: equal, and how fast.

python benchmarks/bench_overlap.py [--rounds 5]

Each round both sides score the same new texts, one after the other in one process, so that neither
has them in a cache; the ratio is the median over rounds. The library is called as --reference calls
it, one answer at a time. English-like words drawn with Zipf's frequencies, three in ten replaced.
"""

import argparse
import random
import statistics
import string
import sys
import time
from pathlib import Path

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
PAIRS = {20: 512, 100: 256, 500: 64}
SLOW = {"TER": {20: 256, 100: 16}}


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
    from evalkit.config.spec import ScorerSpec
    from evalkit.model import Case, Output
    from evalkit.scorers import bind

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    texts = Texts(7)
    print("| answers a CPU-second | words | library | evalkit | ratio | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    missed = []
    for name, scorers in MEASURES.items():
        specs = [ScorerSpec(name=one, scorer=one, options=given) for one, given in scorers]
        fast, slow = ([bind(one, reference=side) for one in specs] for side in (False, True))
        for words, count in SLOW.get(name, PAIRS).items():
            paces: list[tuple[float, float]] = []
            largest = 0.0
            for turn in range(rounds + 1):
                pairs = [
                    (Case.of({"q": "?"}, expected=one), Output(text=other))
                    for one, other in texts.pairs(words, count)
                ]
                spent, values = [], []
                for side in (fast, slow) if turn % 2 else (slow, fast):
                    started = time.process_time()
                    found = [one.score_sync(pairs) for one in side]
                    spent.append(time.process_time() - started)
                    values.append([each.score.value for row in found for each in row])
                ours, theirs = spent if turn % 2 else spent[::-1]
                differences = map(abs, map(float.__sub__, *values))
                largest = max(largest, *differences)
                if turn:  # the first round loads what both sides load
                    paces.append((count / theirs, count / ours))
            ratio = statistics.median(one / other for other, one in paces)
            library, own = (statistics.median(side) for side in zip(*paces, strict=True))
            print(
                f"| {name} | {words} | {library:,.0f} | {own:,.0f} | {ratio:.1f} | {largest:.0e} |"
            )
            if words == AT and ratio < BARS.get(name, 0.0):
                missed.append(f"{name} {ratio:.1f} × at {AT} words, {BARS[name]:g} × wanted")
            if largest > 1e-9:
                missed.append(f"{name} differs by {largest:g} at {words} words")
    print("\nmissed: " + "; ".join(missed) if missed else "\nevery bar is held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
