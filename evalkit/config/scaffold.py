"""The small working project that ``evalkit init`` writes."""

from __future__ import annotations

import json
import re
from importlib import metadata, resources
from pathlib import Path

from evalkit.config.tree import shown_path
from evalkit.errors import UsageError

_FILES = {
    "evalkit.yaml": "evalkit.yaml",
    "prompts/answer.j2": "prompts/answer.j2",
    "golden/example.jsonl": "golden/example.jsonl",
    "golden/example.card.yaml": "golden/example.card.yaml",
    "suites/example.yaml": "suites/example.yaml",
    "github/workflows/evalkit.yml": ".github/workflows/evalkit.yml",
}
_IGNORED = {
    ".evalkit/": "# evalkit: the run store, which holds every answer",
    "reports/": "# evalkit: pages that evalkit report writes",
}


def write_project(folder: Path, *, force: bool = False) -> list[Path]:
    """Write the project into a folder, made if need be; returns the files that were written.

    Nothing is written when one of them exists, unless ``force``: that is a ``UsageError`` naming
    them all. ``.gitignore`` only gets the lines that it lacks.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("this is a file, not a folder", where=shown_path(folder))
    targets = {source: folder / target for source, target in _FILES.items()}
    existing = [one for one in targets.values() if one.exists()]
    if existing and not force:
        names = ", ".join(one.relative_to(folder).as_posix() for one in existing)
        raise UsageError(
            f"already there: {names}",
            where=shown_path(folder),
            hint="choose another folder, or overwrite them with --force",
        )
    written = []
    for source, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_filled(source, folder), encoding="utf-8", newline="\n")
        written.append(target)
    if _ignore(folder / ".gitignore"):
        written.append(folder / ".gitignore")
    return written


def _filled(source: str, folder: Path) -> str:
    files = resources.files("evalkit.config") / "templates" / "init"
    text = files.joinpath(*source.split("/")).read_text(encoding="utf-8")
    name = folder.absolute().name or "project"
    return (
        text.replace("PROJECT_NAME", _yaml_text(name))
        .replace("OWNER_NAME", _yaml_text(f"{name} team"))
        .replace("REQUIREMENT: REQUIREMENT", f"REQUIREMENT: {_requirement()}")
    )


def _yaml_text(text: str) -> str:
    """Text as a YAML scalar: bare where that can only be read as text, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*(?: [A-Za-z0-9_-]+)*", text)
    word = text.lower() in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    return text if plain and not word else json.dumps(text)


def _requirement() -> str:
    """What pip can install this evalkit from on another machine, or a variable to be set there."""
    unknown = "${{ vars.EVALKIT_REQUIREMENT }}"
    try:
        text = metadata.distribution("evalkit").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return unknown
    if not text:
        return unknown
    origin = json.loads(text)
    url, source = str(origin.get("url", "")), origin.get("vcs_info")
    # an address with a user name may hold a token; a folder is on this machine only
    if not url.startswith("https://") or "@" in url or not isinstance(source, dict):
        return unknown
    return json.dumps(f"{source.get('vcs', 'git')}+{url}@{source.get('commit_id', 'HEAD')}")


def _ignore(path: Path) -> bool:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    there = text.splitlines()
    lines = [line for name, why in _IGNORED.items() if name not in there for line in (why, name)]
    if not lines:
        return False
    gap = "" if not text or text.endswith("\n") else "\n"
    path.write_text(text + gap + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return True
