"""Whom a scorer may ask while it judges one output, and what asking took."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from evalkit.ask import Ask
from evalkit.errors import TargetError
from evalkit.model import AnswerSchema, Message, Output

Judges: TypeAlias = str | list[str]
"""A parameter that names one target or several."""

T = TypeVar("T")


class Panel:
    """The judges of one score. ``spent_usd`` grows with every call, also with those that fail.

    ``spent_usd`` is ``None`` until something of known cost was asked.
    """

    def __init__(self, judges: Mapping[str, Ask]):
        self._judges = judges
        self._models: dict[str, None] = {}
        self.spent_usd: float | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The names that the judges reported, in the order they first answered."""
        return tuple(sorted(self._models))

    def named(self, judges: Judges) -> list[str]:
        """The names of a parameter as a list, each once."""
        return list(dict.fromkeys([judges] if isinstance(judges, str) else judges))

    async def ask(
        self,
        name: str,
        messages: Sequence[Message],
        *,
        trial: int = 0,
        schema: AnswerSchema | None = None,
    ) -> Output:
        """The answer of one judge; raises ``TargetError``, which names it, and ``Unscorable``."""
        try:
            asked = await self._judges[name](messages, trial=trial, schema=schema)
        except TargetError as error:
            self._spent(error.cost_usd)
            told = TargetError(
                error.error_class, f"judge {name!r}: {error.error_class}: {error.message}"
            )
            raise told from error
        self._spent(asked.spend.usd)
        if asked.output.model:
            self._models[asked.output.model] = None
        return asked.output

    def _spent(self, usd: float | None) -> None:
        if usd is not None:
            self.spent_usd = (self.spent_usd or 0.0) + usd


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What several pieces of work come to, all at once; waits for all, then raises the first error.

    Nothing that was paid for is lost by another's failure.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    failed = [one for one in results if isinstance(one, BaseException)]
    for one in failed:
        # the run is ending: that comes before any other failure
        if isinstance(one, asyncio.CancelledError):
            raise one
    if failed:
        raise failed[0]
    return [one for one in results if not isinstance(one, BaseException)]
