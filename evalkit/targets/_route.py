"""What routes share: asking one target after another and adding up what it took."""

from __future__ import annotations

import time
from dataclasses import fields, replace

from evalkit.errors import TargetError
from evalkit.model import Leg, Output, Provenance, Request, Usage
from evalkit.targets._setting import OptionError, Setting

_NO_TOKENS = Usage(**{one.name: 0 for one in fields(Usage)})


class Journey:
    """The legs of one request through a route, in the order they were made.

    A leg that answered counts with the latency of its answer, so waiting for a rate limit is not in
    it; a leg that failed counts with the whole time it took the caller, and with what it cost as
    far as the runner knows: nothing where nothing can have been charged, because the target was not
    reached or turned it away. The error that a route ends with carries all its legs.
    """

    __slots__ = ("_asked", "_provenances", "legs")

    def __init__(self) -> None:
        self.legs: list[Leg] = []
        self._provenances: list[Provenance] = []
        self._asked = False

    async def ask(
        self, setting: Setting, name: str, request: Request, *, last: bool = False
    ) -> Output:
        """The answer of one target, recorded as a leg; its ``TargetError`` passes through.

        The outage of the ``last`` that can be asked is waited for when another's answer is paid
        already. Otherwise the runner waits for an outage of all, and begins again.
        """
        started = time.perf_counter()
        try:
            output = await setting.children[name](request, patient=last and bool(self._provenances))
        except TargetError as error:
            took = time.perf_counter() - started
            self._asked |= not error.unasked
            error.unasked = not self._asked
            usage = _NO_TOKENS if error.unbilled else Usage()
            cost = 0.0 if error.unbilled else None
            self.legs.append(
                Leg(
                    target=name,
                    usage=error.usage if isinstance(error.usage, Usage) else usage,
                    cost_usd=cost if error.cost_usd is None else error.cost_usd,
                    latency_s=took,
                    error_class=error.error_class,
                )
            )
            error.legs = tuple(self.legs)
            raise
        self._asked = True
        self._provenances.append(output.provenance)
        self.legs.append(
            Leg(
                target=name,
                model=output.model,
                usage=output.usage,
                cost_usd=output.cost_usd,
                latency_s=output.latency_s,
            )
        )
        return output

    def arrive(self, output: Output, reason: str | None) -> Output:
        """The last leg's output as the route's own: usage, cost and time summed over all legs.

        A sum is ``None`` as soon as one of its parts is unknown. ``ttft_s`` counts from the start
        of the first leg.
        """
        before = _sum([one.latency_s for one in self.legs[:-1]])
        ttft = None if before is None or output.ttft_s is None else before + output.ttft_s
        usage = {
            one.name: _sum([getattr(leg.usage, one.name) for leg in self.legs])
            for one in fields(Usage)
        }
        provenance = Provenance.LIVE
        for worse in (Provenance.CACHE, Provenance.REPLAY):
            if worse in self._provenances:
                provenance = worse
        extra = {**output.extra, "answered_by": self.legs[-1].target}
        if reason is not None:
            extra["escalated"] = reason
        return replace(
            output,
            usage=Usage(**{name: _whole(value) for name, value in usage.items()}),
            cost_usd=_sum([one.cost_usd for one in self.legs]),
            latency_s=_sum([one.latency_s for one in self.legs]),
            ttft_s=ttft,
            # Pauses between pieces belong to the leg that streamed them and stay as they are.
            provenance=provenance,
            legs=tuple(self.legs),
            extra=extra,
        )


def _sum(parts: list[float | None]) -> float | None:
    known = [one for one in parts if one is not None]
    return sum(known) if len(known) == len(parts) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def check_targets(targets: list[str]) -> None:
    """A route needs two targets or more, each once; anything else is an ``OptionError``."""
    if len(targets) < 2:
        raise OptionError("targets", "a route needs at least two targets")
    if len(set(targets)) != len(targets):
        raise OptionError("targets", "a target stands twice in 'targets'")
