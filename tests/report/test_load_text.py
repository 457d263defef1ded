"""A load test on terminals of many widths and as JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest
from example_runs import example_run
from rich.cells import cell_len

from evalkit.model import Run, RunKind, RunStatus
from evalkit.report.load import LoadView, load_view
from evalkit.report.load_text import load_text, sparkline
from evalkit.report.screen import Screen
from evalkit.stats.histogram import Histogram
from evalkit.stats.load import LoadStep, Moment


def run_of(**settings: object) -> Run:
    return dataclasses.replace(
        example_run(),
        kind=RunKind.LOAD,
        scorers=(),
        settings={"arrivals": "open", "targets": ["small"], **settings},
    )


def steps(*rates: float, capacity: float = 100.0, **fields: object) -> list[LoadStep]:
    found = []
    for place, offered in enumerate(rates):
        slow = 0.05 if offered <= capacity else 2.5
        times = [slow * (1 + number / 200) for number in range(200)]
        values = {
            "position": place,
            "arrivals": "open",
            "offered": offered,
            "begins_s": place * 10.0,
            "ends_s": place * 10.0 + 10,
            "sent": 200,
            "answered": 200,
            "rate": min(offered, capacity),
            "asked": offered,
            "output_tokens": 4000,
            "latency": Histogram(times),
            "ttft": Histogram([one / 2 for one in times]),
            "attempt": Histogram([0.05] * 200),
            "gap": Histogram([0.02] * 200),
            "delay": Histogram([0.0008] * 200),
            "lag": Histogram([0.0008] * 200),
            "cpu": 0.21,
            "in_flight_mean": 5.0,
            "in_flight_max": 40,
            "timeline": (Moment(at_s=place * 10.0, in_flight=8 * place, answered=1, failed=0),),
        }
        found.append(LoadStep(**(values | fields)))  # type: ignore[arg-type]
    return found


def view(*rates: float, **fields: object) -> LoadView:
    return load_view(run_of(objectives=[["latency.p95", 0.5]]), steps(*rates, **fields))


@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_nothing_overflows_and_figures_are_whole(width: int) -> None:
    text = load_text(view(20, 80, 200), Screen(width=width, unicode=True))
    assert all(cell_len(line) <= width for line in text.splitlines())
    for figure in ("100", "97 ms", "4.86 s"):
        assert figure in text


def test_it_says_what_follows() -> None:
    text = " ".join(load_text(view(20, 80, 200), Screen(width=200)).split())
    assert "between 80 and 200 requests a second: answered 100 of 200 requests a second" in text
    assert "FAIL latency.p95 at most 500 ms: 4.86 s" in text
    assert "in step 3; held to 80 a second" in text
    assert "from the first byte sent p99 would seem 50 ms and not 4.96 s" in text
    assert "not the limit: its event loop took at most 21 % of a core" in text
    assert text.isascii()


def test_a_client_that_was_the_limit_is_marked_and_decides_nothing() -> None:
    text = " ".join(load_text(view(20, 80, cpu=0.97), Screen(width=200)).split())
    assert text.startswith("! INCONCLUSIVE")
    assert "the bottleneck in 2 steps of 2" in text
    assert "97 % of a core" in text
    assert "unknown: the client was the limit first" in text


def test_a_test_that_ended_early_says_why() -> None:
    cut = dataclasses.replace(steps(20)[0], stopped="errors", error_classes={"server": 30})
    early = dataclasses.replace(run_of(), status=RunStatus.STOPPED)
    text = load_text(load_view(early, [cut]), Screen(width=100))
    assert text.startswith("! STOPPED")
    assert "30 failed (server 30)" in text
    assert "too many requests failed" in text


def test_the_json_has_everything_and_is_json() -> None:
    lost = steps(20, error_classes={"timeout": 100})
    whole = load_view(run_of(objectives=[["latency.p95", 0.5]]), lost).to_json()
    back = json.loads(json.dumps(whole, allow_nan=False))
    assert (back["kind"], back["format"]) == ("load", 1)
    assert back["objectives"][0]["decided_by"]["value"] == "infinite"
    assert Histogram.from_json(back["steps"][0]["histograms"]["latency"]).n == 200
    assert back["saturation"]["definition"].startswith("fewer than 95 %")
    percentile = back["steps"][0]["latency"]["p95"]
    assert percentile["low"] <= percentile["value"] <= percentile["high"]


def test_a_row_of_bars() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0], 8) == "▁▁"
    assert sparkline(list(range(100)), 10)[-1] == "█"
    assert len(sparkline(list(range(100)), 10)) == 10
    assert sparkline([], 10) == ""
