"""How many finished trials a second of CPU reach the journal, and from there DuckDB.

python benchmarks/bench_ingest.py [--trials 100000] [--scores 1 5] [--into 1000000]

The trials of one run, in batches of 512 as the engine hands them over, through the recorder's own
steps: columns, the journal's blocks, sealed segments, the store. One process and one thread, since
a run does nothing else with them. ``--into`` fills the store with so many trials first, which are
not counted: a long run must not slow down.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from evalkit.model import (
    Case,
    Message,
    Output,
    Run,
    RunStatus,
    Score,
    ScoreRecord,
    ScoreStatus,
    Trial,
    TrialStatus,
    Usage,
)
from evalkit.runner.recorder import SEAL_AFTER
from evalkit.store import Journal, Store

BATCH = 512
BAR = 100_000
WORDS = ("the refund window is 14 days from delivery unless the parcel was opened " * 3).split()


def trials(run_id: str, first: int, count: int, scores: int) -> Iterator[Trial]:
    now = datetime.now(UTC)
    for number in range(first, first + count):
        text = f"Ticket {number}: how long may I return a parcel after delivery?"
        case = Case.of({"question": text}, expected=f"Parcel {number}: 14 days.", row=number + 1)
        yield Trial(
            run_id=run_id,
            suite="bench",
            target="model",
            case=case,
            index=0,
            status=TrialStatus.OK,
            started_at=now,
            request_hash=case.id,
            messages=(Message(role="user", content=text),),
            seed=number,
            output=Output(
                text=" ".join(WORDS[: 15 + number % 10]),
                finish_reason="stop",
                model="bench-1",
                usage=Usage(input_tokens=120, output_tokens=20),
                latency_s=0.05 + number % 97 / 1e4,
            ),
            attempts=1,
            queue_s=0.0,
            total_s=0.05,
            scores=tuple(
                ScoreRecord(
                    name=f"score_{one}",
                    signature=f"v1:{one}",
                    status=ScoreStatus.SCORED,
                    score=Score(value=(number * 7 + one) % 1000 / 1000),
                    elapsed_s=1e-5,
                )
                for one in range(scores)
            ),
        )


class Timed:
    """CPU seconds of the process by what it did."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.spent[name] = self.spent.get(name, 0.0) + now - self._last
        self._last = now


def filled(store: Store, run_id: str, first: int, count: int, scores: int, timed: Timed) -> None:
    journal = Journal(store.journal_directory, run_id)
    for start in range(first, first + count, SEAL_AFTER):
        made = list(trials(run_id, start, min(SEAL_AFTER, first + count - start), scores))
        timed.lap("making them, not counted")
        for at in range(0, len(made), BATCH):
            journal.append(made[at : at + BATCH])
            journal.flush()
        segment = journal.seal()
        timed.lap("journal")
        assert segment is not None
        store.ingest(segment, fresh=True)
        timed.lap("store")
    journal.close()


def measured(count: int, scores: int, into: int) -> Timed:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "evalkit.duckdb")
        run_id = "20260101-000000-bench"
        store.create_run(
            Run(
                id=run_id,
                project="bench",
                started_at=datetime.now(UTC),
                status=RunStatus.RUNNING,
                planned=count + into,
                suites=("bench",),
                suite_hashes={"bench": "0"},
                targets=(),
                prompts=(),
                datasets=(),
                scorers=(),
                slices=(),
                seed=1,
                settings={},
                evalkit_version="0",
            )
        )
        filled(store, run_id, count, into, scores, Timed())
        timed = Timed()
        filled(store, run_id, 0, count, scores, timed)
        return timed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--scores", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--into", type=int, default=0)
    options = parser.parse_args()
    measured(SEAL_AFTER, 1, 0)  # what is imported and warmed up is not counted
    missed = []
    print(f"{options.trials:,} trials into a store with {options.into:,}; thousands a CPU-second")
    print("| scores a trial | trial to journal | journal to DuckDB | score rows to DuckDB |")
    print("|--:|--:|--:|--:|")
    for scores in options.scores:
        spent = measured(options.trials, scores, options.into).spent
        journal, store = (options.trials / spent[name] / 1e3 for name in ("journal", "store"))
        print(f"| {scores} | {journal:.0f} | {store:.0f} | {store * scores:.0f} |", flush=True)
        if store * 1e3 < BAR:
            missed.append(f"{store:.0f} thousand trials with {scores} scores")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\npeak {peak:.0f} MB; bar: {BAR:,} trials a CPU-second from journal to DuckDB;", end=" "
    )
    print(f"missed: {', '.join(missed)}" if missed else "held")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
