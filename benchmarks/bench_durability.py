"""Whether anything is lost or paid twice: kills, runs together, and a storm of faults.

Whole commands against a real server that counts what it was asked. A call that was under way at a
kill may be made twice, and is marked. One whose answer the client had read may not: it had, if it
sent another request on the same connection.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.runner.durability import kill_and_resume, run_in_storm, run_together


def kills(count: int, cases: int, concurrency: int, seed: int) -> bool:
    luck, found, begun = random.Random(seed), [], time.monotonic()
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            share = luck.uniform(0.0, 0.95)
            one = kill_and_resume(Path(folder), cases=cases, concurrency=concurrency, share=share)
            found.append(one)
            good = one.resumed == 0 and one.stored == cases and one.asked_twice <= one.marked
            if not good or one.late or len(one.marked) > concurrency:
                print(f"kill {number + 1} at {share:.0%}: {one}", flush=True)
    twice = [len(one.asked_twice) for one in found]
    lost = sum(cases - one.stored for one in found)
    late = sum(len(one.late) for one in found)
    unmarked = sum(len(one.asked_twice - one.marked) for one in found)
    marked = max(len(one.marked) for one in found)
    print(
        f"kill -9        {count} runs of {cases} cases, {concurrency} at once\n"
        f"  lost in the end                     {lost}\n"
        f"  asked twice: median, most           {statistics.median(twice):g}, {max(twice)}\n"
        f"  answer read before, and asked again {late}\n"
        f"  asked twice and not marked          {unmarked}\n"
        f"  marked, at most                     {marked}\n"
        f"  seconds                             {time.monotonic() - begun:.0f}",
        flush=True,
    )
    beyond = marked > concurrency
    return not (lost or late or unmarked or beyond or any(one.resumed for one in found))


def together(runs: int, cases: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        found = run_together(Path(folder), runs=runs, cases=cases, concurrency=16)
    lost = runs * cases - found.rows
    failed = sum(one != 0 for one in found.exits)
    print(
        f"together       {runs} runs of {cases} cases into one store, evalkit sql over and over\n"
        f"  runs that failed                    {failed}\n"
        f"  rows lost                           {lost}\n"
        f"  reads, of which failed              {found.reads}, {len(found.read_errors)}\n"
        f"  seconds                             {found.wall_s:.1f}",
        flush=True,
    )
    return not (lost or failed or found.read_errors)


def storm(cases: int) -> bool:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        found = run_in_storm(Path(folder), cases=cases, concurrency=32, share=0.3, seed=1)
        calm = run_in_storm(Path(other), cases=cases, concurrency=32, share=0.0, seed=1)
    print(
        f"storm          {cases} cases, 30 % of all calls fail, 32 at once\n"
        f"  answered, given up                  {found.answered}, {found.errors}\n"
        f"  calls, of which failed              {found.asked}, {found.failed}\n"
        f"  answered and asked again            {found.answered_twice}\n"
        f"  wall, times that of a calm run      {found.wall_s / calm.wall_s:.1f}",
        flush=True,
    )
    whole = found.answered == cases and not found.answered_twice
    return whole and found.asked == found.attempts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--storm", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    good = [
        together(options.runs, options.cases),
        storm(options.storm),
        kills(options.kills, options.cases, 16, options.seed),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
