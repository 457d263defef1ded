"""A model that scorers may ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evalkit.model import NOTHING_SPENT, AnswerSchema, Message, Output, Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a judge answered, and what asking it took: nothing, for a verdict that was kept."""

    output: Output
    spend: Spend = NOTHING_SPENT


class Ask(Protocol):
    """A model that scorers may ask; the runner makes it of a target and hands it to them.

    ``identity`` names what answers (its model, and kind and parameters by hash), whatever the
    target is called; it stands in the signature of every score.
    """

    @property
    def name(self) -> str:
        """Name of the target in ``evalkit.yaml``."""
        ...

    @property
    def identity(self) -> str:
        """What answers, as ``gpt-5-mini#3f2a9c01d4e5``."""
        ...

    async def __call__(
        self, messages: Sequence[Message], *, trial: int = 0, schema: AnswerSchema | None = None
    ) -> Asked:
        """Ask once, with the target's own limits, retries and budget.

        ``trial`` tells repeated questions apart; ``schema`` is sent along to a target that takes
        one. Raises ``TargetError`` when there is no answer and
        ``Unscorable`` when the budget of judges is spent.
        """
        ...
