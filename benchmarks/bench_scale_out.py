"""Scoring that takes much CPU: one process, a Ray cluster of one and two workers, two shards.

All score the same recorded answers with TER, chrF, BLEU and ROUGE. Whole processes are measured in
turn, start-up included; ``making`` is the time from the first trial to the end of the run, which
leaves out what a cluster takes to start. Scores must be the same in all of them.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BAR = 1.7
WORDS = [
    f"{a}{b}"
    for a in ("par", "ret", "ord", "mem", "lib", "fee")
    for b in ("cel", "urn", "er", "ber", "rary", "s", "ing", "ed")
]
SCORERS = ["ter", "chrf", "bleu", "rouge_1", "rouge_2", "rouge_l"]


def project(root: Path, cases: int, words: int) -> None:
    dice = random.Random(7)
    with (root / "cases.jsonl").open("w") as rows, (root / "answers.jsonl").open("w") as answers:
        for number in range(cases):
            expected = [dice.choice(WORDS) for _ in range(words)]
            answer = [one if dice.random() < 0.6 else dice.choice(WORDS) for one in expected]
            dice.shuffle(cut := answer[: words // 3])
            answer[: words // 3] = cut
            row = {
                "id": f"c{number}",
                "question": f"Ticket {number}?",
                "expected": " ".join(expected),
            }
            rows.write(json.dumps(row) + "\n")
            answers.write(json.dumps({"case": f"c{number}", "text": " ".join(answer)}) + "\n")
    (root / "suites").mkdir()
    target = {"kind": "replay", "file": "answers.jsonl"}
    (root / "evalkit.yaml").write_text(json.dumps({"project": "b", "targets": {"t": target}}))
    suite = {"dataset": "cases.jsonl", "targets": ["t"], "scorers": SCORERS}
    (root / "suites" / "s.yaml").write_text(json.dumps(suite))


def evalkit(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "evalkit", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{arguments}: exit {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def sharded(root: Path) -> str:
    """Two processes at once, then one run of both."""
    with ThreadPoolExecutor(2) as pool:
        ids = list(pool.map(lambda n: evalkit(root, "run", "-q", "--shard", f"{n}/2"), (1, 2)))
    return evalkit(root, "merge", *ids)


def scores(root: Path, run_id: str) -> str:
    sql = f"SELECT case_id, name, value FROM scores WHERE run_id = '{run_id}' ORDER BY ALL"
    return evalkit(root, "sql", sql, "--csv")


def making(root: Path, run_id: str) -> float:
    sql = (
        "SELECT epoch(any_value(r.finished_at) - min(t.started_at)) AS s FROM trials AS t"
        f" JOIN runs AS r USING (run_id) WHERE run_id = '{run_id}'"
    )
    return float(json.loads(evalkit(root, "sql", sql, "--json"))[0]["s"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--words", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    ray = ("run", "-q", "--engine", "ray", "--workers")
    ways = {
        "one process": lambda root: evalkit(root, "run", "-q"),
        "ray, 1 worker": lambda root: evalkit(root, *ray, "1"),
        "ray, 2 workers": lambda root: evalkit(root, *ray, "2"),
        "2 shards, merged": sharded,
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project(root, options.cases, options.words)
        first = None
        for _ in range(options.rounds):
            for name, way in ways.items():
                begun = time.perf_counter()
                run_id = way(root)
                wall = time.perf_counter() - begun
                found[name].append((wall, making(root, run_id)))
                first = first or scores(root, run_id)
                if scores(root, run_id) != first:
                    raise SystemExit(f"{name}: other scores")
    best = {name: (min(w for w, _ in one), min(m for _, m in one)) for name, one in found.items()}
    print(
        f"{options.cases:,} cases of {options.words} words, best of {options.rounds}; same scores"
    )
    print(f"{'':<18} {'wall s':>8} {'making s':>9}")
    for name, (wall, made) in best.items():
        print(f"{name:<18} {wall:>8.1f} {made:>9.1f}")
    gain = best["ray, 1 worker"][1] / best["ray, 2 workers"][1]
    shards = best["one process"][0] / best["2 shards, merged"][0]
    print(f"two workers make it {gain:.2f} x as fast as one (bar {BAR}), two shards {shards:.2f} x")
    return 0 if gain >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
