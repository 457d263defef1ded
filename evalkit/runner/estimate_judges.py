"""What judges will take, before the first call: as often as their scorers say they ask.

The length of a question is that of the rubric, of the cases and of an answer as long as most; a
wide guess. Where earlier runs of a suite were scored, what that took is known and used instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from evalkit.config.prompt import load_prompt
from evalkit.runner.intervals import NONE, Interval, price_of, tokens_of
from evalkit.runner.plan import Plan
from evalkit.runner.suites import PlannedSuite

_INSTRUCTIONS = 400
"""Tokens of the guard, the form of the answer and a rubric that is evalkit's own."""
_ANSWER = 200
_VERDICT = (40, 150, 600)
_SPREAD = (0.5, 2.0)


def judge_rows(
    plan: Plan, trials: Mapping[str, int]
) -> Iterator[tuple[str, str, int, Interval, Interval, Interval | None]]:
    """Suite, judge, calls, tokens sent, tokens answered, and dollars or ``None`` for each.

    ``trials`` are those of each suite whose scoring is to be guessed.
    """
    for suite in plan.suites:
        count = trials.get(suite.name, 0)
        calls: dict[str, float] = {}
        rubrics: dict[str, float] = {}
        for one in suite.scorers if count else ():
            often = 1.0 if one.plugin.calls is None else one.plugin.calls(one.options)
            often *= 1.0 if one.turns == "last" else suite.turns
            rubric = sum(len(load_prompt(path).text) for path in one.prompts) / 4
            for name in one.judges:
                calls[name] = calls.get(name, 0.0) + often * count
                rubrics[name] = max(rubrics.get(name, 0.0), rubric)
        for name, asked in calls.items():
            whole = math.ceil(asked)
            lane, target = plan.judging.lanes[name], plan.judging.targets[name]
            sent = _INSTRUCTIONS + rubrics[name] + _case(suite) + _ANSWER
            low, high = _SPREAD
            sent_all = Interval(low * sent, sent, high * sent).scaled(asked)
            most = target.bound.output_tokens or _VERDICT[-1]
            said_all = Interval(*(float(min(one, most)) for one in _VERDICT)).scaled(asked)
            if target.free:
                yield suite.name, name, whole, NONE, NONE, NONE
                continue
            usd = None if lane.price is None else price_of(lane.price, whole, sent_all, said_all)
            yield suite.name, name, whole, sent_all, said_all, usd


def _case(suite: PlannedSuite) -> float:
    """Tokens of a case, as among the first: inputs, context, expectation, and what was said."""
    sizes = [
        sum(tokens_of(str(one)) for one in (*case.inputs.values(), *case.context, *case.references))
        + sum(tokens_of(one.user) + _ANSWER for one in case.turns)
        for case in suite.survey.first
    ]
    return sum(sizes) / len(sizes) if sizes else 0.0
