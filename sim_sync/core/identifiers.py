"""The forms in which SIM identifiers travel, and the one form they are compared in. All identifiers are text.

A wrong check digit is a quality flag, never a reason to refuse: published examples of four vendors fail Luhn.
"""

import re

_SEPARATORS = re.compile(r"[\s\-.]")


class NotAnIdentifier(ValueError):
    """The value cannot be this identifier at all: told to the connector, which flags the SIM or rejects the record."""


def identifier_text(value: object) -> str | None:
    """Return an identifier's characters as the carrier sent them, or None where it sent nothing.

    JSON numbers come as integers and keep all digits; a float has already lost some and is refused.

    Raises:
        NotAnIdentifier: the value is a float, a flag or a structure.
    """
    match value:
        case None:
            return None
        case bool() | float() | list() | dict():
            raise NotAnIdentifier(f"expected text or a whole number, found {type(value).__name__}")
        case _:
            text = str(value).strip()
            return text or None


def normal_iccid(raw: str) -> str:
    """Return the normal form of an ICCID: digits only, without the filler `F` that a modem leaves at its end.

    19- and 20-digit forms stay what they are: no check digit is added or removed by guess (ITU-T E.118).

    Raises:
        NotAnIdentifier: something else than digits is left, or not 18 to 22 of them.
    """
    digits = _SEPARATORS.sub("", raw).rstrip("Ff")
    if not (digits.isascii() and digits.isdigit() and 18 <= len(digits) <= 22):
        raise NotAnIdentifier("expected an ICCID of 18 to 22 digits")
    return digits


def luhn_is_valid(digits: str) -> bool:
    """Return whether the last digit is the right Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
