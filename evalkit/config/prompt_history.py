"""The prompts of a project: its files, and what git remembers of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from evalkit.config.prompt import Prompt, load_prompt, parse_prompt
from evalkit.config.spec import Project
from evalkit.config.tree import MAX_BYTES
from evalkit.errors import InfrastructureError, PromptError, UsageError

SUFFIXES = (".j2", ".jinja", ".jinja2")
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit that touched a prompt; ``prompt`` is ``None`` where it cannot be compiled."""

    commit: str
    date: str
    author: str
    subject: str
    path: str
    text: str
    prompt: Prompt | None


def project_prompts(project: Project) -> Mapping[Path, tuple[str, ...]]:
    """The project's prompt files, sorted, each with the targets that use it."""
    found: dict[Path, list[str]] = {}
    if project.prompts_dir.is_dir():
        for path in project.prompts_dir.rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                found[path] = []
    for target in project.targets.values():
        if target.prompt is not None:
            found.setdefault(target.prompt, []).append(target.name)
    return {path: tuple(found[path]) for path in sorted(found)}


def history(path: Path) -> list[Commit]:
    """The commits that touched a prompt file, newest first, followed over renames.

    Raises ``UsageError`` outside of a git repository, ``InfrastructureError`` when git fails.
    """
    # %x1e before each commit and %x1f between its fields: neither can stand in a subject line
    log = _git(
        path.parent,
        "log",
        "--follow",
        "--name-only",
        "--format=%x1e%H%x1f%aI%x1f%an%x1f%s",
        "--",
        path.name,
    ).decode("utf-8", "replace")
    return list(_commits(path, log))


def _commits(path: Path, log: str) -> Iterator[Commit]:
    for entry in log.split("\x1e")[1:]:
        head, _, names = entry.partition("\n")
        commit, date, author, subject = head.split("\x1f", 3)
        name = names.strip()
        content = _blob(path.parent, f"{commit}:{name}")
        if content is None:
            continue  # the commit that removed the file
        text = content.decode("utf-8", "replace")
        try:
            prompt: Prompt | None = parse_prompt(text, path)
        except PromptError:
            prompt = None
        yield Commit(commit, date, author, subject, name, text, prompt)


def at_revision(path: Path, revision: str) -> Prompt:
    """A prompt file as it was at a git revision.

    Raises ``UsageError`` when git knows no such revision or file.
    """
    content = _blob(path.parent, f"{revision}:./{path.name}")
    if content is None:
        raise UsageError(
            f"git has no {path.name!r} at {revision!r}",
            where=path,
            hint="name a commit, a branch, a tag or a stored version after '@'",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise PromptError(f"the file is not UTF-8 at {revision!r}", where=path) from None
    return parse_prompt(text, path)


def current(path: Path) -> Prompt | None:
    """The file as it is on disk, or ``None`` when it is gone or broken."""
    try:
        return load_prompt(path)
    except PromptError:
        return None


def _blob(folder: Path, name: str) -> bytes | None:
    if name.startswith("-"):
        return None
    found = _run(folder, "cat-file", "blob", name)
    if found.returncode != 0:
        _check_repository(folder, found)
        return None
    return found.stdout[:MAX_BYTES]


def _git(folder: Path, *arguments: str) -> bytes:
    found = _run(folder, *arguments)
    if found.returncode != 0:
        _check_repository(folder, found)
        text = found.stderr.decode("utf-8", "replace").strip()
        if "does not have any commits" in text:
            return b""
        raise InfrastructureError(f"git failed: {text}", where=folder)
    return found.stdout


def _check_repository(folder: Path, found: subprocess.CompletedProcess[bytes]) -> None:
    if b"not a git repository" in found.stderr:
        raise UsageError(
            "the prompt is not in a git repository", where=folder, hint="start one with: git init"
        )


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # core.fsmonitor names a program, which a repository's own configuration could set
    command = [
        "git",
        "-c",
        "core.quotepath=false",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "log.showSignature=false",
        *arguments,
    ]
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, check=False, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise UsageError("git is not installed", hint="install git to see revisions") from None
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"git did not answer within {_TIMEOUT_S} s") from None
