"""From a job and its answer to the trial that is stored: no secret is left in any text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from evalkit.errors import ErrorClass
from evalkit.model import (
    Case,
    Leg,
    Message,
    Output,
    Run,
    ScoreRecord,
    ScriptedTurn,
    ToolCall,
    Trial,
    TrialStatus,
    Turn,
)
from evalkit.runner.course import Answer
from evalkit.runner.feed import Job
from evalkit.runner.veil import Veil
from evalkit.script import references_of
from evalkit.secrets import Redactor

LONGEST_ERROR = 2_000
"""Characters of an error's text that are stored: a server may answer with a whole page."""


def build_trial(
    job: Job,
    answer: Answer,
    *,
    run_id: str,
    target: str,
    scores: tuple[ScoreRecord, ...],
    veil: Veil,
    after_kill: bool = False,
) -> Trial:
    """The row of one trial; what may not be stored leaves every text of it, before any is cut."""
    output, error, case, messages = answer.output, answer.error, job.case, job.messages
    message = None if error is None else error.message
    if veil:
        scores = tuple(_clean_score(one, veil, case, output) for one in scores)
        messages = _clean_messages(messages, veil)
        case = _clean_case(case, veil)
        if output is not None:
            output = _clean_output(output, veil)
        if message is not None:
            message = veil.text(message)
    if message is not None and len(message) > LONGEST_ERROR:
        message = message[:LONGEST_ERROR] + "…"
    return Trial(
        run_id=run_id,
        suite=job.suite,
        target=target,
        case=case,
        index=job.index,
        status=TrialStatus.OK if output is not None else TrialStatus.ERROR,
        started_at=answer.started_at,
        request_hash=job.request_hash,
        messages=messages,
        seed=job.seed,
        output=output,
        error_class=None if error is None else ErrorClass(error.error_class),
        error=message,
        http_status=None if error is None else error.http_status,
        attempts=answer.attempts,
        queue_s=answer.queue_s,
        total_s=answer.total_s,
        scores=scores,
        spend=answer.spend,
        after_kill=after_kill,
        failed_legs=()
        if error is None
        else tuple(one for one in error.legs if isinstance(one, Leg)),
        turns_before=_clean_turns(answer.turns, veil),
    )


def veiled(trial: Trial, veil: Veil) -> Trial:
    """A trial that was built elsewhere, without what may not be stored; the same when clean."""
    if not veil:
        return trial
    output = trial.output
    return replace(
        trial,
        case=_clean_case(trial.case, veil),
        messages=_clean_messages(trial.messages, veil),
        output=None if output is None else _clean_output(output, veil),
        error=veil.value(trial.error),
        scores=tuple(_clean_score(one, veil, trial.case, output) for one in trial.scores),
        turns_before=_clean_turns(trial.turns_before, veil),
    )


def is_clean(output: Output, veil: Veil) -> bool:
    """Whether an answer may be stored as it is."""
    return not veil or _clean_output(output, veil) is output


def clean_run(run: Run, redactor: Redactor) -> Run:
    """The run without a secret in any text of its configuration; the same object when clean."""
    if not redactor:
        return run
    prompts = tuple(
        one if (text := redactor.text(one.text)) is one.text else replace(one, text=text)
        for one in run.prompts
    )
    targets = tuple(
        replace(one, options=redactor.value(one.options), model=redactor.value(one.model))
        for one in run.targets
    )
    return replace(run, prompts=prompts, targets=targets, settings=redactor.value(run.settings))


def _clean_messages(messages: tuple[Message, ...], veil: Veil) -> tuple[Message, ...]:
    if all(veil.text(one.content) is one.content for one in messages):
        return messages
    return tuple(Message(role=one.role, content=veil.text(one.content)) for one in messages)


def case_texts(case: Case) -> tuple[object, ...]:
    """Everything of a case that its author wrote."""
    said = [[one.user, one.expected, one.metadata] for one in case.turns]
    return (*_texts_of(case), *([said] if said else ()))


def _texts_of(case: Case) -> tuple[object, ...]:
    return (case.name, case.inputs, case.expected, case.context, case.tags, case.metadata)


def _clean_case(case: Case, veil: Veil) -> Case:
    # the identity stays: it is a hash, and the case must still be found by it
    given = _texts_of(case)
    clean = tuple(veil.value(one) for one in given)
    turns = tuple(_clean_script(one, veil) for one in case.turns)
    changed = any(new is not old for new, old in zip(turns, case.turns, strict=True))
    if not changed and all(new is old for new, old in zip(clean, given, strict=True)):
        return case
    name, inputs, expected, context, tags, metadata = clean
    return Case(
        id=case.id,
        name=name,  # type: ignore[arg-type]  # a text for a text, and so on: see evalkit.secrets.cleaned
        inputs=inputs,  # type: ignore[arg-type]
        expected=expected,  # type: ignore[arg-type]
        context=context,  # type: ignore[arg-type]
        tags=tags,  # type: ignore[arg-type]
        metadata=metadata,  # type: ignore[arg-type]
        row=case.row,
        turns=turns,
    )


def _clean_script(turn: ScriptedTurn, veil: Veil) -> ScriptedTurn:
    user, metadata = veil.text(turn.user), veil.value(turn.metadata)
    expected = veil.value(turn.expected)
    if user is turn.user and expected is turn.expected and metadata is turn.metadata:
        return turn
    return ScriptedTurn(user=user, expected=expected, metadata=metadata)


def _clean_turns(turns: tuple[Turn, ...], veil: Veil) -> tuple[Turn, ...]:
    if not turns or not veil:
        return turns
    return tuple(
        Turn(user=veil.text(one.user), output=_clean_output(one.output, veil)) for one in turns
    )


def _clean_output(output: Output, veil: Veil) -> Output:
    text = veil.text(output.text)
    extra = veil.value(output.extra) if output.extra else output.extra
    context = veil.value(output.context) if output.context else output.context
    model = veil.value(output.model)
    finish = veil.value(output.finish_reason)
    calls = tuple(_clean_call(one, veil) for one in output.tool_calls)
    turns = _clean_turns(output.turns, veil)
    same = text is output.text and extra is output.extra and context is output.context
    if (
        same
        and not turns
        and model is output.model
        and finish is output.finish_reason
        and not calls
    ):
        return output
    return replace(
        output,
        text=text,
        extra=extra,
        context=context,
        tool_calls=calls,
        model=model,
        finish_reason=finish,
        turns=turns,
    )


def _clean_call(call: ToolCall, veil: Veil) -> ToolCall:
    return replace(call, name=veil.text(call.name), arguments=veil.text(call.arguments))


def _clean_score(record: ScoreRecord, veil: Veil, case: Case, output: Output | None) -> ScoreRecord:
    score = record.score
    if score is not None and (score.reason or score.label or score.evidence):
        sources = (
            *(() if output is None else (output.text, *output.context, *_said(output))),
            *case.context,
            *case.references,
            *(text for one in case.turns for text in references_of(one.expected)),
        )
        score = replace(
            score,
            reason=veil.value(score.reason),
            label=veil.value(score.label),
            evidence=tuple(veil.evidence(one, sources) for one in score.evidence),
        )
    if score is record.score and record.reason is None:
        return record
    return replace(record, score=score, reason=veil.value(record.reason))


def _said(output: Output) -> Iterator[str]:
    """The texts of a conversation that a score may rest on."""
    for one in output.turns:
        yield from (one.output.text, *one.output.context)
