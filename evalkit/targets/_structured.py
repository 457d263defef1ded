"""The schema of an answer, sent along where the server takes it and left out where it does not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from evalkit.errors import ConfigError, TargetError
from evalkit.model import AnswerSchema, Request

_log = logging.getLogger(__name__)
_TURNED_AWAY = frozenset({400, 422})


class Structured:
    """Whether one target sends the schema that a request brings: decided by its options.

    ``asks`` stays as it is; a server that turns a schema away is sent none any more, which is told
    once. ``names`` are the words by which a server says that this is what it does not take.
    """

    __slots__ = ("_host", "_names", "_refused", "asks")

    def __init__(self, setting: str, *, host: str, names: Sequence[str], free: bool) -> None:
        if setting not in {"auto", "off"}:
            raise ConfigError(f"structured: {setting!r} is neither 'auto' nor 'off'")
        # the form of answers that is set on the target goes before that of a judge
        self.asks = setting == "auto" and free
        self._host = host
        self._names = tuple(names)
        self._refused = False

    def of(self, request: Request) -> AnswerSchema | None:
        """What is sent along with this request."""
        return request.schema if self.asks and not self._refused else None

    def turned_away(self, error: TargetError) -> bool:
        """Whether the server failed a call because of its schema; then it is sent none again."""
        said = error.message.lower()
        if error.http_status not in _TURNED_AWAY or not any(one in said for one in self._names):
            return False
        # calls that were under way come here too: the decision is taken and told once
        if not self._refused:
            self._refused = True
            _log.warning(
                "%s takes no schema for answers: judges are asked for JSON in words alone"
                " ('structured: off' on the target says so from the start)",
                self._host,
            )
        return True
