"""The name of a baseline's target that was asked beside the candidate's, in the candidate's run."""

from __future__ import annotations

_MARK = "@baseline"
"""No target of a configuration can be called so: a name holds no ``@``."""


def beside(target: str) -> str:
    """What the baseline of a target is called in the run of the candidate."""
    return target + _MARK


def is_beside(target: str) -> bool:
    """Whether a target is the baseline of another."""
    return target.endswith(_MARK)
