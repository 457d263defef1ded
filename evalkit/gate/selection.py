"""Which cases a gate is about: named ones, those with a tag, and the groups of a tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.config.spec import GatePolicy
from evalkit.errors import suggestion
from evalkit.gate.pairing import Pairing
from evalkit.stats.sides import Bools, Numbers, Side

CLUSTERED = frozenset({"rate", "mean", "corpus", "quantile"})
"""Kinds of metrics that are judged by clusters where cases hang together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """The pairs of a comparison with the labels of their cases, the candidate's where it has it."""

    pairing: Pairing
    before: Side | None
    after: Side

    @property
    def n(self) -> int:
        """How many pairs."""
        return self.pairing.n

    def tag(self, name: str) -> list[str | None]:
        """The value of a tag for every pair."""
        found: list[str | None] = []
        mine = self.after.tags.get(name)
        theirs = None if self.before is None else self.before.tags.get(name)
        for old, new in zip(
            self.pairing.baseline.tolist(), self.pairing.candidate.tolist(), strict=True
        ):
            if new >= 0:
                found.append(None if mine is None else mine[new])
            else:
                found.append(None if theirs is None or old < 0 else theirs[old])
        return found

    def groups(self, name: str) -> dict[str, Bools]:
        """A mask for every value of a tag, by value."""
        values = self.tag(name)
        return {
            value: np.fromiter((one == value for one in values), dtype=np.bool_, count=self.n)
            for value in sorted({one for one in values if one is not None})
        }

    def clusters(self, name: str) -> Numbers:
        """The cluster of every pair; a case without the tag is a cluster of its own."""
        pairs = zip(self.pairing.ids, self.tag(name), strict=True)
        return _numbered(
            f"case {case}" if value is None else f"tag {value}" for case, value in pairs
        )

    def hanging(self, policy: GatePolicy, kept: Bools) -> Numbers | None:
        """The cluster of every pair that is kept; ``None`` where each of them stands alone.

        By the policy's ``cluster``. Without one by what evalkit made of one case: transforms of an
        attack, phrasings of a question, which the tag ``base`` names.
        """
        if policy.cluster:
            found = self.clusters(policy.cluster)[kept]
        elif {"sort", "base"} <= self.after.tags.keys():
            found = self._variants()[kept]
        else:
            return None
        return found if len(np.unique(found)) < len(found) else None

    def may_hang(self, policy: GatePolicy) -> bool:
        """Whether a case of these may hang together with another, be it asked by now or not."""
        if policy.cluster:
            return True
        if not {"sort", "base"} <= self.after.tags.keys():
            return False
        bases = zip(self.tag("base"), self.pairing.names, strict=True)
        return any(base not in {None, name} for base, name in bases)

    def unclustered(self, policy: GatePolicy) -> str:
        """What is wrong with a ``cluster`` that no case has; empty where some have it, or none is.

        It would hold nothing together, and judge as if every case stood alone.
        """
        tag, sides = policy.cluster, [one for one in (self.after, self.before) if one is not None]
        if not tag or any(x is not None for one in sides for x in one.tags.get(tag, ())):
            return ""
        known = suggestion(tag, self.after.tags)
        return f"no case has the tag {tag!r} that 'cluster' names; {known}"

    def loose(self, policy: GatePolicy, kept: Bools) -> str:
        """How many of the kept pairs have no ``cluster``; empty where none is named or lacks."""
        if not policy.cluster:
            return ""
        mine = np.array([one is None for one in self.tag(policy.cluster)], dtype=np.bool_)[kept]
        many = int(mine.sum())
        if not many:
            return ""
        have = "has" if many == 1 else "have"
        return f"{many:,} of {len(mine):,} cases {have} no {policy.cluster!r} and count alone"

    def _variants(self) -> Numbers:
        pairs = zip(self.tag("base"), self.pairing.names, strict=True)
        return _numbered(name if base is None else base for base, name in pairs)

    def chosen(self, wanted: Sequence[str]) -> tuple[Bools, str]:
        """The mask of the cases with these names, ids or tags, and what is wrong with them."""
        mask: Bools = np.zeros(self.n, dtype=np.bool_)
        if not wanted:
            return ~mask, ""
        for one in wanted:
            found = self._one(one)
            if not found.any():
                known = [] if one.startswith("tag:") else [*self.pairing.names]
                hint = f"; {suggestion(one, known)}" if known and len(known) <= 5_000 else ""
                return mask, f"no case is {one!r}{hint}"
            mask |= found
        return mask, ""

    def any_of(self, wanted: Sequence[str]) -> Bools:
        """The mask of the cases with any of these names, ids or tags; there need be none."""
        mask: Bools = np.zeros(self.n, dtype=np.bool_)
        for one in wanted:
            mask |= self._one(one)
        return mask

    def _one(self, wanted: str) -> Bools:
        if wanted.startswith("tag:"):
            name, has_value, value = wanted.removeprefix("tag:").partition("=")
            values = self.tag(name)
            if has_value:
                hits = (one == value for one in values)
            else:
                hits = (one is not None and one.lower() not in _NO for one in values)
        else:
            pairs = zip(self.pairing.names, self.pairing.ids, strict=True)
            hits = (wanted in pair for pair in pairs)
        return np.fromiter(hits, dtype=np.bool_, count=self.n)


_NO = {"no", "false", "0", ""}


def _numbered(keys: Iterable[str]) -> Numbers:
    """A number for every key from 0, equal ones for equal keys."""
    codes: dict[str, int] = {}
    return np.array([codes.setdefault(one, len(codes)) for one in keys], dtype=np.intp)
