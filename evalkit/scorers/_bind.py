"""A scorer with its options, ready to run: the boundary no scorer's failure can cross."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias, TypeGuard, get_args

from evalkit import registry
from evalkit.ask import Ask
from evalkit.config.spec import ScorerSpec
from evalkit.errors import ConfigError, TargetError, Unscorable, suggestion
from evalkit.hashing import bytes_id
from evalkit.model import (
    Case,
    Evidence,
    Metric,
    Output,
    Score,
    ScoreRecord,
    ScoreStatus,
    rate,
)
from evalkit.scorers._panel import Panel, together
from evalkit.scorers._patience import Hung, Patience
from evalkit.scorers._turns import Judged, TurnsJudged, of_conversation, parts_of

LONG_TEXT = 20_000
"""Characters of answer and expectation above which scoring leaves the event loop for a thread."""

DEADLINE_S = 60.0
"""Seconds in which a scorer of others must give a score, unless it declares another time."""

_IN_PROJECT = "file.py:name, relative to the project"
ProjectCode: TypeAlias = Annotated[str, _IN_PROJECT]
"""A parameter that names code of the project; the scorer is given it with an absolute path."""

_IS_PROMPT = "a prompt file"
PromptFile: TypeAlias = Annotated[Path, _IS_PROMPT]
"""A parameter that names a prompt file: its version, not its label, stands in the signature."""

Pair = tuple[Case, Output]
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundScorer:
    """One scorer of a suite; ``name`` is what the suite calls it.

    ``options`` are complete: every parameter has its value, files are absolute. ``metrics`` are the
    plugin's, and the rate of ``passed`` when the options make it decide. Code that is not
    evalkit's own has ``patience`` with it, a time limit; evalkit's own scorers refuse what would
    take long. ``judges`` are the targets that a scorer with ``asks`` may ask, by name. ``turns``
    says which answers of a conversation are judged.
    """

    name: str
    signature: str
    plugin: registry.ScorerPlugin
    options: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    patience: Patience | None = field(default=None, compare=False)
    judges: Mapping[str, Ask] = field(default_factory=dict)
    turns: TurnsJudged = "last"

    @property
    def asks(self) -> bool:
        """Whether it asks models, whose own limits pace it and whose cost is measured."""
        return bool(self.plugin.asks)

    @property
    def wants_tools(self) -> bool:
        """Whether it judges calls, so that a target that can make none leaves it undecided."""
        return "tools" in self.plugin.needs

    @property
    def prompts(self) -> tuple[Path, ...]:
        """The prompt files among its options, or those it brings along."""
        given = tuple(
            self.options[name]
            for name, one in self.plugin.parameters.items()
            if _marked(one.annotation, _IS_PROMPT) and self.options.get(name) is not None
        )
        return given or self.plugin.rubrics

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the scores become: the plugin's metrics, plus the rate when this one decides."""
        declared = self.plugin.metrics
        limits = any(self.options.get(one) is not None for one in ("min", "max"))
        has_rate = any(one.kind == "rate" for one in declared)
        if (self.threshold is None and not limits) or has_rate:
            return declared
        return (*declared, rate)

    @property
    def is_async(self) -> bool:
        """Whether the scorer must run in an event loop, as one that asks a model does."""
        return inspect.iscoroutinefunction(self.plugin.obj)

    async def score(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        """One record a pair, in order; nothing a scorer does raises out of here.

        A batch scorer sees all judgeable pairs at once. Long texts and the user's own code run in
        a thread, so that the event loop keeps serving other calls.
        """
        if self.turns != "last" and any(output.turns for _, output in pairs):
            parts = _parts(pairs)
            return self._whole(pairs, parts, await self._scored(parts))
        return await self._scored(pairs)

    async def _scored(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        if self.plugin.batch:
            return await self._batch(pairs)
        if self.asks:
            # the judges' own lanes say how many are asked at once
            return await together(self._one(case, output) for case, output in pairs)
        return [await self._one(case, output) for case, output in pairs]

    def score_sync(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        """The same without an event loop; an async scorer gives errors that say so."""
        if self.turns != "last" and any(output.turns for _, output in pairs):
            parts = _parts(pairs)
            return self._whole(pairs, parts, self._scored_sync(parts))
        return self._scored_sync(pairs)

    def _scored_sync(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        if self.plugin.batch:
            return self._batch_sync(pairs)
        if self.patience is not None:
            return self._patient(pairs, self.patience)
        return [self._one_sync(case, output) for case, output in pairs]

    def _whole(
        self, pairs: Sequence[Pair], parts: Sequence[Pair], records: Sequence[ScoreRecord]
    ) -> list[ScoreRecord]:
        """One record a pair from those of its turns."""
        rest = iter(zip(parts, records, strict=True))
        found = []
        for _, output in pairs:
            if output.turns:
                judged = [
                    Judged(turn, record, not self._missing(*part))
                    for turn, (part, record) in zip(output.turns, rest, strict=False)
                ]
                found.append(of_conversation(judged, self.turns, self.plugin.direction))
            else:
                _, record = next(rest)
                found.append(record)
        return found

    async def _one(self, case: Case, output: Output) -> ScoreRecord:
        missing = self._missing(case, output)
        if missing:
            return self._record(Unscorable(missing), 0.0)
        panel = Panel(self.judges) if self.plugin.asks else None
        given = (case, output) if panel is None else (case, output, panel)
        started = time.perf_counter()
        try:
            if self.patience is not None and not self.is_async:
                call = partial(self.plugin.obj, *given, **self.options)
                (result,) = await asyncio.to_thread(self.patience.results, [call])
            elif self._wants_thread(case, output):
                result = await asyncio.to_thread(self.plugin.obj, *given, **self.options)
            else:
                result = self.plugin.obj(*given, **self.options)
            result = await self._awaited(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the scorer boundary
            result = error
        return self._record(result, time.perf_counter() - started, panel)

    async def _awaited(self, result: Any) -> Any:
        """What an asynchronous scorer says, within the time that code not ours has."""
        if not inspect.isawaitable(result):
            return result
        if self.patience is None:
            return await result
        try:
            async with asyncio.timeout(self.patience.limit_s) as limit:
                return await result
        except TimeoutError:
            if limit.expired():
                raise Hung(self.patience.limit_s, made=True) from None
            raise

    def _patient(self, pairs: Sequence[Pair], patience: Patience) -> list[ScoreRecord]:
        judged, missing = self._split(pairs)
        calls = [partial(self._timed, case, output) for case, output in judged]
        rest = iter(patience.results(calls))
        found = []
        for why in missing:
            result = Unscorable(why) if why else next(rest)
            value, elapsed = result if isinstance(result, tuple) else (result, 0.0)
            found.append(self._record(value, patience.limit_s if _hung(value) else elapsed))
        return found

    def _timed(self, case: Case, output: Output) -> tuple[object, float]:
        started = time.perf_counter()
        try:
            asked = (Panel(self.judges),) if self.plugin.asks else ()
            result = self.plugin.obj(case, output, *asked, **self.options)
            if type(result) is not Score:
                result = _not_awaitable(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the scorer boundary
            result = error
        return result, time.perf_counter() - started

    def _one_sync(self, case: Case, output: Output) -> ScoreRecord:
        missing = self._missing(case, output)
        if missing:
            return self._record(Unscorable(missing), 0.0)
        return self._record(*self._timed(case, output))

    async def _batch(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        judged, missing = self._split(pairs)
        started = time.perf_counter()
        try:
            if not judged:
                results: Any = []
            elif self.is_async:
                results = await self._awaited(self.plugin.obj(judged, **self.options))
            else:
                results = await asyncio.to_thread(self._all, judged)
                results = await self._awaited(results)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the scorer boundary
            results = [error] * len(judged)
        return self._merge(missing, judged, results, time.perf_counter() - started)

    def _batch_sync(self, pairs: Sequence[Pair]) -> list[ScoreRecord]:
        judged, missing = self._split(pairs)
        started = time.perf_counter()
        try:
            results: Any = _not_awaitable(self._all(judged)) if judged else []
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the scorer boundary
            results = [error] * len(judged)
        return self._merge(missing, judged, results, time.perf_counter() - started)

    def _all(self, judged: Sequence[Pair]) -> Any:
        """What a batch scorer says of all pairs, within as much time as they have together."""
        if self.patience is None:
            return self.plugin.obj(judged, **self.options)
        (found,) = self.patience.results([partial(self.plugin.obj, judged, **self.options)])
        if isinstance(found, BaseException):
            raise found
        return found

    def _split(self, pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
        missing = [self._missing(case, output) for case, output in pairs]
        return [pair for pair, why in zip(pairs, missing, strict=True) if not why], missing

    def _merge(
        self, missing: Sequence[str], judged: Sequence[Pair], results: Any, elapsed: float
    ) -> list[ScoreRecord]:
        if not isinstance(results, (list, tuple)) or len(results) != len(judged):
            got = f"{len(results)} results" if hasattr(results, "__len__") else repr(type(results))
            wrong = TypeError(f"the batch scorer gave {got} for {len(judged)} pairs")
            results = [wrong] * len(judged)
        each = elapsed / len(judged) if judged else 0.0
        rest = iter(results)
        return [
            self._record(Unscorable(why), 0.0) if why else self._record(next(rest), each)
            for why in missing
        ]

    def _wants_thread(self, case: Case, output: Output) -> bool:
        if self.is_async:
            return False
        long = len(output.text) + sum(len(one) for one in case.references) > LONG_TEXT
        return long or self.plugin.code

    def _missing(self, case: Case, output: Output) -> str:
        for need in self.plugin.needs:
            if need == "expected":
                if not case.references:
                    return "the case expects nothing"
                continue
            kind, _, name = need.partition(".")
            if kind == "context" and not (case.context or output.context):
                return "the case has no context"
            if kind in {"inputs", "tags", "metadata"} and name not in getattr(case, kind):
                return f"the case has no {need}"
        return ""

    def _record(self, result: object, elapsed: float, panel: Panel | None = None) -> ScoreRecord:
        status, score, reason = ScoreStatus.SCORED, None, None
        spent = None if panel is None else panel.spent_usd
        if spent is not None and isinstance(result, Score):
            result = replace(result, cost_usd=spent)
        if self._holds(result):
            score, reason = result, result.reason
        elif isinstance(result, Unscorable):
            status, reason = ScoreStatus.UNSCORED, str(result) or "no reason given"
        elif isinstance(result, TargetError):
            status, reason = ScoreStatus.ERROR, str(result)
        elif isinstance(result, BaseException):
            said = str(result) if _hung(result) else f"{type(result).__name__}: {result}"
            status, reason = ScoreStatus.ERROR, said + _users_line(result)
        else:
            try:
                score = self._decided(_plain(result))
                reason = score.reason
            except (TypeError, ValueError, OverflowError) as error:
                status, reason = ScoreStatus.ERROR, str(error)
        return ScoreRecord(
            name=self.name,
            signature=self.signature,
            status=status,
            score=score,
            reason=reason,
            elapsed_s=elapsed,
            spent_usd=spent,
            models=() if panel is None else panel.models,
        )

    def _holds(self, result: object) -> TypeGuard[Score]:
        """Whether a score is right as it is, as almost every one is."""
        if type(result) is not Score or self.threshold is not None or not _is_plain(result):
            return False
        low, high = self.plugin.range
        return low <= result.value <= high

    def _decided(self, score: Score) -> Score:
        low, high = self.plugin.range
        slack = 1e-9 * max(1.0, abs(score.value))  # libraries give 100.00000000000004
        if not low - slack <= score.value <= high + slack:
            raise ValueError(
                f"the value {score.value!r} lies outside the declared range {low:g} … {high:g}"
            )
        if self.threshold is None:
            return score
        if self.plugin.direction == "lower":
            passed = score.value <= self.threshold
        else:
            passed = score.value >= self.threshold
        return replace(score, passed=passed)


def _hung(result: object) -> bool:
    return isinstance(result, Hung)


def _not_awaitable(result: object) -> object:
    if not isinstance(result, Awaitable):
        return result
    if inspect.iscoroutine(result):
        result.close()
    raise TypeError("the scorer is asynchronous and was called without an event loop")


def _plain(result: object) -> Score:
    """The score with plain Python numbers, so that it can be written as JSON."""
    if not isinstance(result, Score):
        raise TypeError(
            f"the scorer returned {type(result).__name__}; return a Score or raise Unscorable"
        )
    if _is_plain(result):
        return result
    if result.passed is not None and not isinstance(result.passed, bool):
        raise TypeError(f"passed must be true, false or nothing, not {result.passed!r}")
    for name in ("label", "reason"):
        if not isinstance(getattr(result, name), (str, type(None))):
            raise TypeError(f"{name} must be text, not {getattr(result, name)!r}")
    if not all(isinstance(one, Evidence) for one in result.evidence):
        raise TypeError("evidence must be Evidence values")
    stats = tuple(float(one) for one in result.stats)
    if not all(math.isfinite(one) for one in stats):
        raise ValueError("the score's stats must be finite")
    return Score(
        value=float(result.value),
        passed=result.passed,
        label=result.label,
        reason=result.reason,
        evidence=tuple(result.evidence),
        stats=stats,
        cost_usd=None if result.cost_usd is None else float(result.cost_usd),
    )


def _is_plain(score: Any) -> bool:
    """Whether a score is plain as it is, as those of almost every scorer are."""
    return (
        type(score.value) is float
        and (score.passed is None or type(score.passed) is bool)
        and (score.label is None or type(score.label) is str)
        and (score.reason is None or type(score.reason) is str)
        and (score.cost_usd is None or type(score.cost_usd) is float)
        and score.evidence == ()
        and type(score.stats) is tuple
        # a sum of numbers is finite only when they are
        and (not score.stats or {*map(type, score.stats)} == {float})
        and math.isfinite(sum(score.stats))
    )


def bind(
    spec: ScorerSpec,
    *,
    root: Path | None = None,
    allow_code: bool | None = None,
    reference: bool = False,
    judges: Mapping[str, Ask] | None = None,
) -> BoundScorer:
    """The scorer of a suite, its options checked and its signature made.

    ``root`` is the project's folder, to which the files in options are relative (default: the
    current one). A scorer that runs the user's code is refused unless ``allow_code``, whose default
    is the environment's ``EVALKIT_ALLOW_CODE=1``. ``judges`` are the targets that scorers may ask.
    Raises ``ConfigError`` and ``UnknownName``.
    """
    plugin = registry.get(registry.Kind.SCORER, spec.scorer)
    if not isinstance(plugin, registry.ScorerPlugin):
        _refuse(spec, "is registered as a scorer but is not declared as one", "use @evalkit.scorer")
    if allow_code is None:
        allow_code = os.environ.get("EVALKIT_ALLOW_CODE") == "1"
    if plugin.code and not allow_code:
        _refuse(
            spec,
            "runs code that the configuration names, and that is not allowed here",
            "if you trust this project, pass --allow-code or set EVALKIT_ALLOW_CODE=1",
        )
    _check_threshold(spec, plugin)
    root = root or Path.cwd()
    options = _validated(spec, plugin, root)
    known = judges or {}
    for name in plugin.asked(options):
        if name not in known:
            _refuse(spec, f"unknown target {name!r}", suggestion(name, known))
    extra = ""
    if plugin.prepare is not None:
        try:
            extra = plugin.prepare(options)
        except (ValueError, TypeError, OSError) as error:
            _refuse(spec, str(error), "run: evalkit scorers show " + plugin.name)
    signed = {
        name: _signed(value, root, plugin.parameters[name].annotation)
        for name, value in options.items()
    }
    for name in plugin.asks:
        # who answers, not what the project calls it
        asked = plugin.asked({**dict.fromkeys(plugin.asks), name: options.get(name)})
        signed[name] = ",".join(known[one].identity for one in asked)
    signature = plugin.signature(signed)
    if reference and plugin.reference is not None:
        plugin = replace(plugin, obj=plugin.reference, batch=False)
    return BoundScorer(
        name=spec.name,
        signature=signature
        + (f"|{extra}" if extra else "")
        + (f"|turns:{spec.turns}" if spec.turns != "last" else ""),
        plugin=plugin,
        options=options,
        threshold=spec.threshold,
        judges={name: known[name] for name in plugin.asked(options)},
        patience=_patience(plugin, options),
        turns=spec.turns,
    )


def _parts(pairs: Sequence[Pair]) -> list[Pair]:
    """Every turn of every conversation as a pair of its own, and the other pairs as they are."""
    return [
        part
        for case, output in pairs
        for part in (parts_of(case, output) if output.turns else [(case, output)])
    ]


def _patience(plugin: registry.ScorerPlugin, options: Mapping[str, Any]) -> Patience | None:
    """The time limit of code that is not evalkit's own."""
    own = plugin.obj.__module__.partition(".")[0] == __name__.partition(".")[0]
    if own and not plugin.code:
        return None
    given = options.get("deadline") if own else plugin.deadline_s
    return Patience(DEADLINE_S if given is None else given)


def _refuse(spec: ScorerSpec, what: str, hint: str) -> NoReturn:
    raise ConfigError(f"scorer {spec.name!r}: {what}", where=spec.position, hint=hint)


def _check_threshold(spec: ScorerSpec, plugin: registry.ScorerPlugin) -> None:
    if spec.threshold is None:
        return
    if not math.isfinite(spec.threshold):
        _refuse(spec, f"threshold {spec.threshold!r} is not a number", "give a finite number")
    if plugin.direction == "neutral":
        _refuse(
            spec,
            "has no better direction, so a threshold decides nothing",
            "use its own min and max",
        )
    low, high = plugin.range
    if not low <= spec.threshold <= high:
        _refuse(
            spec,
            f"threshold {spec.threshold:g} lies outside its range {low:g} … {high:g}",
            "every answer would get the same verdict",
        )


def _validated(spec: ScorerSpec, plugin: registry.ScorerPlugin, root: Path) -> dict[str, Any]:
    from pydantic import ValidationError

    from evalkit.config.options import complete_options

    help_line = f"run: evalkit scorers show {plugin.name}"
    try:
        options = complete_options(plugin, spec.options)
    except ValidationError as error:
        found = error.errors(include_url=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            _refuse(spec, f"unknown option {name!r}", suggestion(name, plugin.parameters))
        if first["type"] == "missing" and name not in spec.options:
            _refuse(spec, f"option {name!r} is missing", help_line)
        given = spec.options.get(name)
        _refuse(spec, f"option {name!r}: {first['msg']}, not {given!r}", help_line)
    parameters = plugin.parameters
    return {name: _located(parameters[name], one, root) for name, one in options.items()}


def _located(parameter: registry.Parameter, value: Any, root: Path) -> Any:
    if isinstance(value, Path):
        return root / value
    return str(root / value) if _IN_PROJECT in get_args(parameter.annotation) else value


def _marked(annotation: Any, mark: str) -> bool:
    """Whether a type, or one of an optional's, carries a mark."""
    inside = get_args(annotation)
    return mark in inside or any(_marked(one, mark) for one in inside if get_args(one))


def _signed(value: object, root: Path, annotation: Any) -> object:
    """A file counts by its content, so that a signature is the same on every machine."""
    if isinstance(value, Path) and _marked(annotation, _IS_PROMPT):
        from evalkit.config.prompt import load_prompt

        return f"{value.name}#{load_prompt(value).version}"
    if isinstance(value, Path):
        return (
            f"{value.name}#{bytes_id(value.read_bytes())[:12]}" if value.is_file() else value.name
        )
    return value.removeprefix(f"{root}{os.sep}") if isinstance(value, str) else value


def _users_line(error: BaseException) -> str:
    """Where in the user's own files it was raised, as ``, at polite.py:11``; else nothing."""
    place, step = "", error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if _PACKAGE not in file.parents and "site-packages" not in file.parts:
            place = f", at {file.name}:{step.tb_lineno}"
        step = step.tb_next
    return place
