"""How hard one ``evalkit load`` process can drive: requests a second, and requests at once.

The server is a local one in a process of its own; whole commands are run and their own reports are
read. A rate is clean when no step of it is marked: starts and wake-ups within 5 ms or a tenth of
latency (p95), and the event loop below 90 % of a core. Requests and times are bounded.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_whole_run import project, server

RATES = [100, 250, 500, 1_000, 1_500, 2_000, 3_000]
USERS = [100, 1_000, 10_000]


def load(root: Path, *flags: str) -> dict:
    """One load test; its report, with the wall and CPU seconds of the process."""
    command = [sys.executable, "-m", "evalkit", "load", "bench", "--no-progress", "--json", *flags]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--project", str(root / "evalkit.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(f"{' '.join(flags)}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout) | {
        "wall_s": time.perf_counter() - started,
        "exit": done.returncode,
    }


def milliseconds(value) -> str:
    return "-" if value is None else f"{value * 1e3:,.1f}"


def row(name: str, step: dict) -> str:
    latency = step["latency"]
    return (
        f"{name:>8} {step['sent']:>8,} {step['failed']:>6,} {step['rate'] or 0:>10,.1f}"
        f" {milliseconds(latency['p50']['value']):>9} {milliseconds(latency['p95']['value']):>9}"
        f" {milliseconds(latency['p99']['value']):>9} {milliseconds(step['delay_p95']):>9}"
        f" {milliseconds(step['lag_p95']):>8} {step['cpu']:>6.2f} {step['in_flight_max']:>9,}"
        f"  {'clean' if step['valid'] else 'client'}"
    )


HEAD = (
    f"{'':>8} {'sent':>8} {'failed':>6} {'answered/s':>10} {'p50 ms':>9} {'p95 ms':>9}"
    f" {'p99 ms':>9} {'delay p95':>9} {'lag p95':>8} {'CPU':>6} {'in flight':>9}"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05, help="of the server, for rates")
    parser.add_argument("--seconds", type=float, default=4, help="at each rate")
    parser.add_argument("--rates", type=int, nargs="*", default=RATES)
    parser.add_argument("--users", type=int, nargs="*", default=USERS)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    clean = 0
    with tempfile.TemporaryDirectory() as folder, server(options.latency) as port:
        root = Path(folder)
        project(root, cases=100, port=port, concurrency=1, stream=options.stream)
        print(f"open, server latency {options.latency * 1e3:.0f} ms, {options.seconds:g} s a rate")
        print(HEAD)
        for rate in options.rates:
            report = load(root, "--rate", str(rate), "--duration", f"{options.seconds:g}s")
            (step,) = report["steps"]
            print(row(f"{rate}/s", step), flush=True)
            if step["valid"]:
                clean = max(clean, rate)
    print(f"highest clean rate: {clean} a second\n")
    for users in options.users:
        # a slow answer holds its place: so many at once without more requests than needed
        latency = max(1.0, users / 1_000)
        with tempfile.TemporaryDirectory() as folder, server(latency) as port:
            root = Path(folder)
            project(root, cases=100, port=port, concurrency=1, stream=options.stream)
            over = max(2.0, users / 500)
            report = load(
                root,
                *("--ramp", str(users), "--over", f"{over:g}s", "--hold", f"{latency:g}s"),
                *("--max-requests", str(users * 6)),
            )
            print(
                f"ramp to {users:,} at once over {over:g} s, server latency {latency:g} s:"
                f" {report['sent']:,} requests in {report['wall_s']:.1f} s, exit {report['exit']}"
            )
            print(HEAD)
            for step in report["steps"][-3:]:
                print(row(f"{step['users']:,}", step), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
