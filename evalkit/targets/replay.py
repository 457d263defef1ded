"""Answers with recorded outputs, from a file or an earlier run: the product's own test double."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.errors import ConfigError, ErrorClass, Position, TargetError, suggestion
from evalkit.model import JSON, Output, Provenance, Request
from evalkit.registry import target
from evalkit.targets._answer import ANSWER_KEYS, number_or_none, output_of
from evalkit.targets._setting import OptionError, Setting

Failure: TypeAlias = tuple[ErrorClass, str]
_OWN_KEYS = frozenset({"case", "trial", "latency_s", "error_class", "error", "turns"})


@dataclass(frozen=True, slots=True)
class Talk:
    """A recorded conversation: its answers in order, and the failure it ended with, if it did."""

    answers: tuple[Output, ...]
    failure: Failure | None


Answer: TypeAlias = Output | Failure | Talk


@target(takes_prompt=False)
class Replay:
    """Gives the recorded answer of each case, without calling anything.

    ``file`` is a JSONL file, relative to the project, one object a line: ``case`` (id, name or
    input id of the case) with ``text`` and optionally ``trial`` (default 0), ``usage``,
    ``latency_s``, ``ttft_s``, ``model``, ``finish_reason``, ``context``, ``extra``, ``cost_usd``;
    or with ``error_class`` and ``error`` for a failure. ``turns`` is a list of such answers, those
    of a conversation in order. ``run`` names an earlier run instead. A
    case that was never recorded fails as ``not_found``; a trial that was not is answered by the
    case's recorded trials in turn only when ``reuse`` is true.
    """

    def __init__(
        self,
        setting: Setting,
        /,
        *,
        file: str | None = None,
        run: str | None = None,
        reuse: bool = False,
    ):
        if (file is None) == (run is None):
            raise ValueError("replay needs exactly one of 'file' and 'run'")
        self._reuse = reuse
        self._source = f"run {run}" if file is None else file
        self._answers: dict[str, dict[int, Answer]] = {}
        records: Iterable[tuple[Position | str, Mapping[str, JSON]]]
        if file is not None:
            records = _lines(setting.root / file)
        elif setting.records is not None:
            records = (
                (f"record {number}", one) for number, one in enumerate(setting.records, start=1)
            )
        else:
            raise OptionError("run", f"the recorded answers of run {run!r} were not found")
        for where, record in records:
            self._add(where, record)

    def _add(self, where: Position | str, record: Mapping[str, Any]) -> None:
        try:
            case, trial, answer = _parse(record)
        except TargetError as error:
            raise ConfigError(error.message, where=where) from error
        trials = self._answers.setdefault(case, {})
        if trial in trials:
            raise ConfigError(
                f"trial {trial} of case {case!r} is recorded twice",
                where=where,
                hint="keep one line, or give them different 'trial' numbers",
            )
        trials[trial] = answer

    async def send(self, request: Request) -> Output:
        """The recorded output, or the recorded failure raised again."""
        case = request.case
        trials: dict[int, Answer] = {}
        for key in (case.id, case.name, case.input_id):
            if key is not None and key in self._answers:
                trials = self._answers[key]
                break
        answer = trials.get(request.trial)
        if answer is None and trials and self._reuse:
            answer = trials[sorted(trials)[request.trial % len(trials)]]
        if answer is None:
            which = f"trial {request.trial} of case {case.name or case.id!r}"
            raise TargetError(
                ErrorClass.NOT_FOUND, f"{which} is not recorded in {self._source}", retryable=False
            )
        if request.case.turns or isinstance(answer, Talk):
            answer = self._turn(answer, request)
        if isinstance(answer, Output):
            return answer
        error_class, message = answer
        # Asking a recording again gives the same, so not even a rate limit is worth a retry.
        raise TargetError(error_class, message, retryable=False)

    def _turn(self, answer: Answer, request: Request) -> Output | Failure:
        """What was answered in the turn that is asked for."""
        if not isinstance(answer, Talk):
            if isinstance(answer, Output):
                return ErrorClass.NOT_FOUND, f"no turns of the conversation in {self._source}"
            return answer
        number = len(request.answers)
        if number < len(answer.answers):
            return answer.answers[number]
        missing = f"turn {number + 1} of the conversation is not recorded in {self._source}"
        return answer.failure or (ErrorClass.NOT_FOUND, missing)

    async def aclose(self) -> None:
        """Nothing to release."""


def _parse(record: Mapping[str, Any]) -> tuple[str, int, Answer]:
    case = record.get("case")
    trial = record.get("trial", 0)
    if not isinstance(case, str):
        raise TargetError(ErrorClass.INVALID_RESPONSE, "a recorded answer needs a 'case' (a text)")
    if isinstance(trial, bool) or not isinstance(trial, int) or trial < 0:
        raise TargetError(
            ErrorClass.INVALID_RESPONSE, "'trial' must be a whole number of at least 0"
        )
    for key in record:
        if key not in ANSWER_KEYS | _OWN_KEYS:
            hint = suggestion(key, ANSWER_KEYS | _OWN_KEYS)
            raise TargetError(ErrorClass.INVALID_RESPONSE, f"unknown key {key!r} ({hint})")
    failure = _failure(record)
    if "turns" in record:
        return case, trial, Talk(_turns(record), failure)
    return case, trial, failure or _output(record)


def _turns(record: Mapping[str, Any]) -> tuple[Output, ...]:
    turns = record["turns"]
    if not isinstance(turns, list) or not all(isinstance(one, dict) for one in turns):
        raise TargetError(
            ErrorClass.INVALID_RESPONSE, "'turns' must be a list of answers, each with a 'text'"
        )
    return tuple(_output(one) for one in turns)


def _failure(record: Mapping[str, Any]) -> Failure | None:
    named = record.get("error_class")
    if named is not None:
        known = [one.value for one in ErrorClass]
        if named not in known:
            hint = suggestion(str(named), known)
            raise TargetError(
                ErrorClass.INVALID_RESPONSE, f"unknown error class {named!r} ({hint})"
            )
        message = record.get("error")
        return ErrorClass(named), "recorded" if message is None else str(message)
    return None


def _output(record: Mapping[str, Any]) -> Output:
    answer = {key: value for key, value in record.items() if key not in _OWN_KEYS}
    return replace(
        output_of(answer, who="recorded answer"),
        provenance=Provenance.REPLAY,
        latency_s=number_or_none(record, "latency_s", "recorded answer"),
    )


def _lines(path: Path) -> Iterator[tuple[Position, Mapping[str, JSON]]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield Position(path, number), _object(line, Position(path, number))
    except OSError as error:
        raise OptionError(
            "file", f"the recorded answers cannot be read: {error.strerror}: {str(path)!r}"
        ) from error


def _object(line: bytes, where: Position) -> Mapping[str, JSON]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ConfigError(
            f"not JSON: {error}", where=where, hint="a replay file has one JSON object a line"
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(
            "not a JSON object", where=where, hint="a replay file has one JSON object a line"
        )
    return value
