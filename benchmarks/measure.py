"""Whole processes, measured by the operating system: wall, CPU and peak memory."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Wall and CPU seconds, peak resident memory in MB, exit code."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int


def installed() -> dict[str, str]:
    """The environment of a user: an installed package is compiled once, not in every process."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # compiled files of the checkout go to a place of their own
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "evalkit-bench-pycache"),
    }


def process(command: Sequence[str], **options) -> Figures:
    """Run one command to its end, its output thrown away."""
    options = {"env": installed(), **options}
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **options,
    )
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {child.returncode}\n{said.decode()}")
    return Figures(
        wall_s=time.perf_counter() - started,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        exit_code=child.returncode,
    )


def interleaved(
    commands: dict[str, Sequence[str]], *, rounds: int, warm: bool = True
) -> dict[str, list[Figures]]:
    """Run every command once a round, in turn, after one round to get warm that is not counted."""
    found: dict[str, list[Figures]] = {name: [] for name in commands}
    for turn in range(rounds + warm):
        for name, command in commands.items():
            figures = process(command)
            if turn >= warm:
                found[name].append(figures)
    return found


def median_ratio(ours: list[Figures], theirs: list[Figures], field: str) -> float:
    """The median over rounds of ours ÷ theirs, pair by pair."""
    return statistics.median(
        getattr(one, field) / getattr(other, field) for one, other in zip(ours, theirs, strict=True)
    )


def median(figures: list[Figures], field: str) -> float:
    """The median of one figure."""
    return statistics.median(getattr(one, field) for one in figures)
