"""Content hashes: the same content gives the same name on every machine and in every order."""

from __future__ import annotations

import hashlib
import json
import json.encoder
from collections.abc import Callable, Iterable
from typing import Any

ID_HEX = 20
"""Length of a shortened hash: 80 bits, below one collision in 10^11 at a million cases."""


def json_encoder(
    *,
    sort_keys: bool = False,
    allow_nan: bool = False,
    default: Callable[[Any], Any] | None = None,
) -> Callable[[object], str]:
    """What writes a value as compact JSON, all characters as they are.

    ``JSONEncoder.encode`` builds Python's encoder in C anew for every value, which takes longer
    than a small value itself; here it is built once.
    """
    slow = json.JSONEncoder(
        ensure_ascii=False,
        check_circular=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
        allow_nan=allow_nan,
        default=default,
    )
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return slow.encode
    write = make(
        None,
        slow.default,
        json.encoder.encode_basestring,
        None,
        ":",
        ",",
        sort_keys,
        False,
        allow_nan,
    )
    return lambda value: "".join(write(value, 0))


_encode = json_encoder(sort_keys=True)


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces; NaN is a ``ValueError``, lone surrogates survive."""
    return _encode(value).encode("utf-8", "surrogatepass")


def content_id(value: object) -> str:
    """The shortened SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()[:ID_HEX]


def bytes_id(content: bytes) -> str:
    """The shortened SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()[:ID_HEX]


class MultisetHash:
    """A hash of many ids that ignores their order and is built one id at a time.

    Sum of SHA-256 values modulo 2**256 (AdHash; Bellare and Micciancio 1997), so a dataset of any
    size is hashed in constant memory and inserting a row at the top or the bottom is the same.
    """

    __slots__ = ("_count", "_sum")

    def __init__(self, ids: Iterable[str] = ()):
        self._sum = 0
        self._count = 0
        for one in ids:
            self.add(one)

    def add(self, one: str) -> None:
        """Put one id in."""
        digest = hashlib.sha256(one.encode("utf-8", "surrogatepass")).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % (1 << 256)
        self._count += 1

    def hexdigest(self) -> str:
        """The shortened hash of everything added so far; the count is part of it."""
        return content_id([self._count, f"{self._sum:064x}"])
