"""The values that travel between rooms: frozen, slotted, keyword-only, no behaviour but their own.

A ``Case`` is rendered by a prompt into ``Message``s; a target answers a ``Request`` with an
``Output``; scorers turn case and output into ``Score``s; all of it is one ``Trial``; trials make a
``Run``. Times are seconds, money is US dollars, instants are UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from evalkit.errors import ErrorClass
from evalkit.hashing import content_id
from evalkit.script import JSON as JSON  # noqa: PLC0414 - the same name for everybody
from evalkit.script import ScriptedTurn as ScriptedTurn  # noqa: PLC0414 - the same
from evalkit.script import asked_of, identity_of, references_of

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Direction: TypeAlias = Literal["higher", "lower", "neutral"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as sent to a model."""

    role: Role
    content: str


class _WorkedOut:
    """What follows from a case, kept beside its fields: a dictionary a case would be as large."""

    __slots__ = ("_input_id", "_references")

    _input_id: str
    _references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(_WorkedOut):
    """One input with its expectation.

    ``id`` is the hash of what is asked and expected, never a position; ``name`` is the label its
    author gave it. ``inputs`` are the variables a prompt may use; ``expected`` is a text, a list of
    acceptable texts, or any JSON value; ``tags`` put the case into slices. With ``turns`` the case
    is a conversation, and ``expected`` is what its last answer is judged by.
    """

    id: str
    name: str | None = None
    inputs: Mapping[str, JSON]
    expected: JSON = None
    context: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    row: int = 0
    turns: tuple[ScriptedTurn, ...] = ()

    @classmethod
    def of(
        cls,
        inputs: Mapping[str, JSON],
        *,
        expected: JSON = None,
        context: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, JSON] | None = None,
        name: str | None = None,
        row: int = 0,
        turns: Sequence[ScriptedTurn] = (),
    ) -> Case:
        """Build a case and derive its identity from inputs, context, turns and expectation.

        Name, tags, metadata and row are left out of the identity: relabelling changes no diff. What
        the last turn expects is what the case expects.
        """
        if turns and expected is None:
            expected = turns[-1].expected
        asked: object = {"inputs": inputs, "context": list(context), "expected": expected}
        if turns:
            asked = identity_of(inputs, context, turns, expected)
        return cls(
            id=content_id(asked),
            name=name,
            inputs=inputs,
            expected=expected,
            context=tuple(context),
            tags=tags or {},
            metadata=metadata or {},
            row=row,
            turns=tuple(turns),
        )

    @property
    def input_id(self) -> str:
        """The hash of what is asked alone; tells a changed expectation from a new case."""
        try:
            return self._input_id
        except AttributeError:
            asked = asked_of(self.inputs, self.context, self.turns)
            object.__setattr__(self, "_input_id", content_id(asked))
            return self._input_id

    @property
    def said(self) -> str | None:
        """What the user says last in a conversation; ``None`` for a single question."""
        return self.turns[-1].user if self.turns else None

    @property
    def references(self) -> tuple[str, ...]:
        """Every acceptable answer as text, best first; empty when nothing is expected."""
        try:
            return self._references
        except AttributeError:
            object.__setattr__(self, "_references", references_of(self.expected))
            return self._references


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer as the provider counted them; ``None`` is unknown, never zero.

    ``cached_tokens`` are part of ``input_tokens``, ``reasoning_tokens`` part of ``output_tokens``.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input plus output, or ``None`` when either is unknown."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class InterToken:
    """Gaps between the pieces of a streamed answer, in seconds."""

    count: int
    mean_s: float
    p95_s: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function the model asked to call; ``arguments`` is the text it wrote, parsed or not."""

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One call that a route made on the way to its answer."""

    target: str
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_s: float | None = None
    error_class: ErrorClass | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a server says that it may still be asked, in requests or in tokens.

    In ``reset_s`` seconds the ``limit`` (``None`` where it was not said) is whole again. It comes
    back steadily until then when it ``refills``, and otherwise all at once.
    """

    unit: Literal["requests", "tokens"]
    remaining: float
    reset_s: float
    limit: float | None = None
    refills: bool = False


class Provenance(StrEnum):
    """Where an answer came from; only a live one says anything about latency."""

    LIVE = "live"
    CACHE = "cache"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run that first got an answer which came from the cache, and when it got it."""

    run_id: str
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a conversation as it went: what the target was sent, and what it answered.

    ``user`` is the text of the message that was sent, as the prompt made it; ``output`` has the
    numbers of this call alone.
    """

    user: str
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a target answered, with what it took.

    ``latency_s`` is the attempt that produced the answer, from the first byte sent to the last
    received: waiting for a rate limit or an earlier attempt is not in it. ``ttft_s`` is the time to
    the first piece of content of a streamed answer. ``cost_usd`` is ``None`` when no price is
    known. ``model`` is the name the provider reported. An answer from the cache has the tokens and
    the cost of its ``origin``, and no time at all: what is spent on a trial is its ``Spend``.
    ``allowances`` are for whoever paces the next call, and are not stored.

    Of a conversation, ``turns`` are its turns in order, and the rest is said of the whole: text,
    tool calls and context are those of the last answer; usage, cost and ``latency_s`` are sums, and
    unknown where one part is; ``ttft_s`` is the longest that any turn took to its first piece.
    """

    text: str
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    context: tuple[str, ...] = ()
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    latency_s: float | None = None
    ttft_s: float | None = None
    inter_token: InterToken | None = None
    cost_usd: float | None = None
    provenance: Provenance = Provenance.LIVE
    legs: tuple[Leg, ...] = ()
    extra: Mapping[str, JSON] = field(default_factory=dict)
    origin: Origin | None = None
    allowances: tuple[Allowance, ...] = ()
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """The money and the tokens that one trial took, failed attempts and retries included.

    ``usd`` and ``tokens`` are what is known, ``None`` when nothing is. ``assumed_usd`` and
    ``assumed_tokens`` stand in for calls that may be billed and whose usage nobody told, such as a
    timeout: the most they can have taken. ``saved_usd`` is what an answer from the cache or a
    replay cost when it was made.
    """

    usd: float | None = None
    tokens: int | None = None
    assumed_usd: float = 0.0
    assumed_tokens: int = 0
    saved_usd: float | None = None


NOTHING_SPENT = Spend()


AnswerSchema: TypeAlias = Mapping[str, JSON]
"""The form an answer has to have, as a JSON schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a target is asked: the rendered messages, and the case for targets that take no prompt.

    ``seed`` differs per trial and is the same on every machine; ``timeout_s`` bounds one attempt.
    In a conversation ``messages`` are all of it so far, the last of them from the user, and
    ``answers`` are what the target said to the turns before. ``schema`` is the form of the answer
    for a target that can hold its model to one; every other target leaves it aside.
    """

    case: Case
    messages: tuple[Message, ...] = ()
    trial: int = 0
    seed: int | None = None
    timeout_s: float | None = None
    answers: tuple[str, ...] = ()
    schema: AnswerSchema | None = None


class Target(Protocol):
    """The system under test; the one seam every kind of target implements."""

    async def send(self, request: Request) -> Output:
        """Answer one request once; raises ``TargetError``, never retries."""
        ...

    async def aclose(self) -> None:
        """Release connections and processes; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A piece of text a score rests on, with its place.

    ``source`` is ``output``, ``context:<index>`` or ``expected``; ``start`` and ``end`` count
    characters in it. A row of source ``judge:<target>`` is what a judge said: ``text`` its label,
    ``reason`` its reason. Where the turns of a conversation were judged, ``turn:<number>:`` stands
    in front, from 1; a row of source ``turn:<number>`` is what that turn got: ``value`` its score,
    ``text`` passed, failed, scored, unscored or error, ``reason`` its reason.
    """

    source: str
    start: int
    end: int
    text: str
    reason: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a scorer says of one output.

    ``value`` is finite; ``passed`` is set by scorers that decide; ``stats`` are the sufficient
    statistics from which a corpus metric is computed, so it can be resampled without the texts.
    """

    value: float
    passed: bool | None = None
    label: str | None = None
    reason: str | None = None
    evidence: tuple[Evidence, ...] = ()
    stats: tuple[float, ...] = ()
    cost_usd: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a score must be finite, not {self.value!r}")


class ScoreStatus(StrEnum):
    """Whether there is a number: an unscored output never counts as 0 or 1."""

    SCORED = "scored"
    UNSCORED = "unscored"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecord:
    """One scorer's result on one trial as it is stored; ``score`` is there only when scored.

    ``spent_usd`` is what judges took for it, whatever came of it; ``models`` are the names that
    they reported.
    """

    name: str
    signature: str
    status: ScoreStatus
    score: Score | None = None
    reason: str | None = None
    elapsed_s: float | None = None
    spent_usd: float | None = None
    models: tuple[str, ...] = ()

    @property
    def cost_usd(self) -> float | None:
        """What scoring cost: as measured, or as the scorer says."""
        if self.spent_usd is not None or self.score is None:
            return self.spent_usd
        return self.score.cost_usd


class TrialStatus(StrEnum):
    """Whether the target answered."""

    OK = "ok"
    ERROR = "error"


CONFIRMING = 1_000
"""Trials from this index on were made to confirm a failure: chosen for what the others said, they
count for ``must: pass`` alone. No suite asks a case so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One execution of one case on one target, with its scores: one row of the store.

    ``queue_s`` is the wait for a slot or a rate limit before the last attempt, ``total_s``
    everything from the first queueing to the end, retries and waits included. ``failed_legs`` are
    the calls of a route that came to no answer, ``turns_before`` the turns of a conversation that
    were answered before the one that failed. In a load test a request is queued when it is due,
    and ``step`` is the step it was due in. ``after_kill`` marks a trial that was under way when an
    earlier start of the run was killed.
    """

    run_id: str
    suite: str
    target: str
    case: Case
    index: int
    status: TrialStatus
    started_at: datetime
    request_hash: str
    messages: tuple[Message, ...] = ()
    seed: int | None = None
    output: Output | None = None
    error_class: ErrorClass | None = None
    error: str | None = None
    http_status: int | None = None
    attempts: int = 1
    queue_s: float = 0.0
    total_s: float = 0.0
    scores: tuple[ScoreRecord, ...] = ()
    spend: Spend = NOTHING_SPENT
    failed_legs: tuple[Leg, ...] = ()
    step: int | None = None
    after_kill: bool = False
    turns_before: tuple[Turn, ...] = ()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that were answered, whatever came of the trial; none of a single question."""
        return self.turns_before if self.output is None else self.output.turns

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies the trial within its run."""
        return (self.suite, self.target, self.case.id, self.index)


@dataclass(frozen=True, slots=True)
class Metric:
    """How scores of one scorer become one number: the aggregate, declared with the scorer.

    ``corpus`` metrics are computed from summed ``Score.stats`` by ``corpus_value``; ``rate`` is the
    share whose ``passed`` is ``counts``; ``quantile`` takes the ``q`` quantile over trials.
    """

    name: str
    kind: Literal["mean", "rate", "quantile", "total", "corpus"]
    q: float | None = None
    corpus_value: Callable[[Sequence[float]], float] | None = None
    counts: bool = True


mean = Metric("mean", "mean")
rate = Metric("rate", "rate")
flagged = Metric("rate", "rate", counts=False)  # of detectors: the share that did not pass
total = Metric("total", "total")
p50 = Metric("p50", "quantile", 0.50)
p95 = Metric("p95", "quantile", 0.95)
p99 = Metric("p99", "quantile", 0.99)


def corpus(value: Callable[[Sequence[float]], float]) -> Metric:
    """A metric of the whole set, such as corpus BLEU, from the sum of every score's ``stats``."""
    return Metric("corpus", "corpus", corpus_value=value)


class RunKind(StrEnum):
    """What a run was made for; only an evaluation has scores, and only it can be a baseline."""

    EVALUATION = "evaluation"
    LOAD = "load"


class RunStatus(StrEnum):
    """How far a run got."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """A prompt as a run used it: the text itself, named by its content."""

    version: str
    path: str
    text: str
    label: str | None = None
    owner: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVersion:
    """A target as a run used it; ``options`` keep ``${env:NAME}`` unresolved.

    ``price`` is the price row the run was costed with, ``content_hash`` covers kind, options and
    prompt version.
    """

    name: str
    kind: str
    content_hash: str
    options: Mapping[str, JSON]
    model: str | None = None
    prompt_version: str | None = None
    price: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """A dataset as a suite of a run used it: the hash of its cases and how many there were."""

    suite: str
    source: str
    version: str
    format: str
    cases: int
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerVersion:
    """A scorer as a suite of a run used it."""

    suite: str
    name: str
    scorer: str
    signature: str
    direction: Direction
    unit: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The commit a run was made from; ``dirty`` means files differed from it."""

    commit: str
    branch: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One stored execution of suites on targets, with the version of everything it used.

    ``planned`` counts trials. ``settings`` are the flags that select and repeat cases.
    """

    id: str
    project: str
    started_at: datetime
    status: RunStatus
    planned: int
    suites: tuple[str, ...]
    suite_hashes: Mapping[str, str]
    targets: tuple[TargetVersion, ...]
    prompts: tuple[PromptVersion, ...]
    datasets: tuple[DatasetVersion, ...]
    scorers: tuple[ScorerVersion, ...]
    slices: tuple[str, ...] = ()
    seed: int = 0
    settings: Mapping[str, JSON] = field(default_factory=dict)
    evalkit_version: str = ""
    git: GitState | None = None
    user: str | None = None
    finished_at: datetime | None = None
    kind: RunKind = RunKind.EVALUATION

    @property
    def shard(self) -> str | None:
        """Which part of a whole it is, as ``2/4``; ``None`` for a whole run."""
        shard = self.settings.get("shard")
        return shard if isinstance(shard, str) else None
