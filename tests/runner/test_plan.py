"""What can be known to fail is said before the first call."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import (
    ConfigError,
    EvalkitError,
    PromptError,
    Undecided,
    UnknownName,
    UsageError,
)
from evalkit.model import GitState
from evalkit.runner.git import GitQuestion
from tests.runner.projects import SmallProject, rows, wire

URL = "http://127.0.0.1:9/v1"


def refused(small: SmallProject, error: type[EvalkitError], **flags: Any) -> EvalkitError:
    with pytest.raises(error) as caught:
        small.plan(**flags)
    assert not small.store.exists, "nothing is stored of a run that cannot start"
    assert len(caught.value.lines()) == 3, "what, where, what to do"
    return caught.value


def test_a_plan_has_the_version_of_everything(small: SmallProject) -> None:
    targets = {
        "t": wire(URL, api_key="${env:A_KEY}", price={"input": 1, "output": 2}),
        "unused": wire(URL, api_key="${env:NOT_SET}"),
    }
    small.write(targets, rows(10), scorers=["exact_match", "rouge_l"], seed=5, suite={"trials": 3})
    plan = small.plan({"A_KEY": "abcdefgh"}, tags=("lang:es",), limit=4)
    run = plan.run
    assert run.planned == 12
    assert run.seed == 5
    assert run.suites == ("s",)
    assert [one.name for one in run.targets] == ["t"]
    assert run.targets[0].options["api_key"] == "${env:A_KEY}"
    assert run.targets[0].prompt_version == run.prompts[0].version
    assert run.targets[0].model == "gpt-5-mini"
    assert run.targets[0].price is not None
    assert run.prompts[0].path == "prompts/ask.j2"
    (dataset,) = run.datasets
    assert (dataset.source, dataset.cases, dataset.selected) == ("golden/cases.jsonl", 10, 4)
    assert [one.signature.partition("|")[0] for one in run.scorers] == ["exact_match", "rouge_l"]
    assert run.settings["tags"] == ["lang:es"]
    assert run.settings["suites"] == ["s"]
    again = small.plan({"A_KEY": "another-key"}, tags=("lang:es",), limit=4).run
    assert again.id != run.id
    assert again.targets[0].content_hash == run.targets[0].content_hash
    assert plan.warnings == ()


def test_unknown_names(small: SmallProject) -> None:
    small.write({"support": wire(URL)}, rows(3))
    error = refused(small, UnknownName, suites=("t",))
    assert "unknown suite 't'" in error.what
    error = refused(small, UnknownName, targets=("suport",))
    assert error.hint == "did you mean 'support'?"


def test_a_variable_of_the_environment_that_a_used_target_lacks(
    small: SmallProject,
) -> None:
    small.write({"t": wire(URL, api_key="${env:NOT_SET}")}, rows(3))
    error = refused(small, ConfigError)
    assert "NOT_SET is not set" in error.what
    assert "evalkit.yaml:" in str(error.where)


def test_the_children_of_a_route_are_used_too(small: SmallProject) -> None:
    targets = {
        "route": {"kind": "fallback", "targets": ["a", "b"]},
        "a": wire(URL),
        "b": wire(URL, api_key="${env:NOT_SET}"),
    }
    small.write(targets, rows(3))
    assert "NOT_SET is not set" in refused(small, ConfigError).what
    plan = small.plan({"NOT_SET": "abcdefgh"})
    assert sorted(one.name for one in plan.run.targets) == ["a", "b", "route"]
    before = {one.name: one.content_hash for one in plan.run.targets}
    small.write({**targets, "a": wire(URL, params={"max_completion_tokens": 9})}, rows(3))
    after = {one.name: one.content_hash for one in small.plan({"NOT_SET": "abcdefgh"}).run.targets}
    assert {name for name in before if before[name] != after[name]} == {"a", "route"}


def test_a_variable_that_the_first_case_lacks(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(3))
    small.write_prompt("Dear {{ customer }}, {{ question }}")
    error = refused(small, PromptError)
    assert "'customer'" in error.what
    assert "target 't', suite 's', case case-0" in error.what
    assert "ask.j2:1" in str(error.where)


def test_a_scorer_that_no_case_can_satisfy(small: SmallProject) -> None:
    cases = [{"question": f"What is {n}?"} for n in range(3)]
    small.write({"t": wire(URL)}, cases)
    error = refused(small, ConfigError)
    assert "'exact_match' needs 'expected', and none of the 3 cases" in error.what
    assert "s.yaml:" in str(error.where)
    small.write_cases([*cases, {"question": "What else?", "expected": "x"}])
    assert small.plan().run.planned == 4


def test_nothing_selected_is_undecided(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(3))
    error = refused(small, Undecided, tags=("lang:fr",))
    assert "--tags lang:fr leaves none of 3 cases" in error.what
    assert "lang:en, lang:es" in error.hint
    error = refused(small, Undecided, tags=("lnag:es",))
    assert error.hint == "did you mean 'lang'?"
    refused(small, Undecided, filter="zebra")


def test_a_slice_by_a_tag_that_no_case_has_is_said(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(3), suite={"slices": ["lang", "lnag"]})
    assert small.plan().warnings[-1] == (
        "suite 's': no case has the tag 'lnag' that 'slices' names; did you mean 'lang'?"
    )
    small.write({"t": wire(URL)}, rows(3), suite={"slices": ["lang"]})
    assert not any("slices" in one for one in small.plan().warnings)


def test_no_golden_suite_is_undecided(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(3), suite={"kind": "adversarial"})
    refused(small, Undecided)
    assert small.plan(suites=("s",)).run.planned == 3


def test_two_suites_of_one_name(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(3))
    (small.folder / "more").mkdir()
    text = (small.folder / "suites" / "s.yaml").read_text()
    (small.folder / "more" / "s.yaml").write_text(text)
    path = str(small.folder / "more" / "s.yaml")
    refused(small, UsageError, suites=("s", path))
    assert small.plan(suites=(path, path)).run.suites == ("s",)


def test_a_model_without_a_price_is_said_once(small: SmallProject) -> None:
    small.write({"t": wire(URL, model="house-model-7")}, rows(3))
    plan = small.plan()
    assert plan.run.targets[0].price is None
    assert len(plan.warnings) == 1
    assert "'house-model-7'" in plan.warnings[0]
    small.write(
        {"t": wire(URL, model="house-model-7")},
        rows(3),
        prices={"house-model-7": {"input": 0.1, "output": 0.2}},
    )
    assert small.plan().warnings == ()


def test_code_runs_only_when_allowed(small: SmallProject) -> None:
    small.write({"t": {"kind": "command", "argv": ["cat"]}}, rows(3))
    error = refused(small, ConfigError)
    assert "--allow-code" in error.hint
    assert small.plan(allow_code=True).run.planned == 3


def test_several_datasets_are_one_selection_and_each_case_runs_once(small: SmallProject) -> None:
    small.write({"t": wire(URL)}, rows(6))
    text = (small.folder / "golden" / "cases.jsonl").read_text().splitlines(keepends=True)
    more = [*text[4:], text[0].replace("0", "7")]
    (small.folder / "golden" / "more.jsonl").write_text("".join(more))
    small.write_suite(
        {
            "datasets": ["golden/cases.jsonl", "golden/more.jsonl"],
            "targets": ["t"],
            "scorers": ["exact_match"],
        }
    )
    plan = small.plan()
    assert [one.selected for one in plan.run.datasets] == [6, 1]
    assert len({case.id for case in plan.suites[0].cases}) == plan.run.planned == 7
    assert [one.selected for one in small.plan(limit=2).run.datasets] == [2, 0]
    sampled = small.plan(sample=3)
    assert len(list(sampled.suites[0].cases)) == sampled.run.planned == 3


def git_state(folder: Path) -> GitState | None:
    with GitQuestion(folder) as question:
        return question.answer()


def test_the_commit_is_recorded_and_nothing_of_the_repository_runs(small: SmallProject) -> None:
    folder = small.folder

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    assert git_state(folder) is None
    git("init", "-q", "-b", "trunk")
    assert git_state(folder) is None, "no commit yet"
    git("add", ".")
    git("commit", "-q", "-m", "first")
    hook = folder / "ran"
    git("config", "core.fsmonitor", f"touch {hook}")
    state = git_state(folder)
    assert state is not None
    assert (state.commit, state.branch, state.dirty) == (git("rev-parse", "HEAD"), "trunk", False)
    assert not hook.exists()
    git("config", "--unset", "core.fsmonitor")
    small.write_prompt("changed {{ question }}", "new.j2")
    state = git_state(folder)
    assert state is not None
    assert state.dirty
    (folder / "prompts" / "new.j2").unlink()
    (folder / "reports").mkdir()
    (folder / "reports" / "a-run.html").write_text("<html>")
    state = git_state(folder)
    assert state is not None
    assert not state.dirty, "a page that evalkit wrote is no change of what is run"
    (folder / "reports" / "cases.jsonl").write_text("{}")
    state = git_state(folder)
    assert state is not None
    assert state.dirty
