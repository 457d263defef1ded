"""What is under way in a run, for whoever continues it after a kill.

Every call is written down when it begins, with what was reserved for it, and every answer when it
came, until the trial that they belong to is recorded. The run that continues takes the answers as
they were, and asks what was under way again: that may be paid already, and is marked. A run that
ends in order leaves nothing behind.

Calls stand in a small file of slots, which are used again; answers in the files of ``arrivals``.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from evalkit.model import Output, Request, Spend
from evalkit.runner.arrivals import Arrivals, Place

if TYPE_CHECKING:
    from evalkit.runner.course import Answer

Key: TypeAlias = tuple[str, str, str, int]
"""Suite, target, case and index of a trial."""

_NAME = 16
_SLOT = struct.Struct(f"<{_NAME}sdQ")
"""The name of a call, and what was reserved for it: US dollars and tokens."""
_BYTES = _SLOT.size
_PIECE = 4_096
"""Bytes by which the file grows; a slot without a call is zeros."""
_FREE = bytes(_BYTES)
SUFFIX = ".calls"
"""Of its files; with the form of a slot it changes, so that nobody reads one in another form."""
_ANSWERS = ".answers"


class Came(NamedTuple):
    """An answer as it was kept: the fields of ``course.Answer``, in order."""

    started_at: datetime
    attempts: int
    queue_s: float
    total_s: float
    output: Output
    error: None
    spend: Spend


@dataclass(frozen=True, slots=True)
class Left:
    """An answer that waits for its trial: who gave it, and whether as a judge or by its targets.

    It may have been asked for ``again``, after an earlier kill.
    """

    key: Key
    lane: str
    judge: bool
    again: bool
    route: bool
    name: bytes
    came: Came


class _Trial:
    """The calls of one trial."""

    __slots__ = ("again", "flight", "key", "places", "slots")

    def __init__(self, flight: Flight, key: Key):
        self.flight = flight
        self.key = key
        self.slots: list[int] = []
        self.places: list[Place] = []
        self.again = False


_TRIAL: ContextVar[_Trial | None] = ContextVar("evalkit_trial", default=None)


def call_of(lane: str, request: Request) -> Call | None:
    """The call that asks this of this lane, for the trial in whose task it is made."""
    trial = _TRIAL.get()
    return None if trial is None else Call(trial, lane, request)


class Call:
    """One call of a trial; ``again`` says that it was under way when the run was killed."""

    __slots__ = ("_lane", "_name", "_trial", "again")

    def __init__(self, trial: _Trial, lane: str, request: Request):
        self._trial = trial
        self._lane = lane
        self._name = _name(trial.key, lane, request)
        self.again = False

    def came(self) -> Came | None:
        """The answer that was there already when the run was killed; given once."""
        return self._trial.flight.take(self._trial, self._name)

    def begins(self, reserved: Spend) -> None:
        """The first attempt is about to be made, for which this is reserved."""
        self.again = self._trial.flight.begins(self._trial, self._name, reserved)

    def told(self) -> None:
        """What was under way when the run was killed is counted with what the call took."""
        self._trial.flight.told(self._name)

    def keep(self, answer: Answer, *, judge: bool, route: bool) -> None:
        """Write down what was answered, before anything else is waited for."""
        flight, trial = self._trial.flight, self._trial
        flight.keep(trial, self._name, self._lane, answer, judge=judge, route=route)


class Flight:
    """The calls and answers under way of one run; what ``path`` and its likes hold is read first.

    Answers that are not ``clean`` hold what may not be stored, and are not kept. Not being able to
    write ends nothing: the journal will tell of a full disk.
    """

    def __init__(self, path: Path, clean: Callable[[Output], bool] = lambda _: True):
        # imported with the store, which a run has by now
        from evalkit.store.lines import output_line

        self._line = output_line
        self._clean = clean
        self._path = path
        self._asked = _read(path)
        # calls of which is known by now what they took
        self._told: set[bytes] = set()
        self._arrivals = Arrivals(path.with_suffix(_ANSWERS))
        self._left: dict[bytes, list[Left]] = {}
        for line in self._arrivals.left():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                one = _from_line(line)
                self._left.setdefault(one.name, []).append(one)
        self._trials: dict[Key, _Trial] = {}
        self._free: list[int] = []
        # what was left stays where it is until this run ends too
        self._end = len(self._asked)
        self._file: int | None = None
        self._map: mmap.mmap | None = None
        with contextlib.suppress(OSError, ValueError):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            slots = [_SLOT.pack(name, *most) for name, most in sorted(self._asked.items())]
            os.pwrite(self._file, b"".join(slots), 0)
            os.ftruncate(self._file, self._end * _BYTES)
            self._grow()

    @property
    def left(self) -> Iterator[Left]:
        """The answers that were there when the run was killed, and were not used yet."""
        return (one for found in self._left.values() for one in found)

    def drop(self, recorded: Callable[[Key], bool]) -> None:
        """Forget the answers of trials that are recorded."""
        for name, found in list(self._left.items()):
            kept = [one for one in found if not recorded(one.key)]
            if kept:
                self._left[name] = kept
            else:
                self._told.add(name)
                del self._left[name]

    def enter(self, key: Key) -> None:
        """The calls of this task, and of those it starts from now on, are of this trial."""
        trial = self._trials[key] = _Trial(self, key)
        _TRIAL.set(trial)

    def take(self, trial: _Trial, name: bytes) -> Came | None:
        """An answer that was left, by the name of its call."""
        found = self._left.get(name)
        if not found:
            return None
        self._told.add(name)
        trial.again |= any(one.again for one in found)
        return found.pop(0).came

    @property
    def untold(self) -> Spend:
        """What the calls may have cost that were under way at the kill, and were not made again."""
        told = self._told | self._left.keys()
        rest = [most for name, most in self._asked.items() if name not in told]
        return Spend(
            assumed_usd=sum(usd for usd, _ in rest), assumed_tokens=sum(count for _, count in rest)
        )

    def begins(self, trial: _Trial, name: bytes, reserved: Spend) -> bool:
        """A call is about to be made; whether it was under way when the run was killed."""
        if self._file is not None:
            if self._free:
                slot = self._free.pop()
            else:
                slot, self._end = self._end, self._end + 1
            trial.slots.append(slot)
            at = slot * _BYTES
            try:
                if self._map is None or at >= len(self._map):
                    self._grow()
                assert self._map is not None
                # no call of the system, which would let other threads go first
                most = (reserved.assumed_usd, reserved.assumed_tokens)
                self._map[at : at + _BYTES] = _SLOT.pack(name, *most)
            except (OSError, ValueError):  # ValueError: it could not be written to its whole length
                self._close()
        again = name in self._asked
        trial.again |= again
        return again

    def told(self, name: bytes) -> None:
        """What a call took that was under way at the kill is counted."""
        self._told.add(name)

    def keep(
        self, trial: _Trial, name: bytes, lane: str, answer: Answer, *, judge: bool, route: bool
    ) -> None:
        """An answer came."""
        output = answer.output
        if output is None or not self._clean(output):
            return
        try:
            head = _head(trial, lane, name, answer, judge=judge, route=route)
            line = head + self._line(output)
        except (TypeError, ValueError, AttributeError):
            # a user's own target may put anything into an answer
            return
        place = self._arrivals.add(line)
        if place is not None:
            trial.places.append(place)

    def _grow(self) -> None:
        assert self._file is not None
        size = os.fstat(self._file).st_size
        # written and not only made longer: a full disk says so here, and not by a signal later
        os.pwrite(self._file, bytes(_PIECE), size)
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self._file, size + _PIECE)

    def landed(self, keys: Iterable[Key]) -> None:
        """Trials are recorded."""
        for key in keys:
            trial = self._trials.pop(key, None)
            if trial is None:
                continue
            for slot in trial.slots:
                if self._map is not None:
                    self._map[slot * _BYTES : (slot + 1) * _BYTES] = _FREE
                self._free.append(slot)
            for place in trial.places:
                self._arrivals.release(place)

    def asked_again(self, key: Key) -> bool:
        """Whether a call of a trial that is not recorded yet was under way at the kill as well."""
        trial = self._trials.get(key)
        return trial is not None and trial.again

    def close(self, *, ended: bool) -> None:
        """Give it up; a run that ``ended`` in order has nothing under way."""
        self._close()
        self._arrivals.close(ended=ended)
        if ended:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        file, self._file = self._file, None
        mapped, self._map = self._map, None
        if mapped is not None:
            mapped.close()
        if file is not None:
            os.close(file)


def outstanding_usd(path: Path, is_recorded: Callable[[Key], bool]) -> float:
    """The most, in US dollars, that calls of a run took whose trials are not recorded.

    ``path`` is what its ``Flight`` writes. Answers count with what they cost, calls under way with
    what was reserved for them.
    """
    asked, usd = _read(path), 0.0
    for line in Arrivals(path.with_suffix(_ANSWERS)).left():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            one = _from_line(line)
            asked.pop(one.name, None)
            # what a route took are the answers of its targets, which stand there as well
            if not one.route and not is_recorded(one.key):
                usd += (one.came.spend.usd or 0.0) + one.came.spend.assumed_usd
    return usd + sum(most for most, _ in asked.values())


def _name(key: Key, lane: str, request: Request) -> bytes:
    """What names a call: its trial, whom it asks, and what."""
    suite, target, case, index = key
    parts = [suite, target, case, str(index), lane, str(request.trial), *request.answers]
    for one in request.messages:
        parts += (one.role, one.content)
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=_NAME).digest()


def _head(
    trial: _Trial, lane: str, name: bytes, answer: Answer, *, judge: bool, route: bool
) -> bytes:
    """The first line of what is kept of an answer; the second is its output."""
    suite, target, case, index = trial.key
    spend = answer.spend
    text = (
        f"[{quoted(suite)},{quoted(target)},{quoted(case)},{index},{quoted(lane)},{int(judge)}"
        f",{int(trial.again)},{int(route)}"
        f',"{name.hex()}","{answer.started_at.isoformat()}",{answer.attempts}'
        f",{answer.queue_s!r},{answer.total_s!r},{_or_null(spend.usd)},{_or_null(spend.tokens)}"
        f",{spend.assumed_usd!r},{spend.assumed_tokens!r},{_or_null(spend.saved_usd)}]\n"
    )
    return text.encode("utf-8", "surrogatepass")


def _or_null(value: float | None) -> str:
    return "null" if value is None else repr(value)


def _from_line(line: bytes) -> Left:
    from evalkit.store.codec import from_line, output_from

    head, _, output = line.partition(b"\n")
    values: list[Any] = from_line(head)
    suite, target, case, index, lane, judge, again, route = values[:8]
    name, started, attempts, queue_s, total_s = values[8:13]
    usd, tokens, assumed_usd, assumed_tokens, saved_usd = values[13:]
    return Left(
        (suite, target, case, index),
        lane,
        bool(judge),
        bool(again),
        bool(route),
        bytes.fromhex(name),
        Came(
            datetime.fromisoformat(started),
            attempts,
            queue_s,
            total_s,
            output_from(from_line(output)),
            None,
            Spend(
                usd=usd,
                tokens=tokens,
                assumed_usd=assumed_usd,
                assumed_tokens=assumed_tokens,
                saved_usd=saved_usd,
            ),
        ),
    )


def _read(path: Path) -> dict[bytes, tuple[float, int]]:
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    whole = len(content) - len(content) % _BYTES
    slots = _SLOT.iter_unpack(content[:whole])
    return {name: (usd, tokens) for name, usd, tokens in slots if any(name)}
