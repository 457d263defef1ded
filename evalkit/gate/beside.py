"""How a run names what it has of its baseline: targets asked beside its own, cases not asked again.

It stands apart from what judges a run, since every run reads it before its first call.
"""

from __future__ import annotations

_MARK = "@baseline"
"""No target of a configuration can be called so: a name holds no ``@``."""
UNCHANGED = "unchanged"
"""Where a run keeps whose answers stand in for cases that ask what they asked."""


def beside(target: str) -> str:
    """What the baseline of a target is called in the run of the candidate."""
    return target + _MARK


def is_beside(target: str) -> bool:
    """Whether a target is the baseline of another."""
    return target.endswith(_MARK)
