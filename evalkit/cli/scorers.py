"""``evalkit scorers``: which scorers there are, and the card of one of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import (
    AllowCode,
    AsJson,
    ProjectFile,
    examples,
    load_plugins,
    new_app,
)
from evalkit.errors import ExitCode

if TYPE_CHECKING:
    from evalkit.registry import ScorerPlugin

_EXAMPLES = examples(
    "evalkit scorers",
    "evalkit scorers show rouge_l",
    "evalkit scorers show refusal",
    "evalkit scorers show numeric --json",
)

app = new_app(
    help="List scorers, and show what each measures, costs and cannot see.",
    epilog=_EXAMPLES,
    invoke_without_command=True,
)


@app.callback()
def list_scorers(
    ctx: typer.Context,
    *,
    project: ProjectFile = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print every card as one Markdown page.")
    ] = False,
) -> ExitCode | None:
    """List scorers by family, with --allow-code those of the project's files too."""
    if allow_code:
        load_plugins(project)
    if ctx.invoked_subcommand is not None:
        return None
    from evalkit.scorers import _describe

    plugins = _all()
    if as_json:
        found = [_describe.facts(one) for one in plugins]
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return ExitCode.PASS
    if as_markdown:
        typer.echo(_describe.markdown(plugins), nl=False)
        return ExitCode.PASS
    width = max(len(one.name) for one in plugins)
    for title, ones in _describe.by_family(plugins):
        typer.echo(title)
        for one in ones:
            typer.echo(f"  {one.name:{width}}  {one.summary}")
        typer.echo()
    typer.echo("Any of them decides with threshold, and judges every turn of a conversation with")
    typer.echo("turns: each, or worst. All about one: evalkit scorers show NAME")
    if not allow_code:
        typer.echo("Scorers of the project's own files are listed with --allow-code.")
    return ExitCode.PASS


@app.command(epilog=_EXAMPLES)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The scorer, as `rouge_l`.")],
    *,
    project: ProjectFile = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the card of one scorer: what it says, costs, was measured at, and cannot see."""
    if allow_code:
        load_plugins(project)
    from evalkit.scorers import _describe

    plugin = _describe.scorer_plugin(name)
    if as_json:
        typer.echo(json.dumps(_describe.facts(plugin), indent=2, ensure_ascii=False))
        return ExitCode.PASS
    for line in _describe.card(plugin):
        typer.echo(line)
    return ExitCode.PASS


def _all() -> list[ScorerPlugin]:
    from evalkit import registry
    from evalkit.scorers._describe import scorer_plugin

    return [scorer_plugin(name) for name in registry.names(registry.Kind.SCORER)]
