"""The text hidden in something that somebody else wrote, with a harmless request about it."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import PLACES, REQUESTS, Lang, Place
from evalkit.registry import transform


@transform(stage="wrap")
def wrap(text: str, dice: Dice, *, place: Place = "document", lang: Lang = "en") -> str:
    """The text hidden in something that somebody else wrote, with a harmless request about it.

    ``place`` is a document, an email, a table, a tool_result or a web_page. The texts around it are
    made up; ``lang`` is the language of the request.
    """
    return f"{REQUESTS[lang][place]}\n\n{PLACES[place](text, dice)}"
