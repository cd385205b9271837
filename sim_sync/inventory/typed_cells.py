"""Cells that have a type, from a database, a workbook or a Parquet file, as the text that they are. Pure.

A number that may have lost digits is written so that it is seen: `8.988303e+19`, which `parsing` refuses. One that
has kept them all is its digits, whatever type it had.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sim_sync.core.inventory import Rounding
from sim_sync.core.pages import canonical_json
from sim_sync.core.storable import without_secrets
from sim_sync.inventory.values import rounding_of

#: Up to here a 64-bit float (IEEE 754 binary64) holds every whole number, a 32-bit and a 16-bit one up to there.
EXACT_DOUBLE = 2**53
EXACT_FLOAT = 2**24
EXACT_HALF = 2**11


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell; a number that has lost digits looks like it, and is refused later."""
    if value is None:
        return ""
    return next((write(value) for kinds, write in _WRITTEN if isinstance(value, kinds)), str(value))


def float_text(value: float, exact_below: int = EXACT_DOUBLE) -> str:
    """Return a float's digits where it is whole and small enough to have kept them; else scientific, or a fraction."""
    if value.is_integer():
        return str(int(value)) if abs(value) < exact_below else f"{value!r}" if "e" in repr(value) else f"{value:.16e}"
    return repr(value)


def spreadsheet_number_text(value: float) -> str:
    """Return the number of a spreadsheet's cell, where every number is a float, however its digits were written.

    A whole number beyond what a float holds has lost digits if it is one that a float would be written as.
    """
    if isinstance(value, int) and (abs(value) < EXACT_DOUBLE or rounding_of(str(abs(value))) is Rounding.NONE):
        return str(value)
    return float_text(float(value))


def _decimal_text(value: Decimal) -> str:
    """Return a decimal's digits; of a whole number without the zeros of its scale: `89883070000000000139.00`."""
    if value.is_finite() and value == value.to_integral_value():
        return format(value.to_integral_value(), "f")
    return format(value, "f")


def _text_of_bytes(value: bytes | bytearray | memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).hex()


#: How values of a kind are written where `str` is not the way.
_WRITTEN: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((bool,), lambda value: "true" if value else "false"),
    ((Decimal,), _decimal_text),
    ((float,), float_text),
    ((datetime, date, time), lambda value: str(value.isoformat())),
    ((bytes, bytearray, memoryview), _text_of_bytes),
    ((list, tuple, dict), lambda value: canonical_json(without_secrets(value))),
)
