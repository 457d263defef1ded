"""Asks the next target when one fails, as a production system with a spare provider does."""

from __future__ import annotations

from typing import Any

from evalkit.errors import RETRYABLE, ErrorClass, TargetError, UnknownName
from evalkit.model import Output, Request
from evalkit.registry import target
from evalkit.targets._route import Journey, check_targets
from evalkit.targets._setting import OptionError, Setting

_DEFAULT = frozenset(RETRYABLE | {ErrorClass.QUOTA, ErrorClass.AUTH, ErrorClass.NOT_FOUND})
"""Failures of the provider, not of the request: another provider may do better."""


@target(takes_prompt=False, children="targets")
class Fallback:
    """Asks the targets in order until one answers.

    ``targets`` are names of targets of this project, first choice first. ``on`` are the error
    classes after which the next one is asked (default: every failure of the provider, that is
    timeout, rate_limit, server, connection, invalid_response, quota, auth, not_found); any other
    failure, and that of the last target, is the route's own.
    """

    def __init__(self, setting: Setting, /, *, targets: list[str], on: list[str] | None = None):
        check_targets(targets)
        self._setting = setting
        self._targets = tuple(targets)
        self._on = _DEFAULT if on is None else _classes(on)

    async def send(self, request: Request) -> Output:
        """The first answer there is, with every leg on the way to it."""
        journey = Journey()
        failed: str | None = None
        for name in self._targets[:-1]:
            try:
                output = await journey.ask(self._setting, name, request)
            except TargetError as error:
                if error.error_class not in self._on:
                    raise
                failed = f"error: {error.error_class}"
            else:
                return journey.arrive(output, failed)
        output = await journey.ask(self._setting, self._targets[-1], request)
        return journey.arrive(output, failed)

    async def aclose(self) -> None:
        """Nothing to release: the runner owns the targets."""


def _classes(on: list[Any]) -> frozenset[ErrorClass]:
    if not on:
        raise OptionError("on", "'on' is empty: the next target would never be asked")
    known = [one.value for one in ErrorClass]
    for one in on:
        if one not in known:
            raise UnknownName("error class", str(one), known)
    return frozenset(ErrorClass(one) for one in on)
