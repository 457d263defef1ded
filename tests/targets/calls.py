"""Asking a target in a test: one event loop a call, closed at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from evalkit import Case, Message, Output, Request, Target, TargetError

KEY = "sk-test-0123456789abcdef"


def request_of(
    text: str = "What is it?",
    *,
    system: str | None = None,
    timeout_s: float | None = 10.0,
    seed: int | None = None,
    inputs: dict[str, Any] | None = None,
    context: tuple[str, ...] = (),
) -> Request:
    before = () if system is None else (Message(role="system", content=system),)
    return Request(
        case=Case.of(inputs or {"question": text}, context=context),
        messages=(*before, Message(role="user", content=text)),
        timeout_s=timeout_s,
        seed=seed,
    )


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def ask(target: Target, *requests: Request) -> list[Output]:
    """One after the other."""

    async def work() -> list[Output]:
        try:
            return [await target.send(one) for one in requests or (request_of(),)]
        finally:
            await target.aclose()

    return asyncio.run(work())


def ask_one(target: Target, request: Request | None = None) -> Output:
    return ask(target, request or request_of())[0]


def failed(target: Target, request: Request | None = None) -> TargetError:
    with pytest.raises(TargetError) as caught:
        ask_one(target, request)
    error = caught.value
    # Nothing that holds a URL or a header may hang on to the error.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert KEY not in repr(error)
    assert "\n" not in error.message
    assert len(error.message) < 450
    return error
