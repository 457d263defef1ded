"""The targets that scorers ask: each a lane of its own, paid from the budget of judges.

A judge is asked with the messages of a rubric, never with the prompt of its target. Its case is
that text alone (``inputs.prompt``), so that targets which work from a case's inputs, and recorded
answers, can judge too, and so that a kept verdict is found by what was asked.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evalkit import registry
from evalkit.ask import Asked
from evalkit.config.spec import Project, ScorerSpec
from evalkit.errors import TargetError, Unscorable
from evalkit.hashing import content_id
from evalkit.model import JSON, AnswerSchema, Case, Message, Request
from evalkit.registry import Kind, ScorerPlugin
from evalkit.runner.budget import Ledger, Purse
from evalkit.runner.feed import trial_seed
from evalkit.runner.fleet import Fleet, PlannedTarget, build_fleet
from evalkit.runner.lane import Lane
from evalkit.runner.unpaid import not_asked

if TYPE_CHECKING:
    from evalkit.store import Store

_HASH = 12
_HOW = frozenset(
    {
        *("api_key", "headers", "organization", "project", "trust_env", "send_seed"),
        *("stream", "stream_usage", "structured", "idle_timeout_s", "max_answer_bytes"),
    }
)
"""Options that say how a judge is reached, not who it is."""


@dataclass(slots=True, kw_only=True)
class Judge:
    """One target as scorers ask it; ``evalkit.ask.Ask``.

    ``ledger`` is set when the run is funded; without one nothing bounds what is spent.
    """

    name: str
    identity: str
    lane: Lane
    seed: int
    ledger: Ledger | None = None

    async def __call__(
        self, messages: Sequence[Message], *, trial: int = 0, schema: AnswerSchema | None = None
    ) -> Asked:
        """Ask once; raises ``TargetError``, and ``Unscorable`` when its budget is spent.

        Raises ``CancelledError`` when the whole run has to end: the trial is not recorded then.
        """
        lane = self.lane
        if lane.health.given_up:
            health = lane.health
            raise TargetError(health.error_class, f"it was given up: {health.reason}")
        case = Case.of({"prompt": "\n\n".join(one.content for one in messages)})
        request = Request(
            case=case,
            messages=tuple(messages),
            trial=trial,
            seed=trial_seed(self.seed, case.id, trial),
            timeout_s=lane.timeout_s,
            schema=schema,
        )
        try:
            answer = await lane.ask(request)
        except asyncio.CancelledError:
            spent = self._spent_budget()
            if spent:
                raise Unscorable(spent) from None
            raise
        if answer.output is None:
            error = answer.error
            assert error is not None
            error.cost_usd = answer.spend.usd
            raise error
        return Asked(output=answer.output, spend=answer.spend)

    def _spent_budget(self) -> str:
        """Which budget of judges refused the call; empty when it was not one of theirs."""
        task = asyncio.current_task()
        if self.ledger is None or self.ledger.ended or (task is not None and task.cancelling()):
            return ""
        empty = [one.said for one in self.ledger.empty if not one.whole]
        return not_asked(self.name, empty[0]) if empty else ""


def judges_of(fleet: Fleet, seed: int) -> dict[str, Judge]:
    """Every target of a fleet as a judge, by name."""
    return {
        name: Judge(
            name=name, identity=identity_of(fleet, target), lane=fleet.lanes[name], seed=seed
        )
        for name, target in fleet.targets.items()
    }


def identity_of(fleet: Fleet, target: PlannedTarget) -> str:
    """What answers: its model and a hash of kind and options, as they are written.

    Neither the target's name nor its prompt, key, limits or price belong to it. Its address does:
    two servers need not mean the same by one model's name. Whether the form of an answer is sent
    as a schema belongs to it too: it changes what the model can say.
    """
    named: dict[str, JSON] = {
        "kind": target.version.kind,
        "options": {k: one for k, one in target.version.options.items() if k not in _HOW},
        "children": [identity_of(fleet, fleet.targets[one]) for one in target.children],
    }
    if fleet.lanes[target.version.name].takes_schema:
        named["structured"] = "auto"
    told = content_id(named)
    return f"{target.version.model or target.version.kind}#{told[:_HASH]}"


def judges_for(
    project: Project,
    scorer: ScorerSpec,
    *,
    allow_code: bool,
    store: Store,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Judge]:
    """The judges of one scorer outside a run, paid from the budget of judges.

    Raises ``ConfigError`` as a run would; nothing is asked.
    """
    plugin = registry.get(Kind.SCORER, scorer.scorer)
    assert isinstance(plugin, ScorerPlugin)
    fleet = build_fleet(
        project,
        plugin.asked(scorer.options),
        environ=environ,
        allow_code=allow_code,
        concurrency=None,
        store=store,
        judging=True,
    )
    cap = project.budget.judges
    caps: tuple[tuple[Literal["usd", "tokens"], str, float | None], ...] = (
        ("usd", "max_usd", cap.max_usd),
        ("tokens", "max_tokens", cap.max_tokens),
    )
    ledger = Ledger(
        judges=[
            Purse(name=f"budget of judges: {name}", unit=unit, limit=limit, whole=False)
            for unit, name, limit in caps
            if limit is not None
        ]
    )
    for name, target in fleet.targets.items():
        lane = fleet.lanes[name]
        if not target.children:
            lane.account = ledger.account(
                price=lane.price, bound=target.bound, judge=True, free=target.free
            )
    judges = judges_of(fleet, project.seed)
    fund_judges(judges, ledger)
    return judges


def fund_judges(judges: Mapping[str, Judge], ledger: Ledger) -> None:
    """Let judges know the ledger that says why a call was refused."""
    for one in judges.values():
        one.ledger = ledger
