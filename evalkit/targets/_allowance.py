"""What the headers of an answer say may still be asked, in the words of each provider.

Sources: the rate limit pages of OpenAI, Azure, Groq and Anthropic, and the drafts of the IETF's
RateLimit header fields (draft-ietf-httpapi-ratelimit-headers, the first and the structured form).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from evalkit.model import Allowance
from evalkit.targets._failure import finite, http_date, seconds

Unit: TypeAlias = Literal["requests", "tokens"]

_UNITS: tuple[Unit, ...] = ("requests", "tokens")
_OPENAI = tuple((unit, f"x-ratelimit-remaining-{unit}") for unit in _UNITS)
_ANTHROPIC = tuple((unit, f"anthropic-ratelimit-{unit}-remaining") for unit in _UNITS)
_PLAIN = ("ratelimit", "x-ratelimit")
_SIGNS = (
    *(name for _, name in _OPENAI),
    *(name for _, name in _ANTHROPIC),
    "ratelimit",
    *(f"{name}-remaining" for name in _PLAIN),
)
_ITEM = re.compile(r'\s*(?:"(?P<name>[^"]*)"|(?P<token>[^\s",;=]+))(?P<rest>(?:"[^"]*"|[^",])*)')
_PARAMETER = re.compile(r';\s*([a-z][\w.*-]*)\s*=\s*("[^"]*"|[^\s;",]+)')
_PAIR = re.compile(r"\b(limit|remaining|reset)\s*=\s*([0-9.]+)", re.IGNORECASE)
_EPOCH_S = 1e9
_EPOCH_MS = 1e12
_ROUNDED_S = 1.0
"""What a reset in whole seconds may have lost."""


def allowances(headers: Mapping[str, str], *, now: datetime | None = None) -> tuple[Allowance, ...]:
    """What may still be asked; empty for most servers, which do not say."""
    for sign in _SIGNS:
        if sign in headers:
            here = http_date(headers.get("date", "")) or now or datetime.now(UTC)
            return tuple(_all(headers, here))
    return ()


def _all(headers: Mapping[str, str], here: datetime) -> Iterator[Allowance]:
    for unit, name in _OPENAI:
        reset = seconds(headers.get(f"x-ratelimit-reset-{unit}", ""))
        limit = finite(headers.get(f"x-ratelimit-limit-{unit}"))
        yield from _one(unit, headers.get(name), reset, limit, refills=True)
    for unit, name in _ANTHROPIC:
        head = f"anthropic-ratelimit-{unit}-"
        reset = _until(headers.get(f"{head}reset", ""), here)
        limit = finite(headers.get(f"{head}limit"))
        yield from _one(unit, headers.get(name), reset, limit, refills=True)
    yield from _structured(headers)
    for head in _PLAIN:
        stated = finite(headers.get(f"{head}-reset"))
        limit = finite((headers.get(f"{head}-limit") or "").partition(",")[0])
        reset = None if stated is None else _from_now(stated, here)
        yield from _one("requests", headers.get(f"{head}-remaining"), reset, limit)


def _one(
    unit: Unit,
    remaining: str | None,
    reset_s: float | None,
    limit: float | None,
    *,
    refills: bool = False,
) -> Iterator[Allowance]:
    left = finite(remaining)
    if left is None or reset_s is None:
        return
    yield Allowance(
        unit=unit,
        remaining=max(0.0, left),
        reset_s=reset_s if refills else reset_s + _ROUNDED_S,
        limit=limit,
        refills=refills and limit is not None and limit > left and reset_s > 0,
    )


def _structured(headers: Mapping[str, str]) -> Iterator[Allowance]:
    """The field ``RateLimit``, as ``"name";r=50;t=30`` and in its first form ``remaining=2``."""
    stated = headers.get("ratelimit", "")
    pairs = {name.lower(): value for name, value in _PAIR.findall(stated)}
    if "remaining" in pairs:
        limit, reset = finite(pairs.get("limit")), finite(pairs.get("reset"))
        yield from _one("requests", pairs["remaining"], reset, limit)
        return
    policies = dict(_items(headers.get("ratelimit-policy", "")))
    for name, parameters in _items(stated):
        policy = policies.get(name, {})
        counted = policy.get("qu", "requests")
        unit: Unit = "tokens" if "token" in counted or "token" in name.lower() else "requests"
        if counted == "requests" or unit == "tokens":
            reset, limit = finite(parameters.get("t")), finite(policy.get("q"))
            yield from _one(unit, parameters.get("r"), reset, limit)


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in _ITEM.finditer(text):
        found = {name: value.strip('"') for name, value in _PARAMETER.findall(item["rest"])}
        yield item["name"] or item["token"] or "", found


def _until(text: str, here: datetime) -> float | None:
    """Seconds until an instant as RFC 3339 writes it."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    instant = instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
    return max(0.0, (instant - here).total_seconds())


def _from_now(stated: float, here: datetime) -> float:
    """Seconds, whether a server counts them from now or from 1970."""
    if stated >= _EPOCH_MS:
        stated /= 1000.0
    return max(0.0, stated - here.timestamp() if stated >= _EPOCH_S else stated)
