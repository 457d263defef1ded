"""Judges for the tests: scorers bound to real targets that ask a real local server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.ask import Asked
from evalkit.config.spec import Limits, ScorerSpec
from evalkit.model import AnswerSchema, Case, Message, Output, ScoreRecord
from evalkit.runner.judges import Judge
from evalkit.runner.lane import Lane
from evalkit.scorers import bind
from evalkit.targets.embeddings import Embeddings
from evalkit.targets.openai_compatible import OpenAICompatible
from tests.servers import Fault, ModelServer, Raw, Reply, Seen

Answer = Callable[[Seen], Reply | Fault | Raw]


def said(value: Any, **more: Any) -> Reply:
    """A judge's answer: JSON, or a text as it is."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Reply(text=text, pieces=(text,), **more)


class Rule:
    """A judge in this process that answers by a rule, in whatever form it is asked for."""

    name, identity = "rule", "rule-1#0"

    async def __call__(
        self, messages: Sequence[Message], *, trial: int = 0, schema: AnswerSchema | None = None
    ) -> Asked:
        asked = messages[-1].content
        if '"statements"' in asked:
            said: Any = {"statements": ["It says something."]}
        elif '"verdicts"' in asked:
            said = {"verdicts": [{"statement": 1, "reason": "r", "verdict": "supported"}]}
        elif '"tie"' in asked:
            said = {"reason": "r", "verdict": "tie"}
        elif "VERDICT" in asked:
            said = {"reason": "r", "verdict": "pass" if len(asked) % 2 else "fail"}
        else:
            said = [[1.0, float(len(one.content))] for one in messages]
        return Asked(output=Output(text=json.dumps(said), model="rule-1"))


def verdict(label: Any, reason: str = "because", **more: Any) -> Reply:
    return said({"reason": reason, "verdict": label, **more}, model="judge-1")


def vectors(seen: Seen) -> Raw:
    """Counts of letters as embeddings, in the form of the API."""
    texts = seen.body["input"]
    rows = [
        {"index": at, "embedding": [float(text.lower().count(one)) for one in "etaoinshrdlu"]}
        for at, text in enumerate(texts)
    ]
    body = {
        "object": "list",
        "model": "letters-1",
        "data": rows[::-1],
        "usage": {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)},
    }
    return Raw(chunks=[json.dumps(body).encode()])


def score(
    name: str,
    options: Mapping[str, Any],
    servers: Mapping[str, ModelServer],
    case: Case,
    output: Output,
    *,
    root: Path | None = None,
    threshold: float | None = None,
    limits: Limits | None = None,
) -> ScoreRecord:
    """What a scorer says, asking the servers as targets of their names; ``vectors`` embeds."""

    async def run() -> ScoreRecord:
        judges = {}
        for one, server in servers.items():
            kind = Embeddings if one == "vectors" else OpenAICompatible
            target = kind(model="m", base_url=server.openai)
            lane = Lane(name=one, target=target, limits=limits or Limits(max_retries=0))
            judges[one] = Judge(name=one, identity=f"{one}#0", lane=lane, seed=0)
        spec = ScorerSpec(name=name, scorer=name, options=dict(options), threshold=threshold)
        bound = bind(spec, root=root or Path.cwd(), judges=judges)
        try:
            (record,) = await bound.score([(case, output)])
        finally:
            for judge in judges.values():
                await judge.lane.aclose()
        return record

    return asyncio.run(run())
