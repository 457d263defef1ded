"""Shards: one run split over independent jobs by the content of its cases.

The jobs need not know of each other. A case belongs to the shard its identity names, whatever row
it stands in, so reordering or adding rows moves no other case; flags that select cases choose from
the whole suite first, and the same cases fall to the same shards for every seed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from evalkit.errors import UsageError

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that ``2/4`` means; raises ``UsageError``."""
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
        if found is None:
            raise UsageError(
                f"--shard cannot read {text!r}", hint="write which and of how many, as --shard 2/4"
            )
        index, count = int(found[1]), int(found[2])
        if not 1 <= index <= count <= MOST:
            raise UsageError(
                f"there is no shard {index}/{count}",
                hint=f"shards count from 1: --shard 1/{min(max(count, 1), MOST)}",
            )
        return cls(index, count)

    def holds(self, case_id: str) -> bool:
        """Whether the case of that identity belongs to it."""
        digest = hashlib.sha256(f"shard\0{case_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
