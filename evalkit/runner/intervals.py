"""Numbers that are not known yet, and what calls of such lengths cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.model import Usage
from evalkit.runner.budget import Priced


@dataclass(frozen=True, slots=True)
class Interval:
    """A number that is not known yet: what is likely, and between what it lies."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def scaled(self, factor: float) -> Interval:
        """The same of so many."""
        return Interval(self.low * factor, self.likely * factor, self.high * factor)


NONE = Interval(0.0, 0.0, 0.0)


def price_of(price: Priced, asked: int, sent: Interval, said: Interval) -> Interval | None:
    """Dollars of so many calls that take these tokens together."""
    if not asked:
        return NONE
    ends = []
    for tokens_in, tokens_out in (
        (sent.low, said.low),
        (sent.likely, said.likely),
        (sent.high, said.high),
    ):
        one = _one_price(price, tokens_in / asked, tokens_out / asked)
        if one is None:
            return None
        ends.append(one * asked)
    return Interval(*ends)


def _one_price(price: Priced, tokens_in: float, tokens_out: float) -> float | None:
    """Dollars of a call of the mean length: tokens are whole, a mean is not."""
    whole_in, whole_out = math.floor(tokens_in), math.floor(tokens_out)
    here = price.cost(Usage(input_tokens=whole_in, output_tokens=whole_out))
    more_in = price.cost(Usage(input_tokens=whole_in + 1, output_tokens=whole_out))
    more_out = price.cost(Usage(input_tokens=whole_in, output_tokens=whole_out + 1))
    if here is None or more_in is None or more_out is None:
        return None
    return (
        here
        + (tokens_in - whole_in) * (more_in - here)
        + (tokens_out - whole_out) * (more_out - here)
    )


def tokens_of(text: str) -> float:
    """About four characters a token; characters beyond ASCII are a token each."""
    plain = len(text) if text.isascii() else sum(map(str.isascii, text))
    return plain / 4 + (len(text) - plain)
