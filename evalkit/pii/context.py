"""What stands before a number, which often says what it is."""

from __future__ import annotations

import re

_LOOK_BACK = 40
_ZONE = re.compile(r"\d(?:\w|[ .\-/()+]{1,2}(?=\w{0,6}\d))*")
_FEWEST = 7
"""Digits of the shortest number that is looked for."""
_LETTERS = 8
"""Characters that may stand before the first digit of a number, and one more."""

_NOT_PERSONAL = re.compile(
    r"(?:order|invoice|ticket|case|tracking|parcel|sku|isbn|issn|ean|gtin|upc|article|item|part"
    r"|serial|version|build|commit|revision|batch|lot|model|pedido|factura|referencia|albar[aá]n"
    r"|commande|facture|bestellung|bestellnummer|rechnung|rechnungsnummer|auftrag|artikelnummer"
    r"|ref|reference|transaction|receipt|booking|reservation|doi|issue|pr|bug|error|code)"
    r"(?:[ \t-]+(?:no|nr|num|number|n[uú]mero|n[uú]m|id|de|code))?\.?[ \t]*[:#=nN°º]?[ \t]*"
    r"[#\"'(]?$",
    re.IGNORECASE,
)
PHONE = re.compile(
    r"\b(?:tel|tlf|tfno|telf|phone|telephone|tel[eé]fono|telefono|telefon|telefone|t[eé]l[eé]phone"
    r"|t[eé]l|mobile|mobil|m[oó]vil|cell|cellphone|handy|portable|fax|whatsapp|sms|call|ring|dial"
    r"|ll[aá]ma(?:me|nos)?|appelez|ruf(?:en)?)\b[^\n\d]{0,24}$",
    re.IGNORECASE,
)
NATIONAL_ID = re.compile(
    r"\b(?:dni|nif|nie|nipc|contribuinte|ssn|social security|steuer-?id\w*|idnr|tax (?:id|number)"
    r"|tin|nir|s[eé]cu(?:rit[eé] sociale)?|codice fiscale|bsn|burgerservicenummer|sofi-?nummer"
    r"|pesel|personnummer|personal (?:id|number)|f[oø]dselsnummer|hetu|cpf|aadhaar|aadhar|uidai"
    r"|rut|cuit|cuil|curp|rijksregister\w*|nationaal nummer|num[eé]ro national|national (?:id|"
    r"insurance|number)|identity (?:card|number)|id (?:card|number)|c[eé]dula)\b[^\n\d]{0,16}$",
    re.IGNORECASE,
)


def before(text: str, start: int) -> str:
    """The words just before a place."""
    return text[max(0, start - _LOOK_BACK) : start]


def is_a_reference(text: str, start: int) -> bool:
    """Whether the number that starts there is called an order, a version or the like."""
    return _NOT_PERSONAL.search(before(text, start)) is not None


def zones(text: str) -> list[tuple[int, int]]:
    """Where a text has enough digits close together; numbers are looked for nowhere else."""
    # a form also looks at the character behind a number
    return [
        (max(0, one.start() - _LETTERS), min(len(text), one.end() + 2))
        for one in _ZONE.finditer(text)
        if sum(map(str.isdigit, one.group())) >= _FEWEST
    ]
