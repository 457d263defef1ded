"""When the pieces of a streamed answer came: time to the first one and the gaps between them."""

from __future__ import annotations

import math

from evalkit.model import InterToken


class Pieces:
    """Collects arrival times (``time.perf_counter`` seconds) of pieces that carry content.

    Pieces that arrive in one read of the socket arrived together: the gap between them is 0.
    """

    __slots__ = ("first", "first_reasoning", "gaps", "last")

    def __init__(self) -> None:
        self.first: float | None = None
        self.first_reasoning: float | None = None
        self.last = 0.0
        self.gaps: list[float] = []

    def content(self, now: float) -> None:
        """A piece of text, of a refusal or of a tool call came."""
        if self.first is None:
            self.first = now
        else:
            self.gaps.append(now - self.last)
        self.last = now

    def reasoning(self, now: float) -> None:
        """A piece of reasoning came; it is no content."""
        if self.first_reasoning is None:
            self.first_reasoning = now

    def inter_token(self) -> InterToken | None:
        """The gaps summed up, or ``None`` for fewer than two pieces; p95 is the nearest rank."""
        gaps = sorted(self.gaps)
        if not gaps:
            return None
        return InterToken(
            count=len(gaps),
            mean_s=math.fsum(gaps) / len(gaps),
            p95_s=gaps[math.ceil(0.95 * len(gaps)) - 1],
            max_s=gaps[-1],
        )
