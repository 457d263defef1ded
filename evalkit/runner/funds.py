"""What a run may spend: the purses of its configuration and flags, and who is paid from which."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from evalkit.config.spec import Cap
from evalkit.errors import BudgetStop, ConfigError
from evalkit.model import Usage
from evalkit.runner.budget import Ledger, Purse
from evalkit.runner.done import Done, is_in
from evalkit.runner.fleet import Fleet, PlannedTarget
from evalkit.runner.flight import SUFFIX, outstanding_usd
from evalkit.runner.judges import fund_judges
from evalkit.runner.plan import Plan, RunOptions

if TYPE_CHECKING:
    from evalkit.store import Store
    from evalkit.store.spending import Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was spent before this start: by the run itself, and by all other runs of the month."""

    usd: float = 0.0
    tokens: int = 0
    targets: Mapping[str, tuple[float, int]]
    judges_usd: float = 0.0
    month_usd: float = 0.0


def fund(
    plan: Plan, options: RunOptions, store: Store, *, resumed: bool = False
) -> tuple[Ledger, tuple[str, ...]]:
    """Give every lane of the plan its account; returns the ledger, and what to warn of.

    What a resumed run spent before counts. Raises ``ConfigError`` for a money cap on a target whose
    calls have no price, and ``BudgetStop`` when a budget of the whole run is spent already.
    """
    budget = plan.project.budget
    before = _before(plan, store, resumed=resumed)
    whole = Cap(
        max_usd=budget.whole.max_usd if options.max_usd is None else options.max_usd,
        max_tokens=budget.whole.max_tokens if options.max_tokens is None else options.max_tokens,
    )
    flag_usd = "--max-usd" if options.max_usd is not None else "max_usd"
    flag_tokens = "--max-tokens" if options.max_tokens is not None else "max_tokens"
    purses = [
        *_purses(whole, (flag_usd, flag_tokens), before.usd, before.tokens, flags=True),
    ]
    if budget.monthly_usd is not None:
        purses.append(
            Purse(
                name="monthly_usd",
                unit="usd",
                limit=budget.monthly_usd,
                spent=before.month_usd,
                raised_by="a larger 'monthly_usd' under 'budget:' in evalkit.yaml",
            )
        )
    judges = _purses(
        budget.judges,
        ("budget of judges: max_usd", "budget of judges: max_tokens"),
        before.judges_usd,
        0,
        whole=False,
    )
    own = {
        name: _purses(
            cap,
            (f"budget of {name!r}: max_usd", f"budget of {name!r}: max_tokens"),
            *before.targets.get(name, (0.0, 0)),
            whole=False,
        )
        for name, cap in budget.targets.items()
        if name in plan.fleet.lanes or name in plan.judging.lanes
    }
    warnings: list[str] = []
    everyone = [(plan.fleet, name, one, False) for name, one in plan.fleet.targets.items()]
    everyone += [(plan.judging, name, one, True) for name, one in plan.judging.targets.items()]
    for fleet, name, target, judge in everyone:
        mine = own.get(name, [])
        if target.children and mine:
            raise ConfigError(
                f"target {name!r} is a route: it spends nothing itself",
                where=budget.where(f"targets.{name}"),
                hint=f"cap the targets that it asks: {', '.join(target.children)}",
            )
        paid = [*purses, *mine, *(judges if judge else ())]
        _refuse_unpriced(fleet, name, target, paid)
        if paid and not target.free and target.bound.output_tokens is None:
            warnings.append(
                f"target {name!r}: nothing bounds the length of its answers, so"
                f" {target.bound.answered:,} tokens are reserved for each; set"
                " max_completion_tokens to keep the budget exactly"
            )
    ledger = Ledger([*purses, *(purse for mine in own.values() for purse in mine)], judges=judges)
    _refuse_spent(ledger, plan.run.id if resumed else None)
    for fleet, name, target, judge in everyone:
        if not target.children:
            lane = fleet.lanes[name]
            lane.account = ledger.account(
                own=own.get(name, ()),
                price=lane.price,
                bound=target.bound,
                judge=judge,
                free=target.free,
            )
    fund_judges(plan.judges, ledger)
    return ledger, tuple(warnings)


def _before(plan: Plan, store: Store, *, resumed: bool) -> Before:
    month = 0.0
    if plan.project.budget.monthly_usd is not None:
        begun = month_start(datetime.now(UTC))
        month = store.spent_since(begun) + _under_way(store, begun, plan.run.id)
    if not resumed:
        return Before(targets={}, month_usd=month)
    spent: Spending = store.spending(plan.run.id)
    return Before(
        usd=spent.usd,
        tokens=spent.tokens,
        targets=spent.targets,
        judges_usd=spent.judges_usd,
        month_usd=month,
    )


def _under_way(store: Store, since: datetime, but: str) -> float:
    """What calls of other runs took, or may take, whose trials are not stored: US dollars.

    The runs go on, or were killed and may never be resumed.
    """
    usd = 0.0
    for path in store.journal_directory.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            if path.stem != but and path.stat().st_mtime >= since.timestamp():
                done = store.finished_by(path.stem, Done) if store.exists else {}
                usd += outstanding_usd(path, partial(is_in, done))
    return usd


def month_start(now: datetime) -> datetime:
    """The first instant of the calendar month, in UTC."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _purses(
    cap: Cap,
    names: tuple[str, str],
    usd: float,
    tokens: int,
    *,
    whole: bool = True,
    flags: bool = False,
) -> list[Purse]:
    found = []
    if cap.max_usd is not None:
        raised = "--max-usd" if flags else _in_file(names[0])
        found.append(
            Purse(
                name=names[0],
                unit="usd",
                limit=cap.max_usd,
                spent=usd,
                whole=whole,
                raised_by=raised,
            )
        )
    if cap.max_tokens is not None:
        raised = "--max-tokens" if flags else _in_file(names[1])
        found.append(
            Purse(
                name=names[1],
                unit="tokens",
                limit=cap.max_tokens,
                spent=tokens,
                whole=whole,
                raised_by=raised,
            )
        )
    return found


def _in_file(name: str) -> str:
    return f"a larger {name.rpartition(' ')[2]!r} in evalkit.yaml ({name.partition(':')[0]})"


def _refuse_unpriced(fleet: Fleet, name: str, target: PlannedTarget, paid: list[Purse]) -> None:
    capped = [one for one in paid if one.unit == "usd"]
    if not capped or target.free:
        return
    price = fleet.lanes[name].price
    one = Usage(input_tokens=1, output_tokens=1)
    if price is not None and price.cost(one) is not None:
        return
    model = target.version.model
    what = f"model {model!r} of target {name!r}" if model else f"target {name!r}"
    hint = f"give it under 'prices: {{{model}: ...}}'" if model else "give it as 'price:' there"
    raise ConfigError(
        f"{what} has no price, so {capped[0].name} cannot be kept",
        where=target.spec.where(),
        hint=f"{hint}, or cap tokens instead: --max-tokens",
    )


def _refuse_spent(ledger: Ledger, run_id: str | None) -> None:
    for one in ledger.purses:
        if one.whole and one.limit > 0 and one.spent >= one.limit:
            again = f"evalkit run --resume {run_id} " if run_id else ""
            more = f"{again}{one.raised()}" if one.raised_by.startswith("--") else one.raised_by
            raise BudgetStop(f"nothing is left to spend: {one.said}", hint=f"allow more: {more}")
