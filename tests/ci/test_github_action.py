"""A pull request from end to end: the very lines of the action, in a repository made here."""

from __future__ import annotations

import json

from tests.ci.repository import HURT, SUITE, Action, rows


def test_a_prompt_that_hurts_one_language_blocks_and_names_it(repository, tmp_path):
    repository.pull_request("hurt", **{"prompts/answer.j2": HURT})
    action = Action(repository, tmp_path, comment="never")
    code, said = action.steps()
    assert code == 1, said
    assert "### ✕ FAIL" in action.summary
    assert "lang=es" in action.summary
    assert "lang=en" not in action.summary.partition("<details>")[0]
    assert "change is prompt" in action.summary
    assert "(https://ci.example.org/artifacts/7)" in action.summary
    assert "✕ FAIL" in (tmp_path / "temp/evalkit/report.html").read_text("utf-8")
    errors = [one for one in said.splitlines() if one.startswith("::error ")]
    assert any("file=suites/boxes.yaml" in one and "lang=es" in one for one in errors)
    verdict = json.loads((tmp_path / "temp/evalkit/verdict.json").read_text())
    failed = {one["where"] for one in verdict["results"] if one["status"] == "FAIL"}
    assert failed == {"", "lang=es"}


def test_a_case_at_the_top_passes(repository, tmp_path):
    new = next(iter(rows(1_000_000)))
    first = {**new, "question": "What is the code of the first box?"}
    repository.pull_request("top")
    repository.write_cases([first, *reversed(repository.cases)])
    repository.commit("a case at the top, the others the other way round")
    action = Action(repository, tmp_path, comment="never")
    code, said = action.steps()
    assert code == 0, said
    assert "regressed" not in action.summary
    assert "+1 new" in said


def test_a_change_cannot_loosen_the_gates_it_is_judged_by(repository, tmp_path):
    loose = SUITE.replace("max_drop: 5%", "max_drop: 90%").replace("max_drop: 10%", "max_drop: 95%")
    assert loose != SUITE
    hurt = {
        "prompts/answer.j2": HURT,
        "suites/boxes.yaml": loose,
        "gates/errors.sql": "SELECT 1 WHERE false\n",
    }
    repository.pull_request("loose", **hurt)
    names = (f"::error::x{n} @team #1" for n in range(len(repository.cases)))
    pairs = zip(repository.cases, names, strict=True)
    repository.write_cases([{**one, "id": name} for one, name in pairs])
    repository.commit("names that look like commands and mentions")
    action = Action(repository, tmp_path, comment="never")
    code, said = action.steps()
    assert code == 1, said
    assert "gate 'quality' max\\_drop 5% → 90%" in action.summary
    assert "the query of gate 'errors' differs" in action.summary
    assert "@team" not in action.summary
    assert "#1" not in action.summary
    # what a case is called is no command of the workflow
    stop = next(one for one in said.splitlines() if one.startswith("::stop-commands::"))
    inside, _, after = said.partition(f"\n::{stop.removeprefix('::stop-commands::')}::\n")
    assert "::error::x" in inside
    assert "error::x" not in after


def test_the_same_again_passes_also_from_a_fork(repository, tmp_path):
    repository.pull_request("fork", **{"README.md": "from a fork\n"})
    action = Action(repository, tmp_path, fork=True)
    code, said = action.steps(EVALKIT_ALLOW_CODE="1")
    assert code == 0, said
    assert "✓ PASS" in action.summary
