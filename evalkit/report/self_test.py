"""What the gates did with runs that did not change, in words and as JSON."""

from __future__ import annotations

from typing import Any

from evalkit.gate.result import Status
from evalkit.gate.self_test import SelfTest
from evalkit.report import words
from evalkit.report.screen import Screen, labelled

LABEL = 9
_MEANING = {
    "kept": "The promise is kept.",
    "unknown": "So few runs cannot tell whether the promise is kept: store more of this"
    " configuration.",
    "broken": "That is more than promised: these runs differ by more than their cases explain. A"
    " provider that changes from day to day or a judge that does is likely; store more repeats"
    " (baseline_runs), compare runs of one hour, or let the gates that fail here only warn (mode:"
    " advisory).",
}


def self_test_text(found: SelfTest, screen: Screen) -> str:
    """The share of false alarms with its interval, what it means, and which gates they are of."""
    from rich.text import Text

    runs = words.counted(len(found.runs), "stored run")
    failed = words.counted(found.count(Status.FAIL), "false alarm")
    parts: list[Any] = [
        Text(f"self-test  {runs} of one configuration, each judged against the others"),
        "",
        labelled("result", f"{failed} in {words.counted(found.judged, 'verdict')}: "
                 f"{_share(found.rate)} ({_interval(found)})", LABEL),
        labelled("", ", ".join(
            f"{words.count(found.count(one))} {one}" for one in Status if found.count(one)
        ), LABEL),
        labelled("promise", f"at most {_share(found.promised)} of unchanged runs fail", LABEL),
        labelled("means", _MEANING[found.meaning], LABEL),
    ]  # fmt: skip
    if found.flips is not None:
        text = f"{_share(found.flips)} of cases come out otherwise in the next run of the same"
        parts.append(labelled("noise", text, LABEL))
    for place, ((suite, target, gate, where), times) in enumerate(found.alarms.items()):
        text = f"{suite}/{target} {' '.join(one for one in (gate, where) if one)}: {times:,}"
        parts.append(labelled("" if place else "alarms", words.clean(text, lines=False), LABEL))
    return screen.render([screen.say(one) if isinstance(one, str) else one for one in parts])


def self_test_json(found: SelfTest) -> dict[str, Any]:
    """The same as plain JSON."""
    ends = found.interval
    return {
        "runs": list(found.runs),
        "verdicts": {str(one): found.count(one) for one in Status},
        "rate": found.rate,
        "low": ends.low,
        "high": ends.high,
        "level": found.level,
        "promised": found.promised,
        "meaning": found.meaning,
        "flips": found.flips,
        "alarms": [
            {"suite": suite, "target": target, "gate": gate, "where": where, "times": times}
            for (suite, target, gate, where), times in found.alarms.items()
        ],
    }


def _share(value: float) -> str:
    return f"{words.number(100 * value, 1)} %"


def _interval(found: SelfTest) -> str:
    ends = found.interval
    low, high = (_share(one or 0.0) for one in (ends.low, ends.high))
    return f"{100 * found.level:.3g} % interval {low} … {high}"
