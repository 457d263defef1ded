"""A whole evaluation against a local server, beside a bare loop of the same HTTP client.

Both send the same requests; evalkit also reads the dataset strictly, renders the prompt, scores
exact match, ROUGE-1/2/L and BLEU, and stores every trial in DuckDB. Whole processes are measured,
start-up included, in turn, and the figures are medians of the ratios pair by pair.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import interleaved, median, median_ratio

HERE = Path(__file__).parent
BARS = {"wall_s": 1.15, "cpu_s": 1.6}
PEAK_MB = 200


@contextmanager
def server(latency: float) -> Iterator[int]:
    """The port of a running local server."""
    command = [sys.executable, str(HERE / "server.py"), "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


def project(root: Path, *, cases: int, port: int, concurrency: int, stream: bool) -> Path:
    """A project whose suite asks the local server ``cases`` questions."""
    rows = root / "cases.jsonl"
    with rows.open("w", encoding="utf-8") as out:
        for number in range(cases):
            row = {
                "question": f"Ticket {number}: how long may I return a parcel after delivery?",
                "expected": f"You may return parcel {number} within 14 days of delivery.",
            }
            out.write(json.dumps(row) + "\n")
    (root / "suites").mkdir()
    (root / "ask.j2").write_text("{{ question }}", encoding="utf-8")
    target = {
        "kind": "openai_compatible",
        "model": "bench-1",
        "base_url": f"http://127.0.0.1:{port}/v1",
        "prompt": "ask.j2",
        "stream": stream,
        "limits": {"concurrency": concurrency},
    }
    suite = {
        "dataset": "cases.jsonl",
        "targets": ["bench"],
        "scorers": ["exact_match", "rouge_1", "rouge_2", "rouge_l", "bleu"],
    }
    # JSON is YAML
    config = {"project": "bench", "targets": {"bench": target}}
    (root / "evalkit.yaml").write_text(json.dumps(config), encoding="utf-8")
    (root / "suites" / "bench.yaml").write_text(json.dumps(suite), encoding="utf-8")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    missed = []
    print(
        f"latency {options.latency * 1e3:.0f} ms, concurrency {options.concurrency},"
        f" {'streamed' if options.stream else 'whole'} answers, {options.rounds} rounds in turn"
    )
    print(f"{'cases':>7} {'':<10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'cases/s':>8}")
    for cases in options.cases:
        with tempfile.TemporaryDirectory() as folder, server(options.latency) as port:
            root = Path(folder)
            rows = project(
                root,
                cases=cases,
                port=port,
                concurrency=options.concurrency,
                stream=options.stream,
            )
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            bare = [sys.executable, str(HERE / "bare_loop.py"), url, str(rows)]
            bare += ["--concurrency", str(options.concurrency)]
            bare += ["--stream"] if options.stream else []
            ours = [sys.executable, "-m", "evalkit", "run", "bench", "--no-progress"]
            ours += ["--project", str(root / "evalkit.yaml")]
            found = interleaved({"bare loop": bare, "evalkit": ours}, rounds=options.rounds)
        for name, figures in found.items():
            wall = median(figures, "wall_s")
            print(
                f"{cases:>7} {name:<10} {wall:>8.2f} {median(figures, 'cpu_s'):>8.2f}"
                f" {median(figures, 'peak_mb'):>8.0f} {cases / wall:>8.0f}"
            )
        ratios = {
            field: median_ratio(found["evalkit"], found["bare loop"], field) for field in BARS
        }
        print(f"{cases:>7} {'ratio':<10} {ratios['wall_s']:>8.2f} {ratios['cpu_s']:>8.2f}")
        if cases >= 10_000:
            missed += [f"{field} at {cases}" for field, bar in BARS.items() if ratios[field] > bar]
            if median(found["evalkit"], "peak_mb") > PEAK_MB:
                missed.append(f"peak at {cases}")
    bars = f"wall {BARS['wall_s']} x, CPU {BARS['cpu_s']} x, peak {PEAK_MB} MB at 10,000 cases"
    print(f"bars: {bars};", f"missed: {', '.join(missed)}" if missed else "held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
