"""``evalkit prompts``: list, diff and log over files, git and the run store."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.cli.app import run_command
from evalkit.config import load_prompt
from evalkit.config.prompt_diff import diff_words
from evalkit.config.scaffold import write_project
from evalkit.errors import ExitCode
from evalkit.model import PromptVersion, Run, RunStatus
from evalkit.store import Store


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "bot"
    write_project(folder)
    monkeypatch.chdir(folder)
    return folder


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def change(folder, old, new, name="prompts/answer.j2"):
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return load_prompt(path).version


@pytest.fixture
def repository(project):
    """Three commits: written, relabelled, reworded; and one change that is not committed."""
    versions = [load_prompt(project / "prompts/answer.j2").version]
    git(project, "init", "-q", ".")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "Write the prompt")
    versions.append(change(project, "label: v1", "label: v2"))
    git(project, "commit", "-qam", "Call it v2")
    versions.append(change(project, "shortest part", "longest possible part"))
    git(project, "commit", "-qam", "Ask for more")
    versions.append(change(project, "nothing else", "nowhere else"))
    return versions


def shown(capsys, *arguments):
    assert run_command(["prompts", *arguments]) == ExitCode.PASS
    return capsys.readouterr().out


def test_list_shows_prompts_and_who_uses_them(project, capsys):
    (project / "prompts/unused.j2").write_text("{{ question }}", encoding="utf-8")
    version = load_prompt(project / "prompts/answer.j2").version
    lines = shown(capsys, "list").splitlines()
    assert lines[0].split() == ["path", "version", "label", "owner", "targets"]
    assert lines[1].split() == [
        "prompts/answer.j2", version, "v1", "bot", "team", "span,", "sentence",
    ]  # fmt: skip
    assert lines[2].split()[0] == "prompts/unused.j2"
    told = json.loads(shown(capsys, "list", "--json"))
    assert told[0]["variables"] == ["context", "question"]
    assert told[0]["messages"] == ["system", "user"]
    assert told[1]["targets"] == []


def test_diff_of_two_files_is_by_words(project, capsys):
    text = (project / "prompts/answer.j2").read_text(encoding="utf-8")
    other = project / "prompts/other.j2"
    other.write_text(text.replace("shortest part", "longest possible part"), encoding="utf-8")
    out = shown(capsys, "diff", "prompts/answer.j2", "other.j2")
    assert "Copy the [-shortest-]{+longest possible+} part of a passage" in out
    assert "\x1b" not in out
    told = json.loads(shown(capsys, "diff", "prompts/answer.j2", "other.j2", "--json"))
    assert told["same_version"] is False
    assert ["removed", "shortest"] in told["hunks"][0]["pieces"]


def test_diff_against_a_revision(project, repository, capsys):
    out = shown(capsys, "diff", "prompts/answer.j2@HEAD~1", "prompts/answer.j2@HEAD")
    assert "[-shortest-]{+longest possible+}" in out
    assert repository[1] in out
    assert repository[2] in out
    out = shown(capsys, "diff", "answer.j2")
    assert "[-nothing-]{+nowhere+} else" in out
    out = shown(capsys, "diff", "answer.j2@HEAD~2", "answer.j2@HEAD~1")
    assert "the same version: nothing that is sent differs" in out
    out = shown(capsys, "diff", "answer.j2@HEAD", "answer.j2@HEAD")
    assert "no difference" in out


def test_log_shows_versions_commits_and_what_is_not_committed(project, repository, capsys):
    rows = json.loads(shown(capsys, "log", "prompts/answer.j2", "--json"))
    assert [one["version"] for one in rows] == repository[::-1]
    assert repository[0] == repository[1] != repository[2] != repository[3]
    assert [one["subject"] for one in rows] == [
        "not committed", "Ask for more", "Call it v2", "Write the prompt",
    ]  # fmt: skip
    assert [one["label"] for one in rows] == ["v2", "v2", "v2", "v1"]
    assert rows[1]["author"] == "Ada"
    lines = shown(capsys, "log", "answer.j2").splitlines()
    assert len(lines) == 5


def test_log_follows_a_renamed_file_and_keeps_broken_ones(project, repository, capsys):
    git(project, "checkout", "-q", ".")
    git(project, "mv", "prompts/answer.j2", "prompts/réponse.j2")
    git(project, "commit", "-qam", "Rename it")
    path = project / "prompts/réponse.j2"
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "{% if %}", encoding="utf-8")
    git(project, "commit", "-qam", "Break it")
    path.write_text(good, encoding="utf-8")
    for name in ("evalkit.yaml",):
        text = (project / name).read_text(encoding="utf-8")
        (project / name).write_text(text.replace("answer.j2", "réponse.j2"), encoding="utf-8")
    rows = json.loads(shown(capsys, "log", "réponse.j2", "--json"))
    assert [one["subject"] for one in rows][1:3] == ["Break it", "Rename it"]
    assert rows[1]["version"] is None
    assert rows[-1]["subject"] == "Write the prompt"
    assert rows[-1]["version"] == repository[0]


def store_run(project, number):
    prompt = load_prompt(project / "prompts/answer.j2")
    store = Store(project / ".evalkit/evalkit.duckdb")
    store.prepare()
    store.create_run(
        Run(
            id=f"run-{number}",
            project="bot",
            started_at=datetime(2026, 1, number, tzinfo=UTC),
            status=RunStatus.COMPLETE,
            planned=0,
            suites=(),
            suite_hashes={},
            targets=(),
            prompts=(
                PromptVersion(
                    version=prompt.version,
                    path="prompts/answer.j2",
                    text=prompt.text,
                    label=prompt.label,
                ),
            ),
            datasets=(),
            scorers=(),
            slices=(),
            settings={},
            evalkit_version="0",
        )
    )
    return prompt.version


def test_versions_that_runs_used_are_counted_and_compared(project, capsys):
    first = store_run(project, 1)
    store_run(project, 2)
    change(project, "shortest part", "longest part")
    second = store_run(project, 3)
    out = shown(capsys, "diff", f"answer.j2@{first}", f"prompts/answer.j2@{second[:8]}")
    assert "[-shortest-]{+longest+}" in out
    git(project, "init", "-q", ".")
    rows = json.loads(shown(capsys, "log", "answer.j2", "--json"))
    assert [(one["version"], one["runs"]) for one in rows] == [(second, 1), (first, 2)]
    git(project, "add", "-A")
    git(project, "commit", "-qm", "Write it")
    change(project, "longest part", "shortest part")
    rows = json.loads(shown(capsys, "log", "answer.j2", "--json"))
    assert [(one["version"], one["runs"]) for one in rows] == [(first, 2), (second, 1)]


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["diff", "answr.j2", "answer.j2"], "unknown prompt 'answr.j2'", "'prompts/answer.j2'"),
        (["diff", "answr.j2"], "unknown prompt 'answr.j2'", "'prompts/answer.j2'"),
        (["log", "answr.j2"], "unknown prompt 'answr.j2'", "'prompts/answer.j2'"),
        (["diff", "answer.j2@nowhere"], "git has no 'answer.j2' at 'nowhere'", "a branch, a tag"),
        (["diff", "answer.j2@--output=x"], "git has no 'answer.j2' at '--output=x'", "a commit"),
    ],
)
def test_names_that_do_not_exist_are_errors(project, repository, capsys, arguments, what, hint):
    assert run_command(["prompts", *arguments]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert what in error
    assert hint in error


def test_outside_of_git_there_is_no_log(project, capsys):
    assert run_command(["prompts", "log", "answer.j2"]) == ExitCode.USAGE
    assert "the prompt is not in a git repository" in capsys.readouterr().err


def test_a_version_that_only_runs_know_is_in_the_log(repository, capsys):
    assert run_command(["run", "--quiet", "--limit", "1"]) == ExitCode.PASS
    change(Path(), "nowhere else", "no other place")
    capsys.readouterr()
    lines = [line.split() for line in shown(capsys, "log", "answer.j2").splitlines()[1:]]
    assert len(lines) == 5
    assert [line[4] for line in lines] == ["0", "1", "0", "0", "0"]
    assert lines[1][0] == repository[-1]
    assert lines[1][-2:] == ["not", "committed"]
    assert [line[0] for line in lines[2:]] == repository[2::-1]


def test_outside_of_git_the_log_is_what_runs_used(project, capsys):
    used = load_prompt(project / "prompts/answer.j2").version
    assert run_command(["run", "--quiet", "--limit", "1"]) == ExitCode.PASS
    now = change(project, "shortest", "longest")
    capsys.readouterr()
    rows = json.loads(shown(capsys, "log", "answer.j2", "--json"))
    assert [(one["version"], one["runs"]) for one in rows] == [(now, 0), (used, 1)]


def test_control_characters_do_not_reach_the_terminal(project, capsys):
    change(project, "Answer the question", "Answer \x1b[2J\x07the question")
    other = project / "prompts/other.j2"
    other.write_text("x", encoding="utf-8")
    out = shown(capsys, "diff", "answer.j2", "other.j2")
    assert "\x1b" not in out
    assert "\\x1b[2J\\x07" in out


TEXT = st.text("ab \n.漢字é", max_size=40)


@given(TEXT, TEXT)
def test_a_diff_holds_both_texts_and_nothing_else(old, new):
    hunks = diff_words(old, new)
    assert bool(hunks) == (old != new)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for hunk in hunks:
        left = "".join(one.text for one in hunk.pieces if one.kind != "added")
        right = "".join(one.text for one in hunk.pieces if one.kind != "removed")
        assert "".join(before[hunk.old_line - 1 :]).startswith(left)
        assert "".join(after[hunk.new_line - 1 :]).startswith(right)
        assert left != right


def test_a_change_of_many_words_is_shown_whole_and_soon():
    old, new = "a b " * 20_000, "c d " * 20_000
    (hunk,) = diff_words(old, new)
    assert [one.kind for one in hunk.pieces] == ["removed", "added"]


def test_prompts_alone_is_help_and_not_an_error(capsys):
    assert run_command(["prompts"]) == ExitCode.PASS
    shown = capsys.readouterr()
    assert shown.out.startswith("Usage: evalkit prompts [OPTIONS] COMMAND")
    assert "List prompts, their versions, and who uses them." in shown.out
    assert shown.err == ""
