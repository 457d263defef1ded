"""The command line as a whole: help, version, wrong usage, and what it does not import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import evalkit
from evalkit.cli.app import COMMANDS, run_command
from evalkit.errors import ExitCode

HEAVY = [
    "aiohttp",
    "asyncio",
    "datasets",
    "duckdb",
    "genai_prices",
    "jinja2",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "pytest",
    "rapidfuzz",
    "rich",
    "rouge_score",
    "sacrebleu",
    "scipy",
    "yaml",
]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_command_with_its_purpose():
    done = run("--help")
    assert done.returncode == ExitCode.PASS
    for group, commands in COMMANDS.items():
        assert f"{group}:" in done.stdout
        for name, purpose in commands.items():
            assert name in done.stdout
            assert purpose.split()[0] in done.stdout


def test_no_arguments_is_help_and_not_an_error():
    done = run()
    assert done.returncode == ExitCode.PASS
    assert done.stdout == run("--help").stdout


def test_version():
    assert run("--version").stdout == f"evalkit {evalkit.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_nothing_heavy_is_imported_for_help(arguments):
    code = (
        "import sys\n"
        "from evalkit.cli.app import run_command\n"
        f"run_command({arguments!r})\n"
        f"print([one for one in {HEAVY!r} if one in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    # typer itself reads the parameters of a command with pydantic
    own = "['pydantic']\n" if arguments[0] == "run" else "[]\n"
    assert done.stderr == own


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["rnu"],
            ["error: no such command 'rnu'. Did you mean 'run'?", "  see 'evalkit --help'"],
        ),
        (["--fast"], ["error: no such option: --fast", "  see 'evalkit --help'"]),
    ],
)
def test_wrong_usage_is_short_and_exits_2(arguments, lines):
    done = run(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == lines
    assert done.stdout == ""


@pytest.mark.parametrize("name", [name for group in COMMANDS.values() for name in group])
def test_every_command_has_help_with_an_example(name, capsys):
    assert run_command([name, "--help"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    assert f"$ evalkit {name}" in shown
    assert not re.search(r"<\w", shown), "the type of a variable is no name for a value"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "--help"], "evalkit show [OPTIONS] [RUN] [CASE]\n"),
        (["why", "--help"], "evalkit why [OPTIONS] CASE [BASELINE] [CANDIDATE]\n"),
        (["import", "--help"], "evalkit import [OPTIONS] PATH...\n"),
        (["report", "--help"], "evalkit report [OPTIONS] [[BASELINE] CANDIDATE]\n"),
        (["run", "--help"], "  --cache off|read|write|refresh  Kept answers"),
        (["run", "--help"], "  --limit N  "),
        (["cache", "--help"], "what they saved."),
    ],
)
def test_help_names_values_and_says_whole_sentences(arguments, said, capsys):
    assert run_command(arguments) == ExitCode.PASS
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--limit", "x"], "'--limit': must be a whole number"),
        (["run", "--trials", "0"], "'--trials': must be at least 1"),
        (["run", "--trials", "2000"], "'--trials': must be at most 1000"),
        (["run", "--max-usd", "x"], "'--max-usd': must be an amount of US dollars"),
        (["run", "--max-usd", "-1"], "'--max-usd': must be an amount of US dollars"),
        (["run", "--max-usd", "inf"], "'--max-usd': must be an amount of US dollars"),
        (["run", "--cache", "maybe"], "'--cache': 'maybe' is not one of 'off', 'read'"),
    ],
)
def test_a_wrong_value_is_said_in_our_words(arguments, said, capsys):
    assert run_command(arguments) == ExitCode.USAGE
    assert f"error: invalid value for {said}" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_not_a_failure(tmp_path):
    """Exit code 1 would tell a pipeline that a gate found a regression."""
    assert run_command(["init", str(tmp_path)]) == ExitCode.PASS
    project = str(tmp_path / "evalkit.yaml")
    assert run_command(["run", "--quiet", "--limit", "1", "--project", project]) == ExitCode.PASS
    query = "SELECT * FROM range(200000)"
    with subprocess.Popen(
        [sys.executable, "-m", "evalkit", "sql", query, "--csv", "--project", project],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        code = process.wait(timeout=60)
    assert (code, said) == (ExitCode.PASS, b"")


@pytest.mark.skipif(os.name == "nt", reason="a shell closes the stream")
def test_a_closed_output_is_no_traceback():
    done = subprocess.run(
        ["sh", "-c", '"$0" -m evalkit scorers >&-', sys.executable],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (ExitCode.PASS, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_output_that_is_full_says_so():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", "scorers"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines()[0] == "error: no space left on device"


def test_a_folder_that_cannot_be_written_is_the_users_to_correct(tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "schemas")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)  # root may write everywhere
    assert run_command(["schema", "--out", "schemas"]) == ExitCode.USAGE
    assert capsys.readouterr().err.splitlines() == [
        "error: permission denied",
        "  at schemas",
        "  change the permissions, or name another place",
    ]


def test_a_fault_of_evalkit_is_never_taken_for_a_failed_gate(capsys, monkeypatch):
    def fail(_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("evalkit.config.schema.json_schema", fail)
    assert run_command(["schema", "suite"]) == ExitCode.INFRASTRUCTURE
    said = capsys.readouterr().err
    assert said.startswith("error: evalkit itself failed: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in said
    monkeypatch.setenv("EVALKIT_TRACEBACK", "1")
    assert run_command(["schema", "suite"]) == ExitCode.INFRASTRUCTURE
    assert capsys.readouterr().err.startswith("Traceback")
