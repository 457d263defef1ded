"""``evalkit gate``, ``diff`` and ``baseline`` on a real store in a real repository."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from example_runs import START, example_run
from gate_repository import SUITE, Repository, commit, git

from evalkit.cli.app import run_command
from evalkit.config import load_project
from evalkit.errors import ExitCode
from evalkit.gate.record import to_json
from evalkit.model import GitState, RunKind, RunStatus
from evalkit.runner.calibrating import load_records, record_path
from tests.gate.test_calibrated import record


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        monkeypatch.delenv(name, raising=False)
    return Repository(tmp_path)


def judged(capsys, *arguments):
    capsys.readouterr()
    code = run_command(["gate", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_same_again_passes_against_where_the_branch_began(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change)
    code, verdict = judged(capsys)
    assert code == ExitCode.PASS
    assert verdict["baseline"] == ["20261121-100000-aaaa"]
    assert {one["gate"]: one["status"] for one in verdict["results"]}["quality"] == "PASS"


def test_a_run_of_the_branch_itself_is_no_baseline(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.change)
    repository.run("20261121-110000-bbbb", repository.change)
    code, verdict = judged(capsys)
    assert code == ExitCode.UNDECIDED
    assert verdict["status"] == "ERROR"
    assert "no complete, clean run is stored where this branch began" in verdict["hint"]


def test_one_language_that_is_hurt_blocks_and_is_named(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    spanish = [number for number in range(90) if number % 3 == 1]
    repository.run("20261121-110000-bbbb", repository.change, worse=spanish[:20])
    code, verdict = judged(capsys)
    assert code == ExitCode.FAIL
    failed = {one["where"] for one in verdict["results"] if one["status"] == "FAIL"}
    assert "lang=es" in failed
    assert not failed & {"lang=en", "lang=de"}
    assert verdict["compared"][0]["regressed"] > 10
    assert run_command(["gate", "--quiet"]) == ExitCode.FAIL
    assert capsys.readouterr().out.startswith("x FAIL  ")


def test_a_language_that_was_taken_out_of_the_data_is_named_and_does_not_pass(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    kept = [number for number in range(90) if number % 3 != 2]
    repository.run("20261121-110000-bbbb", repository.change, cases=kept)
    code, verdict = judged(capsys)
    assert code == ExitCode.UNDECIDED
    (gone,) = [one for one in verdict["results"] if one["status"] == "ERROR"]
    assert gone["where"] == "lang=de"
    assert gone["reason"].startswith("30 cases in the baseline, none of them now; if that is meant")
    assert run_command(["gate"]) == ExitCode.UNDECIDED
    assert "30 cases in the baseline, none of them now" in " ".join(capsys.readouterr().out.split())
    assert run_command(["diff", "20261121-100000-aaaa", "20261121-110000-bbbb"]) == ExitCode.PASS
    assert "gone   lang=de, all 30 cases" in capsys.readouterr().out


def test_a_row_at_the_top_shows_no_regression(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main, cases=range(1, 91))
    repository.run("20261121-110000-bbbb", repository.change, cases=range(91))
    code, verdict = judged(capsys)
    assert code == ExitCode.PASS
    compared = verdict["compared"][0]
    assert (compared["regressed"], compared["new"]) == (0, ["refund-000"])


def test_repeats_of_the_baseline_are_pooled(repository, capsys):
    for name in ("20261121-100000-aaaa", "20261121-101000-aaab", "20261121-102000-aaac"):
        repository.run(name, repository.main)
    repository.run("20261121-110000-bbbb", repository.change)
    _, verdict = judged(capsys)
    assert len(verdict["baseline"]) == 3
    assert {one["gate"]: one["claim"] for one in verdict["results"]}["quality"] == "these cases"


def test_a_repeat_whose_answers_failed_is_not_pooled_and_the_run_itself_comes_last(
    repository, capsys
):
    repository.run("20261121-100000-aaaa", repository.main)
    for name, failed in (("20261121-101000-aaab", range(90)), ("20261121-102000-aaac", ())):
        repository.run(name, repository.change, failed=failed)
    repository.run("20261121-110000-bbbb", repository.change)
    code, verdict = judged(capsys)
    assert verdict["baseline"] == ["20261121-102000-aaac", "20261121-100000-aaaa"]
    assert code == ExitCode.PASS
    run_command(["gate"])
    assert "baseline 20261121-100000-aaaa main@" in (shown := capsys.readouterr().out)
    assert "and 1 repeat\n" in shown
    assert "evalkit diff 20261121-100000-aaaa 20261121-110000-bbbb" in shown


def test_dirty_and_partial_runs_are_no_baseline(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main, dirty=True)
    repository.run("20261121-101000-aaab", repository.main, status=RunStatus.INTERRUPTED)
    repository.run("20261121-110000-bbbb", repository.change)
    assert judged(capsys)[0] == ExitCode.UNDECIDED


FRENCH = {"filter": "tags.lang:fr"}
GERMAN = {"filter": "tags.lang:de"}


def test_a_run_of_chosen_cases_is_no_baseline_of_the_others(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-101000-aaab", repository.main, cases=range(30), chosen=FRENCH)
    repository.run("20261121-110000-bbbb", repository.change, worse=range(60, 90))
    code, verdict = judged(capsys)
    assert verdict["baseline"] == ["20261121-100000-aaaa"], "the whole run, though it is older"
    assert code == ExitCode.FAIL
    # one that chose the same cases is
    repository.run("20261121-111000-bbbc", repository.change, cases=range(30), chosen=FRENCH)
    _, verdict = judged(capsys)
    assert verdict["baseline"][-1] == "20261121-101000-aaab"


def test_as_many_other_cases_are_no_repeats_and_a_difference_that_is_named(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main, cases=range(30), chosen=FRENCH)
    repository.run("20261121-101000-aaab", repository.main, cases=range(30, 60), chosen=GERMAN)
    code, verdict = judged(capsys, "latest", "--baseline", "latest~1")
    assert verdict["baseline"] == ["20261121-100000-aaaa"]
    assert code == ExitCode.UNDECIDED
    run_command(["gate", "--baseline", "latest~1"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "cases selected differ: 30 (filter tags.lang:fr) -> 30 (filter tags.lang:de)" in shown
    run_command(["gate", "--self-test"])
    said = capsys.readouterr()
    assert "2 stored runs of one configuration" not in said.out + said.err


def test_a_folder_is_no_baseline(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    assert run_command(["gate", "--baseline", "file:"]) == ExitCode.USAGE
    assert "the baseline cannot be read: is a directory" in capsys.readouterr().err


def test_chosen_cases_are_promoted_only_by_force(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main, cases=range(30), chosen={"limit": 30})
    assert run_command(["baseline", "promote", "latest"]) == ExitCode.USAGE
    assert "it was asked 30 of 90 cases (limit 30)" in capsys.readouterr().err
    force = ["--force", "--reason", "a small start"]
    assert run_command(["baseline", "promote", "latest", *force]) == ExitCode.PASS


def test_a_candidate_that_is_not_complete_is_not_judged(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change, status=RunStatus.INTERRUPTED)
    code, verdict = judged(capsys)
    assert code == ExitCode.UNDECIDED
    assert "is not complete" in verdict["results"][0]["reason"]


def test_the_files_for_ci(repository, capsys, tmp_path):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change, worse=range(60))
    code = run_command(["gate", "--junit", "out/gate.xml", "--markdown", "out/gate.md"])
    assert code == ExitCode.FAIL
    assert "<failure " in (tmp_path / "out/gate.xml").read_text()
    assert "### ✕ FAIL" in (tmp_path / "out/gate.md").read_text()


def test_a_query_that_finds_rows_blocks(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change)
    sql = "SELECT case_id FROM trials WHERE run_id = $run LIMIT 3"
    (repository.folder / "gates/empty.sql").write_text(sql)
    code, verdict = judged(capsys)
    assert code == ExitCode.FAIL
    (rows,) = [one for one in verdict["results"] if one["gate"] == "rows"]
    assert (rows["candidate"], rows["status"]) == (3.0, "FAIL")


def test_diff_names_the_cases_worst_first(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change, worse=[4, 5])
    assert run_command(["diff"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    assert "refund-004" in shown
    assert "-2 regressed" in shown
    assert re.search(r"-  refund-004 .* {2}It gives a month", shown)
    assert run_command(["diff", "--json", "latest", "latest~1"]) == ExitCode.PASS
    (compared,) = json.loads(capsys.readouterr().out)
    assert (compared["regressed"], compared["improved"]) == (0, 2)
    assert run_command(["diff", "latest"]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert "both are the run 20261121-110000-bbbb" in told.err
    assert "evalkit diff latest~1 latest" in told.err


def test_a_promoted_baseline_is_enough_without_its_run(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    assert run_command(["baseline", "promote", "--name", "release"]) == ExitCode.PASS
    assert "replaces" not in capsys.readouterr().err
    assert run_command(["baseline", "promote", "--name", "release"]) == ExitCode.PASS
    assert "replaces another" in capsys.readouterr().err
    assert run_command(["baseline", "list", "--json"]) == ExitCode.PASS
    out = capsys.readouterr().out
    assert "20261121-100000-aaaa" in out
    assert run_command(["gate", "-b", "file:baselines/release.json"]) == ExitCode.USAGE
    assert "'file:baselines/release.json' is the candidate itself" in capsys.readouterr().err
    repository.store.path.unlink()
    repository.run("20261121-110000-bbbb", repository.change, worse=range(60))
    code, verdict = judged(capsys, "--baseline", "file:baselines/release.json")
    assert code == ExitCode.FAIL
    assert verdict["baseline"] == ["20261121-100000-aaaa"]
    path = repository.folder / "baselines/release.json"
    path.write_text(path.read_text().replace('"project": "support-bot"', '"project": "other"'))
    assert run_command(["gate", "-b", "file:baselines/release.json"]) == ExitCode.USAGE
    assert "the baseline is damaged" in capsys.readouterr().err
    assert run_command(["baseline", "list"]) == ExitCode.USAGE
    assert "does not match its hash" in capsys.readouterr().out
    assert run_command(["baseline", "list", "--json"]) == ExitCode.USAGE
    assert json.loads(capsys.readouterr().out)[0]["problem"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"failed": [3]}, "1 of 90 trials failed"),
        ({"status": RunStatus.INTERRUPTED}, "it is not complete"),
        ({"dirty": True}, "files differed from the commit"),
    ],
)
def test_an_unfit_run_is_not_promoted_unless_forced_with_a_reason(repository, capsys, fields, why):
    repository.run("20261121-100000-aaaa", repository.main, **fields)
    assert run_command(["baseline", "promote"]) == ExitCode.USAGE
    assert why in capsys.readouterr().err
    assert run_command(["baseline", "promote", "--force"]) == ExitCode.USAGE
    forced = ["baseline", "promote", "--force", "--reason", "the provider was down"]
    assert run_command(forced) == ExitCode.PASS
    capsys.readouterr()
    assert run_command(["baseline", "show"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["promoted"]["reason"] == "the provider was down"


def test_bad_names_say_what_to_do(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    for arguments, said in [
        (["gate", "-b", "latest"], "is the candidate itself"),
        (["gate", "-b", "file:baselines/none.json"], "there is no such baseline"),
        (["gate", "--suite", "suport"], "has no suite 'suport'"),
        (["run", "--baseline", "latest"], "--baseline is for --gate"),
        (["baseline", "promote", "--name", "../x"], "cannot be a file's name"),
    ]:
        assert run_command(arguments) in {ExitCode.USAGE, ExitCode.UNDECIDED}
        assert said in capsys.readouterr().err


def test_a_suite_without_gates_is_no_pass(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change)
    (repository.folder / "suites/support.yaml").write_text(SUITE.partition("gates:")[0])
    code, verdict = judged(capsys)
    assert (code, verdict["problems"]) == (ExitCode.UNDECIDED, ["no suite of this run has a gate"])


def test_records_of_labels_are_those_of_the_ref(repository):
    """A change brings no record that makes its own judge look better."""
    project = load_project(repository.folder / "evalkit.yaml")
    path = record_path(project, "support", "hallucination")
    path.parent.mkdir()
    mine = replace(record(), project="support-bot")
    path.write_text(json.dumps(to_json(mine)), encoding="utf-8")
    git(repository.folder, "add", "-A")
    after = commit(repository.folder, "a record")
    assert load_records(project, ["support"]) == {("support", "hallucination"): mine}
    assert load_records(project, ["support"], commit=after).values()
    assert load_records(project, ["support"], commit=repository.main) == {}


def test_the_plan_takes_cases_and_noise_from_the_store(repository, capsys):
    for name in ("20261121-100000-aaaa", "20261121-101000-aaab"):
        repository.run(name, repository.main)
    assert run_command(["plan", "--json"]) == ExitCode.PASS
    told = json.loads(capsys.readouterr().out)
    assert (told["repeats"], told["calls"]) == (2, 90)
    quality = told["forecasts"][0]
    assert (quality["gate"], quality["cases"], quality["measured"]) == ("quality", 90, True)
    assert 0 < quality["noise"] < 0.05
    # two runs that are equal: the self-test of the same runs sees as much
    assert quality["seen"] == 0.0
    gates = [one["gate"] for one in told["forecasts"]]
    assert list(dict.fromkeys(gates)) == ["quality", "likeness", "corpus", "languages", "rows"]
    groups = [one for one in told["forecasts"] if one["gate"] == "languages"]
    assert {one["where"]: one["cases"] for one in groups} == {
        f"lang={one}": 30 for one in ("de", "en", "es")
    }
    assert run_command(["gate", "--self-test", "--json"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["flips"] == 0.0
    assert run_command(["plan"]) == ExitCode.PASS
    shown = " ".join(capsys.readouterr().out.split())
    assert "noise is seen in stored repeats, 2 trials of each case" in shown
    assert "corpus: not forecast, a score of all answers together" in shown
    assert "a fact is what the run itself shows" in shown
    assert "of 100 gated runs a month at most 10.0 fail by chance" in shown


def _last_error(capsys, name):
    capsys.readouterr()
    assert run_command(["gate", name]) == ExitCode.USAGE
    return capsys.readouterr().err


def test_without_a_baseline_it_says_what_can_be_one(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.change)
    capsys.readouterr()
    assert run_command(["gate"]) == ExitCode.UNDECIDED
    shown = capsys.readouterr().out
    assert "evalkit baseline promote latest" in " ".join(shown.split())
    # nothing was judged against it, so nothing is said of chance
    repository.run("20261121-110000-bbbb", repository.change)
    _, verdict = judged(capsys)
    assert "--baseline run:20261121-100000-aaaa or latest~1" in verdict["hint"]


def test_a_load_test_is_neither_candidate_nor_baseline(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    assert run_command(["gate", "-b", "latest"]) == ExitCode.USAGE
    capsys.readouterr()
    load = replace(
        example_run("20261121-120000-cccc", started_at=START + timedelta(hours=5)),
        kind=RunKind.LOAD,
        git=GitState(commit=repository.main, branch="main"),
    )
    repository.store.create_run(load)
    repository.store.finish_run(load.id, RunStatus.COMPLETE, START + timedelta(hours=6))
    assert run_command(["gate", load.id]) == ExitCode.USAGE
    assert "is a load test" in capsys.readouterr().err
    # and the latest run is the one before it, whatever is done with it
    assert run_command(["show", "latest", "--json"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["run_id"] == "20261121-100000-aaaa"
    assert run_command(["baseline", "promote", load.id]) == ExitCode.USAGE
    assert "it is a load test" in capsys.readouterr().err
    assert "--slo" in _last_error(capsys, load.id)
    # "latest" is the latest that can be judged
    _, verdict = judged(capsys)
    assert verdict["candidate"] == "20261121-100000-aaaa"
