"""``evalkit attack``: attack suites, their cards, and the files they are frozen in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli import attack_add, attack_expand
from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, shown_path
from evalkit.errors import ExitCode

if TYPE_CHECKING:
    from evalkit.config import Card
    from evalkit.runner.attacks import AttackSuite

app = new_app(
    no_args_is_help=True,
    help="List, add, freeze and expand attack suites, and make pairs that show unfairness.",
    epilog=examples("evalkit attack list"),
)


@app.command("list", epilog=examples("evalkit attack list"))
def list_(*, project: ProjectFile = None, as_json: AsJson = False) -> ExitCode:
    """List the attack suites: attacks, harmless twins, version, and whether the file is frozen.

    Exit code 2 says that a file was edited after it was frozen, or cannot be read.
    """
    from evalkit.config import find_project, load_project
    from evalkit.report import words
    from evalkit.report.screen import Column, Screen, grid
    from evalkit.runner.attacks import attack_specs, attack_suites

    found = load_project(find_project(file=project))
    rows = attack_suites(found, attack_specs(found))
    code = ExitCode.USAGE if any(one.problem for one in rows) else ExitCode.PASS
    if as_json:
        emit(json.dumps([one.to_json() for one in rows], indent=2, ensure_ascii=False) + "\n")
        return code
    if not rows:
        typer.echo("no suite of 'kind: adversarial' yet: evalkit attack add brings some", err=True)
        return ExitCode.PASS
    screen = Screen.of(sys.stdout)
    counts = [("attacks", [one.attacks for one in rows]), ("twins", [one.twins for one in rows])]
    if any(one.pairs for one in rows):
        counts.append(("pairs", [one.pairs for one in rows]))
    columns = [
        Column(head="suite", cells=[words.clean(one.name, lines=False) for one in rows], fold=True),
        Column(head="category", cells=[_several(one.categories) for one in rows], drop=2),
        *(
            Column(
                head=head,
                cells=[words.NONE if one is None else words.count(one) for one in values],
                right=True,
            )
            for head, values in counts
        ),
        Column(head="version", cells=[_versions(one) for one in rows], drop=1),
        Column(head="file", cells=[one.state for one in rows]),
    ]
    emit(screen.render([grid(columns, screen)]))
    for one in rows:
        if one.problem:
            typer.echo(f"{one.name}: {words.clean(one.problem, lines=False)}", err=True)
    return code


@app.command(epilog=examples("evalkit attack show jailbreak"))
def show(
    name: Annotated[str, typer.Argument(help="The suite, or its file.")],
    *,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the card of an attack suite: the threat, what is safe, how success is told."""
    from evalkit.config import find_project, load_card, load_project
    from evalkit.runner.attacks import attack_spec, attack_suites

    found = load_project(find_project(file=project))
    spec = attack_spec(found, name)
    (suite,) = attack_suites(found, [spec])
    cards = [load_card(Path(one.source)) for one in spec.datasets]
    if as_json:
        shown = [None if one is None else _facts(one) for one in cards]
        emit(json.dumps({**suite.to_json(), "cards": shown}, indent=2, ensure_ascii=False) + "\n")
    else:
        emit(_card_text(suite, cards))
    return ExitCode.PASS


@app.command(epilog=examples("evalkit attack freeze golden/adversarial/jailbreak.jsonl"))
def freeze(
    files: Annotated[list[Path], typer.Argument(help="Datasets that have a card beside them.")],
) -> ExitCode:
    """Write a file's hash into its card, as the next version when its content has changed.

    From then on another content is refused wherever the file is read, until it is frozen again.
    """
    from evalkit.config.freeze import freeze as write

    for file in files:
        done = write(file)
        said = f"version {done.version}, sha256 {done.sha256[:12]}"
        if done.changed:
            emit(f"{shown_path(file)} is frozen as {said}, written to {shown_path(done.card)}\n")
        else:
            emit(f"{shown_path(file)} is what was frozen: {said}\n")
    return ExitCode.PASS


app.command(epilog=attack_add.EXAMPLES)(attack_add.add)
app.command(epilog=attack_expand.EXPAND_EXAMPLES)(attack_expand.expand)
app.command(epilog=attack_expand.PAIRS_EXAMPLES)(attack_expand.pairs)
app.command(epilog=attack_expand.TRANSFORMS_EXAMPLES)(attack_expand.transforms)


def _several(names: tuple[str, ...]) -> str:
    from evalkit.report import words

    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return words.clean(", ".join(names[:3]) + more, lines=False)


def _versions(suite: AttackSuite) -> str:
    from evalkit.report import words

    known = dict.fromkeys(str(one.version) for one in suite.files if one.version is not None)
    return words.clean(", ".join(known) or words.NONE, lines=False)


def _facts(card: Card) -> dict[str, object]:
    from dataclasses import asdict

    kept = asdict(card)
    del kept["position"]
    return {**kept, "path": shown_path(card.path)}


def _card_text(suite: AttackSuite, cards: list[Card | None]) -> str:
    from evalkit.report import words
    from evalkit.report.screen import Screen, labelled

    parts = []
    many = [("attacks", suite.attacks), ("twins", suite.twins), ("in pairs", suite.pairs)]
    counts = ", ".join(f"{words.count(n)} {what}" for what, n in many if n)
    rows = [("suite", suite.name), ("about", suite.description), ("cases", counts)]
    for file, card in zip(suite.files, cards, strict=True):
        version = "" if file.version is None else f", version {file.version}"
        rows.append(("file", f"{file.path}, {file.state}{version}"))
        if file.problem:
            rows.append(("problem", file.problem))
        if card is None:
            rows.append(("card", "there is none"))
            continue
        rows += [
            ("data", card.description),
            ("threat", card.threat),
            ("safe", card.expected),
            ("succeeds", card.success),
            ("owasp", ", ".join(card.owasp)),
            ("atlas", ", ".join(card.atlas)),
            ("languages", ", ".join(card.languages)),
            ("licence", card.licence),
            ("origin", card.origin),
            ("owner", card.owner),
            ("sha256", card.sha256 or ""),
            ("notes", card.notes),
        ]
    for label, text in rows:
        if text:
            parts.append(labelled(label, words.clean(text.strip(), lines=False), 11))
    return Screen.of(sys.stdout).render(parts)
