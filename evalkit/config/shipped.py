"""The attack suites that come with evalkit, copied into a project for one of its targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from evalkit.config.spec import Project, TargetSpec
from evalkit.config.target import askable
from evalkit.config.tree import shown_path
from evalkit.errors import UsageError

GROUP = "adversarial"
PROMPT = "prompts/assistant.j2"
"""The prompt that shows all a case brings: a system prompt, passages, a question."""
_FOLDERS = (f"suites/{GROUP}", f"golden/{GROUP}")
_TARGETS = re.compile(r"^targets: \[assistant\]$", re.MULTILINE)
_SYSTEM = "prompt_overlap: {field: inputs.system"


def shipped_files() -> Iterator[tuple[str, Path]]:
    """Every file that comes along: where it belongs in a project, and where it lies here.

    A wheel holds them in the package; in a clone they are the repository's own.
    """
    package = Path(__file__).resolve().parents[1]
    root = package / "shipped" if (package / "shipped").is_dir() else package.parent
    yield PROMPT, root / PROMPT
    for folder in _FOLDERS:
        for one in sorted((root / folder).iterdir()):
            if one.is_file() and not one.name.startswith("."):
                yield f"{folder}/{one.name}", one


def shipped_names() -> list[str]:
    """The suites that come along, and the group they are in."""
    suites = [Path(place).stem for place, _ in shipped_files() if place.startswith("suites/")]
    return [GROUP, *suites]


def copy_suites(
    project: Project, target: str | None, *, force: bool
) -> tuple[str, list[Path], list[Path]]:
    """Write the attack suites into a project, with their cases, cards and prompt.

    The suites ask ``target``, or else the only one there is, and compare leaks with its own prompt.
    Returns the target, the files written, and those that were there already and the same. Raises
    ``UsageError`` before anything is written where files would be overwritten, unless ``force``.
    """
    asked = _target(project, target)
    written: dict[Path, bytes] = {}
    same, other = [], []
    for place, source in shipped_files():
        path = _path(project, place)
        content = source.read_bytes()
        if place.startswith("suites/"):
            content = _for(content.decode("utf-8"), project, asked).encode("utf-8")
        if path.is_file() and path.read_bytes() == content:
            same.append(path)
            continue
        if path.exists():
            other.append(path)
        written[path] = content
    if other and not force:
        shown = ", ".join(str(shown_path(one)) for one in other[:3])
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise UsageError(
            f"already there, and not the same: {shown}{more}",
            where=shown_path(other[0].parent),
            hint="keep them, or overwrite them with --force",
        )
    for path, content in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return asked.name, list(written), same


def _path(project: Project, place: str) -> Path:
    """Where a file belongs: suites and prompts lie where the project says."""
    first, _, rest = place.partition("/")
    folders = {"suites": project.suites_dir, "prompts": project.prompts_dir}
    return folders.get(first, project.root / first) / rest


def _target(project: Project, name: str | None) -> TargetSpec:
    if name is not None:
        return askable(project, name, hint="name another target")
    able = [one for one in project.targets.values() if not one.judge]
    if len(able) != 1:
        names = ", ".join(one.name for one in able) or "none"
        raise UsageError(
            f"there are {len(able)} targets, and the suites ask one",
            where=shown_path(project.path),
            hint=f"choose: --target NAME ({names})",
        )
    return able[0]


def _for(text: str, project: Project, target: TargetSpec) -> str:
    """A suite for a target: it is named, and its own prompt is what must not leak."""
    text = _TARGETS.sub(f"targets: [{target.name}]", text)
    prompt = target.prompt
    if prompt is None or prompt.name == Path(PROMPT).name:
        return text
    own = prompt.relative_to(project.root) if prompt.is_relative_to(project.root) else prompt
    return text.replace(_SYSTEM, f"prompt_overlap: {{prompt: {own.as_posix()}")
