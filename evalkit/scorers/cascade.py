"""Whether an answer departs from its context: a cheap scorer decides, a dear one when in doubt."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evalkit import registry
from evalkit.cards import ScorerCard
from evalkit.config.options import complete_options
from evalkit.errors import ConfigError, EvalkitError
from evalkit.model import JSON, Case, Metric, Output, Score, flagged, mean
from evalkit.registry import Kind, ScorerPlugin, scorer
from evalkit.scorers._grounding_result import GROUNDED
from evalkit.scorers._panel import Judges, Panel


def _per_score(sums: Sequence[float]) -> float:
    return sums[0] / sums[2] if sums[2] else 0.0


def _usd_per_score(sums: Sequence[float]) -> float:
    return sums[1] / sums[2] if sums[2] else 0.0


escalated = Metric("escalated", "corpus", corpus_value=_per_score)
usd = Metric("usd", "corpus", corpus_value=_usd_per_score)


def _named(name: str, key: str) -> ScorerPlugin:
    try:
        plugin = registry.get(Kind.SCORER, name)
    except EvalkitError as error:
        raise ValueError(f"{key}: {error.what}; {error.hint}") from error
    if not isinstance(plugin, ScorerPlugin) or plugin.range != (0.0, 1.0):
        raise ValueError(f"{key}: {name!r} does not go from 0 to 1")
    if plugin.direction == "neutral" or plugin.batch or plugin.name == "cascade":
        raise ValueError(f"{key}: {name!r} cannot stand in a cascade")
    return plugin


def _prepared(options: Mapping[str, Any]) -> str:
    if not 0 <= options["clear_below"] <= options["flag_above"] <= 1:
        raise ValueError("give 0 ≤ clear_below ≤ flag_above ≤ 1")
    signed = []
    for key in ("first", "then"):
        plugin = _named(options[key], key)
        if plugin.code:
            raise ValueError(f"{key}: {plugin.name!r} runs code and cannot stand in a cascade")
        if key == "first" and plugin.asks:
            raise ValueError(f"first: {plugin.name!r} asks a model; it is what 'then' is for")
        full = _options(options, key, plugin)
        extra = "" if plugin.prepare is None else plugin.prepare(full)
        signed.append(f"{key}({plugin.signature(full)}|{extra})".replace("|", ","))
    return "|".join(signed)


def _options(options: Mapping[str, Any], key: str, plugin: ScorerPlugin) -> dict[str, Any]:
    given = dict(options[f"{key}_options"])
    if plugin.asks:
        if not options["judges"]:
            raise ValueError(f"judges: {plugin.name!r} asks a model; name one")
        given[plugin.asks[0]] = options["judges"]
    elif key == "then" and options["judges"]:
        raise ValueError(f"judges: {plugin.name!r} asks nobody")
    try:
        return complete_options(plugin, given)
    except (ValueError, ConfigError) as error:
        raise ValueError(f"{key}_options: {error}") from error


@scorer(
    needs=("context",),
    metrics=(mean, flagged, escalated, usd),
    direction="lower",
    asks=("judges",),
    question=GROUNDED,
    calls=lambda _: 1.0,
    prepare=_prepared,
    usage="cascade: {judges: [grader], clear_below: 0.1, flag_above: 0.9}",
    card=ScorerCard(
        family="hallucination",
        cost="free where the first scorer is sure, else what the second takes",
        blind=(
            "what the first scorer is wrong about and sure of: the second is not asked",
            "a band fitted on other data: thresholds do not carry over",
        ),
    ),
)
async def cascade(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judges: Judges = [],  # noqa: B006 - never changed; the schema shows it
    first: str = "grounding_model",
    first_options: dict[str, JSON] = {},  # noqa: B006 - the same
    then: str = "faithfulness",
    then_options: dict[str, JSON] = {},  # noqa: B006 - the same
    clear_below: float = 0.15,
    flag_above: float = 0.85,
) -> Score:
    """Whether an answer departs from its context: a cheap scorer decides, a dear one when in doubt.

    ``first`` scores every answer. Where its doubt lies below ``clear_below`` or above
    ``flag_above`` that is the score; in the uncertain band between, ``then`` decides, by default
    ``faithfulness`` with the ``judges``. Doubt runs from 0 to 1 and less is better: scorers for
    which more is better are turned round. ``passed`` follows whichever decided; ``rate`` is the
    share flagged, ``escalated`` the share that ``then`` decided, ``usd`` what an answer took on
    average. Fit the band on labels: thresholds do not carry over from one kind of data to another.
    """
    options = {
        "judges": judges,
        "first_options": first_options,
        "then_options": then_options,
    }

    async def score(key: str, name: str) -> Score:
        plugin = _named(name, key)
        return await _doubt(plugin, _options(options, key, plugin), case, output, panel)

    cheap = await score("first", first)
    if not clear_below <= cheap.value <= flag_above:
        passed = cheap.value < clear_below
        return replace(cheap, passed=passed, label=first, stats=(0.0, 0.0, 1.0))
    dear = await score("then", then)
    said = f"{first} doubts it at {cheap.value:.2f}"
    return replace(
        dear,
        passed=dear.value <= 0.5 if dear.passed is None else dear.passed,
        label=then,
        reason=f"{said}; {dear.reason}" if dear.reason else said,
        stats=(1.0, panel.spent_usd or 0.0, 1.0),
    )


async def _doubt(
    plugin: ScorerPlugin, options: Mapping[str, Any], case: Case, output: Output, panel: Panel
) -> Score:
    if plugin.asks:
        result = plugin.obj(case, output, panel, **options)
    else:
        result = await asyncio.to_thread(plugin.obj, case, output, **options)
    score = await result if inspect.isawaitable(result) else result
    assert isinstance(score, Score)
    return score if plugin.direction == "lower" else replace(score, value=1.0 - score.value)
