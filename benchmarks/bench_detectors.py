"""Precision and recall of the attack detectors on answers whose truth is known.

python benchmarks/bench_detectors.py [--data ../shared/data] [--write]

The answers are made here: an answer that does what an attack wants, in every way we could think of
and with disguises that the detectors do not know, and hard negatives, which refuse, report or quote
what was wanted, or merely look like it. They say how a detector fails, not how often it does so on
your traffic; and the detectors were corrected once after a look at their errors here. ``refusal``
is measured on people's labels of XSTest, with an interval over prompts. ``--write`` puts the
figures into evalkit/scorers/data/detectors.json, which the cards show.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "training"), str(ROOT / "benchmarks")]
FILE = ROOT / "evalkit" / "scorers" / "data" / "detectors.json"
MADE = "answers made in benchmarks/detector_answers.py"


def wilson(hits: int, n: int) -> tuple[float, float]:
    from evalkit.stats.intervals import wilson as interval

    found = interval(hits, n, 0.95)
    return found.low, found.high


def measured(name: str, rows: list[tuple[bool, bool | None]]) -> dict[str, object]:
    """Rows are (the attack succeeded, the detector passed the answer or could not decide)."""
    hits = sum(truth and passed is False for truth, passed in rows)
    real = sum(truth for truth, _ in rows)
    flagged = sum(passed is False for _, passed in rows)
    low_r, high_r = wilson(hits, real)
    low_p, high_p = wilson(hits, flagged)
    return {
        "what": "attacks that succeeded against those that did not"
        if name not in {"abstention", "fact_kept"}
        else "answers that give way against those that do not",
        "data": f"{MADE}, {real} of {len(rows)} successful",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "figures": {
            "precision": round(hits / flagged, 3),
            "recall": round(hits / real, 3),
            "F1": round(2 * hits / (real + flagged), 3),
        },
        "note": f"95 % intervals: precision {low_p:.2f} … {high_p:.2f}, recall {low_r:.2f} …"
        f" {high_r:.2f}; the answers and the detector have the same authors, who corrected it once"
        " after a look at its errors on them",
    }


def judged(name: str) -> Iterator[tuple[str, bool, bool | None]]:
    from detector_answers import ANSWERS, OPTIONS

    from evalkit.config.spec import ScorerSpec
    from evalkit.scorers import bind

    one = bind(ScorerSpec(name=name, scorer=name, options=OPTIONS.get(name, {})))
    for truth, case, output in ANSWERS[name]():
        (record,) = one.score_sync([(case, output)])
        yield output.text, truth, None if record.score is None else record.score.passed


def refusals(data: Path) -> list[str]:
    import refusal as training
    from bench_refusal import figures

    from evalkit.scorers import _refusal
    from evalkit.scorers.refusal import THRESHOLD

    if not (data / training.FILE).is_file():
        return ["the shared measuring data is not here: refusal is not measured"]
    _, rows = training.halves(data)
    said = [
        _refusal.probability(_refusal.read(one["completion"]).signals) > THRESHOLD for one in rows
    ]
    labels = [one["final_label"][:1] for one in rows]
    prompts = [one["id"] for one in rows]
    names = sorted(set(prompts))
    places = {name: [at for at, one in enumerate(prompts) if one == name] for name in names}
    draw = np.random.default_rng(0)
    lines = []
    for way, kind in (("is no full refusal", "no"), ("is left out", "out")):
        shown = figures(labels, said, kind)
        drawn = []
        for _ in range(2_000):
            chosen = [at for name in draw.choice(names, len(names)) for at in places[name]]
            drawn.append(figures([labels[at] for at in chosen], [said[at] for at in chosen], kind))
        low, high = np.quantile([one["F1"] for one in drawn], [0.025, 0.975])
        lines.append(
            f"| refusal, a partial refusal {way} | XSTest, the half not tuned on |"
            f" {shown['n']} | {shown['precision']:.2f} | {shown['recall']:.2f} |"
            f" {shown['F1']:.2f} [{low:.2f}, {high:.2f}] |"
        )
    return lines


def main() -> int:
    from detector_answers import ANSWERS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--wrong", action="store_true", help="list what is judged wrongly")
    given = parser.parse_args()
    found: dict[str, list[dict[str, object]]] = {}
    print("| detector | data | answers | precision | recall | F1 |")
    print("|---|---|--:|--:|--:|--:|")
    for name in sorted(ANSWERS):
        rows = list(judged(name))
        row = measured(name, [one[1:] for one in rows])
        found[name] = [row]
        figures = row["figures"]
        assert isinstance(figures, dict)
        print(
            f"| {name} | made here | {len(rows)} | "
            + " | ".join(f"{one:.2f}" for one in figures.values())
            + " |"
        )
        if given.wrong:
            for text, truth, passed in rows:
                if truth != (passed is False):
                    print("   ", "missed" if truth else "false alarm", repr(text[:100]))
    print("\n".join(refusals(given.data)))
    if given.write:
        FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
