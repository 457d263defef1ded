"""Personal data in texts, found by form and checksum, and replaced before anything is stored.

A number is masked when it could not well be anything else: its length, structure and check digits
hold, or a word before it says what it is. Dates, versions, amounts and order numbers stay.
``evalkit.pii.masker`` does it; this file says what there is, and is light.
"""

from typing import Literal, TypeAlias, get_args

PiiKind: TypeAlias = Literal["email", "iban", "card", "national_id", "phone"]
PII_KINDS: tuple[PiiKind, ...] = get_args(PiiKind)
"""In the order in which they claim a text: what carries a checksum comes before telephones."""
