"""Where the trials of a run are made: this process, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from evalkit.runner.budget import Ledger
from evalkit.runner.engine import Engine, ScorerTally
from evalkit.runner.flight import Flight
from evalkit.runner.plan import Plan, RunOptions
from evalkit.runner.unpaid import Unpaid


class Runs(Protocol):
    """What makes the trials of a run, wherever it does."""

    ledger: Ledger
    grace_s: float
    recorded: int
    stopped: bool
    scored: dict[tuple[str, str], ScorerTally]
    flight: Flight | None
    unpaid: Unpaid

    async def run(self) -> None:
        """Make the trials; returns when all are recorded, or those finished when it was stopped."""
        ...

    def stop(self, *, grace_s: float | None = None) -> None:
        """Start nothing new; answers under way have ``grace_s`` to arrive."""
        ...


MakeEngine = Callable[..., Runs]
"""Takes what ``Engine`` takes."""


@contextmanager
def engine_of(plan: Plan, options: RunOptions) -> Iterator[MakeEngine]:
    """What makes the engine that the flags ask for; a cluster is held while the block runs.

    Raises ``UsageError`` or ``InfrastructureError`` when there is no such cluster.
    """
    if options.engine == "local":
        yield Engine
        return
    from evalkit.runner.engines.ray_cluster import ray_engine

    with ray_engine(plan, options) as make:
        yield make
