"""``evalkit prompts``: which prompts there are, how they differ, and how they came about."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode, UnknownName, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from evalkit.config.prompt import Prompt
    from evalkit.config.prompt_diff import Hunk
    from evalkit.config.prompt_history import Commit
    from evalkit.config.spec import Project
    from evalkit.store import PromptRow

app = new_app(
    invoke_without_command=True,
    help="List, compare and trace prompt versions.",
    epilog=examples("evalkit prompts list"),
)

_STORED = re.compile(r"[0-9a-f]{6,12}\Z")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@app.callback()
def _alone(ctx: typer.Context) -> ExitCode | None:
    if ctx.invoked_subcommand is not None:
        return None
    typer.echo(ctx.get_help())
    return ExitCode.PASS


@app.command("list", epilog=examples("evalkit prompts list", "evalkit prompts list --json"))
def list_prompts(
    *, project: ProjectFile = None, as_json: AsJson = False, allow_code: AllowCode = False
) -> ExitCode:
    """List prompts, their versions, and who uses them."""
    from evalkit.config import find_project, load_project, load_prompt
    from evalkit.config.prompt_history import project_prompts

    loaded = load_project(find_project(file=project), allow_code=allow_code)
    rows = []
    for path, targets in project_prompts(loaded).items():
        prompt = load_prompt(path)
        rows.append(
            {
                "path": _relative(path, loaded),
                "version": prompt.version,
                "label": prompt.label,
                "owner": prompt.owner,
                "description": prompt.description,
                "messages": [one.role for one in prompt.parts],
                "variables": sorted(prompt.variables),
                "targets": list(targets),
            }
        )
    if as_json:
        _print_json(rows)
    elif not rows:
        typer.echo(f"no prompts in {_relative(loaded.prompts_dir, loaded)}/", err=True)
    else:
        names = ("path", "version", "label", "owner", "targets")
        _print_table(names, [[_cell(row[name]) for name in names] for row in rows])
    return ExitCode.PASS


@app.command(epilog=examples("evalkit prompts diff prompts/answer.j2@HEAD~1"))
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A prompt file, FILE@REVISION or FILE@VERSION.")
    ],
    new: Annotated[
        str | None, typer.Argument(metavar="NEW", help="The same; the file itself when left out.")
    ] = None,
    *,
    project: ProjectFile = None,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> ExitCode:
    """Compare two versions of a prompt word by word.

    After '@' stands a git revision, or a version that a stored run used. Removed words are shown
    as [-removed-], added ones as {+added+}; on a terminal they are red and green.
    """
    from evalkit.config.prompt_diff import diff_words

    finder = _Finder(_loaded(project, allow_code=allow_code))
    if new is None:
        old, new = (old, old.rpartition("@")[0]) if "@" in old else (f"{old}@HEAD", old)
    before, after = finder.find(old), finder.find(new)
    hunks = diff_words(before.text, after.text)
    if as_json:
        _print_json(
            {
                "old": _described(old, before),
                "new": _described(new, after),
                "same_version": before.version == after.version,
                "hunks": [
                    {
                        "old_line": one.old_line,
                        "new_line": one.new_line,
                        "pieces": [[piece.kind, piece.text] for piece in one.pieces],
                    }
                    for one in hunks
                ],
            }
        )
        return ExitCode.PASS
    _print_diff((old, before), (new, after), hunks)
    return ExitCode.PASS


@app.command(epilog=examples("evalkit prompts log prompts/answer.j2"))
def log(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A prompt file.")],
    *,
    project: ProjectFile = None,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> ExitCode:
    """Show a prompt's versions, commits, and runs.

    Versions that runs used and nobody committed are listed too; outside of a git repository they
    are all there is.
    """
    from evalkit.config.prompt_history import current

    loaded = _loaded(project, allow_code=allow_code)
    finder = _Finder(loaded)
    path = finder.path(prompt)
    stored = finder.stored(path)
    used: dict[str, int] = {}
    for one in stored:
        used[one.version] = used.get(one.version, 0) + one.runs
    commits = _commits(path, enough=bool(stored))
    rows: list[dict[str, Any]] = []
    now = current(path)
    if now is not None and (not commits or commits[0].text != now.text):
        rows.append(
            {
                "version": now.version,
                "label": now.label,
                "date": None,
                "commit": None,
                "author": None,
                "subject": "not committed",
                "runs": used.get(now.version, 0),
            }
        )
    for commit in commits:
        version = None if commit.prompt is None else commit.prompt.version
        rows.append(
            {
                "version": version,
                "label": None if commit.prompt is None else commit.prompt.label,
                "date": commit.date,
                "commit": commit.commit,
                "author": commit.author,
                "subject": commit.subject,
                "runs": 0 if version is None else used.get(version, 0),
            }
        )
    listed = {row["version"] for row in rows}
    only_run = [
        {
            "version": one.version,
            "label": one.label,
            "date": one.first_used.isoformat(),
            "commit": None,
            "author": None,
            "subject": "not committed",
            "runs": used[one.version],
        }
        for one in {one.version: one for one in stored}.values()
        if one.version not in listed
    ]
    if only_run:
        rows = sorted([*rows, *only_run], key=_moment, reverse=True)
    if as_json:
        _print_json(rows)
        return ExitCode.PASS
    names = ("version", "label", "date", "commit", "runs", "author", "subject")
    _print_table(
        names,
        [
            [
                row["version"] or "broken",
                _cell(row["label"]),
                _cell(row["date"])[:10],
                _cell(row["commit"])[:10],
                str(row["runs"]),
                _cell(row["author"]),
                _cell(row["subject"]),
            ]
            for row in rows
        ],
    )
    return ExitCode.PASS


def _commits(path: Path, *, enough: bool) -> Sequence[Commit]:
    """The commits of a prompt; none outside of a repository, when there is ``enough`` without."""
    from evalkit.config.prompt_history import history

    try:
        return history(path)
    except UsageError:
        if not enough:
            raise
        return []


def _moment(row: Mapping[str, Any]) -> datetime:
    """When a version came about; the file as it is now comes last."""
    from datetime import UTC, datetime

    given = row["date"]
    return datetime.max.replace(tzinfo=UTC) if given is None else datetime.fromisoformat(given)


def _loaded(project: Path | None, *, allow_code: bool) -> Project:
    from evalkit.config import find_project, load_project

    return load_project(find_project(file=project), allow_code=allow_code)


@dataclass(frozen=True, slots=True)
class _Finder:
    """Finds prompts by the names a user types."""

    project: Project

    def path(self, name: str) -> Path:
        """The file of a prompt, as typed, below the project, or below its prompts folder."""
        from evalkit.config.prompt_history import project_prompts

        found = self._path(name)
        if found is None:
            known = [_relative(one, self.project) for one in project_prompts(self.project)]
            raise UnknownName("prompt", name, known)
        return found

    def _path(self, name: str) -> Path | None:
        folders = (Path(), self.project.root, self.project.prompts_dir)
        places = [(folder / name).absolute() for folder in folders]
        return next((one for one in places if one.is_file()), None)

    def find(self, name: str) -> Prompt:
        """The prompt of a file, of a file at a git revision, or of a stored version."""
        from evalkit.config import load_prompt, parse_prompt
        from evalkit.config.prompt_history import at_revision

        if self._path(name) is not None or "@" not in name:
            return load_prompt(self.path(name))
        file, _, revision = name.partition("@")
        # a file that is gone may still be known to the store and to git
        path = self._path(file) or (self.project.root / file).absolute()
        if _STORED.match(revision):
            for row in self.stored(path):
                if row.version.startswith(revision):
                    return parse_prompt(row.text, path)
        try:
            return at_revision(path if path.parent.is_dir() else self.path(file), revision)
        except UsageError:
            self.path(file)  # a name that is no file is the likelier mistake
            raise

    def stored(self, path: Path) -> Sequence[PromptRow]:
        """What runs used of this file, oldest first."""
        from evalkit.store import Store

        name = _relative(path, self.project)
        rows = Store(self.project.store).prompts()
        return [one for one in rows if one.path == name or Path(one.path).name == name]


def _relative(path: Path, project: Project) -> str:
    inside = path.is_relative_to(project.root)
    return path.relative_to(project.root).as_posix() if inside else str(path)


def _described(name: str, prompt: Prompt) -> Mapping[str, Any]:
    return {
        "name": name,
        "version": prompt.version,
        "label": prompt.label,
        "owner": prompt.owner,
        "text": prompt.text,
    }


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return _shown(str(value))


def _shown(text: str) -> str:
    """Text without the control characters that a terminal would obey."""
    return _CONTROL.sub(lambda one: f"\\x{ord(one[0]):02x}", text)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [names, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(names))]
    for row in table:
        cells = (one.ljust(width) for one, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _print_diff(old: tuple[str, Prompt], new: tuple[str, Prompt], hunks: Sequence[Hunk]) -> None:
    width = max(len(old[0]), len(new[0]))
    for name, prompt in (old, new):
        label = f"  {_shown(prompt.label)}" if prompt.label else ""
        typer.echo(f"{_shown(name).ljust(width)}  {prompt.version}{label}")
    if not hunks:
        typer.echo("\nno difference")
        return
    if old[1].version == new[1].version:
        typer.echo("\nthe same version: nothing that is sent differs")
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for hunk in hunks:
        typer.echo(f"\n@@ line {hunk.old_line} -> {hunk.new_line}")
        text = "".join(_marked(one.kind, one.text, colour=colour) for one in hunk.pieces)
        typer.echo(text.removesuffix("\n"))


def _marked(kind: str, text: str, *, colour: bool) -> str:
    if kind == "same":
        return _shown(text)
    body = text.rstrip("\n")
    ends = text[len(body) :]
    if colour:
        style = {"fg": "red", "strikethrough": True} if kind == "removed" else {"fg": "green"}
        # a removed or added line end alone would not be seen
        return typer.style(_shown(body) or "\u21b5", **style) + ends
    signs = ("[-", "-]") if kind == "removed" else ("{+", "+}")
    return f"{signs[0]}{_shown(body)}{signs[1]}{ends}"
