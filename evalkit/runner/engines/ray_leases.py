"""One budget and one rate limit for a whole cluster: an actor that hands out leases.

Every call of every worker reserves its money and tokens here before it is made and waits here for
its turn, so a cap and a limit hold for all workers together exactly as for one process. Slots are
shared out when a worker starts. A worker that dies leaves its reservations behind; they are settled
at their full amount, for a call under way may be billed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.config.spec import Limits
from evalkit.model import NOTHING_SPENT, Spend
from evalkit.runner.budget import Hold, Ledger, Purse, added
from evalkit.runner.limits import Limiter

Owner = tuple[int, int]
"""A worker's place in the cluster, and how many died in that place before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurseState:
    """A purse as it crosses processes; ``judge`` marks one that scoring alone pays from."""

    name: str
    unit: Any
    limit: float
    spent: float
    whole: bool
    judge: bool
    empty: bool = False
    wanted: float = 0.0

    def purse(self) -> Purse:
        """A purse like it, from which nothing is held."""
        purse = Purse(
            name=self.name, unit=self.unit, limit=self.limit, spent=self.spent, whole=self.whole
        )
        purse.empty, purse.wanted = self.empty, self.wanted
        return purse


def purse_states(ledger: Ledger) -> list[PurseState]:
    """The purses of a ledger, in order."""
    return [
        PurseState(
            name=one.name,
            unit=one.unit,
            limit=one.limit,
            spent=one.spent,
            whole=one.whole,
            judge=ledger.is_judges(one),
            empty=one.empty,
            wanted=one.wanted,
        )
        for one in ledger.purses
    ]


def ledger_like(states: Sequence[PurseState], kind: type[Ledger] = Ledger) -> Ledger:
    """A ledger with such purses."""
    purses = [(one.purse(), one.judge) for one in states]
    return kind(
        [one for one, judge in purses if not judge], judges=[one for one, judge in purses if judge]
    )


class Leases:
    """The actor: holds the ledger and the limiters. Its methods run in one event loop."""

    def __init__(self, purses: Sequence[PurseState], limits: Mapping[str, Limits]):
        self._ledger = ledger_like(purses)
        self._limits = limits
        self._limiters: dict[str, Limiter] = {}
        self._held: dict[Owner, Counter[tuple[tuple[int, ...], Hold]]] = {}
        self._workers: dict[Owner, Any] = {}
        self._lost = NOTHING_SPENT

    async def join(self, owner: Owner, worker: Any) -> None:
        """Remember a worker, so that it hears of pauses."""
        self._workers[owner] = worker

    async def hold(
        self, owner: Owner, purses: tuple[int, ...], hold: Hold, judge: bool
    ) -> tuple[bool, tuple[int, ...]]:
        """Reserve for one call; whether it may be made, and which purses are empty."""
        mine = [self._ledger.purses[one] for one in purses]
        held = await self._ledger.hold(mine, hold, judge=judge)
        if held:
            self._held.setdefault(owner, Counter())[purses, hold] += 1
        empty = tuple(n for n, one in enumerate(self._ledger.purses) if one.empty)
        return held, empty

    async def settle(self, owner: Owner, purses: tuple[int, ...], hold: Hold, spend: Spend) -> None:
        """Replace the reservation of one call by what it took."""
        mine = self._held.get(owner)
        if mine is None or not mine[purses, hold]:
            # the worker was given up before its word came: its reservations are settled
            return
        mine[purses, hold] -= 1
        self._ledger.settle([self._ledger.purses[one] for one in purses], hold, spend)

    async def scored(self, usd: float) -> None:
        """Count what scoring cost."""
        self._ledger.scored(usd)

    async def forget(self, owner: Owner) -> None:
        """Settle what a dead worker had reserved, as if all of it had been billed."""
        self._workers.pop(owner, None)
        for (purses, hold), count in self._held.pop(owner, Counter()).items():
            for _ in range(count):
                spend = Spend(assumed_usd=hold.usd, assumed_tokens=hold.tokens)
                self._ledger.settle([self._ledger.purses[one] for one in purses], hold, spend)
                self._lost = added(self._lost, spend)

    async def state(self) -> tuple[list[PurseState], Spend]:
        """Every purse, and what dead workers may have spent."""
        return purse_states(self._ledger), self._lost

    async def take(self, target: str, tokens: float) -> None:
        """Wait for the turn of one request."""
        await self._limiter(target).take(tokens)

    async def correct(self, target: str, reserved: float, actual: int) -> None:
        """Replace the estimate of a call by the tokens it took."""
        self._limiter(target).settle(reserved, actual)

    async def pause(self, owner: Owner, target: str, seconds: float) -> None:
        """Let no worker start a call for a while: a server told one of them when to come back."""
        self._limiter(target).hold(seconds)
        for other, worker in self._workers.items():
            if other != owner:
                worker.pause.remote(target, seconds)

    def _limiter(self, target: str) -> Limiter:
        if target not in self._limiters:
            self._limiters[target] = Limiter(self._limits[target])
        return self._limiters[target]


class LeasedLedger(Ledger):
    """The cluster's ledger as a worker sees it; ``lease`` once, before it is used."""

    _leases: Any
    _owner: Owner

    def lease(self, leases: Any, owner: Owner) -> None:
        """Ask this actor from now on."""
        self._leases, self._owner = leases, owner

    async def hold(self, purses: Sequence[Purse], hold: Hold, *, judge: bool = False) -> bool:
        """Reserve with the cluster; false when a purse is empty."""
        if self.ended:
            return False
        places = self._places(purses)
        asked = asyncio.ensure_future(self._ask(places, hold, judge))
        try:
            held, empty = await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda task: self._give_back(task, places, hold))
            raise
        for one in empty:
            self.purses[one].empty = True
        return held

    async def _ask(
        self, places: tuple[int, ...], hold: Hold, judge: bool
    ) -> tuple[bool, tuple[int, ...]]:
        held, empty = await self._leases.hold.remote(self._owner, places, hold, judge)
        return bool(held), tuple(empty)

    def _give_back(
        self, asked: asyncio.Future[tuple[bool, tuple[int, ...]]], places: Any, hold: Hold
    ) -> None:
        """Release what came after nobody waited for it any more: others wait for it."""
        if not asked.cancelled() and asked.exception() is None and asked.result()[0]:
            self._leases.settle.remote(self._owner, places, hold, NOTHING_SPENT)

    def settle(self, purses: Sequence[Purse], hold: Hold, spend: Spend) -> None:
        """Tell the cluster what a call took."""
        super().settle((), hold, spend)
        if purses:
            self._leases.settle.remote(self._owner, self._places(purses), hold, spend)

    def scored(self, usd: float) -> None:
        """Tell the cluster what scoring cost."""
        self._leases.scored.remote(usd)

    def _places(self, purses: Sequence[Purse]) -> tuple[int, ...]:
        return tuple(n for n, one in enumerate(self.purses) if any(one is mine for mine in purses))


class LeasedLimiter(Limiter):
    """The cluster's limits of one target as a worker sees them."""

    def __init__(self, limits: Limits, leases: Any, owner: Owner, target: str):
        super().__init__(limits)
        self._leases, self._owner, self._target = leases, owner, target
        self._limited = limits.requests_per_minute is not None or self.counts_tokens

    async def take(self, tokens: float = 0.0) -> None:
        """Wait for the turn of one request in the cluster, and for a pause to end."""
        while (left := self._held_until - self._clock()) > 0:
            await self._sleep(left)
        if self._limited:
            await self._leases.take.remote(self._target, tokens)

    def settle(self, reserved: float, actual: int | None) -> None:
        """Tell the cluster the tokens a call really took."""
        if self.counts_tokens and actual is not None:
            self._leases.correct.remote(self._target, reserved, actual)

    def hold(self, seconds: float) -> None:
        """Start nothing for a while, and tell the others."""
        self.paused(seconds)
        self._leases.pause.remote(self._owner, self._target, seconds)

    def paused(self, seconds: float) -> None:
        """Start nothing for a while: another worker was told when to come back."""
        super().hold(seconds)


async def soon(ready: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for long."""
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError:
        pass
