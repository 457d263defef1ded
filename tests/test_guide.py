"""The guide's files load, its prompt renders, its query runs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")


def block(language, number=0):
    found = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return found[number]


def block_that_begins(text):
    [found] = re.findall(rf"^```yaml\n({text}.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "golden").mkdir()
    (tmp_path / "suites").mkdir()
    (tmp_path / "evalkit.yaml").write_text(
        block("yaml", 0) + block_that_begins("budget:"), encoding="utf-8"
    )
    (tmp_path / "suites" / "tickets.yaml").write_text(
        block_that_begins("dataset:"), encoding="utf-8"
    )
    (tmp_path / "prompts" / "answer.j2").write_text(block("jinja"), encoding="utf-8")
    (tmp_path / "golden" / "tickets.csv").write_text(
        "key,ticket_text,answer,language,priority\na-1,How long?,14 days,en,2\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_project_and_suite_load(project):
    from evalkit.config import load_project, load_suite
    from evalkit.datasets import open_dataset

    loaded = load_project(project / "evalkit.yaml")
    assert list(loaded.targets) == ["small", "local", "escalating"]
    assert (loaded.budget.whole.max_usd, loaded.budget.judges.max_usd) == (5.0, 1.0)
    assert loaded.cache.mode == "write"
    suite = load_suite(loaded, "tickets")
    assert [one.name for one in suite.scorers] == [
        "exact_match",
        "rouge_l",
        "speaks_of_refund",
        "latency",
    ]
    [case] = open_dataset(suite.datasets[0]).cases()
    assert (case.name, case.expected, case.tags) == ("a-1", "14 days", {"lang": "en"})
    assert case.inputs == {"question": "How long?", "priority": 2}


def test_the_scorers_are_bound(project):
    from evalkit.config import load_project, load_suite
    from evalkit.scorers import bind

    head = "dataset: golden/tickets.csv\ntargets: [small]\n"
    (project / "suites" / "more.yaml").write_text(
        head + block_that_begins("scorers:"), encoding="utf-8"
    )
    suite = load_suite(load_project(project / "evalkit.yaml"), "more")
    bound = [bind(one, root=project) for one in suite.scorers]
    assert [one.name for one in bound][-2:] == ["refusal", "bleu_lc"]


def test_limits_are_those_of_the_guide(project):
    from evalkit.config import load_project
    from evalkit.config.spec import Limits

    path = project / "evalkit.yaml"
    text = re.sub(r"\n    limits: .*", "", path.read_text("utf-8"), count=1)
    inside = block_that_begins("limits:").replace("\n", "\n    ").rstrip()
    path.write_text(text.replace("  small:\n", f"  small:\n    {inside}\n"), "utf-8")
    assert load_project(path).targets["small"].limits == Limits(
        concurrency=64,
        requests_per_minute=500,
        tokens_per_minute=200_000,
        timeout_s=60,
        max_retries=4,
        deadline_s=180,
        patience_s=120,
    )


def test_the_row_is_a_case_and_the_prompt_renders_it(project):
    from evalkit.config import load_prompt
    from evalkit.config.spec import DatasetSpec
    from evalkit.datasets import open_dataset

    rows = project / "golden" / "row.jsonl"
    rows.write_text(block("json"), encoding="utf-8")
    [case] = open_dataset(DatasetSpec(source=str(rows), format="jsonl")).cases()
    assert case.references == ("14 days", "fourteen days")
    prompt = load_prompt(project / "prompts" / "answer.j2")
    system, user = prompt.render({**case.inputs, "context": list(case.context)})
    assert (system.role, user.role) == ("system", "user")
    assert "<passage>Parcels may be returned within 14 days.</passage>" in user.content
    assert user.content.endswith("How long may I return a parcel?")


def test_the_query_runs(tmp_path):
    def evalkit(*arguments):
        command = [sys.executable, "-m", "evalkit", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    evalkit("init", ".")
    evalkit("run", "--quiet")
    rows = json.loads(evalkit("sql", block("sql", 1), "--json"))
    assert {row["target"] for row in rows} == {"span", "sentence"}
    assert all(row["usd"] == 0 for row in rows)


def test_the_conversation_is_had_judged_and_queried(tmp_path, monkeypatch):
    from tests.runner.test_conversations import clerk
    from tests.servers import ModelServer

    monkeypatch.chdir(tmp_path)
    for name in ("suites", "prompts", "golden"):
        (tmp_path / name).mkdir()
    (tmp_path / "golden" / "order.jsonl").write_text(block("json", 1), "utf-8")
    (tmp_path / "prompts" / "clerk.j2").write_text(block("jinja", 1), "utf-8")
    suite = "dataset: golden/order.jsonl\n" + block_that_begins("targets: \\[clerk\\]")
    (tmp_path / "suites" / "orders.yaml").write_text(suite, "utf-8")
    with ModelServer(clerk) as server:
        (tmp_path / "evalkit.yaml").write_text(
            "project: shop\ntargets:\n  clerk: {kind: openai_compatible, model: m,"
            f" base_url: '{server.openai}', prompt: prompts/clerk.j2}}\n",
            "utf-8",
        )

        def evalkit(*arguments):
            command = [sys.executable, "-m", "evalkit", *arguments]
            return subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=120
            ).stdout

        evalkit("run", "orders", "--quiet")
        asked = server.seen[-1].body["messages"]
    assert [one["role"] for one in asked] == ["system"] + ["user", "assistant"] * 2 + ["user"]
    assert asked[1]["content"] == "<message>My order is 4711.</message>"
    rows = json.loads(evalkit("sql", block("sql"), "--json"))
    assert [one["output"] for one in rows] == ["Noted.", "4711", "9422"]
    scores = json.loads(evalkit("sql", "SELECT name, passed FROM scores", "--json"))
    assert [(one["name"], one["passed"]) for one in scores] == [
        ("exact_match", True),
        ("every_answer", True),
        ("knows", True),
    ]


def test_the_gates_load(project):
    from evalkit.config import load_project, load_suite

    (project / "gates").mkdir()
    query = "SELECT case_id FROM trials WHERE run_id = $run AND status = 'error'\n"
    (project / "gates" / "errors.sql").write_text(query, encoding="utf-8")
    suite = project / "suites" / "tickets.yaml"
    suite.write_text(suite.read_text("utf-8") + block_that_begins("gate:"), encoding="utf-8")
    loaded = load_suite(load_project(project / "evalkit.yaml"), "tickets")
    assert len(loaded.gates) == 9
    assert loaded.policy.anchor.budget == 0.03
    assert loaded.policy.sequential.looks == 10
    assert (loaded.gates[-1].waiver.owner, loaded.gates[7].query) == ("Ada", query)


def test_the_shards_it_shows_become_one_run(tmp_path):
    def evalkit(line, cwd):
        command = f"{shlex.quote(sys.executable)} -m {line}"
        return subprocess.run(
            ["/bin/sh", "-c", command], cwd=cwd, capture_output=True, text=True, timeout=120
        )

    evalkit("evalkit init .", tmp_path)
    for line in block("console").splitlines():
        done = evalkit(line.removeprefix("$ "), tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert "16 of 16 trials answered" in done.stdout


def test_the_mask_it_shows_is_every_kind(project):
    from evalkit.config import load_project
    from evalkit.pii import PII_KINDS

    path = project / "evalkit.yaml"
    path.write_text(path.read_text("utf-8") + block("yaml", -1), "utf-8")
    assert set(load_project(path).mask) == set(PII_KINDS)
