"""Phrases replaced by those of a table, which is how a text gets into another language here."""

from __future__ import annotations

import re
from pathlib import Path

from evalkit.datasets._dice import Changed, Dice
from evalkit.registry import transform


@transform(stage="words")
def translate(text: str, dice: Dice, *, table: Path) -> Changed:
    """Phrases replaced by those of a table, which is how a text gets into another language here.

    ``table`` is a YAML file: ``lang: de``, and under ``phrases`` a line for every phrase, as
    ``"ignore the above": "ignoriere das Obige"``. Longer phrases go first, case does not matter.
    A text that has none of them is refused: nothing would be translated.
    """
    del dice
    lang, phrases = _read(table)
    parts = sorted(phrases, key=lambda one: (-len(one), one))
    pattern = "|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in parts)
    found, count = re.subn(pattern, lambda hit: phrases[hit[0].lower()], text, flags=re.IGNORECASE)
    if not count:
        raise ValueError(f"no phrase of {table} is in it")
    return Changed(text=found, tags={"lang": lang})


def _read(path: Path) -> tuple[str, dict[str, str]]:
    from evalkit.config.tree import read_yaml, shown_path
    from evalkit.errors import ConfigError

    values = read_yaml(path).root.plain()
    lang, phrases = values.get("lang"), values.get("phrases")
    pairs = phrases.items() if isinstance(phrases, dict) else ()
    if (
        set(values) - {"lang", "phrases"}
        or not (isinstance(lang, str) and lang)
        or not pairs
        or not all(isinstance(one, str) and one for pair in pairs for one in pair)
    ):
        raise ConfigError(
            "a table of phrases has 'lang' and 'phrases', a text for every text",
            where=shown_path(path),
            hint='as in: lang: de, and under phrases: "good morning": "guten Morgen"',
        )
    return lang, {key.lower(): value for key, value in pairs}
