"""What commands do without, or do not wait for: each library is a part of a second."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from gate_repository import Repository

JUDGES = ["evalkit.gate.decide", "evalkit.gate.result"]
"""What a run is judged with, by those that do not judge."""
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
    unneeded = [*FOREIGN, *(JUDGES if arguments[0] in {"run", "show"} else ())]
    code = (
        "import sys\n"
        "from evalkit.cli.app import run_command\n"
        f"code = run_command({arguments!r})\n"
        f"print(code, [one for one in {unneeded!r} if one in sys.modules], file=sys.stderr)\n"
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


LATER = [
    "evalkit.gate.result",
    "evalkit.report.view",
    "evalkit.stats",
    "evalkit.store.summaries",
    "numpy",
    "pyarrow",
    "rich",
]
"""What scores, stores and sums up answers, and judges them: there is time for it while they are
awaited."""


def test_nothing_is_imported_before_the_first_call_that_is_needed_after_it(tmp_path):
    files = {
        "evalkit.yaml": "project: p\ntargets:\n  own: {kind: python, function: own.py:answer}\n",
        "own.py": (
            "import json, pathlib, sys\n"
            "loaded = pathlib.Path('loaded.json')\n"
            "def answer(request):\n"
            "    if not loaded.exists():\n"
            "        loaded.write_text(json.dumps(sorted(sys.modules)))\n"
            "    return 'Two days.'\n"
        ),
        "golden/support.jsonl": '{"question": "How long?", "expected": "Two days."}\n',
        "suites/support.yaml": (
            "dataset: golden/support.jsonl\n"
            "targets: [own]\n"
            "scorers: [exact_match, rouge_l, bleu, chrf]\n"
            "gates:\n  - {metric: pass.rate, min: 90%}\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "evalkit", "run", "--allow-code", "--no-progress"]
    # the first run also makes the store
    for _ in range(2):
        (tmp_path / "loaded.json").unlink(missing_ok=True)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        loaded = json.loads((tmp_path / "loaded.json").read_text())
        assert "evalkit.runner.engine" in loaded
        assert [one for one in LATER if one in loaded] == []
