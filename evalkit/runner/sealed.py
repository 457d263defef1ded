"""Files with a hash that are reviewed in git: baselines and calibration records, read as JSON."""

from __future__ import annotations

import json
from typing import Any

from evalkit.errors import UsageError


def parsed(content: bytes, shown: str, *, what: str, again: str) -> Any:
    """The JSON value of such a file; raises ``UsageError`` when it is none.

    ``what`` names the kind of file, ``again`` what makes a new one; ``shown`` is where it is from.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"the {what} is damaged: it is no JSON",
            where=shown,
            hint=f"restore it from git, or {again}",
        ) from error
