"""What a failed answer means: the class of the error, how long to wait, and a text safe to show.

Sources: the error references of OpenAI, Azure, Anthropic, Google, OpenRouter and Groq, and the
sources of vLLM, llama.cpp, Ollama and LiteLLM. A code inside the body is believed before the HTTP
status, because gateways flatten statuses: an exhausted quota and a rate limit are both 429.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from evalkit.errors import ErrorClass, TargetError

SHOWN = 300
"""Characters of a server's own text that an error message may hold."""

_SHORTEST_SECRET = 8
_READ = 64 * 1024

_CODES: dict[str, ErrorClass] = {
    code: error_class
    for error_class, codes in {
        ErrorClass.QUOTA: (
            "insufficient_quota billing_hard_limit_reached billing_not_active billing_error "
            "insufficient_credits insufficient_balance insufficient_user_quota payment_required "
            "exceeded_current_quota_error credits_exhausted account_deactivated arrearage"
        ),
        ErrorClass.REFUSED: (
            "content_filter content_filtered content_policy_violation responsibleaipolicyviolation "
            "invalid_prompt moderation_blocked data_inspection_failed prompt_blocked "
            "content_moderation safety policy_violation"
        ),
        ErrorClass.NOT_FOUND: (
            "model_not_found not_found_error notfounderror deploymentnotfound not_found "
            "resourcenotfound model_not_available unknown_model"
        ),
        ErrorClass.AUTH: (
            "invalid_api_key authentication_error authenticationerror permission_error "
            "permissiondenied permission_denied unauthorized unauthenticated access_denied "
            "invalid_authentication_error forbidden"
        ),
        ErrorClass.RATE_LIMIT: (
            "rate_limit_exceeded rate_limit_error ratelimitreached ratelimiterror rate_limited "
            "rate_limit_reached_error too_many_requests resource_exhausted throttlingexception "
            "throttling concurrency_limit_exceeded tokens requests"
        ),
        ErrorClass.TIMEOUT: "timeout_error timeout request_timeout deadline_exceeded",
        ErrorClass.SERVER: (
            "server_error api_error overloaded_error internal_error internal_server_error "
            "internalservererror engine_overloaded engine_overloaded_error overloaded "
            "service_unavailable unavailable unavailable_error serviceunavailableerror "
            "vector_store_timeout"
        ),
        ErrorClass.INVALID_RESPONSE: "json_validate_failed tool_use_failed",
        ErrorClass.BAD_REQUEST: (
            "invalid_request_error invalid_argument badrequesterror bad_request request_too_large "
            "context_length_exceeded exceed_context_size_error unsupported_parameter "
            "unsupported_value validation_error string_above_max_length unknown_parameter"
        ),
    }.items()
    for code in codes.split()
}
_SOFT_QUOTA = frozenset({"quota_exceeded", "quotaexceeded"})
"""Codes that some providers use for limits a minute and others for an empty account."""

_OVERRULES = (
    ErrorClass.QUOTA,
    ErrorClass.REFUSED,
    ErrorClass.NOT_FOUND,
    ErrorClass.INVALID_RESPONSE,
)
"""Classes that a body tells more exactly than the status of the answer."""

_QUOTA_TEXT = re.compile(
    r"credit balance is too low|insufficient (credits|balance|funds)|billing (hard )?limit"
    r"|out of credits",
    re.IGNORECASE,
)
_SOFT_QUOTA_TEXT = re.compile(r"exceeded your current quota", re.IGNORECASE)
_REFUSED_TEXT = re.compile(
    r"content management policy|content filtering policy|blocked by content filter"
    r"|violating our usage policy|flagged as potentially violating|content[ _]policy violation",
    re.IGNORECASE,
)
_NO_MODEL_TEXT = re.compile(
    r"model\b.{0,200}?\b(not found|does not exist|is not available)", re.IGNORECASE | re.DOTALL
)
_KEY = re.compile(r"\b(sk|pk|rk|xai|gsk)[-_][\w*.…-]{6,}|\bBearer\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_TITLE = re.compile(r"<title[^>]*>(.{0,200}?)</title>", re.IGNORECASE | re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Redactor:
    """Removes known secrets from a text by their value, however they are quoted."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str] = ()):
        forms: set[str] = set()
        for one in secrets:
            for form in (one, quote(one, safe=""), json.dumps(one)[1:-1]):
                if len(form) >= _SHORTEST_SECRET:
                    forms.add(form)
        # Longest first, so that no secret leaves the tail of a longer one behind.
        self._secrets = sorted(forms, key=len, reverse=True)

    def safe(self, text: str, limit: int = SHOWN) -> str:
        """The text on one line without secrets, control characters and all beyond ``limit``."""
        for one in self._secrets:
            text = text.replace(one, "[redacted]")
        # What looks like a key is somebody's key, even half masked by the server.
        text = _KEY.sub("[redacted]", text[: 8 * limit])
        text = _ESCAPE.sub(" ", text)
        text = "".join(one if one.isprintable() else " " for one in text)
        text = " ".join(text.split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What an error body says: codes in the provider's words (lower case), its text, a wait."""

    codes: tuple[str, ...]
    message: str
    status: int | None = None
    retry_after_s: float | None = None
    flagged: bool = False
    param: str | None = None


def complaint(body: Any) -> Complaint | None:
    """The error that a decoded JSON body carries, or ``None`` when it carries none."""
    if isinstance(body, list) and len(body) == 1:
        # Google wraps errors of its OpenAI endpoint into a list.
        body = body[0]
    if not isinstance(body, Mapping):
        return None
    error = body.get("error")
    if error is None or error is False:
        if body.get("object") == "error" or body.get("type") == "error":
            # vLLM before 0.10 and Mistral: the error is the body itself.
            error = body
        elif "detail" in body and len(body) <= 2:
            # FastAPI
            error = {"message": body["detail"]}
        else:
            return None
    if not isinstance(error, Mapping):
        return Complaint(
            codes=_codes([body.get("code"), body.get("error_type")]), message=_text(error)
        )
    inner = error.get("innererror")
    metadata = error.get("metadata")
    code = error.get("code")
    return Complaint(
        codes=_codes(
            [
                inner.get("code") if isinstance(inner, Mapping) else None,
                code,
                error.get("type"),
                error.get("status"),
            ]
        ),
        message=_text(error.get("message") or error.get("detail") or error),
        status=_status(code),
        retry_after_s=_google_delay(error.get("details")),
        flagged=isinstance(metadata, Mapping) and "flagged_input" in metadata,
        param=error["param"] if isinstance(error.get("param"), str) else None,
    )


def _codes(found: list[Any]) -> tuple[str, ...]:
    return tuple(one.lower() for one in found if isinstance(one, str) and one)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _status(code: Any) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
        return code
    return None


def _google_delay(details: Any) -> float | None:
    if not isinstance(details, list):
        return None
    for one in details:
        if isinstance(one, Mapping) and isinstance(one.get("retryDelay"), str):
            return seconds(one["retryDelay"])
    return None


def class_of(
    found: Complaint | None, status: int | None, retry_after_s: float | None
) -> ErrorClass:
    """The class of an error from its body and its HTTP status, ``None`` for an answer with 200."""
    waits = retry_after_s is not None
    told = None if found is None else _told(found, waits=waits)
    if status is None:
        if told is not None:
            return told
        inside = None if found is None else found.status
        return ErrorClass.SERVER if inside is None else _of_status(inside)
    # A server that breaks may speak of a model too: that is no missing model.
    if told in _OVERRULES and not (status >= 500 and told is ErrorClass.NOT_FOUND):
        return told
    if status == 403 and told is ErrorClass.RATE_LIMIT:
        return told
    return _of_status(status)


def _told(found: Complaint, *, waits: bool) -> ErrorClass | None:
    known = [_CODES[code] for code in found.codes if code in _CODES]
    for one in _OVERRULES:
        if one in known:
            return one
    if found.flagged or _REFUSED_TEXT.search(found.message):
        return ErrorClass.REFUSED
    if _QUOTA_TEXT.search(found.message):
        return ErrorClass.QUOTA
    # Google says "exceeded your current quota" of limits a minute too, and then names a wait.
    soft = _SOFT_QUOTA.intersection(found.codes) or _SOFT_QUOTA_TEXT.search(found.message)
    if soft and not waits:
        return ErrorClass.QUOTA
    if _NO_MODEL_TEXT.search(found.message[:1000]) and ErrorClass.AUTH not in known:
        return ErrorClass.NOT_FOUND
    return known[0] if known else None


_STATUSES = {
    401: ErrorClass.AUTH,
    402: ErrorClass.QUOTA,
    403: ErrorClass.AUTH,
    404: ErrorClass.NOT_FOUND,
    407: ErrorClass.AUTH,
    408: ErrorClass.TIMEOUT,
    409: ErrorClass.SERVER,
    410: ErrorClass.NOT_FOUND,
    425: ErrorClass.SERVER,
    429: ErrorClass.RATE_LIMIT,
    498: ErrorClass.RATE_LIMIT,
    504: ErrorClass.TIMEOUT,
    524: ErrorClass.TIMEOUT,
}


def _of_status(status: int) -> ErrorClass:
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return ErrorClass.SERVER if status >= 500 else ErrorClass.BAD_REQUEST


def failure(
    status: int | None,
    headers: Mapping[str, str],
    body: bytes | Any,
    *,
    host: str,
    redactor: Redactor,
    content_type: str = "",
) -> TargetError:
    """The error of an answer that is one; ``body`` is bytes, or JSON that is decoded already.

    ``status`` is ``None`` when the server said 200 and meant something else.
    """
    decoded = decode(body) if isinstance(body, bytes) else body
    found = complaint(decoded)
    wait = retry_after(headers)
    if wait is None and found is not None:
        wait = found.retry_after_s
    error_class = class_of(found, status, wait)
    if found is not None:
        said = found.message
        if found.codes and found.codes[0] not in said.lower():
            said = f"{said} ({found.codes[0]})"
        if found.param and found.param not in said:
            said = f"{found.param}: {said}"
    elif isinstance(body, bytes):
        said = plain(body, content_type)
    else:
        said = _text(decoded)
    label = f"{host} answered {status}" if status is not None else f"{host} answered with an error"
    shown = redactor.safe(said)
    return TargetError(
        error_class,
        f"{label}: {shown}" if shown else label,
        retry_after_s=wait,
        http_status=200 if status is None else status,
    )


def decode(body: bytes | str) -> Any:
    """JSON, or ``None`` when it is not; never raises on hostile text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def plain(body: bytes, content_type: str) -> str:
    """The start of a body that is no JSON, as words: of an HTML page its title."""
    text = body[:_READ].decode("utf-8", "replace")
    if is_html(body, content_type):
        title = _TITLE.search(text)
        return f"an HTML page titled {title[1].strip()!r}" if title else "an HTML page"
    return text


def is_html(body: bytes, content_type: str) -> bool:
    """Whether a body is a web page, whatever its header claims."""
    return "html" in content_type or body[:200].lstrip().lower().startswith(
        (b"<!doctype", b"<html")
    )


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """The wait in seconds that a server asks for, or ``None``.

    Reads ``retry-after-ms``, ``retry-after`` (seconds or an HTTP date, compared with the server's
    own clock when it sends one), then the reset of a rate limit of which nothing remains.
    """
    milliseconds = finite(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000.0)
    stated = headers.get("retry-after")
    if stated is not None:
        number = finite(stated)
        if number is not None:
            return max(0.0, number)
        until = http_date(stated)
        if until is not None:
            here = http_date(headers.get("date", "")) or now or datetime.now(UTC)
            return max(0.0, (until - here).total_seconds())
    waits = [
        wait
        for what in ("requests", "tokens")
        if finite(headers.get(f"x-ratelimit-remaining-{what}")) == 0
        and (wait := seconds(headers.get(f"x-ratelimit-reset-{what}", ""))) is not None
    ]
    return max(waits, default=None)


def finite(text: str | None) -> float | None:
    """A number that is one, or ``None``."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def http_date(text: str) -> datetime | None:
    """An instant as HTTP writes it, or ``None``."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def seconds(text: str) -> float | None:
    """A duration as providers write it, ``6m0s``, ``20ms`` or ``34.07s``, in seconds."""
    text = text.strip()
    number = finite(text)
    if number is not None:
        return max(0.0, number)
    parts = _DURATION.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        return None
    return math.fsum(float(value) * _UNITS[unit] for value, unit in parts)
