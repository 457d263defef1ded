"""Whether the output is one SQL statement that parses, and uses the tables it should."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import unfence

if TYPE_CHECKING:
    from sqlglot import exp

Compare: TypeAlias = Literal["nothing", "tables", "columns", "query"]
LONGEST = 50_000
"""Characters of a statement that are parsed, well within a second; a longer one is unscored."""


@cache
def _dialects() -> frozenset[str]:
    from sqlglot.dialects.dialect import Dialects

    # statements that sqlglot knows only the first word of are not worth a line on standard error
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    return frozenset(one.value for one in Dialects)


def _prepare(options: Mapping[str, Any]) -> str:
    from evalkit.errors import suggestion

    if options["dialect"] not in _dialects():
        hint = suggestion(options["dialect"], sorted(_dialects()))
        raise ValueError(f"no SQL dialect {options['dialect']!r} ({hint})")
    return ""


@scorer(
    metrics=(rate,),
    examples=[
        ("SELECT name FROM users WHERE id = 1", None, 1.0),
        ("select * form users", None, 0.0),
        ("I do not know.", None, 0.0),
        ("", None, 0.0),
    ],
    lib="sqlglot",
    prepare=_prepare,
    usage="sql: {dialect: postgres, compare: tables, read_only: true, fenced: true}",
    card=ScorerCard(
        family="structured",
        blind=(
            "results: queries that return the same rows may differ, and equal ones may be wrong",
            "the schema: a table or column that does not exist still parses",
            "sqlglot is lenient: some statements a database refuses do parse",
        ),
    ),
)
def sql(
    case: Case,
    output: Output,
    *,
    dialect: str = "",
    compare: Compare = "nothing",
    read_only: bool = False,
    fenced: bool = False,
) -> Score:
    """Whether the output is one SQL statement that parses, and uses the tables it should.

    ``dialect`` is one of sqlglot's, as postgres, duckdb or bigquery; without one, a superset of
    all. ``compare`` holds the statement against the expected one: the same ``tables``, the same
    tables and ``columns``, or the same ``query`` but for case, spaces and quotes.
    ``read_only`` refuses whatever is not a query. ``fenced`` reads the only Markdown code fence.
    The reason gives line and column or what differs. Nothing is executed.
    """
    from sqlglot import exp

    text = unfence(output.text) if fenced else output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to parse: {len(text):,} characters")
    try:
        found = _statement(text, dialect)
    except ValueError as error:
        return Score(value=0.0, passed=False, reason=str(error)[:300])
    if isinstance(found, exp.Command) and not read_only:
        raise Unscorable("a statement of a kind that the parser does not know")
    wrong = ""
    writes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into)
    if read_only and (not isinstance(found, exp.Query) or found.find(*writes)):
        wrong = f"is no plain query but writes ({found.key})"
    if not wrong and compare != "nothing":
        wrong = _difference(found, _expected(case, dialect), compare)
    return Score(value=float(not wrong), passed=not wrong, reason=wrong[:300] or None)


def _statement(text: str, dialect: str) -> exp.Expr:
    """The one statement of a text; raises ``ValueError`` with a reason for a reader."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    _dialects()
    try:
        found = [one for one in sqlglot.parse(text, dialect=dialect or None) if one is not None]
    except SqlglotError as error:
        known: Any = (getattr(error, "errors", None) or [{}])[0]
        place = f" at line {known['line']} column {known['col']}" if known.get("line") else ""
        said = str(known.get("description") or error).partition("<")[0].strip()
        raise ValueError(f"not SQL: {said}{place}") from None
    except RecursionError:
        raise ValueError("not readable as SQL: nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - a parser of others on hostile text
        raise ValueError(f"not readable as SQL: {type(error).__name__}") from None
    if len(found) != 1:
        raise ValueError(f"{len(found)} statements instead of one" if found else "no statement")
    one = found[0]
    if isinstance(one, (exp.Condition, exp.Alias)) and not isinstance(one, exp.Query):
        raise ValueError("not SQL: an expression, no statement")  # noqa: TRY004 - of a text
    return one


def _expected(case: Case, dialect: str) -> exp.Expr:
    if not case.references:
        raise Unscorable("the case expects nothing, and the statement is to be compared")
    try:
        return _statement(case.references[0], dialect)
    except ValueError as error:
        raise Unscorable(f"the expected answer is {error}") from None


def _difference(found: exp.Expr, wanted: exp.Expr, compare: Compare) -> str:
    from sqlglot import exp
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    if compare == "query":
        left, right = (normalize_identifiers(one.copy()) for one in (found, wanted))
        for name in (*left.find_all(exp.Identifier), *right.find_all(exp.Identifier)):
            name.set("quoted", False)
        return "" if left == right else "another query than expected"
    wrong = _sets(_tables(found), _tables(wanted), "table")
    if not wrong and compare == "columns":
        wrong = _sets(_columns(found), _columns(wanted), "column")
    return wrong


def _sets(found: frozenset[str], wanted: frozenset[str], what: str) -> str:
    said = []
    if wanted - found:
        said.append(f"lacks {what} {', '.join(sorted(wanted - found))}")
    if found - wanted:
        said.append(f"uses {what} {', '.join(sorted(found - wanted))}")
    return "; ".join(said)


def _tables(statement: exp.Expr) -> frozenset[str]:
    from sqlglot import exp

    names = {one.alias_or_name.lower() for one in statement.find_all(exp.CTE)}
    tables = {one.name.lower() for one in statement.find_all(exp.Table) if one.name}
    return frozenset(tables - names)


def _columns(statement: exp.Expr) -> frozenset[str]:
    from sqlglot import exp

    stars = {"*"} if statement.find(exp.Star) else set()
    return frozenset({one.name.lower() for one in statement.find_all(exp.Column)} | stars)
