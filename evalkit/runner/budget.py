"""Budgets: every call reserves the most it can cost before it is made, and settles what it did.

A ``Purse`` is one cap: of the run, of one target, of scoring, of the month. A call is made when its
reservation fits into every purse it is paid from; while others are under way it waits for them to
settle, and when none is, the purse is empty and the run ends. What is spent therefore never passes
a cap by more than one call can take beyond its own reservation, however many run at once.

A reservation is an upper bound where there is one: a token is at least one byte of UTF-8, and an
answer no longer than the target's configuration allows. A length that is not configured is assumed
and follows the longest answer seen. What a call of unknown usage took is settled at its
reservation.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Literal, Protocol, TypeAlias, TypeVar

from evalkit.errors import TargetError
from evalkit.hashing import canonical
from evalkit.model import NOTHING_SPENT, Output, Provenance, Request, Spend, Usage

Unit: TypeAlias = Literal["usd", "tokens"]
Number = TypeVar("Number", int, float)

ASSUMED_OUTPUT = 4_096
"""Tokens of an answer whose length nothing bounds, until answers were seen."""
_SEEN_ENOUGH = 20
_SHORTEST_ASSUMED = 256
_PER_MESSAGE = 16
"""Tokens that a provider may add around a message."""
_ROUNDING = 1e-9


class Priced(Protocol):
    """What a call costs by its usage."""

    def cost(self, usage: Usage) -> float | None:
        """US dollars, ``None`` when something needed is unknown."""
        ...


@dataclass(slots=True, kw_only=True)
class Purse:
    """One cap. ``spent`` counts what was settled, ``held`` what calls under way have reserved.

    ``name`` says what the user wrote; ``whole`` that the run ends with it and not one target alone.
    ``raised_by`` is what to give for more, a flag with the amount after it; ``wanted`` is the
    reservation that found no room.
    """

    name: str
    unit: Unit
    limit: float
    spent: float = 0.0
    whole: bool = True
    raised_by: str = ""
    held: float = field(init=False, default=0.0)
    under_way: int = field(init=False, default=0)
    empty: bool = field(init=False, default=False)
    wanted: float = field(init=False, default=0.0)

    def fits(self, amount: float) -> bool:
        """Whether so much can still be reserved."""
        return self.spent + self.held + amount <= self.limit * (1 + _ROUNDING)

    def hold(self, amount: float) -> None:
        """Reserve an amount for one call."""
        self.held += amount
        self.under_way += 1

    def settle(self, held: float, spent: float) -> None:
        """Replace the reservation of one call by what it took."""
        self.under_way -= 1
        # no rounding error outlives the calls that made it
        self.held = self.held - held if self.under_way else 0.0
        self.spent += spent

    def shown(self, amount: float) -> str:
        """An amount in the unit of this purse."""
        if self.unit == "tokens":
            return f"{amount:,.0f} tokens"
        return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"

    @property
    def said(self) -> str:
        """How full it is, for a person."""
        limit = f"${self.limit:g}" if self.unit == "usd" else f"{self.limit:,.0f} tokens"
        if self.hopeless and self.spent <= self.limit:
            call = f"{self.wanted:,.0f} tokens"
            if self.unit == "usd":
                call = f"${_upwards(self.wanted):g}"
            return f"one call may take up to {call}, more than all of {limit} ({self.name})"
        return f"{self.shown(self.spent)} of {limit} ({self.name}) are spent"

    @property
    def hopeless(self) -> bool:
        """Whether a single call is more than the whole cap."""
        return self.wanted > self.limit

    def raised(self, calls: int = 1) -> str:
        """What to give for more: twice as much, and enough for so many calls at their dearest."""
        if not self.raised_by.startswith("--"):
            return self.raised_by
        enough = max(2 * self.limit, self.spent + max(self.limit, calls * self.wanted))
        if self.unit == "tokens":
            return f"{self.raised_by} {math.ceil(enough) or 100_000}"
        return f"{self.raised_by} {_upwards(enough) or 1:g}"


@dataclass(frozen=True, slots=True)
class Hold:
    """What one call has reserved."""

    usd: float = 0.0
    tokens: int = 0


NO_HOLD = Hold()


class Tab:
    """What a route runs up over the calls of its children."""

    __slots__ = ("spend",)

    def __init__(self) -> None:
        self.spend = NOTHING_SPENT

    def add(self, spend: Spend) -> None:
        """Add one call."""
        self.spend = added(self.spend, spend)


def added(one: Spend, other: Spend) -> Spend:
    """Two spends as one; what neither knows stays unknown."""
    return Spend(
        usd=_sum(one.usd, other.usd),
        tokens=_sum(one.tokens, other.tokens),
        assumed_usd=one.assumed_usd + other.assumed_usd,
        assumed_tokens=one.assumed_tokens + other.assumed_tokens,
        saved_usd=_sum(one.saved_usd, other.saved_usd),
    )


def _sum(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


_ROUTE: ContextVar[Tab | None] = ContextVar("evalkit_route_tab", default=None)


@contextmanager
def route_tab() -> Iterator[Tab]:
    """The tab of a route's trial: the calls its children make in the block are added to it."""
    outer, mine = _ROUTE.get(), Tab()
    token = _ROUTE.set(mine)
    try:
        yield mine
    finally:
        _ROUTE.reset(token)
        if outer is not None:
            outer.add(mine.spend)


def put_on_tab(spend: Spend) -> None:
    """Add a call to the tab of the route that it is made for, if there is one."""
    route = _ROUTE.get()
    if route is not None:
        route.add(spend)


class Ledger:
    """Every purse of a run, and what this process has spent.

    Belongs to one event loop. ``on_empty`` is told once of each purse that ran out.
    """

    def __init__(self, purses: Sequence[Purse] = (), *, judges: Sequence[Purse] = ()):
        self.purses = (*purses, *judges)
        self._judges = tuple(judges)
        self._whole = tuple(one for one in purses if one.whole)
        self.on_empty: Callable[[Purse], object] = lambda _: None
        self._waiting: set[asyncio.Future[None]] = set()
        self._usd = self._tokens = 0.0
        self._overdrawn = False
        self._judging = 0

    @property
    def empty(self) -> tuple[Purse, ...]:
        """The purses that ran out."""
        return tuple(one for one in self.purses if one.empty)

    def is_judges(self, purse: Purse) -> bool:
        """Whether a purse is for scoring alone."""
        return any(one is purse for one in self._judges)

    @property
    def ended(self) -> bool:
        """Whether nothing more may be called at all."""
        return self._overdrawn or any(one.empty and one.whole for one in self.purses)

    def account(
        self,
        *,
        own: Sequence[Purse] = (),
        price: Priced | None = None,
        bound: Bound | None = None,
        judge: bool = False,
        free: bool = False,
    ) -> Account:
        """The account of one target, which is paid from the purses of the run and its ``own``.

        With ``judge`` it is a model that scorers ask, paid from those of scoring too. A ``free``
        one calls nobody who could be paid: it reserves only in its own.
        """
        whole = () if free else self._whole
        paid = (*whole, *own, *(self._judges if judge else ()))
        return Account(self, paid, price, bound or Bound(), judge=judge)

    def try_hold(self, purses: Sequence[Purse], hold: Hold) -> Purse | None:
        """Reserve in all of these purses or in none; the first that has no room, if one has not."""
        for one in purses:
            if one.empty or not one.fits(_amount(one, hold)):
                return one
        for one in purses:
            one.hold(_amount(one, hold))
        return None

    async def hold(self, purses: Sequence[Purse], hold: Hold, *, judge: bool = False) -> bool:
        """Reserve, if need be after calls under way have settled; false when a purse is empty.

        Whoever asks a ``judge`` comes first: an answer is paid for, and without its verdict lost.
        """
        self._judging += judge
        try:
            while not self.ended:
                if judge or not self._judging:
                    short = self.try_hold(purses, hold)
                    if short is None:
                        return True
                    if short.empty:
                        return False
                    if not short.under_way:
                        short.wanted = _amount(short, hold)
                        self._run_out(short)
                        return False
                turn = asyncio.get_running_loop().create_future()
                self._waiting.add(turn)
                try:
                    await turn
                finally:
                    self._waiting.discard(turn)
            return False
        finally:
            self._judging -= judge
            if judge and not self._judging:
                self._wake()

    def settle(self, purses: Sequence[Purse], hold: Hold, spend: Spend) -> None:
        """Replace a reservation by what the call took, and let those who wait try again."""
        usd = (spend.usd or 0.0) + spend.assumed_usd
        tokens = (spend.tokens or 0) + spend.assumed_tokens
        self._usd += usd
        self._tokens += tokens
        if purses:
            for one in purses:
                one.settle(_amount(one, hold), usd if one.unit == "usd" else tokens)
            self._wake()

    def charge(self, purses: Sequence[Purse], spend: Spend) -> None:
        """Count what was spent without a reservation, by an earlier start of the run."""
        usd = (spend.usd or 0.0) + spend.assumed_usd
        tokens = (spend.tokens or 0) + spend.assumed_tokens
        self._usd += usd
        self._tokens += tokens
        for one in purses:
            one.spent += usd if one.unit == "usd" else tokens

    def scored(self, usd: float) -> None:
        """Count what scorers say that calls of their own cost, which nobody could refuse.

        An empty purse of scoring ends the run then.
        """
        for one in (*self._whole, *self._judges):
            if one.unit == "usd":
                one.spent += usd
                if one.spent >= one.limit and usd > 0 and one in self._judges:
                    self._overdrawn = True
                    self._run_out(one)

    def booked(self, spend: Spend) -> None:
        """Take off what is now recorded on a trial."""
        self._usd -= (spend.usd or 0.0) + spend.assumed_usd
        self._tokens -= (spend.tokens or 0) + spend.assumed_tokens

    @property
    def unrecorded(self) -> Spend:
        """What this process spent on calls that ended without a recorded trial."""
        usd = self._usd if self._usd > _ROUNDING else 0.0
        return Spend(usd=usd, tokens=max(0, round(self._tokens)))

    def _run_out(self, purse: Purse) -> None:
        if not purse.empty:
            purse.empty = True
            self.on_empty(purse)
            self._wake()

    def _wake(self) -> None:
        for one in self._waiting:
            if not one.done():
                one.set_result(None)


def _upwards(usd: float) -> float:
    """An amount with three digits, never less than it is."""
    if usd <= 0:
        return 0.0
    step = Decimal(1).scaleb(Decimal(repr(usd)).adjusted() - 2)
    return float(Decimal(repr(usd)).quantize(step, rounding=ROUND_CEILING))


def _amount(purse: Purse, hold: Hold) -> float:
    return hold.usd if purse.unit == "usd" else hold.tokens


@dataclass(slots=True, kw_only=True)
class Bound:
    """The most tokens a call can take.

    ``output_tokens`` is what the configuration allows an answer, ``overhead`` the bytes of the
    options that are sent along, such as tools.
    """

    output_tokens: int | None = None
    overhead: int = 0
    _longest: int = field(init=False, default=0)
    _seen: int = field(init=False, default=0)

    def of(self, request: Request) -> tuple[int, int]:
        """Tokens sent and tokens answered, at the most."""
        if request.messages:
            sent = sum(len(one.content.encode("utf-8", "replace")) for one in request.messages)
        else:
            case = request.case
            sent = len(canonical([dict(case.inputs), list(case.context)]))
        if request.schema is not None:
            sent += len(canonical(dict(request.schema)))
        return sent + self.overhead + _PER_MESSAGE * (1 + len(request.messages)), self.answered

    @property
    def answered(self) -> int:
        """Tokens of an answer, at the most or as far as can be told."""
        if self.output_tokens is not None:
            return max(self.output_tokens, self._longest)
        if self._seen < _SEEN_ENOUGH:
            return max(ASSUMED_OUTPUT, self._longest)
        return max(_SHORTEST_ASSUMED, 2 * self._longest)

    def learn(self, usage: Usage) -> None:
        """Remember the longest answer."""
        if usage.output_tokens is not None:
            self._seen += 1
            self._longest = max(self._longest, usage.output_tokens)


class Account:
    """What one target is paid from; a lane asks it around every attempt.

    Without ``purses`` nothing is reserved, and only what was spent is counted. ``judge`` says that
    scorers ask.
    """

    def __init__(
        self,
        ledger: Ledger,
        purses: Sequence[Purse],
        price: Priced | None,
        bound: Bound,
        *,
        judge: bool = False,
    ) -> None:
        self.judge = judge
        self._ledger = ledger
        self.purses = tuple(purses)
        self._price = price
        self._bound = bound

    async def reserve(self, request: Request) -> Hold | None:
        """Reserve the most that one attempt can take; ``None`` when the budget does not allow it.

        Waits while calls under way may leave enough.
        """
        if not self.purses:
            # a judge that costs nothing saves what is answered already
            return None if self._ledger.ended and not self.judge else NO_HOLD
        hold = self._most(request)
        held = await self._ledger.hold(self.purses, hold, judge=self.judge)
        return hold if held else None

    def release(self, hold: Hold) -> None:
        """Give back the reservation of a call that was not made."""
        self._ledger.settle(self.purses, hold, Spend())

    def settled(self, hold: Hold, request: Request, came: Output | TargetError | None) -> Spend:
        """Settle an attempt by what came of it.

        What nobody tells is settled at the reservation; a failure that was turned away, and an
        answer that is not live, are free.
        """
        if isinstance(came, TargetError):
            spend = self._failed(hold, request, came)
        elif came is None:
            spend = self._told(None, None, hold, request)
        elif came.provenance is not Provenance.LIVE:
            spend = Spend(usd=0.0, tokens=0, saved_usd=came.cost_usd)
        else:
            self._bound.learn(came.usage)
            spend = self._told(came.cost_usd, came.usage.total_tokens, hold, request)
        self._ledger.settle(self.purses, hold, spend)
        put_on_tab(spend)
        return spend

    def _failed(self, hold: Hold, request: Request, error: TargetError) -> Spend:
        usage = error.usage if isinstance(error.usage, Usage) else None
        if usage is not None and usage.total_tokens is not None:
            cost = None if self._price is None else self._price.cost(usage)
            return self._told(cost, usage.total_tokens, hold, request)
        if error.unbilled:
            return Spend(usd=None if self._price is None else 0.0, tokens=0)
        return self._told(None, None, hold, request)

    def cut_off(self, hold: Hold, request: Request) -> Spend:
        """Settle an attempt that was cancelled: nobody will tell what it took."""
        return self.settled(hold, request, None)

    def asked_before(self, request: Request) -> Spend:
        """Count a call that was under way when an earlier start of the run was killed."""
        spend = self._told(None, None, NO_HOLD, request)
        self.charge(spend)
        put_on_tab(spend)
        return spend

    def charge(self, spend: Spend) -> None:
        """Count what an earlier start of the run spent, and did not record."""
        self._ledger.charge(self.purses, spend)

    def _told(self, usd: float | None, tokens: int | None, hold: Hold, request: Request) -> Spend:
        if tokens is None or (usd is None and self._price is not None):
            if hold is NO_HOLD:
                hold = self._most(request)
            return Spend(
                usd=usd,
                tokens=tokens,
                assumed_usd=hold.usd if usd is None else 0.0,
                assumed_tokens=hold.tokens if tokens is None else 0,
            )
        return Spend(usd=usd, tokens=tokens)

    def _most(self, request: Request) -> Hold:
        sent, answered = self._bound.of(request)
        if self._price is None:
            return Hold(0.0, sent + answered)
        return Hold(dearest(self._price, sent, answered) or 0.0, sent + answered)


def saved(output: Output) -> Spend:
    """The spend of an answer from the cache: nothing, and what it cost when it was made."""
    spend = Spend(usd=0.0, tokens=0, saved_usd=output.cost_usd)
    put_on_tab(spend)
    return spend


def spent_on(output: Output) -> Spend:
    """The spend of an answer to a single call that was made without an account."""
    if output.provenance is not Provenance.LIVE:
        return Spend(usd=0.0, tokens=0, saved_usd=output.cost_usd)
    return Spend(usd=output.cost_usd, tokens=output.usage.total_tokens)


def dearest(price: Priced, sent: int, answered: int) -> float | None:
    """The most that so many tokens can cost: as they are, written to a cache, or as reasoning.

    ``None`` when the price does not tell.
    """
    usages = (
        Usage(input_tokens=sent, output_tokens=answered),
        Usage(input_tokens=sent, output_tokens=answered, cache_write_tokens=sent),
        Usage(input_tokens=sent, output_tokens=answered, reasoning_tokens=answered),
        Usage(
            input_tokens=sent,
            output_tokens=answered,
            cache_write_tokens=sent,
            reasoning_tokens=answered,
        ),
    )
    costs = [cost for one in usages if (cost := price.cost(one)) is not None]
    return max(costs, default=None)
