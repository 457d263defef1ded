"""Make the example report: what ``abstain_below: 0.45`` does to the embedded reader.

    python reports/make.py [FOLDER]

Runs the golden suite of this repository twice in a temporary copy of the project, once as it is and
once with the changed option, and writes ``handbook.html`` beside this file or into FOLDER.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("evalkit.yaml", "prompts", "golden", "suites")


def evalkit(folder: Path, *arguments: str) -> None:
    """Run one command in a folder; its progress is shown when it fails."""
    command = [sys.executable, "-m", "evalkit", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)


def make(out: Path) -> Path:
    """Write the report into a folder and return its path."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "evalkit"
        copy.mkdir()
        for part in PARTS:
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / part)
        run = ("run", "handbook", "--target", "reader", "--quiet", "--no-progress")
        evalkit(copy, *run)
        config = copy / "evalkit.yaml"
        text = config.read_text("utf-8")
        changed = re.sub(
            r"(  reader:.*?answer: span\n)",
            r"\1    abstain_below: 0.45\n",
            text,
            count=1,
            flags=re.DOTALL,
        )
        config.write_text(changed, "utf-8")
        evalkit(copy, *run)
        page = out / "handbook.html"
        evalkit(copy, "report", "latest~1", "latest", "--out", str(page))
    return page


if __name__ == "__main__":
    print(make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
