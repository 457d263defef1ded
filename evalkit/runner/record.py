"""From a job and its answer to the trial that is stored, with no secret left in any text."""

from __future__ import annotations

from dataclasses import replace

from evalkit.errors import ErrorClass
from evalkit.model import Case, Leg, Message, Output, ScoreRecord, ToolCall, Trial, TrialStatus
from evalkit.runner.feed import Job
from evalkit.runner.lane import Answer
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
    redactor: Redactor,
) -> Trial:
    """The row of one trial; secrets are taken out of every text of it, before any is cut."""
    output, error, case, messages = answer.output, answer.error, job.case, job.messages
    message = None if error is None else error.message
    if redactor:
        messages = _clean_messages(messages, redactor)
        case = _clean_case(case, redactor)
        scores = tuple(_clean_score(one, redactor) for one in scores)
        if output is not None:
            output = _clean_output(output, redactor)
        if message is not None:
            message = redactor.text(message)
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
        failed_legs=()
        if error is None
        else tuple(one for one in error.legs if isinstance(one, Leg)),
    )


def _clean_messages(messages: tuple[Message, ...], redactor: Redactor) -> tuple[Message, ...]:
    if all(redactor.text(one.content) is one.content for one in messages):
        return messages
    return tuple(Message(role=one.role, content=redactor.text(one.content)) for one in messages)


def _clean_case(case: Case, redactor: Redactor) -> Case:
    # the identity stays: it is a hash, and the case must still be found by it
    given = (case.name, case.inputs, case.expected, case.context, case.tags, case.metadata)
    clean = tuple(redactor.value(one) for one in given)
    if all(new is old for new, old in zip(clean, given, strict=True)):
        return case
    name, inputs, expected, context, tags, metadata = clean
    return Case(
        id=case.id,
        name=name,  # type: ignore[arg-type]  # a text for a text, and so on: see Redactor.value
        inputs=inputs,  # type: ignore[arg-type]
        expected=expected,  # type: ignore[arg-type]
        context=context,  # type: ignore[arg-type]
        tags=tags,  # type: ignore[arg-type]
        metadata=metadata,  # type: ignore[arg-type]
        row=case.row,
    )


def _clean_output(output: Output, redactor: Redactor) -> Output:
    text = redactor.text(output.text)
    extra = redactor.value(output.extra) if output.extra else output.extra
    context = redactor.value(output.context) if output.context else output.context
    calls = tuple(_clean_call(one, redactor) for one in output.tool_calls)
    if text is output.text and extra is output.extra and context is output.context and not calls:
        return output
    return replace(output, text=text, extra=extra, context=context, tool_calls=calls)


def _clean_call(call: ToolCall, redactor: Redactor) -> ToolCall:
    return replace(call, name=redactor.text(call.name), arguments=redactor.text(call.arguments))


def _clean_score(record: ScoreRecord, redactor: Redactor) -> ScoreRecord:
    score = record.score
    if score is not None and (score.reason or score.label or score.evidence):
        score = replace(
            score,
            reason=redactor.value(score.reason),
            label=redactor.value(score.label),
            evidence=tuple(
                replace(one, text=redactor.text(one.text), reason=redactor.text(one.reason))
                for one in score.evidence
            ),
        )
    if score is record.score and record.reason is None:
        return record
    return replace(record, score=score, reason=redactor.value(record.reason))
