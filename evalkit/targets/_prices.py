"""What an answer costs: price rows from genai-prices or the project, frozen into the run.

Money is US dollars, rates are US dollars per million tokens. A model without a price and an answer
without token counts cost ``None``, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evalkit.config.spec import Price
from evalkit.model import JSON, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_PER = 1_000_000
_KEYS = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
EMBEDDED = "embedded"
"""The provider of targets that run inside evalkit and are paid by nobody."""


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars per million tokens; a tier holds for all tokens of a call above its threshold.

    ``tiers`` are ``(input tokens, dollars)`` in rising order: the highest threshold that the call's
    input tokens exceed decides.
    """

    usd: float
    tiers: tuple[tuple[int, float], ...] = ()

    def at(self, input_tokens: int) -> float:
        """The rate of a call with that many input tokens."""
        usd = self.usd
        for start, price in self.tiers:
            if input_tokens <= start:
                break
            usd = price
        return usd


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """The price of one model at one instant, with where it comes from.

    ``model`` is the entry of the price table that was found. A rate that is ``None`` has no price
    of its own: cached and written tokens are then input, reasoning tokens are output. Input or
    output without a rate make every answer that has such tokens cost ``None``.
    """

    model: str
    provider: str | None
    source: str
    input: Rate | None
    output: Rate | None
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    request: float = 0.0
    _flat: tuple[float, float, float, float, float] | None = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        rates = (self.input, self.output, self.cached, self.cache_write, self.reasoning)
        flat = None
        if (
            self.input is not None
            and self.output is not None
            and not any(one is not None and one.tiers for one in rates)
        ):
            flat = (
                self.input.usd / _PER,
                self.output.usd / _PER,
                (self.cached or self.input).usd / _PER,
                (self.cache_write or self.input).usd / _PER,
                (self.reasoning or self.output).usd / _PER,
            )
        object.__setattr__(self, "_flat", flat)

    def cost(self, usage: Usage) -> float | None:
        """US dollars of one answer; ``None`` when its tokens are unknown or contradict each other.

        Unknown cached, written and reasoning tokens count as none of their kind, which is the
        dearer reading for cached ones.
        """
        given, answered = usage.input_tokens, usage.output_tokens
        if given is None or answered is None:
            return None
        cached = usage.cached_tokens or 0
        written = usage.cache_write_tokens or 0
        reasoned = usage.reasoning_tokens or 0
        fresh = given - cached - written
        spoken = answered - reasoned
        if min(fresh, spoken, cached, written, reasoned) < 0:
            return None
        rates = self._flat or self._rates(given, answered)
        if rates is None:
            return None
        return (
            fresh * rates[0]
            + spoken * rates[1]
            + cached * rates[2]
            + written * rates[3]
            + reasoned * rates[4]
            + self.request
        )

    def _rates(self, given: int, answered: int) -> tuple[float, float, float, float, float] | None:
        if (self.input is None and given) or (self.output is None and answered):
            return None
        fresh = 0.0 if self.input is None else self.input.at(given) / _PER
        spoken = 0.0 if self.output is None else self.output.at(given) / _PER
        return (
            fresh,
            spoken,
            fresh if self.cached is None else self.cached.at(given) / _PER,
            fresh if self.cache_write is None else self.cache_write.at(given) / _PER,
            spoken if self.reasoning is None else self.reasoning.at(given) / _PER,
        )

    def to_json(self) -> dict[str, JSON]:
        """The row as plain JSON, enough to compute every cost of a stored run again."""
        row: dict[str, JSON] = {
            "model": self.model,
            "provider": self.provider,
            "source": self.source,
            "request": self.request,
        }
        for name in _KEYS:
            rate: Rate | None = getattr(self, name)
            row[name] = None if rate is None else _rate_json(rate)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PriceRow:
        """The row that ``to_json`` wrote."""
        rates = {name: _rate_of(row.get(name)) for name in _KEYS}
        return cls(
            model=row["model"],
            provider=row["provider"],
            source=row["source"],
            request=row["request"],
            **rates,
        )


def _rate_json(rate: Rate) -> JSON:
    if not rate.tiers:
        return rate.usd
    return {"base": rate.usd, "tiers": [[start, usd] for start, usd in rate.tiers]}


def _rate_of(value: Any) -> Rate | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return Rate(value["base"], tuple((int(start), usd) for start, usd in value["tiers"]))
    return Rate(float(value))


def price_for(
    model: str,
    *,
    provider: str | None = None,
    base_url: str | None = None,
    override: Price | None = None,
    at: datetime | None = None,
) -> PriceRow | None:
    """The price of a model at an instant (now by default; an instant without zone is UTC).

    ``override`` is the project's own price and wins. ``provider`` is a provider's id or, without
    one, ``base_url`` tells it: a server that is nobody's public address has no price, whatever the
    model is called, because a model of the same name on one's own machine costs something else.
    Prices that change with the time of day are taken as of ``at``. ``None`` is unknown.
    """
    if override is not None:
        return _own(model, override)
    if provider == EMBEDDED:
        free = Rate(0.0)
        return PriceRow(
            model=model, provider=EMBEDDED, source="embedded, no price", input=free, output=free
        )
    if provider is not None:
        base_url = None
    found = _find(model, provider, base_url)
    if found is None:
        return None
    return _row(*found, at or datetime.now(UTC))


def _own(model: str, price: Price) -> PriceRow:
    return PriceRow(
        model=model,
        provider=None,
        source="project",
        input=Rate(price.input),
        output=Rate(price.output),
        cached=None if price.cached_input is None else Rate(price.cached_input),
        cache_write=None if price.cache_write is None else Rate(price.cache_write),
        request=price.request,
    )


def _is_unnamed(base_url: str) -> bool:
    """Whether the server is this machine or a bare address, which no provider has.

    Knowing it spares loading the prices, a twentieth of a second.
    """
    host = urlsplit(base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _find(
    model: str, provider: str | None, base_url: str | None
) -> tuple[Provider, ModelInfo] | None:
    if provider is None and base_url is not None and _is_unnamed(base_url):
        return None
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider, base_url)
    except LookupError:
        return None


def _row(provider: Provider, model: ModelInfo, at: datetime) -> PriceRow | None:
    from genai_prices import __version__

    prices = model.get_prices(at)
    rates = {name: _rate_from(getattr(prices, key)) for name, key in _KEYS.items()}
    if rates["input"] is None and rates["output"] is None:
        # Priced by something other than tokens, or listed without any price: both are unknown.
        return None
    per_thousand = _rate_from(prices.requests_kcount)
    return PriceRow(
        model=model.id,
        provider=provider.id,
        source=f"genai-prices {__version__}",
        request=0.0 if per_thousand is None else per_thousand.usd / 1000,
        **rates,
    )


def _rate_from(price: Any) -> Rate | None:
    if price is None:
        return None
    if hasattr(price, "tiers"):
        tiers = tuple((tier.start, float(tier.price)) for tier in price.tiers)
        return Rate(float(price.base), tiers)
    return Rate(float(price))
