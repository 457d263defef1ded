"""Who acts, from which commit, and the line of the audit trail that says so."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from evalkit.config.spec import Project
from evalkit.model import JSON
from evalkit.offline import own_programs
from evalkit.runner.git import GitQuestion
from evalkit.store import Event, Store

UNKNOWN = "unknown"


def note(
    project: Project,
    store: Store,
    kind: str,
    *,
    by: str | None = None,
    run_id: str | None = None,
    **details: JSON,
) -> Event:
    """Add one event to the audit trail: ``kind`` such as ``baseline.promoted``, and its details.

    ``by`` is who did it, ``acting(project.root)`` without; the commit is asked of git. Returns what
    was written. Raises ``StoreError`` when it cannot be: what nobody can trace is not done.
    """
    made = event(project, kind, by=by, run_id=run_id, **details)
    store.record(made)
    return made


def event(
    project: Project,
    kind: str,
    *,
    by: str | None = None,
    run_id: str | None = None,
    **details: JSON,
) -> Event:
    """The event that ``note`` would add, for a caller with several, or with its own transaction."""
    with GitQuestion(project.root) as git:
        actor = acting(project.root, by)
        state = git.answer()
    return Event(
        kind=kind,
        actor=actor,
        run_id=run_id,
        git_commit=None if state is None else state.commit,
        details=details,
    )


def acting(root: Path, named: str | None = None) -> str:
    """Who acts: the name given, else git's ``user.name``, else the user of the system."""
    if named is not None and named.strip():
        return named.strip()
    return _git_name(root) or user_name() or UNKNOWN


def user_name() -> str | None:
    """The user of the system, or ``None``: a container may run as a user that has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _git_name(root: Path) -> str:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        with own_programs():
            done = subprocess.run(
                ("git", "config", "--get", "user.name"),  # noqa: S607 -- whichever git the user has
                cwd=root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5.0,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
