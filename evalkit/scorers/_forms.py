"""The disguises in which a text can be handed over, each taken off again.

``forms`` gives the text as it stands and as it reads after undoing one encoding; ``squeezed`` what
is left when spaces, separators, line ends and invisible characters do not count.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST = 200_000
"""Characters that are read in every form within a second."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_BASE32 = re.compile(r"\b[A-Z2-7]{16,}={0,6}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s,:;-]{0,2}){4,}")
_CODES = re.compile(r"(?<!\d)(?:\d{2,3}[\s,;-]{1,2}){3,}\d{2,3}(?!\d)")
_BITS = re.compile(r"(?:[01]{8}\s*){4,}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_LISTED = re.compile(r"^[ \t]*(?:\d{1,3}[.):]|[-*•])[ \t]*", re.MULTILINE)
_LEET = str.maketrans("013457@$!", "oieastasi")


def squeezed(text: str) -> str:
    """The letters and digits alone, in one case and one width."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(one for one in plain if one.isalnum())


def unleet(text: str) -> str:
    """A text with the digits that stand for letters read as letters, and ``l`` as ``i``."""
    return text.casefold().translate(_LEET).replace("l", "i")


def forms(text: str) -> Iterator[tuple[str, str]]:
    """How the text may be disguised, and how it reads then; only where there is what to undo."""
    yield "as it is", text
    unlisted = _LISTED.sub("", text)
    if unlisted != text:
        yield "as a list", unlisted
    yield "reversed", text[::-1]
    yield "in ROT13", codecs.encode(text, "rot13")
    for name, found in (
        ("URL-encoded", unquote(text) if "%" in text else ""),
        ("in HTML entities", html.unescape(text) if "&" in text else ""),
        ("escaped", _ESCAPE.sub(lambda one: chr(int(one[1], 16)), text) if "\\u" in text else ""),
        ("in base64", _base64(text)),
        ("in base32", _joined(_decoded32(one.group()) for one in _BASE32.finditer(text))),
        ("in hex", _joined(_unhexed(one.group()) for one in _HEX.finditer(text))),
        ("in numbers", _joined(_numbers(one.group()) for one in _CODES.finditer(text))),
        ("in bits", _joined(_unbits(one.group()) for one in _BITS.finditer(text))),
    ):
        if found and found != text:
            yield name, found


def _joined(parts: Iterator[str]) -> str:
    return "\n".join(one for one in parts if one)


def _base64(text: str) -> str:
    found = [_decoded64(one.group()) for one in _BASE64.finditer(text)]
    if "\n" in text or " " in text:
        found.append(_decoded64("".join(text.split())))
        # a text broken into lines of base64: the lines without prose belong together
        lines = [one.strip() for one in text.splitlines() if _BASE64.fullmatch(one.strip())]
        if len(lines) > 1:
            found.append(_decoded64("".join(lines)))
    return "\n".join(one for one in found if one)


def _decoded64(run: str) -> str:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    run = run[: len(run) - 1] if len(run) % 4 == 1 else run
    try:
        raw = base64.b64decode(run + "=" * (-len(run) % 4), validate=True)
    except (ValueError, binascii.Error):
        return ""
    return raw.decode("utf-8", "ignore")


def _decoded32(run: str) -> str:
    run = run.rstrip("=")
    try:
        return base64.b32decode(run + "=" * (-len(run) % 8)).decode("utf-8", "ignore")
    except (ValueError, binascii.Error):
        return ""


def _unhexed(run: str) -> str:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", run)
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "ignore")
    except ValueError:
        return ""


def _numbers(run: str) -> str:
    found = [int(one) for one in re.findall(r"\d{2,3}", run)]
    return "".join(chr(one) for one in found if 32 <= one < 127)


def _unbits(run: str) -> str:
    digits = "".join(run.split())
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) - 7, 8)).decode(
        "utf-8", "ignore"
    )
