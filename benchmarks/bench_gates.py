"""How often the shipped gate errs, what it sees and what it costs, with and without early stopping.

    python benchmarks/bench_gates.py [--reps 300] [--sizes 50,200,1000] [--noise low,high]
    python benchmarks/bench_gates.py --savings [--reps 100] [--sizes 200,1000]
    python benchmarks/bench_gates.py --speed

Cases pass with probability p ~ Beta(0.86κ, 0.14κ): κ = 0.156 is a suite with little noise between
runs (3 % of cases disagree), κ = 0.5 a noisy one (8 %). The candidate is the baseline's system
again (A/A), one whose answers changed on 15 % of the cases without a change of the mean (neutral),
or one that broke some cases: a drop of the margin, of 5 points, where a PASS is false, and of twice
that. Every run is judged by the code of ``evalkit.gate``, once at its end and once at ten looks;
beside it stand "mean below the last run − 2 points" and McNemar's mid-p. Seeds are fixed.

``--savings`` has what else takes fewer calls, or more where they are needed: bets that hold at any
time, cases left out whose request did not change, and a second trial of every case where the first
decided nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from evalkit.config.spec import GateLimit, GatePolicy, GateSpec, SuiteSpec
from evalkit.gate.bench import Bench
from evalkit.gate.decide import decide
from evalkit.gate.looks import SETTING, Looked, key, turn
from evalkit.gate.result import GateResult, Status
from evalkit.gate.stored import Stored
from evalkit.model import (
    Case,
    DatasetVersion,
    Output,
    Run,
    RunStatus,
    Score,
    ScoreRecord,
    ScoreStatus,
    Trial,
    TrialStatus,
)
from evalkit.stats.paired_rates import mcnemar_midp
from evalkit.stats.sides import Side, SideScores, of_cases
from evalkit.store import Store

NOISE = {"low": 0.156, "high": 0.5}
MARGIN, ALPHA, LOOKS, LEAST = 0.05, 0.05, 10, 30
GATE = GateSpec(
    id="quality",
    metric="pass.rate",
    mode="prove",
    limits=(GateLimit(kind="max_drop", value=MARGIN),),
)
SUITE = SuiteSpec(
    name="s", path=Path("s.yaml"), datasets=(), targets=("t",), scorers=(), gates=(GATE,),
    policy=GatePolicy(alpha=ALPHA),
)  # fmt: skip
CHANGES = ("A/A", "neutral", "−margin", "−2 margins")


def side(passed: np.ndarray, run: str) -> Side:
    """``passed`` has a row a case and a column a trial."""
    cases, trials = passed.shape
    rows = cases * trials
    nothing = np.full(rows, np.nan)
    flat = passed.ravel().astype(float)
    return Side(
        suite="s", target="t", runs=(run,), cases=[f"{one:06d}" for one in range(cases)],
        inputs=[f"{one:06d}" for one in range(cases)], names=[None] * cases, tags={},
        owner=np.repeat(np.arange(cases), trials), ok=np.ones(rows, bool), live=np.ones(rows, bool),
        latency_s=nothing, ttft_s=nothing, cost_usd=nothing, input_tokens=nothing,
        output_tokens=nothing,
        scores={"m": SideScores(
            values=flat, passed=flat.astype(np.int8), unscored=np.zeros(rows, bool)
        )},
    )  # fmt: skip


def run(name: str, cases: int) -> Run:
    """A complete run of one suite."""
    data = DatasetVersion(
        suite="s", source="d", version="v", format="jsonl", cases=cases, selected=cases
    )
    return Run(
        id=name, project="p", started_at=datetime(2026, 1, 1, tzinfo=UTC),
        status=RunStatus.COMPLETE, planned=cases, suites=("s",), suite_hashes={}, targets=(),
        prompts=(), datasets=(data,), scorers=(),
    )  # fmt: skip


def judged(
    after: Side, before: Side, looked: Looked | None, same: Side | None = None
) -> GateResult:
    """What the gate says of a candidate, at a look or of the whole; ``same`` was not asked."""
    n = len(after.cases)
    settings = {} if looked is None else {SETTING: looked.to_json()}
    candidate = Stored(
        run=replace(run("new", n), settings=settings),
        sides={("s", "t"): after},
        unchanged={} if same is None else {("s", "t"): same},
    )
    baseline = Stored(run=run("old", n), sides={("s", "t"): before}, runs=before.runs)
    (result,) = Bench.of(SUITE, "t", candidate, baseline).judge(GATE)
    return result


def early(
    after: Side, before: Side, order: np.ndarray, spending: str = "rho2"
) -> tuple[Status, int]:
    """The verdict of a run that is looked at, and after how many cases."""
    n = len(order)
    ids = np.array(after.cases)[order]
    seen: list[int] = []
    known: dict[str, tuple[float, ...]] = {}
    for step in range(1, LOOKS + 1):
        end = -(-n * step // LOOKS)
        if end < LEAST and step < LOOKS:
            continue
        seen.append(end)
        looked = Looked(
            spending=spending, cases={"s": tuple(seen)}, of={"s": n},  # type: ignore[arg-type]
            ended="FAIL" if end < n else "", beyond={"s": frozenset(ids[end:].tolist())},
            information=known,
        )  # fmt: skip
        result = judged(after, before, looked)
        known[key(result)] = result.looks
        if result.status in {Status.PASS, Status.FAIL}:
            return result.status, end
    return Status.INCONCLUSIVE, n


def changed(rng: np.random.Generator, p: np.ndarray, what: str) -> np.ndarray:
    """The candidate's chances: exactly the baseline's mean over these cases, less the drop."""
    if what == "A/A":
        return p
    after = p.copy()
    drawn = rng.choice(len(p), max(2, round(0.15 * len(p))), replace=False)
    after[drawn] = rng.permutation(after[drawn])
    drop = {"neutral": 0.0, "−margin": MARGIN, "−2 margins": 2 * MARGIN}[what] * len(p)
    for one in rng.permutation(len(p)):
        taken = min(after[one], drop)
        after[one] -= taken
        drop -= taken
    return after


@dataclass
class Tally:
    """Shares of runs, and cases asked."""

    passed: int = 0
    failed: int = 0
    cases: list[int] = field(default_factory=list)

    def add(self, status: Status, cases: int) -> None:
        """Count one run."""
        self.passed += status is Status.PASS
        self.failed += status is Status.FAIL
        self.cases.append(cases)

    def said(self, reps: int) -> str:
        """Pass and block in percent, and the mean of cases."""
        return (
            f"{100 * self.passed / reps:.1f} / {100 * self.failed / reps:.1f}"
            f" · {sum(self.cases) / reps:.0f}"
        )


def simulate(noise: str, n: int, runs: int, what: str, reps: int) -> list[str]:
    """One row of the table."""
    rng = np.random.default_rng([list(NOISE).index(noise), n, runs, CHANGES.index(what)])
    fixed, looks = Tally(), Tally()
    point = mcnemar = 0
    for _ in range(reps):
        p = rng.beta(0.86 * NOISE[noise], 0.14 * NOISE[noise], n)
        old = rng.random((n, runs)) < p[:, None]
        new = rng.random((n, 1)) < changed(rng, p, what)[:, None]
        before, after = side(old, "old"), side(new, "new")
        fixed.add(judged(after, before, None).status, n)
        looks.add(*early(after, before, rng.permutation(n)))
        one, two = old[:, 0], new[:, 0]
        point += two.mean() < one.mean() - 0.02
        losses, gains = int((one & ~two).sum()), int((~one & two).sum())
        mcnemar += mcnemar_midp(losses=gains, gains=losses) <= ALPHA
    return [
        noise, str(n), str(runs), what, fixed.said(reps), looks.said(reps),
        f"{100 * point / reps:.1f}", f"{100 * mcnemar / reps:.1f}",
    ]  # fmt: skip


def extended(new: np.ndarray, before: Side) -> tuple[Status, int]:
    """The verdict of a run that has a second trial of each case where one decides nothing."""
    n = len(new)
    for added in (0, 1):
        looked = Looked(
            spending="pocock", cases={"s": (n,)}, of={"s": n},
            trials={"s": 1}, most={"s": 2}, added={"s": added},
        )  # fmt: skip
        result = judged(side(new[:, : 1 + added], "new"), before, looked)
        if result.status is not Status.INCONCLUSIVE:
            break
    return result.status, n * (1 + added)


def touched(p: np.ndarray, after: np.ndarray, new: np.ndarray, before: Side) -> tuple[Status, int]:
    """The verdict of a run that asks only the cases whose request changed."""
    asked = p != after
    ids = np.array(before.cases)
    same = of_cases(before, set(ids[~asked].tolist()))
    if not asked.any():
        mine = of_cases(side(new, "new"), ())
    else:
        mine = of_cases(side(new, "new"), set(ids[asked].tolist()))
    return judged(mine, before, None, same).status, int(asked.sum())


def savings(noise: str, n: int, runs: int, what: str, reps: int) -> list[str]:
    """One row of the table of ``--savings``."""
    rng = np.random.default_rng([list(NOISE).index(noise), n, runs, CHANGES.index(what), 7])
    fixed, anytime, skip, extend = Tally(), Tally(), Tally(), Tally()
    turns = np.argsort(np.array([turn(0, f"{one:06d}") for one in range(n)], dtype=np.uint64))
    for _ in range(reps):
        p = rng.beta(0.86 * NOISE[noise], 0.14 * NOISE[noise], n)
        before = side(rng.random((n, runs)) < p[:, None], "old")
        chances = changed(rng, p, what)
        new = rng.random((n, 2)) < chances[:, None]
        after = side(new[:, :1], "new")
        fixed.add(judged(after, before, None).status, n)
        anytime.add(*early(after, before, turns, "anytime"))
        skip.add(*touched(p, chances, new[:, :1], before))
        extend.add(*extended(new, before))
    return [
        noise, str(n), str(runs), what,
        *(one.said(reps) for one in (fixed, anytime, skip, extend)),
    ]  # fmt: skip


def speed(pairs: int = 100_000) -> None:
    """The verdict over many pairs and ten gates, in memory: three rounds, wall and CPU."""
    rng = np.random.default_rng(1)

    def full(name: str) -> Side:
        return replace(
            side(rng.random((pairs, 1)) < 0.9, name),
            tags={"lang": [("en", "es", "ar", "de")[one % 4] for one in range(pairs)]},
            latency_s=rng.lognormal(0, 0.5, pairs),
            cost_usd=rng.lognormal(-6, 1, pairs),
        )

    def gate(
        metric: str, kind: str, value: float, *, relative: bool = False, by: str = ""
    ) -> GateSpec:
        limit = GateLimit(kind=kind, value=value, relative=relative)  # type: ignore[arg-type]
        return GateSpec(
            id=f"{metric}-{kind}{by}{value}", metric=metric, limits=(limit,), by=(by,) if by else ()
        )

    gates = (
        replace(gate("pass.rate", "max_drop", 0.03), mode="prove"),
        gate("pass.rate", "min", 0.8),
        gate("error.rate", "max", 0.01),
        gate("pass.rate", "max_drop", 0.1, by="lang"),
        gate("pass.rate", "max_gap", 0.05, by="lang"),
        gate("latency.p95", "max", 9.0),
        gate("latency.p95", "max_rise", 0.1, relative=True),
        gate("cost.mean", "max_rise", 0.05, relative=True),
        gate("cost.mean", "total", 1e6),
        gate("latency.p50", "max", 5.0),
    )

    def said(what: str, wall: float, cpu: float, results: int) -> None:
        print(
            f"{what}: {pairs:,} pairs, {len(gates)} gates, {results} results:"
            f" {time.perf_counter() - wall:.2f} s wall, {time.process_time() - cpu:.2f} s CPU",
            flush=True,
        )

    old, new = full("old"), full("new")
    suites = [replace(SUITE, gates=gates)]
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        found = decide(
            suites,
            Stored(run=run("new", pairs), sides={("s", "t"): new}),
            Stored(run=run("old", pairs), sides={("s", "t"): old}),
            today=date(2026, 1, 1),
        )
        said("in memory", wall, cpu, len(found.results))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "evalkit.duckdb")
        for name, one in (("old", old), ("new", new)):
            fill(store, run(name, pairs), one)
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            new_side, old_side = store.sides("new"), store.sides("old")
            read = time.perf_counter() - wall
            found = decide(
                suites,
                Stored(run=store.load_run("new"), sides=new_side),
                Stored(run=store.load_run("old"), sides=old_side),
                today=date(2026, 1, 1),
            )
            said(f"from the store (read in {read:.2f} s)", wall, cpu, len(found.results))


def fill(store: Store, made: Run, one: Side) -> None:
    """Store a run with a trial a case, as ``one`` has them."""
    store.create_run(made)
    values, languages = one.scores["m"].values, one.tags["lang"]
    trials = [
        Trial(
            run_id=made.id, suite="s", target="t",
            case=Case.of({"question": f"What is {place}?"}, tags={"lang": languages[place] or ""}),
            index=0, status=TrialStatus.OK, started_at=made.started_at, request_hash="r",
            output=Output(
                text=f"It is {place}.", latency_s=float(one.latency_s[place]),
                cost_usd=float(one.cost_usd[place]),
            ),
            scores=(ScoreRecord(
                name="m", signature="exact_match", status=ScoreStatus.SCORED,
                score=Score(value=float(values[place]), passed=bool(values[place])),
            ),),
        )
        for place in range(len(one.cases))
    ]  # fmt: skip
    for start in range(0, len(trials), 8_000):
        store.append(trials[start : start + 8_000])
    store.finish_run(made.id, RunStatus.COMPLETE, made.started_at)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", action="store_true", help="only: 100,000 pairs and ten gates")
    parser.add_argument("--savings", action="store_true", help="only: what takes fewer calls")
    parser.add_argument("--reps", type=int, default=300)
    parser.add_argument("--sizes", default="50,200,1000")
    parser.add_argument("--noise", default=",".join(NOISE), help="low, high or both")
    given = parser.parse_args()
    if given.speed:
        speed()
        return
    columns = (
        ("at any time", "changed cases alone", "a second trial if undecided")
        if given.savings
        else ("ten looks",)
    )
    said = " | ".join(f"{one}: pass / block · calls" for one in ("at the end", *columns))
    more = "" if given.savings else " −2 pt blocks | McNemar blocks |"
    print(f"| noise | cases | stored runs | change | {said} |{more}")
    print("|---|---:|---:|---|---|" + "---|" * len(columns) + "" if given.savings else
          "|---|---:|---:|---|---|---|---:|---:|")  # fmt: skip
    row_of = savings if given.savings else simulate
    begun = time.monotonic()
    for noise in given.noise.split(","):
        for n in map(int, given.sizes.split(",")):
            for runs in (1, 5):
                for what in CHANGES:
                    row = row_of(noise, n, runs, what, given.reps)
                    print("| " + " | ".join(row) + " |", flush=True)
    print(f"{given.reps} runs a row, {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
