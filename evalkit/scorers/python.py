"""A function of your own file as a scorer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.hashing import bytes_id
from evalkit.model import Case, Evidence, Output, Score, mean, rate
from evalkit.own_code import load_module
from evalkit.registry import scorer
from evalkit.scorers._bind import ProjectCode

_functions: dict[str, Callable[..., Any]] = {}
_FIELDS = frozenset(Score.__dataclass_fields__)


def _load(reference: str) -> Callable[..., Any]:
    if reference in _functions:
        return _functions[reference]
    path, colon, name = reference.rpartition(":")
    if not colon or not name.isidentifier() or not path.endswith(".py"):
        raise ValueError(f"write the function as file.py:name, not {Path(reference).name!r}")
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"there is no Python file {path!r}")
    try:
        module = load_module(file, "scorer")
    except (Exception, SystemExit) as error:
        raise ValueError(f"{file.name} failed to load: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise TypeError(f"{file.name} has no function {name!r}")
    found: Callable[..., Any] = function
    _functions[reference] = found
    return found


def _prepare(options: Mapping[str, Any]) -> str:
    if not options["deadline"] > 0:
        raise ValueError(f"deadline {options['deadline']:g} is not above 0 seconds")
    reference: str = options["function"]
    _functions.pop(reference, None)
    _load(reference)
    return f"code:{bytes_id(Path(reference.rpartition(':')[0]).read_bytes())[:12]}"


@scorer(
    metrics=(mean, rate),
    range=(float("-inf"), float("inf")),
    code=True,
    prepare=_prepare,
    usage="python: {function: 'checks/mine.py:score'}",
    card=ScorerCard(
        family="own",
        cost="whatever your function takes",
        blind=("whatever your function does not look at",),
    ),
)
def python(
    case: Case, output: Output, *, function: ProjectCode, deadline: float = 60.0
) -> Score | Awaitable[Score]:
    """A function of your own file as a scorer.

    ``function`` is written ``checks/mine.py:name``, relative to the project; it is called with case
    and output and may be async. It returns a number, true or false, a ``Score`` or a mapping of its
    fields (``{"value": 0.5, "reason": "…"}``), or raises ``evalkit.Unscorable``.
    After ``deadline`` seconds without a score it is an error, and after three of them the function
    is asked no more. Runs only where code is allowed. For parameters, a direction and a range of
    its own, decorate it with ``@evalkit.scorer`` and list the file under ``plugins`` instead.
    """
    result = _load(function)(case, output)
    if not inspect.isawaitable(result):
        return _score(result)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(result))  # in a thread of its own
    return _awaited(result)


async def _awaited(result: Awaitable[Any]) -> Score:
    return _score(await result)


def _score(result: Any) -> Score:
    if isinstance(result, Score):
        return result
    if isinstance(result, bool):
        return Score(value=float(result), passed=result)
    if isinstance(result, Mapping):
        return _from_mapping(dict(result))
    if result is None:
        raise TypeError("the function returned nothing; return a number or raise Unscorable")
    try:
        return Score(value=float(result))
    except TypeError:
        raise TypeError(f"the function returned {type(result).__name__}, not a score") from None


def _from_mapping(fields: dict[str, Any]) -> Score:
    unknown = sorted(str(one) for one in fields.keys() - _FIELDS)
    if unknown:
        raise TypeError(f"a score has no field {unknown[0]!r}; it has {', '.join(sorted(_FIELDS))}")
    if "value" not in fields:
        raise TypeError("the mapping has no 'value'")
    if isinstance(fields["value"], bool):
        fields.setdefault("passed", fields["value"])
    fields["value"] = float(fields["value"])
    fields["stats"] = tuple(fields.get("stats", ()))
    fields["evidence"] = tuple(
        one if isinstance(one, Evidence) else Evidence(**one) for one in fields.get("evidence", ())
    )
    return Score(**fields)
