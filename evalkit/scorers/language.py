"""Whether the output is written in the language it should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer

READ = 5_000
"""Characters that are looked at: the first ones of the answer."""
_NO_LANGUAGE = "zxx"
_CODE = re.compile(r"(?:```.*?```|`[^`\n]*`|https?://\S+)", re.DOTALL)

_DENSE = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\uac00-\ud7a3]")


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _known() -> frozenset[str]:
    return frozenset(map(str, _identifier().labels)) - {_NO_LANGUAGE}


def _prepare(options: Mapping[str, Any]) -> str:
    from evalkit.errors import suggestion

    known = _known()  # the model takes a moment to load: before the run, not at the first answer
    for one in options["languages"]:
        if one not in known:
            hint = suggestion(one, sorted(known))
            raise ValueError(f"no language {one!r} (an ISO 639 code, as en; {hint})")
    if options["fewest"] < 1:
        raise ValueError(f"fewest {options['fewest']} is below 1")
    return ""


@scorer(
    metrics=(rate,),
    prepare=_prepare,
    lib="py3langid",
    usage="language: {languages: [de, fr]}",
    card=ScorerCard(
        family="style",
        blind=(
            "answers that mix languages: the one of most of the text counts",
            "close relatives (Norwegian and Danish, Croatian and Serbian, Malay and Indonesian)",
            "short answers: names and numbers have no language, hence fewest",
        ),
    ),
)
def language(
    case: Case,
    output: Output,
    *,
    languages: tuple[str, ...] = (),
    tag: str = "lang",
    fewest: int = 20,
) -> Score:
    """Whether the output is written in the language it should be.

    One of ``languages`` (ISO 639 codes), or else that of the case's ``tag``, or else that of
    its input texts. Code, addresses and what stands in backquotes is left out. The guess is
    py3langid's, made on this machine; ``label`` says it. Unscored below ``fewest`` letters, when
    nothing says which language is wanted, and when the question itself is too short to tell.
    """
    said = _guess(output.text, fewest, "the answer")
    wanted = languages or _wanted(case, tag, fewest)
    right = said in wanted
    reason = None if right else f"written in {said}, expected {' or '.join(wanted)}"
    return Score(value=float(right), passed=right, label=said, reason=reason)


def _wanted(case: Case, tag: str, fewest: int) -> tuple[str, ...]:
    code = case.tags.get(tag, "").lower().partition("-")[0].partition("_")[0]
    if code:
        if code not in _known():
            raise Unscorable(f"tags.{tag} names no language that is known: {code[:20]!r}")
        return (code,)
    given = (case.said,) if case.turns else case.inputs.values()
    texts = [one for one in given if isinstance(one, str)]
    if not texts:
        raise Unscorable(f"nothing says which language is wanted (languages, or tags.{tag})")
    return (_guess("\n".join(texts), fewest, "the question"),)


def _guess(text: str, fewest: int, what: str) -> str:
    plain = _CODE.sub(" ", text[: 2 * READ])[:READ]
    # a character of Chinese or Japanese says about as much as three letters, Thai marks count too
    letters = sum(one.isalpha() for one in plain) + 2 * len(_DENSE.findall(plain))
    if letters < fewest:
        raise Unscorable(f"{what} has too few letters to tell its language")
    clean = plain.encode("utf-8", "replace").decode("utf-8")
    found = str(_identifier().classify(clean)[0])
    if found == _NO_LANGUAGE:
        raise Unscorable(f"{what} is not written in any language")
    return found
