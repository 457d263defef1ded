"""What the commands that read stored runs do without: each library is a part of a second."""

from __future__ import annotations

import subprocess
import sys

import pytest
from gate_repository import Repository

FOREIGN = ["datasets", "pandas", "rouge_score", "sacrebleu", "scipy.optimize", "scipy.stats"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("project"))
    repository.run("20261121-100000-aaaa", repository.main)
    repository.run("20261121-110000-bbbb", repository.change, worse=range(20))
    (repository.folder / "golden" / "support.jsonl").write_text(
        '{"question": "How long?", "context": ["It takes two days."], "expected": "Two days."}\n'
    )
    return repository.folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["gate"],
        ["diff", "20261121-100000-aaaa", "20261121-110000-bbbb"],
        ["why", "refund-000"],
        ["show", "20261121-110000-bbbb"],
        ["report", "20261121-100000-aaaa", "20261121-110000-bbbb", "--out", "report.html"],
        ["run", "--quiet", "--no-progress"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_stored_runs_are_read_without_libraries_that_are_not_needed(folder, arguments):
    code = (
        "import sys\n"
        "from evalkit.cli.app import run_command\n"
        f"code = run_command({arguments!r})\n"
        f"print(code, [one for one in {FOREIGN!r} if one in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, imported = done.stderr.splitlines()[-1].split(maxsplit=1)
    assert code in {"0", "1"}, done.stderr
    assert imported == "[]"
