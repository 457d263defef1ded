"""Help as people write it: ``evalkit show [RUN] [CASE]``, ``--limit N``, whole sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_OF_TYPE = {"int": "N", "float": "X", "Path": "PATH"}


_HYPHEN, _KEPT = "-", "\N{NON-BREAKING HYPHEN}"


class _WholeWords:
    """Help whose lines never break at a hyphen: ``--max-cost`` stays one word."""

    def get_help(self, ctx: Any) -> str:
        formatter = ctx.make_formatter()
        for name in ("write_text", "write_dl", "write_usage"):
            setattr(formatter, name, _kept(getattr(formatter, name)))
        self.format_help(ctx, formatter)  # type: ignore[attr-defined]  # of the command
        text: str = formatter.getvalue()
        return text.replace(_KEPT, _HYPHEN).rstrip("\n")


def _kept(write: Callable[..., None]) -> Callable[..., None]:
    """The same writer of a formatter, with hyphens that it cannot break at."""

    def keep(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(_HYPHEN, _KEPT)
        if isinstance(value, list | tuple):
            return [tuple(map(keep, one)) if isinstance(one, tuple) else keep(one) for one in value]
        return value

    def kept(*args: Any, **named: Any) -> None:
        write(*map(keep, args), **named)

    return kept


class PlainGroup(_WholeWords, TyperGroup):
    """A family of commands whose help keeps its words whole."""


class PlainCommand(_WholeWords, TyperCommand):
    """A command whose help names values in capitals, never by the type of a variable."""

    def __init__(self, *args: Any, **attrs: Any):
        super().__init__(*args, **attrs)
        for one in self.params:
            if isinstance(one, TyperArgument) and one.metavar is None:
                one.metavar = (one.name or "").upper()
            elif isinstance(one, TyperOption) and one.metavar is None:
                one.metavar = _value_of(one)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: what may be left out in brackets, what repeats with dots."""
        pieces = [self.options_metavar or ""]
        for one in self.get_params(ctx):
            if isinstance(one, TyperArgument):
                name = one.metavar or ""
                more = "..." if one.nargs != 1 and " " not in name else ""
                pieces.append((name if one.required else f"[{name}]") + more)
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, each with its name and nothing but it."""
        arguments, options = [], []
        for one in self.get_params(ctx):
            record = one.get_help_record(ctx)
            if record is not None and isinstance(one, TyperArgument):
                said = record[1].removesuffix("  [required]")
                arguments.append((one.metavar or "", said))
            elif record is not None:
                options.append(record)
        for title, listed in (("Arguments", arguments), ("Options", options)):
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence, whole: a list of commands wraps it."""
        del limit
        return super().get_short_help_str(10_000)


def _value_of(option: TyperOption) -> str | None:
    """What stands for the value of an option; ``None`` for a flag."""
    if option.is_flag:
        return None
    found = option.type_descriptor
    if found.is_choice:
        return "|".join(map(str, found.choices or ()))
    kind = getattr(found.annotation, "__name__", "")
    return _OF_TYPE.get(kind) or (option.name or "").rstrip("_").upper()
