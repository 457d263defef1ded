"""The ``evalkit`` command: which commands there are, and the boundary every error ends at.

A command is a module of this room with a ``typer.Typer`` called ``app``; it is imported only when
it is used, so ``evalkit --help`` stays fast however many there are. Commands return an
``ExitCode``.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.main

from evalkit.cli.help import PlainGroup
from evalkit.cli.options import show_error
from evalkit.errors import DiskFull, EvalkitError, ExitCode, InfrastructureError, UsageError

COMMANDS: dict[str, dict[str, str]] = {
    "Evaluate": {
        "init": "Write a small working project.",
        "run": "Run suites on targets, score and store every answer.",
        "gate": "Compare a run with its baseline and judge its gates.",
        "baseline": "Promote, list, show and compare baselines.",
        "policy": "Take over gates that were written for other tools.",
        "plan": "Show what the gates can see, before any money is spent.",
        "load": "Measure how a target holds up under load.",
        "attack": "List, add, freeze and expand attack suites.",
    },
    "Trust": {
        "review": "Label answers, one at a time, and take in labels and decisions.",
        "calibrate": "Hold scorers against people's labels.",
    },
    "Look": {
        "runs": "List stored runs.",
        "show": "Show one run, or one case of it.",
        "diff": "Show which cases moved between two runs.",
        "why": "Show why a case moved: prompt, answers and scores side by side.",
        "report": "Write one run, or what changed between two, as an HTML page.",
        "sql": "Query the run store.",
    },
    "Share": {
        "export": "Write one run as a bundle of Parquet files.",
        "import": "Take bundles into the store, each once.",
        "merge": "Join the shards of a run into one.",
    },
    "Configure": {
        "prompts": "List, compare and trace prompt versions.",
        "cache": "Show and prune the kept answers.",
        "scorers": "List scorers with their parameters.",
        "schema": "Write JSON Schemas for editors.",
        "doctor": "Check the environment, the project and the store.",
    },
}


class Commands(PlainGroup):
    """Finds a command's module by its name and shows the list in groups."""

    def __init__(self, **attrs: Any):
        super().__init__(**attrs)
        listed = [name for group in COMMANDS.values() for name in group]
        self.commands = dict.fromkeys(listed)  # type: ignore[assignment]  # filled on first use

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command's module the first time it is asked for."""
        del ctx
        if cmd_name not in self.commands:
            return None
        if self.commands[cmd_name] is None:
            module = importlib.import_module(f"evalkit.cli.{cmd_name}")
            command = typer.main.get_command(module.app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups from the table above, importing nothing."""
        del ctx
        for group, commands in COMMANDS.items():
            with formatter.section(group):
                formatter.write_dl(list(commands.items()))


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=(
        "Tell, before a merge, whether a change of prompt, model or parameters made an LLM system"
        " worse, and show where.\n\nExit codes: 0 pass, 1 fail, 2 usage, 3 could not decide,"
        " 4 infrastructure, 5 budget, 130 interrupted."
    ),
    epilog="Start with: evalkit init && evalkit run",
)


def _version(wanted: bool) -> None:
    if wanted:
        from evalkit import __version__

        typer.echo(f"evalkit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(ExitCode.PASS)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown on standard error."""
    command = typer.main.get_command(app)
    if sys.stdout is None or sys.stderr is None:
        _open_closed_streams()
    try:
        result = command.main(args=list(arguments), prog_name="evalkit", standalone_mode=False)
        sys.stdout.flush()
    except EvalkitError as error:
        show_error(error)
        return error.exit_code
    except typer.TyperException as error:
        show_error(_usage_error(error))
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_is_gone()
    except SystemExit as error:
        # typer turns a broken pipe into exit code 1, which here would mean a failed gate
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_is_gone()
        raise
    except OSError as error:
        shown = _system_error(error)
        show_error(shown)
        return shown.exit_code
    except Exception as error:  # noqa: BLE001 - the last boundary there is
        # the code 1 of an uncaught exception would mean a failed gate, too
        show_error(_own_fault(error))
        return ExitCode.INFRASTRUCTURE
    return int(result or 0)


def _open_closed_streams() -> None:
    """Give a process started with a closed output (``>&-``) one that swallows what is written."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _reader_is_gone() -> ExitCode:
    """What a command ends with whose reader, such as ``head``, has seen enough."""
    # keep the interpreter quiet when it closes the stream at exit
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return ExitCode.PASS


def _usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "evalkit"
    message = _plainly(error.format_message().rstrip("."))
    return UsageError(message[:1].lower() + message[1:], hint=f"see '{command} --help'")


def _plainly(message: str) -> str:
    """What is wrong with a value, without the words of the library that looked at it."""
    message = message.replace("Value error, ", "")
    message = re.sub(r"Input should be a valid (integer|number)\b.*", r"must be a \1", message)
    message = message.replace("must be a integer", "must be a whole number")
    return message.replace("Input should be greater than or equal to", "must be at least").replace(
        "Input should be less than or equal to", "must be at most"
    )


def _system_error(error: OSError) -> EvalkitError:
    what = error.strerror or str(error)
    what = what[:1].lower() + what[1:]
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UsageError(
            what, where=error.filename, hint="change the permissions, or name another place"
        )
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(what, where=error.filename, hint="free space, then try again")
    return InfrastructureError(
        what, where=error.filename, hint="free space or repair what failed, then try again"
    )


def _own_fault(error: Exception) -> InfrastructureError:
    import traceback

    if os.environ.get("EVALKIT_TRACEBACK"):
        from evalkit.secrets import redact

        typer.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return InfrastructureError(
        f"evalkit itself failed: {type(error).__name__}: {error}",
        where=f"{last.filename}:{last.lineno}",
        hint="please report it, with what EVALKIT_TRACEBACK=1 prints before this",
    )


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run_command(sys.argv[1:]))
