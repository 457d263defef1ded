"""How the process ends: at once, and with everything done that the interpreter would do."""

from __future__ import annotations

import subprocess
import sys

import pytest

BESIDE = """
import atexit, os, pathlib, threading, time

done = pathlib.Path(os.environ["DONE"])

class Left:
    def __del__(self):
        os.write(file, b"apart ")

def late():
    time.sleep(0.3)
    os.write(file, b"thread ")

file = os.open(done, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
left = Left()
atexit.register(os.write, file, b"atexit ")
threading.Thread(target=late).start()
"""


@pytest.mark.parametrize(("folder", "apart"), [("site-packages", False), ("own", True)])
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["nothing"], 2)])
def test_only_code_of_the_project_is_taken_apart(tmp_path, folder, apart, arguments, code):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "sitecustomize.py").write_text(BESIDE)
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        env={"PYTHONPATH": str(tmp_path / folder), "DONE": str(tmp_path / "done")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert (done.stdout or done.stderr).startswith("error: " if code else "evalkit ")
    assert (tmp_path / "done").read_text().split() == [
        "thread",
        "atexit",
        *(["apart"] if apart else []),
    ]


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
