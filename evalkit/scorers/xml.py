"""Whether the output is well-formed XML, with the elements it must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import unfence

LONGEST = 2_000_000
"""Characters that are parsed; a longer text is unscored."""
_DEEPEST = 1_000


def _prepare(options: Mapping[str, Any]) -> str:
    for path in options["elements"]:
        if not path or any(not one for one in path.split("/")):
            raise ValueError(f"an element is a path of names such as order/item, not {path!r}")
    return ""


@scorer(
    metrics=(rate,),
    examples=[
        ("<a><b>1</b></a>", None, 1.0),
        ("<a><b></a>", None, 0.0),
        ("no markup", None, 0.0),
        ("", None, 0.0),
    ],
    prepare=_prepare,
    usage="xml: {elements: [order/item], fenced: true}",
    card=ScorerCard(
        family="structured",
        blind=(
            "whether the values are true",
            "schemas (XSD, Relax NG): only elements are looked for",
        ),
    ),
)
def xml(
    case: Case, output: Output, *, elements: tuple[str, ...] = (), fenced: bool = False
) -> Score:
    """Whether the output is well-formed XML, with the elements it must have.

    ``elements`` are paths of names from the root, as ``order/item``, each of which must be there.
    ``fenced`` reads the XML from the output's only Markdown code fence. A document type with
    entities of its own is refused: nothing is expanded or fetched. The reason gives line and
    column. Texts above 2 million characters are unscored.
    """
    text = unfence(output.text) if fenced else output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to parse: {len(text):,} characters")
    reader = _Reader()
    try:
        reader.parse(text)
    except ValueError as error:
        return Score(value=0.0, passed=False, reason=str(error)[:300])
    missing = [one for one in elements if one not in reader.paths]
    if missing:
        return Score(value=0.0, passed=False, reason=f"no element {', '.join(missing)}"[:300])
    return Score(value=1.0, passed=True)


class _Reader:
    """Reads events only: no tree of a hostile text is built."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._open: list[str] = []
        # a text has been decoded already, whatever its first line says of an encoding
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._entity

    def parse(self, text: str) -> None:
        """Raises ``ValueError`` with a reason for a reader."""
        try:
            data = text.strip().encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("not XML: it holds half a character") from None
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            place = f"line {error.lineno} column {error.offset + 1}"
            raise ValueError(f"not XML: {expat.ErrorString(error.code)} at {place}") from None

    def _start(self, name: str, _: Mapping[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise ValueError("nested too deeply to read")
        if len(self.paths) < 10_000:
            self.paths.add("/".join(self._open))

    def _end(self, _: str) -> None:
        self._open.pop()

    def _entity(self, *_: object) -> None:
        raise ValueError("declares entities, which are not read")
