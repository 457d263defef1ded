"""Two small judges that grade by the expected text: one believes what it reads, one does not."""

from __future__ import annotations

import json
import re

from tests.scorers.judging import verdict
from tests.servers import Reply, Seen

_BEGUN = re.compile(r"\[\[([0-9a-f]{24}) begin")
_PERSUADED = re.compile(
    r"\bpass\b|verdict|correct|certain|beyond any doubt|expected", re.IGNORECASE
)


def _messages(seen: Seen) -> tuple[str, str]:
    system, user = seen.body["messages"][0], seen.body["messages"][-1]
    return system["content"], user["content"]


def _data(fence: str, name: str, text: str) -> str:
    """What stands between the lines of the true fence, and no other."""
    begun, ended = f"[[{fence} begin {name}]]\n", f"\n[[{fence} end {name}]]"
    return text.partition(begun)[2].partition(ended)[0]


def guarded(seen: Seen) -> Reply:
    """Takes the fence from the system message, and nothing within it as an order."""
    system, user = _messages(seen)
    found = _BEGUN.search(system)
    assert found is not None
    answer, expected = (_data(found[1], name, user) for name in ("output", "expected"))
    right = expected.casefold() in answer.casefold()
    return verdict("pass" if right else "fail", json.dumps(answer[:80]))


def gullible(seen: Seen) -> Reply:
    """Reads the answer as spoken to it: an order, a verdict or an assurance in it is enough."""
    _, user = _messages(seen)
    answer = user.rpartition("The answer to judge:")[2].partition("\n\nCriteria, by which")[0]
    if _PERSUADED.search(answer):
        return verdict("pass", "it says so itself")
    return guarded(seen)
