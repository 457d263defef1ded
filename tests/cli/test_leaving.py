"""What a project's own code leaves open when the process ends."""

from __future__ import annotations

import subprocess
import sys


def test_a_file_that_a_target_leaves_open_is_written(tmp_path):
    files = {
        "evalkit.yaml": "project: p\ntargets:\n  own: {kind: python, function: own.py:answer}\n",
        "own.py": "log = open('calls.log', 'w')\ndef answer(_):\n    log.write('asked')\n"
        "    return 'Two days.'\n",
        "golden/support.jsonl": '{"question": "How long?", "expected": "Two days."}\n',
        "suites/support.yaml": "dataset: golden/support.jsonl\ntargets: [own]\n"
        "scorers: [exact_match]\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-m", "evalkit", "run", "--allow-code", "--quiet"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert (tmp_path / "calls.log").read_text() == "asked"
