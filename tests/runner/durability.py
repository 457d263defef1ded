"""Runs that are killed, run together and fail, beside what their server saw."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.runner.projects import SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble
from tests.servers._server import Answer

LATENCY_S = 0.02
FAULTS = (
    Trouble.OVERLOADED,
    Trouble.SERVER_ERROR,
    Trouble.RATE_LIMIT,
    Trouble.RESET,
    Trouble.DROP,
    Trouble.TRUNCATED_JSON,
    Trouble.CUT_STREAM,
)


@dataclass(slots=True)
class Book:
    """What a server was asked and answered, case by case, and when."""

    share: float = 0.0
    seed: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: dict[str, list[float]] = field(default_factory=dict)
    carried: dict[int, list[str]] = field(default_factory=dict)
    """The cases that each connection carried, in order."""
    failed: int = 0
    _luck: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._luck = random.Random(self.seed)

    def __call__(self, seen: Seen) -> Answer:
        case = "case-" + seen.text.split("What is ")[1].split(" ")[0]
        self.asked[case] += 1
        self.carried.setdefault(seen.connection, []).append(case)
        if self._luck.random() < self.share:
            self.failed += 1
            return Fault(trouble=self._luck.choice(FAULTS))
        self.answered.setdefault(case, []).append(time.monotonic() + LATENCY_S)
        return Reply(first_s=LATENCY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """One run that was killed once and resumed."""

    kept: int
    stored: int
    asked_twice: frozenset[str]
    marked: frozenset[str]
    late: frozenset[str]
    """Asked again although the client had read the answer: it used the connection again."""
    resumed: int


def kill_and_resume(folder: Path, *, cases: int, concurrency: int, share: float) -> Killed:
    """Kill ``evalkit run`` when the server has seen that share of the cases, then resume it."""
    small, book = SmallProject(folder), Book()
    with ModelServer(book) as server:
        limits = {"concurrency": concurrency}
        small.write({"t": wire(server.openai, limits=limits)}, rows(cases))
        with small.start("--no-progress") as process:
            while len(server.seen) < share * cases and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
        # what it had sent is still to be read
        time.sleep(0.05)
        before = set(book.asked)
        heard = {case for carried in book.carried.values() for case in carried[:-1]}
        with small.start("--resume", "latest", "--no-progress") as process:
            process.communicate(timeout=120)
            resumed = process.returncode
    twice = frozenset(case for case, times in book.asked.items() if times > 1)
    marked = small.sql("SELECT case_name FROM trials WHERE after_kill")
    (row,) = small.sql("SELECT count(*) AS n FROM trials WHERE status = 'ok'")
    return Killed(
        kept=len(before) - len(twice),
        stored=row["n"],
        asked_twice=twice,
        marked=frozenset(one["case_name"] for one in marked),
        late=twice & heard,
        resumed=resumed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Runs into one store at the same time, while it was read."""

    exits: tuple[int, ...]
    said: str
    rows: int
    runs: int
    reads: int
    read_errors: tuple[str, ...]
    wall_s: float


def run_together(folder: Path, *, runs: int, cases: int, concurrency: int) -> Together:
    """Start so many ``evalkit run`` at once, and read the store over and over meanwhile."""
    small = SmallProject(folder)
    reads, errors, done = 0, [], threading.Event()

    def read() -> None:
        nonlocal reads
        command = [sys.executable, "-m", "evalkit", "sql", "select count(*) from trials", "--csv"]
        while not done.is_set():
            asked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            reads += 1
            if asked.returncode:
                errors.append(asked.stderr.strip())

    with ModelServer(Reply(first_s=LATENCY_S)) as server:
        limits = {"concurrency": concurrency}
        small.write({"t": wire(server.openai, limits=limits)}, rows(cases))
        small.store.prepare()
        begun = time.monotonic()
        reader = threading.Thread(target=read)
        reader.start()
        with ExitStack() as stack:
            started = [stack.enter_context(small.start("-q")) for _ in range(runs)]
            said = [one.communicate(timeout=300)[1] for one in started]
        took = time.monotonic() - begun
        done.set()
        reader.join()
    (row,) = small.sql("SELECT count(*) AS n, count(DISTINCT run_id) AS runs FROM trials")
    return Together(
        exits=tuple(one.returncode for one in started),
        said="".join(said),
        rows=row["n"],
        runs=row["runs"],
        reads=reads,
        read_errors=tuple(errors),
        wall_s=took,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """A run against a server that fails often."""

    answered: int
    errors: int
    asked: int
    failed: int
    answered_twice: int
    attempts: int
    wall_s: float


def run_in_storm(folder: Path, *, cases: int, concurrency: int, share: float, seed: int) -> Storm:
    """Run against a server of whose answers that share are faults."""
    small, book = SmallProject(folder), Book(share=share, seed=seed)
    with ModelServer(book) as server:
        limits = {"concurrency": concurrency, "max_retries": 12}
        small.write({"t": wire(server.openai, limits=limits)}, rows(cases))
        outcome = small.run()
        asked = len(server.seen)
    (row,) = small.sql("SELECT sum(attempts)::INT AS n FROM trials")
    return Storm(
        answered=outcome.answered,
        errors=outcome.errors,
        asked=asked,
        failed=book.failed,
        answered_twice=sum(len(times) > 1 for times in book.answered.values()),
        attempts=row["n"],
        wall_s=outcome.elapsed_s,
    )
