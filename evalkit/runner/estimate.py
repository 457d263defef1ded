"""What a run will take, before its first call: calls, tokens and dollars, each with an interval.

Lengths of prompts come from those of the first cases, rendered; lengths of answers, and where the
prompt is the same all of it, from the answers that earlier runs stored. Without any, the length of
an answer is a guess between a few words and what the configuration allows, and is said to be one.
Intervals from stored answers hold 95 % under the assumption that the cases are alike (normal
approximation, the uncertainty of the stored mean included). Retries are not foreseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evalkit.errors import PromptError
from evalkit.model import Case, Message, Request, Usage
from evalkit.runner.budget import Ledger
from evalkit.runner.done import NOTHING_DONE, Done
from evalkit.runner.estimate_judges import judge_rows
from evalkit.runner.feed import trial_seed
from evalkit.runner.fleet import Fleet, PlannedTarget
from evalkit.runner.intervals import NONE, Interval, price_of, tokens_of
from evalkit.runner.lane import Lane
from evalkit.runner.plan import Plan
from evalkit.runner.rendering import first_call, turn_messages
from evalkit.runner.resume import Resumed
from evalkit.runner.suites import PlannedSuite

if TYPE_CHECKING:
    from evalkit.store import Store
    from evalkit.store.spending import History

_Z = 1.96
_TOKENIZER = (0.75, 1.3)
"""How far four characters a token are off, between tokenizers and kinds of text."""
_GUESSED_OUTPUT = (10, 200, 1_000)
_PER_MESSAGE = 4
_LOOKED_UP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One suite on one target; ``kept`` answers come from the cache, ``usd`` is ``None`` unpriced.

    ``basis`` says what it rests on. A ``judge`` is a target that the suite's scorers ask.
    """

    suite: str
    target: str
    calls: int
    kept: int
    input_tokens: Interval
    output_tokens: Interval
    usd: Interval | None
    basis: str
    judge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One cap beside what it holds already, and whether the run fits: yes, maybe or no."""

    name: str
    unit: str
    limit: float
    spent: float
    fits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """All rows, their sums, and what the budget says to them."""

    run_id: str | None
    calls: int
    kept: int
    tokens: Interval
    usd: Interval | None
    unpriced: tuple[str, ...]
    rows: tuple[Row, ...]
    limits: tuple[Limit, ...]
    warnings: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON values."""
        return {"kind": "estimate", "format": 1, **asdict(self)}

    def lines(self) -> list[str]:
        """The whole estimate for a person."""
        said = [self._sum()]
        said += [f"  {self._row(one)}" for one in self.rows]
        for one in self.limits:
            money = one.unit == "usd"
            limit = dollars(one.limit) if money else f"{one.limit:,.0f} tokens"
            spent = dollars(one.spent) if money else f"{one.spent:,.0f}"
            already = f", {spent} of it spent" if one.spent else ""
            said.append(f"  {one.name}: {limit}{already}{_verdict(one)}")
        return said

    def notes(self) -> list[str]:
        """What is worth saying before a run that costs something: a line, and what may stop it."""
        if self.usd is None or not self.usd.high:
            return []
        return [
            self._sum(),
            *(
                f"warning: {one.name} {'will' if one.fits == 'no' else 'may'} stop this run before"
                " its end"
                for one in self.limits
                if one.fits != "yes"
            ),
        ]

    def _sum(self) -> str:
        cost = "cost unknown"
        if self.usd is not None:
            cost = f"{between(self.usd)}"
            if self.unpriced:
                cost += f" and what {', '.join(self.unpriced)} costs, which is unknown"
        kept = f" and {self.kept:,} kept answers" if self.kept else ""
        plural = "" if self.calls == 1 else "s"
        return f"estimate: {self.calls:,} call{plural}{kept}, {_tokens(self.tokens)}, {cost}"

    def _row(self, row: Row) -> str:
        cost = "cost unknown" if row.usd is None else between(row.usd)
        return (
            f"{row.suite} \N{MULTIPLICATION SIGN} {'judge ' * row.judge}{row.target}:"
            f" {row.calls:,} call{'s' if row.calls != 1 else ''},"
            f" {_tokens(row.input_tokens)} in, {_tokens(row.output_tokens)} out, {cost}"
            f" ({row.basis})"
        )


def dollars(usd: float) -> str:
    """An amount with as many digits as it needs."""
    if usd >= 1 or not usd:
        return f"${usd:,.2f}"
    return f"${usd:.{max(2, 1 - math.floor(math.log10(usd)))}f}"


def between(usd: Interval) -> str:
    """An interval of dollars for a person."""
    low, high = dollars(usd.low), dollars(usd.high)
    return low if low == high else f"{low} to {high}"


def _tokens(tokens: Interval) -> str:
    low, high = _rounded(tokens.low), _rounded(tokens.high)
    return f"{low} tokens" if low == high else f"{low} to {high} tokens"


def _rounded(number: float) -> str:
    """Two digits are more than is known."""
    if number < 100:
        return f"{number:.0f}"
    step = 10 ** (math.floor(math.log10(number)) - 1)
    return f"{round(number / step) * step:,.0f}"


def _verdict(limit: Limit) -> str:
    return {"yes": "", "maybe": ": may stop the run", "no": ": will stop the run"}[limit.fits]


def estimate(
    plan: Plan,
    store: Store,
    *,
    resumed: Resumed | None,
    ledger: Ledger,
    warnings: Sequence[str] = (),
) -> Estimate:
    """What the plan's missing trials will take; nothing is called."""
    rows = [
        _row(plan, suite, name, store, resumed) for suite in plan.suites for name in suite.targets
    ]
    rows += _judges(plan, store, resumed)
    priced = [one for one in rows if one.usd is not None]
    usd = sum((one.usd for one in rows if one.usd is not None), NONE) if priced else None
    tokens = sum((one.input_tokens + one.output_tokens for one in rows), NONE)
    return Estimate(
        run_id=None if resumed is None else plan.run.id,
        calls=sum(one.calls for one in rows),
        kept=sum(one.kept for one in rows),
        tokens=tokens,
        usd=usd,
        unpriced=tuple(dict.fromkeys(one.target for one in rows if one.usd is None)),
        rows=tuple(rows),
        limits=tuple(
            Limit(
                name=one.name,
                unit=one.unit,
                limit=one.limit,
                spent=one.spent,
                fits=_fits(one.limit - one.spent, tokens if one.unit == "tokens" else usd),
            )
            for one in ledger.purses
            if one.whole and not one.name.startswith("budget of judges")
        ),
        warnings=tuple(warnings),
    )


def _judges(plan: Plan, store: Store, resumed: Resumed | None) -> list[Row]:
    """What scoring takes where no earlier run tells it."""
    trials: dict[str, int] = {}
    for suite in plan.suites:
        for name in suite.targets:
            past = store.history(name, suite.name)
            if past is None or not past.scoring_usd:
                left = suite.planned
                if resumed is not None:
                    left -= len(resumed.done.get((suite.name, name), ()))
                    left += resumed.unjudged(suite.name, name)
                trials[suite.name] = trials.get(suite.name, 0) + left
    return [
        Row(
            suite=suite,
            target=name,
            calls=calls,
            kept=0,
            input_tokens=sent,
            output_tokens=said,
            usd=usd,
            basis="as often as scorers ask; lengths guessed",
            judge=True,
        )
        for suite, name, calls, sent, said, usd in judge_rows(plan, trials)
    ]


def worth_estimating(plan: Plan) -> bool:
    """Whether anything is asked that has a price above nothing."""
    one = Usage(input_tokens=1_000, output_tokens=1_000)
    lanes = (*plan.fleet.lanes.values(), *plan.judging.lanes.values())
    prices = [lane.price for lane in lanes if lane.price is not None]
    return any(price.cost(one) for price in prices)


def _fits(left: float, needed: Interval | None) -> str:
    if needed is None or needed.high <= left:
        return "yes"
    return "maybe" if needed.low <= left else "no"


def _row(plan: Plan, suite: PlannedSuite, name: str, store: Store, resumed: Resumed | None) -> Row:
    fleet = plan.fleet
    done, unjudged = NOTHING_DONE, 0
    if resumed is not None:
        done = resumed.done.get((suite.name, name), NOTHING_DONE)
        unjudged = resumed.unjudged(suite.name, name)
    trials = suite.planned - len(done)
    share = _kept_share(plan, suite, fleet.lanes[name], done)
    turns = suite.turns
    kept = round(trials * share)
    asked = trials - kept
    calls = round(asked * turns)
    past = store.history(name, suite.name)
    target = fleet.targets[name]
    same = past is not None and past.prompt_version == target.version.prompt_version
    if past is not None and same and (past.cost_usd is not None or not target.children):
        sent = _total(asked, past.input_tokens or 0.0, past.input_deviation, past.answers)
        said = _total(asked, past.output_tokens, past.output_deviation, past.answers)
        price = fleet.lanes[name].price
        if price is not None:
            # today's price on the tokens of then
            usd = price_of(price, calls, sent, said)
        elif past.cost_usd is not None:
            usd = _total(asked, past.cost_usd, past.cost_deviation, past.answers)
        else:
            usd = None
        basis = f"as {past.answers:,} stored answers"
    else:
        legs = list(_legs(fleet, name))
        sent, said = NONE, NONE
        usd = None if any(fleet.lanes[leg].price is None for leg, _ in legs) else NONE
        for leg, likely in legs:
            lane = fleet.lanes[leg]
            one_sent = _prompts(suite, lane, fleet.targets[leg], asked)
            # what earlier runs took is known by the trial, what is guessed is guessed by the call
            one_said = _answers(fleet.targets[leg], past, calls if past is None else asked)
            if not likely:
                one_sent = Interval(0.0, 0.0, one_sent.high)
                one_said = Interval(0.0, 0.0, one_said.high)
            sent, said = sent + one_sent, said + one_said
            if usd is not None and lane.price is not None:
                cost = price_of(lane.price, calls, one_sent, one_said)
                usd = None if cost is None else usd + cost
        rendered = len(suite.survey.first)
        basis = f"{rendered:,} prompt{'s' if rendered != 1 else ''} rendered, "
        basis += (
            "length of answers guessed"
            if past is None
            else f"answers as long as {past.answers:,} stored ones"
        )
    if usd is not None and past is not None and past.scoring_usd:
        usd += Interval(past.scoring_usd, past.scoring_usd, past.scoring_usd).scaled(
            trials + unjudged
        )
    return Row(
        suite=suite.name,
        target=name,
        calls=calls,
        kept=round(kept * turns),
        input_tokens=sent,
        output_tokens=said,
        usd=usd,
        basis=basis,
    )


def _total(count: int, mean: float, deviation: float, seen: int) -> Interval:
    """The sum over so many more of what was seen so often with that mean and deviation."""
    spread = _Z * deviation * math.sqrt(count + count * count / max(1, seen))
    return Interval(max(0.0, count * mean - spread), count * mean, count * mean + spread)


def _legs(fleet: Fleet, name: str, *, likely: bool = True) -> Iterator[tuple[str, bool]]:
    """The targets that are asked in the end, and whether each is asked as a rule."""
    children = fleet.targets[name].children
    if not children:
        yield name, likely
        return
    for place, child in enumerate(children):
        yield from _legs(fleet, child, likely=likely and place == 0)


def _prompts(suite: PlannedSuite, lane: Lane, target: PlannedTarget, asked: int) -> Interval:
    counts = [
        tokens + target.bound.overhead / 4 * max(1, len(case.turns))
        for case in suite.survey.first
        if (tokens := _sent(lane, case)) is not None
    ]
    if not counts or (target.version.model is None and lane.price is None):
        return NONE
    mean = math.fsum(counts) / len(counts)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in counts) / max(1, len(counts) - 1))
    seen = len(counts)
    known = suite.survey.whole and suite.survey.mine == suite.survey.total
    total = _total(asked, mean, 0.0 if known else deviation, seen)
    low, high = _TOKENIZER
    return Interval(total.low * low, total.likely, total.high * high)


def _sent(lane: Lane, case: Case) -> float | None:
    """Tokens sent for one trial; in a conversation every call repeats what was said before it."""
    if not case.turns:
        messages = _rendered(lane, case)
        return None if messages is None else _guess(messages)
    try:
        head, turns = turn_messages(lane.render, case)
    except PromptError:
        return None
    said, total = _guess(head), 0.0
    for one in turns:
        said += _guess([one])
        total += said
        said += _GUESSED_OUTPUT[1]
    return total


def _rendered(lane: Lane, case: Case) -> tuple[Message, ...] | None:
    if lane.render is None and not case.turns:
        text = " ".join(str(one) for one in (*case.inputs.values(), *case.context))
        return (Message(role="user", content=text),)
    try:
        return first_call(lane.render, case)[0]
    except PromptError:
        # the trial will fail without a call
        return None


def _guess(messages: Sequence[Message]) -> float:
    """About four characters a token; characters beyond ASCII are a token each."""
    total = 0.0
    for one in messages:
        total += tokens_of(one.content) + _PER_MESSAGE
    return total


def _answers(target: PlannedTarget, past: History | None, asked: int) -> Interval:
    if past is not None:
        return _total(asked, past.output_tokens, past.output_deviation, past.answers)
    if target.free and target.version.model is None:
        return NONE
    most = target.bound.output_tokens
    low, likely, high = _GUESSED_OUTPUT
    if most is not None:
        low, likely, high = min(low, most), min(likely, most), most
    return Interval(low, likely, high).scaled(asked)


def _kept_share(plan: Plan, suite: PlannedSuite, lane: Lane, done: Done) -> float:
    """The share of trials whose answers are in the cache, as among the first cases."""
    if lane.cache is None:
        return 0.0
    looked = found = 0
    for case in suite.survey.first:
        for index in range(suite.trials):
            if looked >= _LOOKED_UP or (case.id, index) in done:
                continue
            plain = lane.render is None and not case.turns
            messages = () if plain else _rendered(lane, case)
            if messages is None:
                continue
            looked += 1
            request = Request(
                case=case,
                messages=messages,
                trial=index,
                seed=trial_seed(plan.run.seed, case.id, index),
            )
            found += lane.cache.has(lane.cache.key(request))
    return found / looked if looked else 0.0
