"""A circuit breaker: a target in an outage is left alone and tried now and then.

    closed ──failures in a row──► open ──rest──► half-open: one probe ──answered──► closed
                                   ▲                        │
                                   └── failed, rest doubles ┘

In the end it is given up.

(Nygard, "Release It!", 2007.) While it is open nothing is asked, so an outage costs the trials that
were under way and not the thousands after them.
"""

from __future__ import annotations

FIRST_REST_S = 1.0
LONGEST_REST_S = 15.0
LEAST_PROBES = 3
"""Probes before a target is given up, however long each takes to fail."""


class Breaker:
    """Tells whether a target may be asked; all times are seconds of one monotonic clock.

    ``threshold`` failures in a row open it. Open for longer than ``patience_s`` it has given up,
    with the failure of the probe after that, of ``least_probes`` or more. ``probes`` counts those
    that failed.
    """

    __slots__ = (
        "_failures",
        "_least_probes",
        "_probing",
        "_rest_s",
        "_threshold",
        "due",
        "gave_up",
        "open",
        "opened_at",
        "patience_s",
        "probes",
    )

    def __init__(self, threshold: int, *, patience_s: float, least_probes: int = LEAST_PROBES):
        self._threshold = threshold
        self._least_probes = least_probes
        self.patience_s = patience_s
        self._failures = 0
        self.opened_at = 0.0
        self._rest_s = FIRST_REST_S
        self._probing = False
        self.due = 0.0
        self.open = False
        self.gave_up = False
        self.probes = 0

    def answered(self) -> bool:
        """An attempt was answered; true when that closed the breaker."""
        self._failures = 0
        if not self.open or self.gave_up:
            return False
        self.open = self._probing = False
        return True

    def failed(self, sent: float, now: float) -> None:
        """An attempt failed that was ``sent`` then."""
        if self.gave_up:
            return
        if self.open:
            if sent >= self.opened_at:
                self._probe_failed(now)
            return
        self._failures += 1
        if self._failures >= self._threshold:
            self.open = True
            self.probes = 0
            self.opened_at = now
            self._rest_s = FIRST_REST_S
            self.due = now + min(self._rest_s, self.patience_s)

    def _probe_failed(self, now: float) -> None:
        self._probing = False
        self.probes += 1
        if now >= self.opened_at + self.patience_s and self.probes >= self._least_probes:
            self.gave_up = True
            return
        self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
        # the last probe comes when the patience ends
        self.due = max(now, min(now + self._rest_s, self.opened_at + self.patience_s))

    def begin(self, now: float) -> bool:
        """Whether an attempt may begin now; in an outage the one that may is the probe."""
        if not self.open:
            return True
        if not self.is_due(now):
            return False
        self._probing = True
        return True

    def is_due(self, now: float) -> bool:
        """Whether an open breaker would let a probe begin."""
        return now >= self.due and not self._probing and not self.gave_up

    def cut_off(self, sent: float) -> None:
        """An attempt that was sent then will tell nothing: another one may be the probe."""
        if self.open and sent >= self.opened_at:
            self._probing = False
