"""The commit a run is made from, asked of git without letting the repository run anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from evalkit.model import GitState
from evalkit.offline import own_programs

_ASK = (
    "git",
    # settings of a repository can name programs that a mere status would start
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
    "--no-optional-locks",
    "status",
    "--porcelain=v2",
    "--branch",
    "--untracked-files=normal",
    "--ignore-submodules=all",
    "--",
    ":/",
    # where evalkit report writes its pages, which no run reads; whatever else is new may be read,
    # if only by a program that a target starts
    ":(exclude)reports/*.html",
)

_QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "0"}


class GitQuestion:
    """Asks git in the background, so that a large repository delays no start.

    Use it in a ``with`` block. ``answer`` waits at most ``patience_s`` seconds; ``None`` means no
    repository, no git, no commit yet, or no answer in time.
    """

    def __init__(self, root: Path, *, patience_s: float = 5.0):
        self._patience_s = patience_s
        environment = {**os.environ, **_QUIET}
        try:
            with own_programs():
                self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                    _ASK,
                    cwd=root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        except OSError:
            self._process = None

    def __enter__(self) -> GitQuestion:
        return self

    def __exit__(self, *_: object) -> None:
        """Ask no longer, when nobody waited for the answer."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def answer(self) -> GitState | None:
        """What git said."""
        if self._process is None:
            return None
        try:
            output, _ = self._process.communicate(timeout=self._patience_s)
        except subprocess.TimeoutExpired:
            return None
        if self._process.returncode != 0:
            return None
        return _state(output.decode("utf-8", "replace"))


def _state(text: str) -> GitState | None:
    headers: dict[str, str] = {}
    dirty = False
    for line in text.splitlines():
        if line.startswith("# branch."):
            name, _, value = line.removeprefix("# branch.").partition(" ")
            headers[name] = value
        else:
            dirty = True
    commit = headers.get("oid", "(initial)")
    if commit == "(initial)":
        return None
    branch = headers.get("head", "(detached)")
    return GitState(commit=commit, branch=None if branch == "(detached)" else branch, dirty=dirty)
