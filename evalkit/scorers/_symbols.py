"""Texts as 32-bit symbols, in which n-grams are counted; without NumPy, which takes its time."""

from __future__ import annotations

from collections.abc import Iterable


def symbols_of_characters(text: str) -> bytes:
    """A text as 32-bit symbols, one a code point."""
    return text.encode("utf-32-le", "surrogatepass")


class WordSymbols(dict[str, bytes]):
    """Symbols of words, numbered as they are met; the same word has the same one within it."""

    def __missing__(self, word: str) -> bytes:
        found = self[word] = len(self).to_bytes(4, "little")
        return found

    def of(self, words: Iterable[str]) -> bytes:
        """A list of words as 32-bit symbols."""
        return b"".join(map(self.__getitem__, words))
