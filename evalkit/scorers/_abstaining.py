"""Whether an answer says that it does not know: stock phrases of some fifteen languages."""

from __future__ import annotations

import re

from evalkit.scorers._refusal import declines

READ = 600
"""Characters in which it must be said: what comes later qualifies an answer."""

_A = "['’]"
_SAID = re.compile(
    rf"\b(?:i|we) (?:(?:really )?do(?: not|n{_A}t)|can(?:not| not|{_A}t)|could(?: not|n{_A}t)) "
    r"(?:\w+ )?(?:know|find|tell|say|see|determine|confirm|answer|have (?:any |that |this |the )?"
    r"(?:information|data|details|answer|record|way))"
    rf"|\b(?:is|are|was|were|does|do|did)(?: not|n{_A}t) (?:\w+ ){{0,2}}(?:in|part of|covered"
    r"|mentioned|stated|given|specified|listed|say|contain|include|mention|state|provide|available|known|answered"
    r"|hold|cover|published|disclosed|recorded)\b"
    r"|\b(?:no|not enough|insufficient|without) (?:\w+ ){0,2}(?:information|mention|answer|data"
    r"|evidence|record|passage|details?|way to (?:know|tell))\b"
    r"|\bnot in the (?:passages?|text|documents?|context)|\bnothing (?:in|about)\b.{0,60}"
    r"(?:passage|text|document|say|here)|\b(?:says?|tells?) nothing\b"
    r"|\b(?:unknown|unclear|unanswerable|out of scope|outside (?:of )?(?:my|the|what)|beyond (?:my"
    r"|the|what)|not something (?:i|we)|(?:nobody|no one) (?:knows|can)|cannot be (?:known|answered"
    r"|determined|told|predicted))\b"
    # the same in other languages
    r"|no (?:lo )?(?:sé|sabemos|puedo saber)|no (?:se|lo dice|menciona|aparece|figura|consta"
    r"|hay informaci)"
    r"|no tengo (?:esa )?informaci|je ne (?:sais|trouve|dispose) pas|ne (?:figure|mentionne"
    r"|précise|dit|contien)\w* pas|pas (?:précisé|indiqué|mentionné)|pas d['’]information"
    r"|aucune information|weiß ich nicht"
    r"|ich weiß (?:es )?nicht"
    r"|steht (?:\w+ ){0,4}nicht|keine (?:angabe|information|auskunft)"
    r"|nicht (?:angegeben|bekannt|erwähnt)"
    r"|não (?:sei|consta|encontr|há informaç|tenho)|non (?:lo so|è indicat|trovo|risulta)"
    r"|в тексте \w+ нет|не (?:знаю|указан|сказано|упомина|найден)"
    r"|нет (?:информации|данных|сведений)"
    r"|不知道|没有(?:提到|提及|说明|相关|找到)|沒有(?:提到|提及|說明|相關)"
    r"|未(?:提到|提及|说明|說明|知)|无法(?:确定|回答|得知|知道)"
    r"|わかりません|分かりません|記載(?:が|は)?(?:され|あり)|情報(?:が|は)(?:なく|ありません|ない)"
    r"|모릅니다|알 수 없|정보가 없|لا أعرف|لا (?:توجد|يوجد|يذكر|تذكر)|غير مذكور"
    r"|नहीं (?:पता|जानत|बताया|दिया|है)"
    r"|bilmiyorum|belirtilmemiş|nie wiem|nie ma informacji|tidak (?:tahu|disebutkan|ada informasi)",
    re.IGNORECASE,
)


def abstains(text: str) -> tuple[bool, re.Match[str] | None]:
    """Whether the beginning of a text abstains or declines, and the phrase that says so."""
    text = text[:READ]
    found = _SAID.search(text)
    return found is not None or declines(text), found
