"""``evalkit cache``: what answers are kept, and taking them out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from evalkit.config.spec import CacheSpec
    from evalkit.runner.cache_file import Part

app = new_app(
    no_args_is_help=True,
    help=(
        "Show and prune the kept answers.\n\nAnswers are kept by 'cache: write' in evalkit.yaml or"
        " by evalkit run --cache write, and used again when the same target is asked the same."
    ),
    epilog=examples("evalkit cache stats", "evalkit cache prune --older-than 30d"),
)

_AGES = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_SIZES = {"": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}


@app.command(epilog=examples("evalkit cache stats", "evalkit cache stats --json"))
def stats(*, project: ProjectFile = None, as_json: AsJson = False) -> ExitCode:
    """Show how many answers of each target are kept, how big they are and what they saved."""
    from evalkit.cli.stored import emit, shown_path
    from evalkit.runner.cache_file import parts

    spec = _spec(project)
    found = parts(spec.path)
    size = spec.path.stat().st_size if spec.path.exists() else 0
    if as_json:
        value = {
            "path": str(spec.path),
            "mode": spec.mode,
            "file_bytes": size,
            "answers": sum(one.answers for one in found),
            "bytes": sum(one.bytes for one in found),
            "saved_usd": sum(one.saved_usd for one in found),
            "targets": [_as_json(one) for one in found],
        }
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif found:
        emit(_table(found) + f"\n{shown_path(spec.path)}: {_size(size)}, mode {spec.mode}\n")
    else:
        typer.echo(f"no answers are kept in {shown_path(spec.path)} (mode {spec.mode})", err=True)
        typer.echo("  keep them with: evalkit run --cache write", err=True)
    return ExitCode.PASS


@app.command(
    epilog=examples(
        "evalkit cache prune --older-than 30d",
        "evalkit cache prune --max-size 500MB --dry-run",
        "evalkit cache prune --target span --json",
    )
)
def prune(
    *,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="Answers given longer ago than this: 12h, 30d, 8w."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="The longest unused, until the rest fits: 500MB, 2GB."),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Only of this target; repeat.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every answer.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Take kept answers out; the next run that wants one asks for it again.

    By age, by size, by target, or all three: first the old ones go, then the longest unused.
    """
    from evalkit.cli.stored import emit
    from evalkit.runner.cache_file import Prune
    from evalkit.runner.cache_file import prune as take_out

    if not (older_than or max_size or target or all_):
        raise UsageError(
            "say which answers to take out",
            hint="give --older-than, --max-size, --target or --all",
        )
    if all_ and (older_than or max_size or target):
        raise UsageError("--all takes no other choice beside it", hint="leave one out")
    wanted = Prune(
        targets=tuple(target or ()),
        older_than_s=None if older_than is None else _age(older_than),
        max_bytes=None if max_size is None else _bytes(max_size),
    )
    count, size = take_out(_spec(project).path, wanted, dry_run=dry_run)
    if as_json:
        value = {"answers": count, "bytes": size, "dry_run": dry_run}
        emit(json.dumps(value, indent=2) + "\n")
    else:
        verb = "would go" if dry_run else "taken out"
        emit(f"{count:,} answer{'' if count == 1 else 's'} {verb} ({_size(size)})\n")
    return ExitCode.PASS


def _spec(project: Path | None) -> CacheSpec:
    from evalkit.config import find_project, load_project

    return load_project(find_project(file=project)).cache


def _age(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([mhdw])", text)
    if found is None:
        raise UsageError(
            f"--older-than must be an age with its unit, not {text!r}", hint="write 12h, 30d or 8w"
        )
    return float(found[1]) * _AGES[found[2]]


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?b)?", text.strip().lower())
    if found is None or found[2] == "b":
        raise UsageError(
            f"--max-size must be a size, not {text!r}", hint="write 500MB, 2GB or a number of bytes"
        )
    return int(float(found[1]) * _SIZES[found[2] or ""])


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1_000:
            whole = number >= 10 or unit == "bytes"
            return f"{number:,.0f} {unit}" if whole else f"{number:.1f} {unit}"
        number /= 1_000
    return f"{number:.1f} GB"


def _as_json(part: Part) -> dict[str, object]:
    import dataclasses

    value = dataclasses.asdict(part)
    return value | {name: value[name].isoformat() for name in ("oldest", "newest", "last_used")}


def _table(parts: list[Part]) -> str:
    import sys

    from evalkit.report import words
    from evalkit.report.screen import Column, Screen, grid

    columns = [
        Column(head="target", cells=[words.clean(one.target, lines=False) for one in parts]),
        Column(head="answers", cells=[f"{one.answers:,}" for one in parts], right=True),
        Column(head="size", cells=[_size(one.bytes) for one in parts], right=True),
        Column(head="used", cells=[f"{one.hits:,}" for one in parts], right=True),
        Column(head="saved", cells=[words.money(one.saved_usd) for one in parts], right=True),
        Column(head="oldest (UTC)", cells=[words.instant(one.oldest) for one in parts], drop=2),
        Column(head="newest (UTC)", cells=[words.instant(one.newest) for one in parts], drop=1),
    ]
    screen = Screen.of(sys.stdout)
    return screen.render([grid(columns, screen)])
