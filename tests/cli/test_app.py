"""The command line as a whole: help, version, wrong usage, and what it does not import."""

import subprocess
import sys

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
    assert f"$ evalkit {name}" in capsys.readouterr().out
