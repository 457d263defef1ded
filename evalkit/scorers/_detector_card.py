"""What the benchmark measured of the detectors, for their cards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources

from evalkit.cards import Measured

FILE = "detectors.json"


def of(name: str) -> Callable[[], Sequence[Measured]]:
    """The measurements of one detector, read when someone asks."""
    return partial(_measured, name)


def _measured(name: str) -> Sequence[Measured]:
    path = resources.files("evalkit.scorers") / "data" / FILE
    return [Measured(**one) for one in json.loads(path.read_text("utf-8")).get(name, [])]
