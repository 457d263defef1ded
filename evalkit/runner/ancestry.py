"""Which commits a baseline may come from: those of the branch that a change is merged into."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

DEPTH = 5_000
"""How many commits back a baseline is looked for."""


def merge_base_commits(
    root: Path, commit: str, environ: Mapping[str, str] | None = None, *, against: str = ""
) -> list[str]:
    """The commits at and before the point where ``commit`` left the main branch, newest first.

    The main branch is ``against`` where that is given, ``GITHUB_BASE_REF`` or
    ``CI_MERGE_REQUEST_TARGET_BRANCH_NAME`` where CI gives it, else ``origin/HEAD``, ``main`` or
    ``master``; without any, the commit's own past. Empty outside a repository.
    """
    environ = os.environ if environ is None else environ
    named = [
        environ.get(key, "") for key in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    ]
    branches = [f"origin/{one}" for one in named if one] + [one for one in named if one]
    usual = [*branches, "origin/HEAD", "origin/main", "origin/master", "main", "master"]
    for branch in [against] if against else usual:
        base = _git(root, "merge-base", "--end-of-options", commit, branch)
        if base:
            return past_commits(root, base[0])
    return past_commits(root, commit)


def past_commits(root: Path, ref: str) -> list[str]:
    """A commit and those before it, newest first; empty for what is no commit."""
    return _git(root, "rev-list", f"--max-count={DEPTH}", "--end-of-options", ref)


def tagged_commits(root: Path) -> dict[str, str]:
    """The tag of every commit that has one; of several the one whose name sorts last."""
    shape = "--format=%(objectname):%(*objectname):%(refname:short)"
    found = {}
    for line in _git(root, "for-each-ref", "refs/tags", shape):
        direct, annotated, name = line.split(":", 2)
        found[annotated or direct] = name
    return found


def commit_of(root: Path, ref: str) -> str:
    """The commit that a branch, a tag or a hash names; empty when git knows none."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    return found[0] if found else ""


def from_top(root: Path, path: Path) -> str:
    """A path as the repository around ``root`` names it; as it is outside of one."""
    top = _git(root, "rev-parse", "--show-prefix")
    inside = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return "".join(top) + inside


def file_at(root: Path, commit: str, name: str) -> bytes | None:
    """A file at a commit, by its path from ``root``; ``None`` where it is not there."""
    return _asked(root, "cat-file", "blob", f"{commit}:./{name}")


def files_at(root: Path, commit: str, folder: str) -> list[str]:
    """The files below a folder at a commit, by their paths from it."""
    listed = _asked(root, "ls-tree", "-r", "-z", "--name-only", f"{commit}:./{folder}") or b""
    return [one.decode("utf-8", "surrogateescape") for one in listed.split(b"\0") if one]


def _git(root: Path, *arguments: str) -> list[str]:
    return (_asked(root, *arguments) or b"").decode("utf-8", "replace").split()


def _asked(root: Path, *arguments: str) -> bytes | None:
    """What git answered; ``None`` when it knows no such thing, or is not there."""
    # settings of a repository can name programs that even a question would start
    safe = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    try:
        done = subprocess.run(
            ("git", *safe, "--no-optional-locks", *arguments),  # noqa: S607 - the user's own git
            cwd=root,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
