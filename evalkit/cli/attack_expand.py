"""``evalkit attack expand``, ``pairs`` and ``transforms``, which ``evalkit attack`` takes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, load_plugins
from evalkit.cli.stored import emit, shown_path
from evalkit.errors import ExitCode

EXPAND_EXAMPLES = examples(
    "evalkit attack expand prompt_injection --with base64 --with rot13+wrap:email --seed 7"
    " --out golden/expanded.jsonl"
)
PAIRS_EXAMPLES = examples("evalkit attack pairs golden/pairs.yaml --out golden/pairs.jsonl")
TRANSFORMS_EXAMPLES = examples("evalkit attack transforms", "evalkit attack transforms wrap")


def expand(
    suite: Annotated[str, typer.Argument(help="The attack suite, or its file.")],
    *,
    chains: Annotated[
        list[str],
        typer.Option(
            "--with", metavar="CHAIN", help="Transforms joined by '+'; repeat for more cases."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file that is written, .jsonl.")],
    seed: Annotated[int, typer.Option(min=0, help="Decides all that chance does.")] = 0,
    column: Annotated[
        str, typer.Option(metavar="NAME", help="The input that is the attack, or 'context'.")
    ] = "",
    twins: Annotated[bool, typer.Option("--twins", help="The harmless twins as well.")] = False,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out cases that a chain cannot change; name them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace another content by its next version.")
    ] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
) -> ExitCode:
    """Write every attack of a suite once for every chain of transforms, and freeze the file.

    The same seed gives the same bytes. Each case says what it was made from; a run expands nothing.
    """
    from evalkit.config import find_project, load_project
    from evalkit.datasets._chain import written_chains
    from evalkit.report import words
    from evalkit.runner.attack_expand import SORTS, Expansion
    from evalkit.runner.attack_expand import expand as write
    from evalkit.runner.attacks import attack_spec

    found = load_project(find_project(file=project), allow_code=allow_code)
    asked = Expansion(
        chains=written_chains(chains),
        seed=seed,
        column=column,
        sorts=SORTS if twins else SORTS[:1],
        skip=skip,
    )
    done = write(found, attack_spec(found, suite), asked, out.absolute(), force=force)
    said = (
        f"{words.counted(done.cases, 'case')} from {words.counted(done.bases, 'base case')},"
        f" frozen as version {done.frozen.version}, sha256 {done.frozen.sha256[:12]}"
    )
    emit(f"{shown_path(done.path)} {'has' if done.written else 'is unchanged:'} {said}\n")
    for one in done.skipped:
        typer.echo(f"left out: {words.clean(one, lines=False)}", err=True)
    if done.written:
        typer.echo("to run it, name it as 'dataset:' of a suite of 'kind: adversarial'", err=True)
    return ExitCode.PASS


def pairs(
    template: Annotated[Path, typer.Argument(help="A template of pairs (YAML).")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file that is written, .jsonl.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace another content by its next version.")
    ] = False,
) -> ExitCode:
    """Write counterfactual pairs: the same question, with one thing about the person changed.

    Names, pronouns, ages and the like come from the template. The file is frozen, and each case
    has the tags 'axis', 'group' and 'pair', and one called as its axis.
    """
    from evalkit.config.pair_template import read_pairs
    from evalkit.report import words
    from evalkit.runner.attack_pairs import write_pairs

    done = write_pairs(read_pairs(template), out.absolute(), force=force)
    said = (
        f"{words.counted(done.cases, 'case')} in {words.counted(done.bases, 'pair')},"
        f" frozen as version {done.frozen.version}, sha256 {done.frozen.sha256[:12]}"
    )
    emit(f"{shown_path(done.path)} {'has' if done.written else 'is unchanged:'} {said}\n")
    return ExitCode.PASS


def transforms(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this one.")] = None,
    *,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """List the transforms in the order they can follow each other, each with an example."""
    if allow_code:
        load_plugins(project)
    from evalkit.datasets._chain import EXAMPLE, described, transform_plugin
    from evalkit.report import words

    rows = described()
    if name is not None:
        wanted = transform_plugin(name).name
        rows = [one for one in rows if one[0].name == wanted]
    if as_json:
        facts = [
            {
                "name": one.name,
                "stage": one.stage,
                "version": one.version,
                "summary": one.summary,
                "parameters": {
                    key: None if each.required else each.default
                    for key, each in one.parameters.items()
                },
                "example": example,
            }
            for one, example in rows
        ]
        emit(json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")
        return ExitCode.PASS
    stage = ""
    for one, example in rows:
        if one.stage != stage:
            stage = one.stage
            emit(f"{stage}\n")
        given = [
            f"{key}={'...' if each.required else each.default}"
            for key, each in one.parameters.items()
        ]
        emit(f"  {one.name}  {one.summary}\n")
        if given:
            emit(f"      parameters: {', '.join(given)}\n")
        if name is not None:
            emit("".join(f"      {line}\n" for line in one.doc.splitlines()[2:]))
        if example:
            emit(f"      {words.cut(words.clean(example, lines=False), 120)}\n")
    emit(f"\nEach example is made of: {EXAMPLE}\n")
    return ExitCode.PASS
