"""The nearest JSON to a text that was meant to be an object or a list, for measuring only.

What models get wrong is put right while reading on: prose and fences around the value, single or
missing quotes, comments, Python's words, commas too many or too few, and what was cut off.
"""

from __future__ import annotations

import json
import re

DEEPEST = 200
_SKIPPED = re.compile(r"(?:\s+|//[^\n]*|/\*.*?(?:\*/|\Z)|#[^\n]*)+", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_BARE = re.compile(r"[^\s,:\[\]{}\"'=]+")
_WORDS = {
    "true": "true", "false": "false", "null": "null", "none": "null", "nil": "null",
    "undefined": "null", "nan": "null", "infinity": "null", "-infinity": "null",
}  # fmt: skip
_ESCAPES = '"\\/bfnrt'


def repaired(text: str) -> str | None:
    """The text as JSON, what could not be used left out; ``None`` without an object or a list."""
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return None
    reader = _Reader(text, start)
    reader.value(0)
    return "".join(reader.out)


class _Reader:
    """Reads one value and writes it as JSON; blanks stay where JSON allows them."""

    def __init__(self, text: str, at: int):
        self.text, self.at = text, at
        self.out: list[str] = []

    @property
    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def blanks(self) -> str:
        """Skip blanks and comments; what of them may stay."""
        found = _SKIPPED.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return "" if found[0].strip() else "".join(one for one in found[0] if one in " \t\r\n")

    def value(self, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        if self.next == "{":
            self.members(depth, "}", keyed=True)
        elif self.next == "[":
            self.members(depth, "]", keyed=False)
        elif self.next in ('"', "'"):
            self.string()
        else:
            self.word()

    def members(self, depth: int, close: str, *, keyed: bool) -> None:
        self.out.append(self.next)
        self.at += 1
        first, gap = True, ""
        while True:
            gap += self.blanks()
            if not self.next or self.next in "]}":
                break
            if self.next == ",":
                self.at += 1
                continue
            if not self.starts():
                self.at += 1  # nothing that a value can begin with
                continue
            if not first:
                self.out.append(",")
            first = False
            self.out.append(gap)
            gap = ""
            if keyed:
                self.key()
            if self.starts():
                self.value(depth + 1)
            else:
                self.out.append("null")
        self.out += [gap, close]
        # a list that ends like an object is closed once, and the wrong bracket is left out
        if self.next:
            self.at += 1

    def starts(self) -> bool:
        return self.next in ('"', "'", "{", "[") or _BARE.match(self.text, self.at) is not None

    def key(self) -> None:
        if self.next in ('"', "'"):
            self.string()
        elif self.next in "{[":
            self.out.append('""')
        else:
            self.word(quoted=True)
        self.out.append(self.blanks())
        self.out.append(":")
        if self.next in (":", "="):
            self.at += 2 if self.text.startswith("=>", self.at) else 1
        self.out.append(self.blanks())

    def string(self) -> None:
        quote, text = self.next, self.text
        self.at += 1
        self.out.append('"')
        while self.at < len(text) and text[self.at] != quote:
            one, follows = text[self.at], text[self.at + 1 : self.at + 2]
            self.at += 1
            if one == "\\" and follows == "u" and _four(text[self.at + 1 : self.at + 5]):
                self.out.append(text[self.at - 1 : self.at + 5])
                self.at += 5
            elif one == "\\" and follows and follows in _ESCAPES:
                self.out.append(one + follows)
                self.at += 1
            elif one == "\\":
                self.out.append("" if follows == "'" else "\\\\")
            elif one == '"' or ord(one) < 32:
                self.out.append(json.dumps(one)[1:-1])
            else:
                self.out.append(one)
        self.at += 1
        self.out.append('"')

    def word(self, *, quoted: bool = False) -> None:
        found = _BARE.match(self.text, self.at)
        bare = "" if found is None else found[0]
        self.at += len(bare)
        if quoted or not (bare.lower() in _WORDS or _NUMBER.fullmatch(bare)):
            self.out.append(json.dumps(bare, ensure_ascii=False))
        else:
            self.out.append(_WORDS.get(bare.lower(), bare))


def _four(text: str) -> bool:
    return len(text) == 4 and all(one in "0123456789abcdefABCDEF" for one in text)
