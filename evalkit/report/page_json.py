"""A report as JSON, and back: what was stored once is rendered any time, anywhere."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

from evalkit.errors import UsageError
from evalkit.report.page import FORMAT, ReportView


def report_json(view: ReportView) -> str:
    """The whole view; lone surrogates are written as escapes."""
    return json.dumps(dataclasses.asdict(view), indent=1, default=str) + "\n"


def read_report(path: Path) -> ReportView:
    """The view in a file that ``report_json`` wrote; raises ``UsageError`` for anything else."""
    from pydantic import ValidationError

    again = "write it anew: evalkit report --json > FILE"
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError("the file does not exist", where=path, hint=again) from error
    except ValueError as error:
        raise UsageError("this is no JSON", where=path, hint=again) from error
    if not isinstance(value, dict) or value.get("kind") != "report":
        raise UsageError("this is no report of evalkit", where=path, hint=again)
    if value.get("format") != FORMAT:
        raise UsageError(
            f"the report has format {value.get('format')!r}, and this evalkit reads {FORMAT}",
            where=path,
            hint="use the evalkit that wrote it, or " + again,
        )
    try:
        view: ReportView = _adapter().validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"the report is damaged at {place}: {first['msg'].lower()}", where=path, hint=again
        ) from error
    return view


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(ReportView)
