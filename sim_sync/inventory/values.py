"""What a cell of ours says: the value in its normal form, or the flaw for which it is left out. Pure.

Each function takes a cell that is not empty and returns the value, None where it says nothing, with its flaw if it has
one. Plain values, the usual case, take the short way.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from sim_sync.core.identifiers import Identifier, normal_imei, normal_imsi, normal_msisdn
from sim_sync.core.inventory import FindingKind, shortened
from sim_sync.inventory.cells import (
    damage_of_label,
    damage_of_number,
    damage_of_word,
    is_nothing,
    unmarked,
    unmarked_number,
)
from sim_sync.inventory.numbers import is_too_short

#: Different plans and words that are remembered: a list of millions knows a handful.
REMEMBERED = 4096
#: Plain digits of these lengths are what they look like, and need no second look; 3GPP TS 23.003, ITU-T E.164.
_IMSI_DIGITS = range(14, 16)
_IMEI_DIGITS = range(14, 17)
#: What a quality flag says about a number that nobody can compare. Check digits are no reason to leave it out.
_FLAWS = {
    "length": "has not as many digits as it should: were leading zeros lost in a spreadsheet?",
    "malformed": "holds something else than digits",
}


_LOST_ZERO = "has too few digits for a number of its country code: was a leading zero lost in a spreadsheet?"


class Flaw(NamedTuple):
    """Why a value is left out."""

    kind: FindingKind
    reason: str


Value: TypeAlias = tuple[str | None, Flaw | None]


def read_imsi(raw: str) -> Value:
    """Return an IMSI's digits."""
    if len(raw) in _IMSI_DIGITS and raw.isascii() and raw.isdigit():
        return raw, None
    return _identifier(raw, normal_imsi)


def read_imei(raw: str) -> Value:
    """Return an IMEI's digits."""
    if len(raw) in _IMEI_DIGITS and raw.isascii() and raw.isdigit():
        return raw, None
    return _identifier(raw, normal_imei)


def read_msisdn(raw: str) -> Value:
    """Return a telephone number in its international form, or as it is dialled where nobody says in which country."""
    if raw[0] == "+" and raw.isascii() and raw[1:].isdigit():
        return _sound(raw, normal_msisdn(raw))
    text = unmarked_number(raw)
    if text[:1] != "0" and text.isascii() and text.isdigit() and is_too_short(text):
        return None, Flaw(FindingKind.NOT_AN_IDENTIFIER, f"{shortened(raw)!r} {_LOST_ZERO}; it is left out")
    return _identifier(raw, normal_msisdn)


@lru_cache(REMEMBERED)
def read_word(raw: str) -> Value:
    """Return a plan's name or a status word. It may be `NA`, `null` or `1E5`."""
    text = unmarked(raw)
    return _undamaged(raw, text, damage_of_word(text))


def read_label(raw: str) -> Value:
    """Return a free text."""
    if raw.isascii() and raw[0] not in "#=":
        return raw, None
    text = unmarked(raw)
    return _undamaged(raw, text, damage_of_label(text))


def _undamaged(raw: str, text: str, damage: str | None) -> Value:
    if damage:
        return None, Flaw(FindingKind.CHANGED, f"{shortened(raw)!r} {damage}, and is left out")
    return text or None, None


def _identifier(raw: str, normal: Callable[[str], Identifier]) -> Value:
    """Return an identifier in the form in which the carrier's are stored: they are compared as text."""
    text = unmarked_number(raw)
    if not text or is_nothing(text):
        return None, None
    if damage := damage_of_number(text):
        return _undamaged(raw, text, damage)
    return _sound(raw, normal(text))


def _sound(raw: str, found: Identifier) -> Value:
    flaw = _FLAWS.get((found.flag or "").rpartition("_")[2])
    if flaw:
        return None, Flaw(FindingKind.NOT_AN_IDENTIFIER, f"{shortened(raw)!r} {flaw}; it is left out")
    return found.normal, None
