"""A run on terminals of many widths: nothing overflows and no number is ever cut."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from example_runs import (
    START,
    example_case,
    example_run,
    example_trial,
    example_trials,
    rich_trial,
    scorer_version,
)
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from evalkit.errors import ErrorClass
from evalkit.gate.result import AttackRate, Attacks
from evalkit.model import (
    Run,
    RunStatus,
    ScoreRecord,
    ScoreStatus,
    TargetVersion,
    Trial,
    TrialStatus,
)
from evalkit.registry import Kind, get
from evalkit.report.case import case_json, case_text
from evalkit.report.formats.json import json as as_json
from evalkit.report.formats.terminal import terminal
from evalkit.report.screen import Screen
from evalkit.report.view import RunView
from evalkit.report.view_build import run_view
from evalkit.store import Store

RUN = "20261121-093000-4e77"


def view_of(folder: Path, run: Run, trials: list[Trial]) -> RunView:
    store = Store(folder / "s.duckdb")
    store.create_run(run)
    store.append(trials)
    with store.samples(run.id) as (stored, samples):
        return run_view(stored, samples)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    run = example_run(status=RunStatus.COMPLETE, finished_at=START + timedelta(seconds=94))
    return view_of(tmp_path_factory.mktemp("two"), run, example_trials())


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    run = example_run(
        status=RunStatus.COMPLETE,
        finished_at=START + timedelta(seconds=12),
        planned=20,
        targets=(example_run().targets[0],),
    )
    trials = [one for one in example_trials(cases=21) if one.target == "small"][:20]
    return view_of(tmp_path_factory.mktemp("one"), run, trials)


@pytest.mark.parametrize("width", [60, 80, 110, 140])
def test_two_targets_side_by_side(view: RunView, width: int, snapshot: SnapshotAssertion) -> None:
    assert terminal(view, width=width, unicode=True) == snapshot


@pytest.mark.parametrize("width", [80, 110])
def test_one_target(single: RunView, width: int, snapshot: SnapshotAssertion) -> None:
    assert terminal(single, width=width, unicode=True) == snapshot


def test_the_rates_of_an_attacked_suite_say_that_they_are_of_what_passed(single: RunView) -> None:
    rate = AttackRate(hits=0, n=20, rate=0.0, upper=0.14)
    attacks = Attacks(suite=single.suites[0].name, target="small", compared=False, attacks=rate)
    text = terminal(dataclasses.replace(single, attacks=(attacks,)))
    assert re.search(r"^exact_match\.rate \(passed\) +\d", text, re.MULTILINE)
    assert re.search(r"^error\.rate +\d", text, re.MULTILINE)
    assert text.count("(passed)") == terminal(single).count("exact_match.rate") == 1
    assert "(passed)" not in terminal(single)


def values(text: str) -> list[str]:
    return re.findall(r"(?:exact_match|rouge_l|bleu|latency|ttft)\.\w+ +(\d\S*)", text)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 104, 140])
def test_every_width_shows_every_value_whole(view: RunView, width: int) -> None:
    text = terminal(view, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.isascii()
    assert "\x1b" not in text
    assert len(values(text)) >= 9
    assert set(values(text)) >= set(values(terminal(view, width=200)))


def test_many_targets_stand_in_blocks(tmp_path: Path) -> None:
    names = tuple(f"configuration-{number}" for number in range(9))
    run = example_run(
        targets=tuple(
            TargetVersion(name=name, kind="k", content_hash=name, options={}) for name in names
        )
    )
    view = view_of(tmp_path, run, example_trials(targets=names, cases=4))
    text = terminal(view, width=80)
    assert max(map(cell_len, text.splitlines())) <= 80
    heads = " ".join(line for line in text.splitlines() if line.startswith("metric"))
    assert [name for name in names if name in heads] == list(names)


def test_colour_only_where_it_is_wanted(view: RunView) -> None:
    assert "\x1b[" in terminal(view, colour=True, unicode=True)

    class Tty(StringIO):
        encoding = "UTF-8"

        def isatty(self) -> bool:
            return True

    assert Screen.of(Tty(), {"TERM": "xterm"}).colour
    assert Screen.of(Tty(), {"TERM": "xterm"}).unicode
    assert not Screen.of(Tty(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Screen.of(Tty(), {"TERM": "dumb"}).colour
    assert Screen.of(StringIO(), {}) == Screen(width=100, colour=False, unicode=False)


def test_renderers_are_plugins(view: RunView) -> None:
    assert get(Kind.RENDERER, "terminal").obj(view, width=80).startswith("! DONE")
    loaded = json.loads(get(Kind.RENDERER, "json").obj(view))
    assert loaded == json.loads(json.dumps(dataclasses.asdict(view)))
    assert loaded["kind"] == "run"
    assert json.loads(as_json(view, indent=0)) == loaded


@pytest.mark.parametrize(
    ("status", "trials", "first"),
    [
        (RunStatus.COMPLETE, 0, "x EMPTY  no trial was done"),
        (RunStatus.COMPLETE, 24, "ok DONE  24 of 24 trials answered"),
        (RunStatus.INTERRUPTED, 10, "! INTERRUPTED  10 of 24 trials answered"),
        (RunStatus.RUNNING, 10, "... RUNNING  10 of 24 trials answered"),
        (RunStatus.STOPPED, 10, "! STOPPED  10 of 24 trials answered"),
    ],
)
def test_the_first_line_says_how_it_went(
    tmp_path: Path, status: RunStatus, trials: int, first: str
) -> None:
    done = [one for one in example_trials() if one.target == "large"][:trials]
    text = terminal(view_of(tmp_path, example_run(status=status, planned=24), done))
    assert text.splitlines()[0] == first
    resumable = status is not RunStatus.RUNNING and trials < 24
    assert (f"evalkit run --resume {RUN}" in text) == resumable


def test_a_run_in_which_everything_failed_is_no_success(tmp_path: Path) -> None:
    refused = {"status": TrialStatus.ERROR, "error_class": ErrorClass.AUTH}
    failed = [
        dataclasses.replace(one, output=None, scores=(), **refused)
        for one in example_trials(cases=2)
    ]
    text = terminal(view_of(tmp_path, example_run(status=RunStatus.COMPLETE), failed))
    assert text.splitlines()[0] == "x FAILED  every trial failed (auth 4)"
    assert "100 %" in text


def test_unscored_trials_and_scorer_errors_are_named(tmp_path: Path) -> None:
    trials = [
        example_trial(
            RUN,
            example_case(number),
            "small",
            quality=0.6,
            scores=(
                ScoreRecord(
                    name="rouge_l",
                    signature="s",
                    status=ScoreStatus.UNSCORED if number else ScoreStatus.ERROR,
                    reason="nothing is expected" if number else "ValueError: \x1b[31mbad",
                ),
            ),
        )
        for number in range(4)
    ]
    view = view_of(tmp_path, example_run(), trials)
    text = terminal(view)
    assert "rouge_l: 3 unscored, 1 scorer error: 3 x nothing is expected" in text
    (cell,) = next(row for row in view.suites[0].rows if row.metric == "rouge_l.mean").cells
    assert cell is not None
    assert (cell.value, cell.n, cell.unscored, cell.errors) == (None, 0, 3, 1)


def test_a_corpus_metric_without_its_code_is_missing_and_said_to_be(tmp_path: Path) -> None:
    run = example_run(scorers=(scorer_version("bleu", scorer="ours", metrics=("mean", "corpus")),))
    view = view_of(tmp_path, run, example_trials(cases=3))
    assert [row.metric for row in view.suites[0].rows][:1] == ["bleu.mean"]
    assert view.suites[0].notes == ("bleu: corpus needs the scorer's own code",)


def test_numbers_are_those_of_the_trials(view: RunView) -> None:
    trials = [one for one in example_trials() if one.target == "large"]
    rows = {row.metric: row.cells[1] for row in view.suites[0].rows}
    rouge = [one.scores[1].score.value for one in trials if one.scores[1].score]
    tokens = [one.output.usage.input_tokens or 0 for one in trials if one.output]
    assert rows["rouge_l.mean"].value == pytest.approx(sum(rouge) / 24)  # type: ignore[union-attr]
    assert rows["tokens.input"].value == pytest.approx(sum(tokens) / 24)  # type: ignore[union-attr]
    assert rows["cost.total"].note == "unknown"  # type: ignore[union-attr]
    assert rows["cost.total"].value is None  # type: ignore[union-attr]
    spanish = next(
        row for row in view.suites[0].slices if (row.value, row.metric) == ("es", "rouge_l.mean")
    )
    assert spanish.cells[1] is not None
    assert spanish.cells[1].value == pytest.approx(sum(rouge[1::3]) / 8)


@pytest.fixture
def case(tmp_path: Path) -> tuple[Trial, ...]:
    store = Store(tmp_path / "s.duckdb")
    store.append([rich_trial(), *example_trials(cases=3), example_trials(cases=1)[0]])
    return (*store.trial(RUN, "refund-003"), *store.trial(RUN, "refund-002"))


def test_a_case(case: tuple[Trial, ...], snapshot: SnapshotAssertion) -> None:
    assert case_text(case, Screen(width=100, unicode=True)) == snapshot
    assert max(map(cell_len, case_text(case, Screen(width=50)).splitlines())) <= 60


def test_a_case_as_json(case: tuple[Trial, ...]) -> None:
    value = json.loads(json.dumps(case_json(case), default=str))
    assert value["case"]["name"] == "refund-003"
    assert value["trials"][0]["output"]["usage"]["cached_tokens"] == 10
    assert value["trials"][0]["started_at"].endswith("+00:00")


def test_hostile_outputs_do_nothing(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J[red]markup[/red] :smile: \u202egnp.exe"
    base = rich_trial()
    assert base.output is not None
    trial = dataclasses.replace(
        base,
        case=dataclasses.replace(base.case, name=f"x{hostile}", tags={"lang": hostile}),
        output=dataclasses.replace(base.output, text=hostile, model=hostile, finish_reason=hostile),
        scores=example_trial(RUN, base.case, "small", quality=0.1).scores,
    )
    view = view_of(tmp_path, example_run(), [trial])
    stored = Store(tmp_path / "s.duckdb").trial(RUN, base.case.id)
    shown = case_text(stored, Screen(unicode=True))
    assert "\\u{1b}]0;owned\\u{7}\\u{1b}[2J[red]markup" in shown
    assert "\\u{202e}gnp.exe" in shown
    for text in (terminal(view, unicode=True), shown):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
        assert "[red]markup[/red] :smile:" in text


def test_what_nobody_sees_floods_nothing() -> None:
    base = rich_trial()
    assert base.output is not None

    def output(text: str) -> str:
        output = dataclasses.replace(base.output, text=text)
        trial = dataclasses.replace(base, output=output, scores=())
        said = case_text([trial], Screen(width=100_000)).partition("output    ")[2]
        return said.partition("tool call")[0]

    assert output("red" + "\u200b" * 15_000).endswith("[14,992 more that cannot be seen]\n")
    assert len(output("a\u200b" * 15_000)) < 5_000
    assert output("a\0" * 1_000).splitlines()[-1].strip() == "[2,000 more characters: --json]"
