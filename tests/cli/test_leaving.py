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


def test_an_interruption_while_libraries_are_imported_shows_no_traceback(tmp_path):
    """The interruption comes where Python gives it to whoever imports: inside of the import."""
    code = """
import sys
from evalkit.__main__ import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "evalkit.cli.app":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (130, "interrupted\n")
