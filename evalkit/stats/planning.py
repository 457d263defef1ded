"""What a gate can see before any money is spent.

``discordance`` is the share of cases on which two runs of the unchanged system disagree, from
stored runs. Shares and drops are from 0 to 1; α is one-sided.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evalkit.stats.special import zero_of

if TYPE_CHECKING:
    from collections.abc import Callable

_GROWTH = 1.2  # how much more a changed prompt varies within cases than an unchanged one


def structural_cases(margin: float, *, alpha: float = 0.05) -> int:
    """The fewest cases with which a drop of ``margin`` can ever be ruled out: none may disagree.

    Tango's score of n pairs without disagreement is √(n·m ÷ (1 − m)); at α 0.05 that makes
    ⌈2.706·(1 − m) ÷ m⌉: 52 for 5 points, 88 for 3, 133 for 2.
    """
    _check_share(margin, "margin")
    return math.ceil(_z(1 - alpha) ** 2 * (1 - margin) / margin - 1e-9)


def structural_p(cases: int, margin: float) -> float:
    """The smallest p-value that so many cases can give against a drop of ``margin``."""
    from scipy.special import ndtr

    _check_share(margin, "margin")
    return float(ndtr(-math.sqrt(cases * margin / (1 - margin))))


def cases_to_pass(
    discordance: float, margin: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """The cases with which an unchanged candidate passes in ``power`` of the runs.

    Sample size of Tango's score test with the variance restricted to the null hypothesis (Tango
    1999; as Lachenbruch and Lynch 1998); never below ``structural_cases``. Realised power was 80 to
    87 % for 80.
    """
    _check_share(margin, "margin")
    null, free = _restricted_variance(discordance, margin), discordance
    root = _z(1 - alpha) * math.sqrt(null) + _z(power) * math.sqrt(free)
    return max(math.ceil((root / margin) ** 2 - 1e-9), structural_cases(margin, alpha=alpha))


def pass_power(n: int, discordance: float, margin: float, *, alpha: float = 0.05) -> float:
    """The share of runs in which an unchanged candidate passes on n cases (normal approximation).

    0 below ``structural_cases``. Discreteness makes it a few points rough below 100 cases.
    """
    from scipy.special import ndtr

    if n < structural_cases(margin, alpha=alpha):
        return 0.0
    if discordance <= 0:
        return 1.0
    null = math.sqrt(_restricted_variance(discordance, margin))
    reach = margin * math.sqrt(n) - _z(1 - alpha) * null
    return float(ndtr(reach / math.sqrt(discordance)))


def _restricted_variance(discordance: float, margin: float) -> float:
    """The variance of a difference that the score test assumes at −margin, on expected counts."""
    half, at = discordance / 2, -margin
    b = -discordance + 2 * at
    c = -half * at * (1 - at)
    share = (math.sqrt(b * b - 8 * c) - b) / 4
    return 2 * share + at * (1 - at)


def block_power(n: int, discordance: float, drop: float, *, alpha: float = 0.05) -> float:
    """The share of runs in which a true drop is shown to be one, by a paired test on n cases.

    The drop adds its own disagreements, so the variance is D + δ − δ².
    """
    from scipy.special import ndtr

    _check_share(drop, "drop")
    null = _z(1 - alpha) * math.sqrt(discordance + drop)
    return float(ndtr((drop * math.sqrt(n) - null) / math.sqrt(discordance + drop - drop**2)))


def smallest_drop(
    n: int, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest true drop blocked in ``power`` of the runs; ``None`` when not even a drop of 1.

    The fixed point of δ = [z(1−α)·√(D + δ) + z(power)·√(D + δ − δ²)] ÷ √n. The usual formula takes
    δ out of the roots, and its "80 %" were 34 to 75 % in simulations.
    """

    def short(drop: float) -> float:
        free = math.sqrt(max(discordance + drop - drop * drop, 0.0))
        return (
            drop * math.sqrt(n) - _z(1 - alpha) * math.sqrt(discordance + drop) - _z(power) * free
        )

    if n < 1 or not 0 <= discordance <= 1:
        raise ValueError("needs at least one case and a discordance from 0 to 1")
    return _root(short)


def _root(short: Callable[[float], float]) -> float | None:
    tiny = 1e-15
    if short(1.0) <= 0:
        return None
    # below the root the drop falls short: the terms under the roots grow faster near 0
    return zero_of(short, tiny, 1.0, near=1e-15)


def smallest_suite_drop(
    n: int,
    within: float,
    *,
    baseline_runs: int = 5,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """The smallest drop on exactly these cases that is blocked in ``power`` of the runs.

    ``within`` is the mean variance within a case (half the discordance for pass/fail). A changed
    candidate is taken to vary a fifth more.
    """
    if n < 1 or baseline_runs < 2 or within < 0:
        raise ValueError("needs cases, two baseline runs and a variance")
    variance = within * (_GROWTH + 1 / baseline_runs) / n
    return (_z(1 - alpha) + _z(power)) * math.sqrt(variance)


def false_alarms(runs: float, families: int = 2, *, alpha: float = 0.05) -> float:
    """How many unchanged candidates are blocked at most, of ``runs`` gated ones.

    ``families`` of tests, each kept at α: the primary gate and the guards under Holm.
    """
    return runs * min(families * alpha, 1.0)


def _z(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _check_share(value: float, what: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"a {what} lies between 0 and 1, not at {value!r}")
