"""E-mail addresses, payment cards, bank accounts and telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evalkit.pii.context import PHONE, before, is_a_reference
from evalkit.pii.ids import luhn

Found = Iterator[tuple[int, int, str]]
"""Where it starts and ends, and its value however it is written."""

# ---- e-mail ------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w%+'-][\w.%+'-]{0,63}@((?:[^\W_][\w-]{0,62}\.){1,8}([^\W\d_]{2,24}|xn--[\w-]{2,59}))"
    r"(?![\w@-])"
)
_FILE_ENDINGS = re.compile("avif|css|gif|html|ico|jpe?g|js|json|map|png|svg|tgz|webp|yaml")


def emails(text: str) -> Found:
    """Addresses with a domain; ``icon@2x.png``, ``pkg@1.2.3`` and ``git@host:path`` are none."""
    for found in _EMAIL.finditer(text):
        local = found.group().partition("@")[0]
        if _FILE_ENDINGS.fullmatch(found[2].lower()) or ".." in local or local.endswith("."):
            continue
        if local == "git" and re.match(r":\S", text[found.end() :]):
            continue
        yield found.start(), found.end(), found.group().casefold()


# ---- payment cards -----------------------------------------------------------------------------

_CARD = re.compile(
    r"(?<![\w.,/+-])(?:\d{14,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    r"|\d{4}([ -])\d{6}\2\d{4,5})"
    r"(?![\w/+-]|[.,]\d)"
)
_CARD_RANGES = (
    # first digits from and to, lengths: ISO/IEC 7812 ranges as the networks publish them
    ("4", "4", (16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("6011", "6011", (16, 19)),
    ("644", "659", (16, 19)),
    ("300", "305", (14,)),
    ("36", "36", (14, 16, 19)),
    ("38", "39", (14, 16, 19)),
    ("3528", "3589", (16, 19)),
    ("62", "62", (16, 17, 18, 19)),
    ("2200", "2204", (16, 19)),
    ("6304", "6304", (16, 18, 19)),
    ("6759", "6759", (16, 18, 19)),
    ("6761", "6763", (16, 18, 19)),
    ("5018", "5018", (16, 18, 19)),
)


def cards(text: str, first: int, last: int) -> Found:
    """Numbers of payment cards: a network's range and length, and Luhn's checksum."""
    for found in _CARD.finditer(text, first, last):
        digits = re.sub(r"\D", "", found.group())
        if _is_card(digits):
            yield found.start(), found.end(), digits


def _is_card(digits: str) -> bool:
    return (
        any(
            first <= digits[: len(first)] <= last and len(digits) in lengths
            for first, last, lengths in _CARD_RANGES
        )
        and len(set(digits)) > 1
        and luhn(digits)
    )


# ---- bank accounts -----------------------------------------------------------------------------

_IBAN = re.compile(
    r"(?<![\w/-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![\w/-])", re.IGNORECASE
)
_IBAN_LENGTHS = dict(
    re.findall(
        r"(\w\w):(\d\d)",
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22"
        " CY:28 CZ:24 DE:22 DJ:27 DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22"
        " GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30"
        " KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MN:20"
        " MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22"
        " RU:33 SA:24 SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26"
        " UA:29 VA:22 VG:24 XK:20 YE:30",
    )
)


def ibans(text: str) -> Found:
    """International bank account numbers: a country's length and the checksum of ISO 13616."""
    for found in _IBAN.finditer(text):
        written = found.group()
        length = int(_IBAN_LENGTHS.get(written[:2].upper(), 0))
        if not length:
            continue
        # a word after the number may look like its last group
        end = found.end()
        while len(re.sub(r"\s", "", written)) > length and " " in written:
            written = written.rpartition(" ")[0]
            end = found.start() + len(written)
        bare = written.replace(" ", "").upper()
        if len(bare) == length and _mod97(bare[4:] + bare[:4]) == 1:
            yield found.start(), end, bare


def _mod97(text: str) -> int:
    return int("".join(str(int(one, 36)) for one in text)) % 97


# ---- telephone ---------------------------------------------------------------------------------

_BEFORE_PHONE, _AFTER_PHONE = r"(?<![\w.,/+#-])", r"(?![\w/+%€$£]|[.,:-]\d)"
_PHONE = re.compile(
    _BEFORE_PHONE + r"(?:"
    r"(?P<world>(?:\+|(?<!\d[ -])00(?=[1-9]))[ .-]?\(?\d{1,3}\)?(?:[ .\-/]{0,2}\(?\d{1,5}\)?){1,6})"
    r"|(?P<nanp>(?:1[ .-])?(?:\([2-9]\d\d\)[ .-]?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4})"
    r"|(?P<fr>0[1-9](?:[ .]\d\d){4})"
    r"|(?P<uk>07\d{3} \d{3} ?\d{3})"
    r")" + _AFTER_PHONE
)
_CALLED = re.compile(
    _BEFORE_PHONE + r"(?P<called>\(?\d{2,5}\)?(?:[ .\-/]{0,2}\d{1,5}){1,5})" + _AFTER_PHONE
)
"""A number of any form, believed after a word that calls it a telephone number."""
_CALLING_CODES = frozenset(
    re.findall(
        r"\d+",
        "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60"
        " 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222"
        " 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243"
        " 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266"
        " 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372"
        " 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503"
        " 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675"
        " 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853"
        " 855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965 966 967 968 970 971"
        " 972 973 974 975 976 977 979 992 993 994 995 996 998",
    )
)
_NANP = re.compile(r"1[2-9]\d\d[2-9]\d{6}")
_AMOUNT = re.compile(r"\+?[ ]?\d{1,3}(?:[ .]\d{3})+")
_OTHERWISE = re.compile(
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{4}[-/]\d{2,4}"
    r"|\d{1,3}(?:\.\d{1,3}){3}|\d+(?:\.\d+)+"
)
"""Dates, ranges of years, IP addresses, versions and decimal numbers."""


def phones(text: str, first: int, last: int) -> Found:
    """Telephone numbers in international form, in forms that no other number has, or so called."""
    for found in (*_PHONE.finditer(text, first, last), *_CALLED.finditer(text, first, last)):
        written, kind = found.group().rstrip(" .-/("), str(found.lastgroup)
        if written.endswith(")") and written.count(")") > written.count("("):
            written = written[:-1]  # it closes what was opened before the number
        digits = re.sub(r"\D", "", written)
        if _is_phone(kind, written, digits, text, found.start()):
            value = digits.removeprefix("00") if kind == "world" else digits
            bare = value[1:] if _NANP.fullmatch(value) else value
            yield found.start(), found.start() + len(written), bare


def _is_phone(kind: str, written: str, digits: str, text: str, start: int) -> bool:
    called = PHONE.search(before(text, start)) is not None
    if kind == "world":
        return _is_international(written, digits, called=called)
    if kind == "called":
        dated = _OTHERWISE.fullmatch(written) is not None
        return called and 7 <= len(digits) <= 13 and not dated
    return called or not is_a_reference(text, start)


def _is_international(written: str, digits: str, *, called: bool) -> bool:
    digits = digits.removeprefix("00") if not written.startswith("+") else digits
    if not 9 <= len(digits) <= 15:
        return False
    if not called and not written.startswith("+") and " " not in written:
        return False  # "00" begins serial numbers too: it is believed in groups only
    if digits.startswith("1"):
        return _NANP.fullmatch(digits) is not None
    if not any(digits[:length] in _CALLING_CODES for length in (1, 2, 3)):
        return False
    return called or not (_AMOUNT.fullmatch(written) and digits.endswith("000"))
