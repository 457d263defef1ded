"""``evalkit attack add``: the attack suites that come with evalkit, copied into the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples
from evalkit.cli.stored import emit, shown_path
from evalkit.errors import ExitCode

EXAMPLES = examples("evalkit attack add --target span")


def add(
    *,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Which target they ask, if there are several."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that are not the same.")
    ] = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Copy evalkit's own attack suites into the project.

    Twelve suites with harmless twins go to suites/adversarial, their cases and cards to
    golden/adversarial, and a prompt that shows a model all that a case brings to prompts/. They ask
    one target; what is there already and the same is left alone. Then: evalkit run adversarial.
    """
    from evalkit.config import find_project, load_project
    from evalkit.config.shipped import GROUP, PROMPT, copy_suites

    found = load_project(find_project(file=project), brings=Path(PROMPT).name)
    asked, written, same = copy_suites(found, target, force=force)
    names = [str(shown_path(one)) for one in written]
    following = f"evalkit run {GROUP}"
    if as_json:
        facts = {"target": asked, "written": names, "same": len(same), "next": following}
        emit(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.PASS
    folders: dict[str, int] = {}
    for one in written:
        folder = str(shown_path(one.parent))
        folders[folder] = folders.get(folder, 0) + 1
    for folder, count in folders.items():
        emit(f"wrote {count} file{'s' if count > 1 else ''} in {folder}\n")
    if same:
        emit(f"left {len(same)} as they were\n")
    emit(f"\nnext: {following}    (they ask the target {asked!r})\n")
    return ExitCode.PASS
