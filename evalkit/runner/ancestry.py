"""Which commits a baseline may come from: those of the branch that a change is merged into."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

DEPTH = 5_000
"""How many commits back a baseline is looked for."""


def merge_base_commits(
    root: Path, commit: str, environ: Mapping[str, str] | None = None
) -> list[str]:
    """The commits at and before the point where ``commit`` left the main branch, newest first.

    The main branch is ``GITHUB_BASE_REF`` or ``CI_MERGE_REQUEST_TARGET_BRANCH_NAME`` where CI gives
    it, else ``origin/HEAD``, ``main`` or ``master``; without any, the commit's own past. Empty
    outside a repository.
    """
    environ = os.environ if environ is None else environ
    named = [
        environ.get(key, "") for key in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    ]
    branches = [f"origin/{one}" for one in named if one] + [one for one in named if one]
    for branch in [*branches, "origin/HEAD", "origin/main", "origin/master", "main", "master"]:
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


def _git(root: Path, *arguments: str) -> list[str]:
    # settings of a repository can name programs that even a question would start
    safe = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
    try:
        done = subprocess.run(
            ("git", *safe, "--no-optional-locks", *arguments),  # noqa: S607 - the user's own git
            cwd=root,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []
