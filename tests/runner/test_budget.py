"""The ledger under any interleaving, and what a call is reserved at."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.config.spec import Price
from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Case, Message, Output, Provenance, Request, Spend, Usage
from evalkit.runner.budget import ASSUMED_OUTPUT, Bound, Hold, Ledger, Purse, dearest
from evalkit.targets._prices import price_for

amounts = st.integers(0, 50)
calls = st.lists(
    st.tuples(amounts, amounts, st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40
)


def purse(limit: float, **more: object) -> Purse:
    return Purse(name="cap", unit="usd", limit=limit, **more)  # type: ignore[arg-type]


async def spend_all(
    ledger: Ledger,
    purses: list[Purse],
    planned: list[tuple[int, int, int, int]],
    *,
    workers: int,
    honest: bool,
) -> list[tuple[int, float]]:
    """Workers that reserve, wait, and settle; returns reservation and spending of each call."""
    queue = list(reversed(planned))
    made: list[tuple[int, float]] = []

    async def work() -> None:
        while queue:
            reserved, spent, before, meanwhile = queue.pop()
            for _ in range(before):
                await asyncio.sleep(0)
            hold = Hold(reserved, 0)
            if not await ledger.hold(purses, hold):
                return
            for _ in range(meanwhile):
                await asyncio.sleep(0)
            took = float(min(reserved, spent) if honest else spent)
            made.append((reserved, took))
            ledger.settle(purses, hold, Spend(usd=took))

    async with asyncio.timeout(5):
        await asyncio.gather(*(work() for _ in range(workers)))
    return made


@given(planned=calls, limit=st.integers(0, 200), workers=st.integers(1, 8))
@settings(max_examples=300)
def test_a_purse_is_never_overdrawn_by_calls_that_keep_to_their_reservation(
    planned: list[tuple[int, int, int, int]], limit: int, workers: int
) -> None:
    cap = purse(limit)
    ledger = Ledger([cap])
    made = asyncio.run(spend_all(ledger, [cap], planned, workers=workers, honest=True))
    assert cap.spent == sum(took for _, took in made) <= limit
    assert (cap.held, cap.under_way) == (0.0, 0), "nothing stays reserved"
    if not cap.empty:
        assert len(made) == len(planned), "nothing is refused while there is room"
    else:
        # what ended the run is a call that really did not fit
        assert any(cap.spent + reserved > limit for reserved, *_ in planned)


@given(planned=calls, limit=st.integers(0, 200), workers=st.integers(1, 8))
@settings(max_examples=300)
def test_a_purse_is_overdrawn_by_no_more_than_calls_exceed_their_reservation(
    planned: list[tuple[int, int, int, int]], limit: int, workers: int
) -> None:
    cap = purse(limit)
    made = asyncio.run(spend_all(Ledger([cap]), [cap], planned, workers=workers, honest=False))
    beyond = sorted((max(0.0, took - reserved) for reserved, took in made), reverse=True)
    # only calls under way together can exceed together
    assert cap.spent <= limit + math.fsum(beyond[:workers])


@given(planned=calls, limit=st.integers(0, 200), own=st.integers(0, 100), workers=st.integers(2, 8))
def test_no_purse_of_several_is_overdrawn(
    planned: list[tuple[int, int, int, int]], limit: int, own: int, workers: int
) -> None:
    whole, mine = purse(limit), purse(own, whole=False)
    ledger = Ledger([whole, mine])

    async def both() -> None:
        half = len(planned) // 2
        await asyncio.gather(
            spend_all(ledger, [whole, mine], planned[:half], workers=workers, honest=True),
            spend_all(ledger, [whole], planned[half:], workers=workers, honest=True),
        )

    asyncio.run(both())
    assert whole.spent <= limit
    assert mine.spent <= own
    assert (whole.held, mine.held) == (0.0, 0.0)


def test_a_call_waits_for_those_under_way_before_the_purse_is_empty() -> None:
    async def scenario() -> None:
        cap = purse(10)
        ledger = Ledger([cap])
        told: list[str] = []
        ledger.on_empty = lambda one: told.append(one.name)
        assert await ledger.hold([cap], Hold(8.0))
        waiting = asyncio.create_task(ledger.hold([cap], Hold(5.0)))
        await asyncio.sleep(0)
        assert not waiting.done()
        ledger.settle([cap], Hold(8.0), Spend(usd=2.0))
        assert await waiting
        refused = [asyncio.create_task(ledger.hold([cap], Hold(9.0))) for _ in range(3)]
        await asyncio.sleep(0)
        ledger.settle([cap], Hold(5.0), Spend(usd=5.0))
        assert await asyncio.gather(*refused) == [False] * 3
        assert told == ["cap"], "said once"
        assert not await ledger.hold([cap], Hold(0.0)), "an empty purse ends the run"

    asyncio.run(scenario())


def test_what_scorers_spend_ends_the_run_at_their_own_cap() -> None:
    whole, judges = purse(10), purse(1)
    ledger = Ledger([whole], judges=[judges])
    ledger.scored(0.9)
    assert not ledger.ended
    ledger.scored(0.2)
    assert ledger.ended
    assert (whole.spent, judges.spent) == pytest.approx((1.1, 1.1))
    assert ledger.empty == (judges,)


def test_a_judge_is_paid_from_its_own_purse_too() -> None:
    async def scenario() -> None:
        whole, judges = purse(10), purse(0.001)
        ledger = Ledger([whole], judges=[judges])
        price = price_for("m", override=Price(input=1.0, output=1.0))
        judge = ledger.account(price=price, bound=Bound(output_tokens=100), judge=True)
        target = ledger.account(price=price, bound=Bound(output_tokens=100))
        first = await judge.reserve(ask("x" * 500))
        assert first is not None
        judge.settled(first, ask("x" * 500), answer(400, 100, cost_usd=500e-6))
        assert whole.spent == judges.spent == pytest.approx(500e-6)
        assert await judge.reserve(ask("x" * 500)) is None
        assert await target.reserve(ask("x")) is None, "answers nobody can judge are not asked for"

    asyncio.run(scenario())


def ask(text: str) -> Request:
    return Request(case=Case.of({"q": 1}), messages=(Message(role="user", content=text),))


def answer(sent: int | None, said: int | None, **more: object) -> Output:
    usage = Usage(input_tokens=sent, output_tokens=said)
    return Output(text="x", usage=usage, **more)  # type: ignore[arg-type]


@given(st.text(max_size=300), st.integers(0, 500))
def test_a_reservation_is_more_than_any_tokenizer_makes_of_the_text(text: str, output: int) -> None:
    sent, said = Bound(output_tokens=output).of(ask(text))
    # a token is one byte of UTF-8 or more, whatever the vocabulary
    assert sent >= len(text.encode("utf-8", "replace"))
    assert said == output


def test_the_assumed_length_follows_the_longest_answer() -> None:
    bound = Bound()
    assert bound.answered == ASSUMED_OUTPUT
    for tokens in [100] * 19 + [700]:
        bound.learn(Usage(output_tokens=tokens))
    assert bound.answered == 1_400
    bound = Bound(output_tokens=50)
    bound.learn(Usage(output_tokens=80))
    assert bound.answered == 80, "a server that ignores the limit is believed"


def test_a_call_is_reserved_at_its_dearest_reading() -> None:
    price = price_for("m", override=Price(input=1.0, output=2.0, cached_input=0.1, cache_write=3.0))
    assert price is not None
    assert dearest(price, 1_000_000, 1_000_000) == pytest.approx(3.0 + 2.0)


def settled(came: Output | TargetError | None, *, priced: bool = True) -> Spend:
    async def scenario() -> Spend:
        price = price_for("m", override=Price(input=1.0, output=1.0)) if priced else None
        account = Ledger([purse(1)]).account(price=price, bound=Bound(output_tokens=10))
        hold = await account.reserve(ask("hello"))
        assert hold is not None
        return account.settled(hold, ask("hello"), came)

    return asyncio.run(scenario())


RESERVED = 5 + 2 * 16 + 10


@pytest.mark.parametrize(
    ("came", "spend"),
    [
        (answer(3, 4, cost_usd=7e-6), Spend(usd=7e-6, tokens=7)),
        (
            answer(None, None),
            Spend(assumed_usd=RESERVED * 1e-6, assumed_tokens=RESERVED),
        ),
        (
            answer(3, 4, cost_usd=7e-6, provenance=Provenance.REPLAY),
            Spend(usd=0.0, tokens=0, saved_usd=7e-6),
        ),
        (None, Spend(assumed_usd=RESERVED * 1e-6, assumed_tokens=RESERVED)),
        (
            TargetError(ErrorClass.TIMEOUT, ""),
            Spend(assumed_usd=RESERVED * 1e-6, assumed_tokens=RESERVED),
        ),
        (TargetError(ErrorClass.CONNECTION, "", unbilled=True), Spend(usd=0.0, tokens=0)),
        (TargetError(ErrorClass.SERVER, "", http_status=503), Spend(usd=0.0, tokens=0)),
        (
            TargetError(ErrorClass.SERVER, "", http_status=200),
            Spend(assumed_usd=RESERVED * 1e-6, assumed_tokens=RESERVED),
        ),
        (
            TargetError(ErrorClass.REFUSED, "", http_status=400),
            Spend(assumed_usd=RESERVED * 1e-6, assumed_tokens=RESERVED),
        ),
        (
            TargetError(ErrorClass.REFUSED, "", usage=Usage(input_tokens=5, output_tokens=0)),
            Spend(usd=5e-6, tokens=5),
        ),
    ],
)
def test_what_an_attempt_is_settled_at(came: Output | TargetError | None, spend: Spend) -> None:
    found = settled(came)
    assert found.usd == pytest.approx(spend.usd)
    assert found.assumed_usd == pytest.approx(spend.assumed_usd)
    assert (found.tokens, found.assumed_tokens) == (spend.tokens, spend.assumed_tokens)
    assert found.saved_usd == spend.saved_usd


def test_without_a_price_money_is_unknown_and_never_free() -> None:
    assert settled(answer(3, 4), priced=False) == Spend(tokens=7)
    turned_away = TargetError(ErrorClass.AUTH, "", http_status=401)
    assert settled(turned_away, priced=False) == Spend(tokens=0)
