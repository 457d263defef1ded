"""What must not be stored, taken out of every text: secrets first, then personal data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from evalkit.model import Evidence
from evalkit.secrets import REDACTED, Redactor, cleaned

if TYPE_CHECKING:
    from evalkit.pii.masker import Masker

Value = TypeVar("Value")


class Veil:
    """Redacts secrets and, where the project asks for it, masks personal data."""

    def __init__(self, redactor: Redactor, masker: Masker | None = None):
        self._redactor = redactor
        self._masker = masker

    def __bool__(self) -> bool:
        return bool(self._redactor) or bool(self._masker)

    @property
    def masks(self) -> bool:
        """Whether personal data is masked."""
        return bool(self._masker)

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """What is replaced by what, by place; none overlap."""
        secret = [(start, end, REDACTED) for start, end in self._redactor.spans(text)]
        if not self._masker:
            return secret
        masked = self._masker.spans(text)
        if secret:
            masked = [
                one for one in masked if all(one[1] <= s or one[0] >= e for s, e, _ in secret)
            ]
        return sorted([*secret, *masked])

    def text(self, text: str) -> str:
        """The text as it may be stored; the same object when it may be as it is."""
        spans = self.spans(text)
        if not spans:
            return text
        parts: list[str] = []
        kept = 0
        for start, end, instead in spans:
            parts += (text[kept:start], instead)
            kept = end
        return "".join([*parts, text[kept:]])

    def value(self, value: Value) -> Value:
        """A JSON value with every text in it, keys too, as it may be stored."""
        return cleaned(value, self.text)

    def evidence(self, one: Evidence, sources: Iterable[str]) -> Evidence:
        """Evidence with its place in the text as it is stored.

        ``sources`` are the texts as they were, one of which it points into.
        """
        start, end = one.start, one.end
        for text in sources:
            if text[start:end] == one.text:
                spans = self.spans(text)
                start, end = _moved(start, spans, left=True), _moved(end, spans, left=False)
                if spans:
                    changed = self.text(text)[start:end]
                    return Evidence(
                        source=one.source,
                        start=start,
                        end=end,
                        text=changed,
                        reason=self.text(one.reason),
                        value=one.value,
                    )
                break
        return Evidence(
            source=one.source,
            start=start,
            end=end,
            text=self.text(one.text),
            reason=self.text(one.reason),
            value=one.value,
        )


def _moved(place: int, spans: Iterable[tuple[int, int, str]], *, left: bool) -> int:
    """Where a place of a text is after its spans were replaced; inside one, its left or right."""
    shift = 0
    for start, end, instead in spans:
        if place >= end:
            shift += len(instead) - (end - start)
        elif place > start:
            return start + shift if left else start + shift + len(instead)
        else:
            break
    return place + shift
