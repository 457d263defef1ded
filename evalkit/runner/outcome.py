"""How a run ended: what was answered, what stood in the way, and what to type next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.errors import ExitCode
from evalkit.model import RunStatus
from evalkit.runner.budget import Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerErrors:
    """A scorer that failed on answers; ``reason`` is that of the first."""

    suite: str
    name: str
    failed: int
    asked: int
    reason: str

    @property
    def said(self) -> str:
        """One line for a person."""
        share = "every answer" if self.failed == self.asked else f"{self.asked:,} answers"
        count = f" ({self.failed:,})" if self.failed == self.asked else ""
        first = f"{self.failed:,} of " if self.failed < self.asked else ""
        return (
            f"scorer {self.name!r} of {self.suite!r} failed on {first}{share}{count}: {self.reason}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended; trials are counted, ``kept`` ones were answered before it was resumed.

    ``refused`` is what an offline run tried to connect to, and how often; ``overtime_s`` is the
    time it was allowed, when that was too short, ``unpaid`` how many verdicts a budget of judges
    did not pay for, ``failed`` why the first trial failed that did. Scorers with errors are told;
    one that failed on every answer measured nothing, and the run does not end with 0.
    """

    run_id: str
    status: RunStatus
    planned: int
    kept: int
    answered: int
    errors: int
    given_up: Mapping[str, str]
    elapsed_s: float
    refused: Mapping[str, int] = field(default_factory=dict)
    empty: tuple[Purse, ...] = ()
    scorer_errors: tuple[ScorerErrors, ...] = ()
    unpaid: int = 0
    failed: str = ""
    overtime_s: float | None = None

    @property
    def missing(self) -> int:
        """Trials that were not made."""
        return self.planned - self.kept - self.answered - self.errors

    @property
    def made_code(self) -> ExitCode:
        """Whether the answers were made, whatever scorers said of them."""
        if self.status is RunStatus.INTERRUPTED:
            return ExitCode.INTERRUPTED
        if self.empty or self.overtime_s is not None:
            return ExitCode.BUDGET
        if self.given_up or self.refused or (self.planned and not (self.kept + self.answered)):
            return ExitCode.INFRASTRUCTURE
        return ExitCode.PASS

    @property
    def exit_code(self) -> ExitCode:
        """What the process ends with when no gate is asked."""
        if any(one.failed == one.asked for one in self.scorer_errors):
            return self.made_code or ExitCode.INFRASTRUCTURE
        return self.made_code

    def _raised(self) -> str:
        """What to give so that a resumed run may spend more."""
        # nothing was answered: how much less than a reservation a call takes is not known
        calls = 1 if self.kept + self.answered else max(1, self.missing)
        flags = [one.raised(calls) for one in self.empty if one.raised_by.startswith("--")]
        others = [one.raised_by for one in self.empty if not one.raised_by.startswith("--")]
        after = f"({'after' if not flags else 'and with'} {' and '.join(others)})" if others else ""
        return " ".join([*flags, after] if after else flags)

    def lines(self) -> tuple[str, ...]:
        """What a person should know of the end, and the next command; empty when all is well."""
        again = f"evalkit run --resume {self.run_id}"
        stored = f"{self.kept + self.answered:,} of {self.planned:,} answers are stored"
        if self.unpaid:
            stored += (
                f", {self.unpaid:,} {'verdicts are' if self.unpaid > 1 else 'verdict is'} missing"
            )
        said = [f"target {name!r} was given up: {reason}" for name, reason in self.given_up.items()]
        said += [
            f"offline: {what} was refused" + (f" {count:,} times" if count > 1 else "")
            for what, count in self.refused.items()
        ]
        if self.status is RunStatus.INTERRUPTED:
            said.append(f"interrupted: {stored}; continue with: {again}")
        elif self.empty:
            said += [f"stopped by the budget: {one.said}; {stored}" for one in self.empty]
            if any(one.hopeless for one in self.empty):
                said.append(
                    "a call takes less when its answer is bounded: set max_completion_tokens (or"
                    " max_tokens) in the target's params, and start anew"
                )
            said.append(f"continue with: {again} {self._raised()}")
        elif self.overtime_s is not None:
            said.append(f"the {self.overtime_s:g} s of --max-time are over; {stored}")
            said.append(f"continue with: {again}")
        elif self.given_up:
            said.append(f"{stored}; when the target answers again: {again}")
        elif not self.planned:
            said.append("no case falls into this shard; it is part of the whole all the same")
        elif not (self.kept + self.answered):
            first = f", the first with {self.failed}" if self.failed else ""
            said.append(
                f"every trial failed ({self.errors:,}){first}; see: evalkit show {self.run_id}"
            )
        elif self.errors:
            failed = (
                "1 trial failed; try it"
                if self.errors == 1
                else (f"{self.errors:,} trials failed; try them")
            )
            said.append(f"{failed} again with: {again}")
        said += [one.said for one in self.scorer_errors]
        return tuple(said)
