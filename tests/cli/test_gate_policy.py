"""Whose gates judge, against what, and what is kept of it; each bad input has its own answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gate_repository import SUITE, Repository, commit, git

from evalkit.cli.app import run_command
from evalkit.errors import ExitCode

BASE, CAND = "20261121-100000-aaaa", "20261121-110000-bbbb"
SPANISH = [number for number in range(90) if number % 3 == 1]


def make_repository(folder):
    found = Repository(folder)
    git(folder, "checkout", "-q", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the project")
    found.main = git(folder, "rev-parse", "HEAD")
    git(folder, "checkout", "-q", "-B", "change")
    found.change = commit(folder, "change")
    return found


@pytest.fixture(autouse=True)
def no_branch_of_ci(monkeypatch):
    for name in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_repository(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """Two runs that are the same; only the suite is written anew by each test."""
    found = make_repository(tmp_path_factory.mktemp("unchanged"))
    found.run(BASE, found.main)
    found.run(CAND, found.change)
    return found


@pytest.fixture
def settled(unchanged, monkeypatch):
    monkeypatch.chdir(unchanged.folder)
    yield unchanged
    suite(unchanged, SUITE)


def judged(capsys, *arguments):
    capsys.readouterr()
    code = run_command(["gate", *arguments, "--json"])
    shown = capsys.readouterr()
    return code, json.loads(shown.out) if shown.out else shown.err


def suite(repository, text, **replaced):
    for old, new in replaced.items():
        text = text.replace(old, new)
    (repository.folder / "suites/support.yaml").write_text(text)


def test_the_gates_of_the_ref_judge_and_the_change_is_said(repository, capsys):
    repository.run(BASE, repository.main)
    repository.run(CAND, repository.change, worse=SPANISH[:20])
    waiver = "waiver: {owner: me, reason: trust me, until: 2999-01-01}"
    loose = (
        SUITE.replace("max_drop: 20%", f"max_drop: 90%, {waiver}")
        .replace(" 5%", " 95%")
        .replace("0.05", "0.95")
    )
    suite(repository, loose.replace("mode: prove", "mode: advisory"))
    (repository.folder / "gates/empty.sql").write_text("SELECT 1 WHERE false")
    assert judged(capsys)[0] == ExitCode.PASS
    code, verdict = judged(capsys, "--policy-ref", "main")
    assert code == ExitCode.FAIL
    assert {one["where"] for one in verdict["results"] if one["status"] == "FAIL"} >= {"lang=es"}
    said = " / ".join(verdict["warnings"])
    assert "policy of support changed, main judges: gate 'quality' max_drop 5% → 95%" in said
    assert "gate 'languages' waiver – → {owner: me" in said
    assert "the query of gate 'rows' differs" in said


def test_a_suite_that_is_taken_away_or_left_out_is_missed(settled):
    from evalkit.config import load_project
    from evalkit.runner.rules import rules_at

    path = settled.folder / "suites/support.yaml"
    project = load_project(settled.folder / "evalkit.yaml")
    said = "suite 'support' has gates at main and was not run"
    assert rules_at(project, "main", ["other"], every=True).said == (said,)
    path.rename(path.with_name("other.yaml"))
    rules = rules_at(project, "main", ["other"], every=True)
    assert rules.problems == (f"{said}: it is gone",)
    assert rules_at(project, "main", ["other"], every=False).problems == ()
    # moving all suites elsewhere hides nothing
    path.parent.rename(settled.folder / "elsewhere")
    text = (settled.folder / "evalkit.yaml").read_text()
    (settled.folder / "evalkit.yaml").write_text(text + "suites_dir: elsewhere\n")
    project = load_project(settled.folder / "evalkit.yaml")
    assert rules_at(project, "main", ["other"], every=True).problems == (f"{said}: it is gone",)
    (settled.folder / "evalkit.yaml").write_text(text)
    (settled.folder / "elsewhere").rename(path.parent)
    path.with_name("other.yaml").unlink()


def test_an_unknown_ref_and_a_suite_that_is_new(repository, capsys):
    repository.run(BASE, repository.main)
    repository.run(CAND, repository.change)
    code, said = judged(capsys, "--policy-ref", "mian")
    assert (code, "git knows no commit 'mian'" in said) == (ExitCode.USAGE, True)
    git(repository.folder, "checkout", "-q", "--orphan", "empty")
    git(repository.folder, "rm", "-rqf", "--cached", ".")
    git(repository.folder, "commit", "--allow-empty", "-qm", "nothing")
    code, verdict = judged(capsys, "-b", BASE, "--policy-ref", "empty")
    assert code == ExitCode.PASS
    assert verdict["warnings"] == ["suite 'support' is not at empty: it is judged by its own gates"]


def test_a_baseline_file_is_read_from_the_ref_too(repository, capsys):
    repository.run(BASE, repository.main)
    assert run_command(["baseline", "promote", "--by", "Ada"]) == ExitCode.PASS
    repository.run(CAND, repository.change, worse=range(60))
    arguments = ("-b", "file:baselines/main.json", "--policy-ref", "main")
    code, said = judged(capsys, *arguments)
    assert (code, "there is no baseline 'baselines/main.json' at main" in said) == (2, True)
    git(repository.folder, "checkout", "-q", "main")
    git(repository.folder, "add", "-A")
    git(repository.folder, "commit", "-qm", "a baseline")
    path = repository.folder / "baselines/main.json"
    path.write_text("{}")
    assert judged(capsys, *arguments)[0] == ExitCode.FAIL
    # without the ref, the file that was changed counts, and is found to be broken
    assert judged(capsys, "-b", "file:baselines/main.json")[0] == ExitCode.USAGE


def test_an_expired_waiver_fails_and_names_its_owner(repository, capsys):
    repository.run(BASE, repository.main)
    repository.run(CAND, repository.change, worse=range(60))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    for until, word in [("2999-01-01", "waived by Ada"), (yesterday, "the waiver of Ada ended on")]:
        waiver = f"waiver: {{owner: Ada, reason: the provider, until: {until}}}"
        suite(repository, SUITE.partition("  - {id: likeness")[0], prove=f"prove, {waiver}")
        code, verdict = judged(capsys)
        (quality,) = verdict["results"]
        assert word in f"{quality['reason']} {quality['notes']}"
        assert code == (ExitCode.PASS if "by" in word else ExitCode.FAIL)
    kinds = [one.kind for one in repository.store.events("gate.")]
    assert kinds == ["gate.decided", "gate.waived", "gate.decided"]


def test_the_verdict_is_kept(repository, capsys):
    repository.run(BASE, repository.main)
    repository.run(CAND, repository.change, worse=SPANISH[:20])
    judged(capsys)
    rows = repository.store.query("SELECT * FROM gates ORDER BY position").to_pylist()
    assert [one["verdict"] for one in rows].count("FAIL") >= 1
    first = rows[0]
    assert (first["run_id"], first["baseline_run_id"], first["n"]) == (CAND, BASE, 90)
    assert first["gate"] == "quality Δ≥−5.0 pt"
    assert first["reason"].startswith("FAIL quality on small")
    (event,) = repository.store.events("gate.decided")
    assert (event.run_id, event.details["status"]) == (CAND, "FAIL")


def test_a_promotion_is_in_the_trail(repository, capsys):
    repository.run(BASE, repository.main)
    assert run_command(["baseline", "promote", "--by", "Ada", "--reason", "first"]) == 0
    repository.run(CAND, repository.main)
    assert run_command(["baseline", "promote", "--by", "Grace"]) == 0
    first, second = repository.store.events("baseline.promoted")
    assert (first.actor, first.details["reason"], first.details["replaces"]) == (
        "Ada",
        "first",
        None,
    )
    assert (second.actor, second.run_id, second.details["replaces"]) == ("Grace", CAND, BASE)


def test_a_baseline_is_compared(repository, capsys):
    repository.run(BASE, repository.main)
    run_command(["baseline", "promote"])
    run_command(["baseline", "promote", "--name", "other"])
    repository.run(CAND, repository.change, worse=[4, 5])
    capsys.readouterr()
    assert run_command(["baseline", "diff", "main"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    assert "-2 regressed" in shown
    assert "the candidate's answer" in shown
    assert run_command(["baseline", "diff", "main", "other", "--json"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)[0]["same"] == 90
    assert run_command(["baseline", "diff", "none"]) == ExitCode.USAGE


def test_rolling_takes_the_last_and_warns(repository, capsys):
    repository.run(BASE, repository.main)
    repository.run("20261121-103000-abab", repository.change)
    repository.run(CAND, repository.change)
    code, verdict = judged(capsys, "-b", "rolling")
    assert (code, verdict["baseline"][-1]) == (ExitCode.PASS, "20261121-103000-abab")
    assert any("a rolling baseline leaks" in one for one in verdict["warnings"])


def test_many_tolerated_drops_use_up_the_budget_of_the_anchor(repository, capsys):
    """Each step loses 2 of 90 cases and is tolerated; since the release it is too much."""
    git(repository.folder, "tag", "v1", "main")
    repository.run(BASE, repository.main)
    anchored = SUITE.partition("  - {id: likeness")[0].replace(
        "gates:", 'gate: {baseline_runs: 1, anchor: {ref: "tag:v1", budget: 8%}}\ngates:'
    )
    suite(repository, anchored.replace("max_drop: 5%", "max_drop: 12%"))
    healthy = [number for number in range(90) if number % 10 != 3]
    statuses = []
    for step in range(1, 6):
        name = f"20261121-12000{step}-cccc"
        repository.run(name, repository.change, worse=healthy[: 2 * step])
        code, verdict = judged(capsys, "-b", "rolling")
        found = {one["gate"]: one for one in verdict["results"]}
        statuses.append((found["quality"]["status"], found["quality since tag:v1"]["status"], code))
    assert [one[0] for one in statuses] == ["PASS"] * 5
    assert statuses[0][1:] != ("FAIL", 1)
    assert statuses[-1][1:] == ("FAIL", 1)
    since = found["quality since tag:v1"]
    assert "11.1 pt of the 8.0 pt allowed in all are used" in since["notes"]
    assert since["difference"] == pytest.approx(-10 / 90)
    assert not any("leaks" in one for one in verdict["warnings"])


def test_an_anchor_that_is_not_there_is_an_error(settled, capsys):
    suite(settled, SUITE.replace("gates:", 'gate: {anchor: {ref: "tag:v9", budget: 3%}}\ngates:'))
    code, verdict = judged(capsys)
    assert code == ExitCode.UNDECIDED
    errors = [one["reason"] for one in verdict["results"] if one["status"] == "ERROR"]
    assert "no complete run is stored at or before the tag 'v9'" in errors[0]


BAD = {
    "zero gates": (SUITE.partition("gates:")[0], 3, "no suite of this run has a gate"),
    "a metric that is none": (
        SUITE.replace("metric: pass.rate, max_drop: 5%", "metric: pas.rate, max_drop: 5%"),
        2,
        "unknown metric 'pas.rate' in gate 1",
    ),
    "a contradiction": (
        SUITE + "  - {id: a, metric: pass.rate, min: 90%}\n"
        "  - {id: b, metric: pass.rate, max: 80%}\n",
        2,
        "gate 'b' contradicts gate 'a': no value can meet both",
    ),
    "a margin that can never pass": (
        SUITE.replace("max_drop: 5%", "max_drop: 0%"),
        2,
        "of 0 can never be ruled out",
    ),
    "too few cases for the margin": (
        SUITE.partition("  - {id: likeness")[0].replace("max_drop: 5%", "max_drop: 1%"),
        3,
        "90 cases can never rule it out, 268 can",
    ),
    "a group of two": (
        SUITE.partition("  - {id: likeness")[0].replace(
            "max_drop: 5%, mode: prove", "max_drop: 20%, by: [pair], min_cases: 30"
        ),
        3,
        "no case has the tag 'pair'",
    ),
    "a query out of the project": (
        SUITE.replace("gates/empty.sql", "../../etc/passwd"),
        2,
        "is outside the project",
    ),
    "a query that is no query": (SUITE.replace("gates/empty.sql", "gates/bad.sql"), 2, "LINE 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_policy_has_its_own_answer(settled, capsys, name):
    text, code, said = BAD[name]
    (settled.folder / "gates/bad.sql").write_text("SELECT nothing FROM nowhere\n")
    suite(settled, text)
    found = judged(capsys)
    assert found[0] == code
    assert said in (found[1] if isinstance(found[1], str) else json.dumps(found[1]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"failed": range(90)}, "90 of 90 cases lack a result"),
        ({"cases": range(200, 280)}, "the two runs share no case: the baseline is of other data"),
    ],
)
def test_bad_evidence_has_its_own_answer(repository, capsys, fields, said):
    repository.run(BASE, repository.main)
    repository.run(CAND, repository.change, **fields)
    suite(repository, SUITE.partition("  - {id: likeness")[0])
    code, verdict = judged(capsys)
    assert code == ExitCode.UNDECIDED
    assert said in json.dumps(verdict)


def test_a_group_with_two_cases_is_not_judged_and_is_named(repository, capsys):
    text = SUITE.partition("  - {id: likeness")[0]
    text = text.replace("max_drop: 5%, mode: prove", "max_drop: 20%, by: [lang], min_cases: 30")
    repository.run(BASE, repository.main, cases=[1, 4, *range(0, 90, 3)])
    repository.run(CAND, repository.change, cases=[1, 4, *range(0, 90, 3)])
    suite(repository, text)
    _, verdict = judged(capsys)
    small = [one for one in verdict["results"] if one["status"] == "INCONCLUSIVE"]
    assert small[-1]["reason"] == "groups below 30 cases are not judged: es (2)"


def test_nothing_selected_is_no_pass(repository, capsys):
    (repository.folder / "golden/support.jsonl").write_text('{"question": "q", "expected": "a"}\n')
    assert run_command(["run", "--gate", "--tags", "lang:xx"]) == ExitCode.UNDECIDED


def test_a_gate_that_never_can_be_proved_is_refused_before_the_run(repository, capsys):
    repository.run(BASE, repository.main)
    suite(repository, SUITE.replace("bleu]", "chrf]").replace("bleu.corpus", "chrf.corpus"))
    code = run_command(["run", "--gate", "--quiet", "-p", str(repository.folder)])
    said = capsys.readouterr().err
    assert code == ExitCode.USAGE, said
    assert "gate 'quality' must be proved and never can be: 1 cases, it needs 52" in said
    assert "suites/support.yaml:5:5" in said
    assert len(repository.store.runs()) == 1


def evalkit(folder, *arguments, **environ):
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**kept, **environ},
    )


PLUGIN = """\
from pathlib import Path

from evalkit import Case, Output, Score, rate, scorer

Path("ran.txt").write_text("it ran")


@scorer(metrics=(rate,), examples=[])
def polite(case: Case, output: Output) -> Score:
    \"\"\"Whether the answer thanks.\"\"\"
    return Score(value=1.0, passed=True)
"""
SPY = """\
import os, sys
from evalkit.cli.untrusted import enter
before = dict(os.environ)
allowed = enter(untrusted=True, allow_code=True)
assert not allowed
assert "A_SECRET" in before and "A_SECRET" not in os.environ
assert os.getenv("EVALKIT_ALLOW_CODE") is None
assert os.popen("echo ${A_SECRET-none}").read().strip() == "none"
"""


def test_an_untrusted_project_runs_no_code_and_reads_no_environment(repository):
    """The project names code and a secret; both are there to be had, and neither is."""
    folder = repository.folder
    secrets = {"A_SECRET": "a-secret-of-the-test", "EVALKIT_ALLOW_CODE": "1"}
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "prompts/answer.j2").write_text(
        "<passages><passage>{{ context[0] }}</passage></passages>\n"
        "<question>{{ question }}</question>\n"
    )
    row = {"question": "What is the code?", "context": ["The code is K7."], "expected": "K7"}
    (folder / "golden/support.jsonl").write_text(json.dumps(row) + "\n")
    text = (folder / "evalkit.yaml").read_text() + "plugins: [plugin.py]\n"
    (folder / "evalkit.yaml").write_text(text)
    suite(repository, SUITE.partition("gates:")[0] + "gates:\n  - {metric: error.rate, max: 50%}\n")
    trusted = evalkit(folder, "run", "--quiet", **secrets)
    assert (trusted.returncode, (folder / "ran.txt").exists()) == (0, True), trusted.stderr
    (folder / "ran.txt").unlink()
    done = evalkit(folder, "run", "--quiet", "--untrusted", **secrets)
    assert (done.returncode, (folder / "ran.txt").exists()) == (0, False), done.stderr
    done = evalkit(folder, "gate", "--untrusted", "-b", "latest~1", **secrets)
    assert (done.returncode, (folder / "ran.txt").exists()) == (3, False), done.stderr
    assert "INCONCLUSIVE" in done.stdout
    leak = "\n  leak: {kind: openai_compatible, model: m, api_key: '${env:A_SECRET}',"
    leak += " base_url: 'http://127.0.0.1:9/v1', prompt: prompts/answer.j2}\nplugins"
    (folder / "evalkit.yaml").write_text(text.replace("\nplugins", leak))
    done = evalkit(folder, "run", "--untrusted", "--target", "leak", **secrets)
    assert done.returncode == ExitCode.USAGE
    assert "A_SECRET" in done.stderr
    assert "a-secret-of-the-test" not in done.stderr
    both = evalkit(folder, "gate", "--untrusted", "--allow-code", A_SECRET="x")
    assert (both.returncode, "leave one of them out" in both.stderr) == (ExitCode.USAGE, True)
    spied = subprocess.run(
        [sys.executable, "-c", SPY],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), **secrets},
    )
    assert spied.returncode == 0, spied.stderr


def test_the_pre_commit_hook_finds_what_is_wrong(repository):
    import yaml

    hooks = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
    (hook,) = yaml.safe_load(hooks.read_text("utf-8"))
    program, *arguments = hook["entry"].split()
    assert program == "evalkit"
    assert evalkit(repository.folder, *arguments).returncode == ExitCode.PASS
    suite(repository, SUITE.replace("pass.rate", "pas.rate"))
    done = evalkit(repository.folder, *arguments)
    assert done.returncode == ExitCode.USAGE
    assert "unknown metric 'pas.rate'" in done.stdout
