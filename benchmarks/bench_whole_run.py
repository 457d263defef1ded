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

from measure import Figures, interleaved, median, median_ratio

HERE = Path(__file__).parent
BARS = {"wall_s": 1.15, "cpu_s": 1.6}
PEAK_MB = 200
RATE = 2_000
GROWTH = 1.2


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


def measured(
    *,
    cases: int,
    latency: float,
    concurrency: int,
    stream: bool,
    rounds: int,
    bare_too: bool = True,
) -> dict[str, list[Figures]]:
    """What evalkit, and the bare loop, take for one size of run."""
    with tempfile.TemporaryDirectory() as folder, server(latency) as port:
        root = Path(folder)
        rows = project(root, cases=cases, port=port, concurrency=concurrency, stream=stream)
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        bare = [sys.executable, str(HERE / "bare_loop.py"), url, str(rows)]
        bare += ["--concurrency", str(concurrency)]
        bare += ["--stream"] if stream else []
        ours = [sys.executable, "-m", "evalkit", "run", "bench", "--no-progress"]
        ours += ["--project", str(root / "evalkit.yaml")]
        commands = {"bare loop": bare} if bare_too else {}
        return interleaved({**commands, "evalkit": ours}, rounds=rounds, warm=bare_too)


def show(cases: int, name: str, figures: list[Figures]) -> None:
    """One line of the table."""
    wall, cpu = median(figures, "wall_s"), median(figures, "cpu_s")
    peak = median(figures, "peak_mb")
    print(f"{cases:>9,} {name:<10} {wall:>8.2f} {cpu:>8.2f} {peak:>8.0f} {cases / wall:>8.0f}")


def compare(options: argparse.Namespace, latency: float, concurrency: int) -> list[str]:
    """Print the table of one setting; returns the bars that were missed."""
    missed = []
    print(
        f"\nlatency {latency * 1e3:.0f} ms, concurrency {concurrency},"
        f" {'streamed' if options.stream else 'whole'} answers, {options.rounds} rounds in turn"
    )
    print(f"{'cases':>9} {'':<10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'cases/s':>8}")
    for cases in options.cases:
        found = measured(
            cases=cases,
            latency=latency,
            concurrency=concurrency,
            stream=options.stream,
            rounds=options.rounds,
        )
        for name, figures in found.items():
            show(cases, name, figures)
        ratios = {
            field: median_ratio(found["evalkit"], found["bare loop"], field) for field in BARS
        }
        print(f"{cases:>9,} {'ratio':<10} {ratios['wall_s']:>8.2f} {ratios['cpu_s']:>8.2f}")
        if latency and cases == 10_000:
            missed += [f"{field} at {cases}" for field, bar in BARS.items() if ratios[field] > bar]
            if median(found["evalkit"], "peak_mb") > PEAK_MB:
                missed.append(f"peak at {cases}")
        if not latency and cases >= 10_000:
            rate = cases / median(found["evalkit"], "cpu_s")
            print(f"{cases:>9,} {'a second of CPU':<27} {rate:>18.0f}")
            if rate < RATE:
                missed.append(f"cases a second of CPU at {cases}")
    return missed


def flat(options: argparse.Namespace) -> list[str]:
    """Peak memory from 10,000 cases to many; returns the bars that were missed."""
    peaks: dict[int, float] = {}
    missed = []
    print(f"\npeak memory, latency 0, concurrency {options.concurrency[0]}, one run each")
    print(f"{'cases':>9} {'':<10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'cases/s':>8}")
    for cases in (10_000, *options.memory):
        found = measured(
            cases=cases,
            latency=0.0,
            concurrency=options.concurrency[0],
            stream=options.stream,
            rounds=1,
            bare_too=False,
        )
        show(cases, "evalkit", found["evalkit"])
        peaks[cases] = median(found["evalkit"], "peak_mb")
        if cases > 10_000:
            growth = peaks[cases] / peaks[10_000]
            each = (peaks[cases] - peaks[10_000]) * 2**20 / (cases - 10_000)
            print(f"{cases:>9,} ratio of peaks {growth:>23.2f}, {each:.0f} bytes a case more")
            missed += [f"memory at {cases:,}"] if growth > GROWTH else []
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.05, 0.0])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[100])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument(
        "--memory",
        type=int,
        nargs="+",
        default=[],
        metavar="CASES",
        help="also compare the peak with so many cases",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="1,000 to 100,000 cases, concurrency 100 and 500, memory to 1,000,000: an hour",
    )
    options = parser.parse_args()
    if options.all:
        options.cases, options.concurrency = [1_000, 10_000, 100_000], [100, 500]
        options.memory = options.memory or [100_000, 1_000_000]
    missed = [
        bar
        for latency in options.latency
        for concurrency in options.concurrency
        for bar in compare(options, latency, concurrency)
    ]
    if options.memory:
        missed += flat(options)
    print(
        f"\nbars: at 10,000 cases and 50 ms wall {BARS['wall_s']} x, CPU {BARS['cpu_s']} x,"
        f" peak {PEAK_MB} MB; without latency {RATE:,} cases a second of CPU; memory {GROWTH} x;",
        f"missed: {', '.join(missed)}" if missed else "held",
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
