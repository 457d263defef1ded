"""What answers of all providers have in common: counts, clean text, tool calls, one ``Output``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import JSON, Message, Output, ToolCall, Usage
from evalkit.targets._failure import is_html, plain
from evalkit.targets._http import Call, Wire
from evalkit.targets._pieces import Pieces

Result = TypeVar("Result")

_parsed = json.JSONDecoder().decode


def count(value: Any) -> int | None:
    """A number of tokens, or ``None`` for anything that is none."""
    return value if type(value) is int and value >= 0 else None


def clean(text: str) -> str:
    """Text that can be stored as UTF-8: surrogate halves are joined, single ones replaced.

    Servers that cut text into tokens may send an emoji as two escapes in two pieces.
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def text_or_none(value: Any) -> str | None:
    """A text that is not empty, else ``None``."""
    return clean(value) if isinstance(value, str) and value else None


class LogProbs:
    """The log probabilities of an answer's tokens, as their sum and their number."""

    __slots__ = ("_sum", "_tokens")

    def __init__(self) -> None:
        self._sum = 0.0
        self._tokens = 0

    def add(self, tokens: Any) -> None:
        """Take the tokens of one piece, each ``{"logprob": ...}``; anything else is passed over."""
        for one in tokens if isinstance(tokens, list) else ():
            value = one.get("logprob") if isinstance(one, dict) else None
            if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
                self._sum += max(float(value), -9999.0)  # what servers write for minus infinity
                self._tokens += 1

    def note(self, extra: dict[str, JSON]) -> None:
        """Write ``logprob_sum`` and ``logprob_tokens`` where there were any."""
        if self._tokens:
            extra["logprob_sum"] = self._sum
            extra["logprob_tokens"] = self._tokens


class ToolCalls:
    """Tool calls put together from fragments, by the index or the id that the fragments carry."""

    __slots__ = ("_slots", "_where")

    def __init__(self) -> None:
        self._slots: list[tuple[str | None, str, list[str]]] = []
        self._where: dict[Any, int] = {}

    def add(self, index: Any, call_id: str | None, name: str | None, arguments: str | None) -> None:
        """Take one fragment; one without an index belongs to the last call unless its id is new."""
        at = self._where.get(index) if index is not None else len(self._slots) - 1
        if at is not None and at >= 0:
            known_id, known_name, parts = self._slots[at]
            # Some servers give every parallel call the same index, and each its own id.
            if not (call_id and known_id and call_id != known_id and name):
                if arguments:
                    parts.append(arguments)
                self._slots[at] = (known_id or call_id, known_name or name or "", parts)
                return
        self._where[index] = len(self._slots)
        self._slots.append((call_id, name or "", [arguments] if arguments else []))

    def done(self) -> tuple[ToolCall, ...]:
        """The calls in the order in which they began."""
        return tuple(
            ToolCall(name=clean(name), arguments=clean("".join(parts)), id=call_id)
            for call_id, name, parts in self._slots
        )


def output(
    wire: Wire,
    call: Call,
    *,
    text: str,
    finish_reason: str | None,
    tool_calls: tuple[ToolCall, ...] = (),
    refusal: str = "",
    model: Any = None,
    usage: Usage,
    pieces: Pieces | None = None,
    extra: dict[str, JSON] | None = None,
) -> Output:
    """The answer as a value; an answer that the provider's filter swallowed whole is an error.

    ``extra`` gains ``connect_s`` (a new connection was made), ``first_reasoning_s`` and
    ``refusal``; a refusal in the model's own words is an answer and becomes its text.
    """
    if finish_reason in {"content_filter", "refusal"} and not (text or refusal or tool_calls):
        raise wire.error(
            f"gave no answer: {finish_reason}", ErrorClass.REFUSED, http_status=200, usage=usage
        )
    noted = {} if extra is None else extra
    if call.connect_s is not None:
        noted["connect_s"] = call.connect_s
    if pieces is not None and pieces.first_reasoning is not None:
        noted["first_reasoning_s"] = pieces.first_reasoning - call.started
    if refusal:
        noted["refusal"] = clean(refusal)
    first = None if pieces is None else pieces.first
    return Output(
        text=clean(text or refusal),
        finish_reason=finish_reason,
        tool_calls=tool_calls,
        model=text_or_none(model),
        usage=usage,
        latency_s=call.ended - call.started,
        ttft_s=None if first is None else first - call.started,
        inter_token=None if pieces is None else pieces.inter_token(),
        extra=noted,
        allowances=call.allowances,
    )


def event(wire: Wire, data: bytes) -> dict[str, Any]:
    """The JSON object of one event; anything else is an invalid response."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if type(found) is not dict:
        raise wire.error(
            f"sent an event that is no JSON object: {data[:4096].decode('utf-8', 'replace')}",
            ErrorClass.INVALID_RESPONSE,
        )
    return found


def document(wire: Wire, call: Call) -> Any:
    """The JSON of a whole answer; HTML, an empty or a cut-off body is an invalid response."""
    body = call.body
    try:
        return _parsed(body.decode())
    except (ValueError, RecursionError):
        pass
    try:
        # another encoding of Unicode, or a mark at its beginning
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if not body.strip():
        raise wire.error("sent an empty answer", ErrorClass.INVALID_RESPONSE)
    if is_html(body, call.content_type):
        # A page with status 200 is the wrong address, not a passing trouble.
        raise wire.error(
            f"sent {plain(body, call.content_type)} instead of JSON; check the address",
            ErrorClass.INVALID_RESPONSE,
            retryable=False,
        )
    cut = body.lstrip()[:1] in b"{[" and body.rstrip()[-1:] not in b"}]"
    raise wire.error(
        f"sent {'JSON that is cut off' if cut else 'no JSON'}: {plain(body, call.content_type)}",
        ErrorClass.INVALID_RESPONSE,
    )


def shaped(wire: Wire, read: Callable[[], Result]) -> Result:
    """What ``read`` returns; an answer whose parts have unexpected types is an invalid response."""
    try:
        return read()
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        raise wire.error(
            f"sent an answer of an unexpected shape ({type(error).__name__})",
            ErrorClass.INVALID_RESPONSE,
        ) from None


def cut_off(wire: Wire, call: Call) -> TargetError:
    """The error of a stream that ended before its answer was complete."""
    what = "without a word" if not call.received else f"after {call.received} bytes"
    return wire.error(
        f"ended the stream {what}, before the answer was complete", ErrorClass.INVALID_RESPONSE
    )


def encoded(option: str, value: Any) -> str:
    """JSON of configured values; ``ConfigError`` for what JSON cannot say (NaN, a date)."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{option}: cannot be sent as JSON ({error})") from None


def need_messages(messages: tuple[Message, ...], kind: str) -> None:
    """``TargetError`` of class prompt when there is nothing to send."""
    if not messages:
        raise TargetError(ErrorClass.PROMPT, f"{kind} needs a prompt, and the request has none")


def only_known_roles(messages: tuple[Message, ...], kind: str) -> None:
    """``TargetError`` of class prompt for a tool's message: it would need the id of its call."""
    if any(one.role == "tool" for one in messages):
        raise TargetError(
            ErrorClass.PROMPT, f"{kind}: a prompt cannot hold a tool's answer (role 'tool')"
        )


def nested(value: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under a key, or an empty one."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}
