"""The flags of a load test, and what must be agreed to before its first request.

A load test is the quickest way to spend money and to take a service down, so every cap has a value
whether or not one is given, and a target elsewhere is asked only after a yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit.errors import ConfigError, UsageError
from evalkit.model import JSON, Usage
from evalkit.offline import is_loopback
from evalkit.runner.estimate import dollars
from evalkit.runner.load_profile import Profile, open_profile, ramp_profile
from evalkit.runner.reach import host_and_port
from evalkit.stats.slo import Objective

if TYPE_CHECKING:
    from evalkit.runner.fleet import PlannedTarget
    from evalkit.runner.lane import Lane

MAX_REQUESTS = 50_000
MAX_USD = 1.0
MAX_IN_FLIGHT = 10_000
MAX_ERRORS = 0.5
ASK_ABOVE_USD = 0.10
"""An estimate above this needs a yes when the target is not on this machine."""
ANSWER_TOKENS = 256
"""Output tokens that are assumed where the target sets no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The flags of ``evalkit load``; times in seconds, ``max_errors`` is a share of one.

    One of ``rate``, ``steps`` and ``ramp`` is given. ``max_usd`` is ``None`` when it was not, and
    then one dollar.
    """

    suite: str
    target: str | None = None
    rate: float | None = None
    duration_s: float = 30.0
    steps: tuple[float, ...] = ()
    step_s: float = 10.0
    ramp: int | None = None
    over_s: float = 60.0
    hold_s: float = 0.0
    arrivals: Literal["constant", "poisson"] = "constant"
    seed: int | None = None
    tags: tuple[str, ...] = ()
    filter: str = ""
    sample: int | None = None
    limit: int | None = None
    timeout_s: float | None = None
    objectives: tuple[Objective, ...] = ()
    max_requests: int = MAX_REQUESTS
    max_usd: float | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    max_errors: float = MAX_ERRORS
    yes: bool = False
    offline: bool = False
    allow_code: bool = False

    def profile(self) -> Profile:
        """When requests are due; raises ``UsageError`` unless exactly one course is given."""
        given = [self.rate is not None, bool(self.steps), self.ramp is not None]
        if sum(given) != 1:
            raise UsageError(
                "give one of --rate, --steps and --ramp",
                hint="example: --rate 20 --duration 30s, --steps 10,50,100, --ramp 100 --over 60s",
            )
        if self.ramp is not None:
            if self.arrivals == "poisson":
                raise UsageError(
                    "--arrivals is about rates: users of a ramp ask when they were answered",
                    hint="leave it out, or give --rate or --steps",
                )
            return ramp_profile(self.ramp, self.over_s, self.hold_s)
        if self.rate is not None:
            return open_profile((self.rate,), self.duration_s, process=self.arrivals)
        return open_profile(self.steps, self.step_s, process=self.arrivals)

    def settings(self, profile: Profile) -> dict[str, JSON]:
        """What is stored with the run."""
        return {
            "suites": [self.suite],
            "arrivals": profile.arrivals,
            "process": profile.process,
            "steps": [one.offered for one in profile.steps if one.offered is not None],
            "users": profile.users or None,
            "seconds": profile.length_s,
            "tags": list(self.tags),
            "filter": self.filter,
            "sample": self.sample,
            "limit": self.limit,
            "objectives": [[one.metric, one.limit] for one in self.objectives],
            "max_requests": self.max_requests,
            "max_usd": self.max_usd,
            "max_in_flight": self.max_in_flight,
            "max_errors": self.max_errors,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a test may cost: US dollars a request and in all, ``None`` when no price is known.

    ``most`` says that the number of requests is a cap and not a plan.
    """

    requests: int
    each_usd: float | None
    most: bool

    @property
    def usd(self) -> float | None:
        """The whole test."""
        return None if self.each_usd is None else self.requests * self.each_usd


def estimate(profile: Profile, lane: Lane, lengths: Sequence[int], max_requests: int) -> Estimate:
    """Requests and cost of a profile: four characters a token, and answers as long as allowed.

    ``lengths`` are the characters of the prompts.
    """
    planned = profile.requests
    each = None
    if lane.price is not None:
        each = lane.price.cost(
            Usage(
                input_tokens=round(sum(lengths) / len(lengths) / 4),
                output_tokens=lane.output_tokens or ANSWER_TOKENS,
            )
        )
    requests = max_requests if planned is None else round(planned)
    return Estimate(requests, each, planned is None)


def refuse_or_warn(
    options: LoadOptions,
    profile: Profile,
    found: Estimate,
    *,
    target: str,
    elsewhere: str | None,
) -> None:
    """Refuse what the flags do not cover; ``elsewhere`` is the host of a target that is not here.

    Raises ``UsageError`` and ``ConfigError`` with the flag that would allow it.
    """
    planned = profile.requests
    if planned is not None and planned > options.max_requests:
        raise UsageError(
            f"this test would send {planned:,.0f} requests, and {options.max_requests:,} are"
            " allowed",
            hint=f"ask for fewer, or allow them: --max-requests {planned:.0f}",
        )
    if profile.users > min(options.max_requests, options.max_in_flight):
        flag = "max-requests" if profile.users > options.max_requests else "max-in-flight"
        raise UsageError(
            f"a ramp to {profile.users:,} needs at least as many requests",
            hint=f"allow them: --{flag} {profile.users}",
        )
    if options.max_usd is not None and found.each_usd is None:
        raise ConfigError(
            f"--max-usd cannot be kept: no price is known for target {target!r}",
            hint="give one under 'prices:' in evalkit.yaml, or leave --max-usd out",
        )
    cap = MAX_USD if options.max_usd is None else options.max_usd
    cost = found.usd
    if cost is not None and cost > cap and not found.most:
        raise UsageError(
            f"this test would cost about {dollars(cost)}, and {dollars(cap)} are allowed",
            hint=f"ask for less, or allow it: --max-usd {dollars(cost * 1.2)[1:].replace(',', '')}",
        )
    if elsewhere is None or options.yes:
        return
    most = None if cost is None else min(cost, cap)
    if most is not None and most <= ASK_ABOVE_USD:
        return
    money = "at an unknown price" if most is None else f"for up to {dollars(most)}"
    amount = f"up to {found.requests:,}" if found.most else f"{found.requests:,}"
    raise UsageError(
        f"this would send {amount} requests to {elsewhere} {money}",
        hint="make sure that you may, then add --yes",
    )


def elsewhere(planned: PlannedTarget, *, network: bool) -> str | None:
    """The host of a target that is not on this machine; ``None`` for one that is.

    A host that cannot be told is elsewhere.
    """
    if not network:
        return None
    host, _ = host_and_port(planned.address or "")
    if host is None:
        return f"the provider of target {planned.spec.name!r}"
    return None if is_loopback(host) else host
