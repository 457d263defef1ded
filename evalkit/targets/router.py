"""Tries a cheap target first and escalates to a stronger one by a rule on its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from evalkit.errors import TargetError, UnknownName
from evalkit.model import Output, Request
from evalkit.registry import target
from evalkit.targets._route import Journey, check_targets
from evalkit.targets._setting import OptionError, Setting

Rule: TypeAlias = Callable[[Output], bool]
_NAMES = (
    "empty",
    "contains",
    "matches",
    "finish_reason",
    "confidence_below",
    "shorter_than",
    "longer_than",
    "error",
)


@target(takes_prompt=False, children="targets")
class Router:
    """Asks the first target and escalates to the next while a rule speaks against the answer.

    ``targets`` are names of targets of this project, cheapest first; the answer of the last one
    stands. ``escalate_when`` holds one rule or more, any of which escalates:

    - ``empty: true``: the answer is blank
    - ``contains: [texts]``: it contains one of them, in any case
    - ``matches: regex``: the regular expression is found in it
    - ``finish_reason: [reasons]``: the model stopped for one of these
    - ``confidence_below: x``: ``extra.confidence`` is below x; an answer without one escalates
    - ``shorter_than: n``, ``longer_than: n``: by characters, without surrounding space
    - ``error: true``: the target failed; otherwise its failure is the route's
    """

    def __init__(self, setting: Setting, /, *, targets: list[str], escalate_when: dict[str, Any]):
        check_targets(targets)
        self._setting = setting
        self._targets = tuple(targets)
        self._on_error = _flag(escalate_when, "error")
        self._rules = _rules(escalate_when)
        if not self._rules and not self._on_error:
            raise OptionError(
                "escalate_when",
                "'escalate_when' has no rule, so the route would never escalate",
                hint="rules: " + ", ".join(_NAMES),
            )

    async def send(self, request: Request) -> Output:
        """The first answer no rule speaks against, or the last target's, with every leg."""
        journey = Journey()
        reason: str | None = None
        for name in self._targets[:-1]:
            try:
                output = await journey.ask(self._setting, name, request, last=not self._on_error)
            except TargetError as error:
                if not self._on_error:
                    raise
                reason = f"error: {error.error_class}"
                continue
            against = next((rule for rule, holds in self._rules.items() if holds(output)), None)
            if against is None:
                return journey.arrive(output, reason)
            reason = against
        output = await journey.ask(self._setting, self._targets[-1], request, last=True)
        return journey.arrive(output, reason)

    async def aclose(self) -> None:
        """Nothing to release: the runner owns the targets."""


def _rules(when: Mapping[str, Any]) -> dict[str, Rule]:
    for name in when:
        if name not in _NAMES:
            raise UnknownName("rule in escalate_when", str(name), _NAMES)
    rules: dict[str, Rule] = {}
    if _flag(when, "empty"):
        rules["empty"] = lambda output: not output.text.strip()
    if "contains" in when:
        texts = [one.casefold() for one in _texts(when, "contains")]
        rules["contains"] = lambda output: _any_in(texts, output.text.casefold())
    if "matches" in when:
        found = _pattern(when["matches"]).search
        rules["matches"] = lambda output: found(output.text) is not None
    if "finish_reason" in when:
        reasons = frozenset(_texts(when, "finish_reason"))
        rules["finish_reason"] = lambda output: output.finish_reason in reasons
    if "confidence_below" in when:
        least = _number(when, "confidence_below")
        rules["confidence_below"] = lambda output: _confidence(output) < least
    if "shorter_than" in when:
        short = _number(when, "shorter_than")
        rules["shorter_than"] = lambda output: len(output.text.strip()) < short
    if "longer_than" in when:
        long = _number(when, "longer_than")
        rules["longer_than"] = lambda output: len(output.text.strip()) > long
    return rules


def _any_in(texts: list[str], answer: str) -> bool:
    return any(one in answer for one in texts)


def _confidence(output: Output) -> float:
    value = output.extra.get("confidence")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("-inf")
    return float(value)


def _flag(when: Mapping[str, Any], name: str) -> bool:
    value = when.get(name, False)
    if not isinstance(value, bool):
        raise OptionError("escalate_when", f"'{name}' in 'escalate_when' must be true or false")
    return value


def _texts(when: Mapping[str, Any], name: str) -> list[str]:
    value = when[name]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(x, str) and x for x in texts):
        raise OptionError("escalate_when", f"'{name}' in 'escalate_when' must be a list of texts")
    return texts


def _number(when: Mapping[str, Any], name: str) -> float:
    value = when[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError("escalate_when", f"'{name}' in 'escalate_when' must be a number")
    return float(value)


def _pattern(value: Any) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise OptionError("escalate_when", "'matches' in 'escalate_when' must be a text")
    try:
        return re.compile(value)
    except re.error as error:
        raise OptionError(
            "escalate_when", f"'matches' in 'escalate_when' is no regular expression: {error}"
        ) from error
