"""CSV that a spreadsheet program can open: no cell is taken for a formula, and no identifier for a number.

The rule is OWASP's (https://owasp.org/www-community/attacks/CSV_Injection): an apostrophe before it. It is the same for
numbers: 20 digits lose their last five there, and leading zeros and plus signs get lost. Whoever reads such a file with
a program takes one apostrophe off the start of a cell: pandas with `.str.removeprefix("'")`.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TextIO

from sim_sync.core.text import printable

_GUARD = "'"
#: How a formula begins. Their fullwidth and small forms count too: a Japanese spreadsheet program takes them for these.
_FORMULA_SIGNS = frozenset("=+-@|")
#: A number of another form than the one it would be given back in; with 12 digits it is shown as 8.98E+11.
_NUMBER = re.compile(r"\s*[0-9][0-9.,\s]*([eE][+-]?[0-9]+)?\s*")
_HARMLESS_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")
#: Where a comma is the decimal sign, files are split at semicolons, whatever is between quotes.
_OTHER_SEPARATOR = ";"


def write_csv(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV; texts are guarded, numbers, times and empty cells stay what they are."""
    writer = csv.writer(stream)
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)


def guarded(text: str) -> str:
    """Return a text as a cell that every spreadsheet program takes for text, control characters written out."""
    shown = printable(text)
    first, *others = shown.split(_OTHER_SEPARATOR)
    needs_guard = shown.startswith(_GUARD) or _begins_formula(first) or _is_changed_as_number(shown)
    parts = [_GUARD + first if needs_guard else first]
    parts += [_GUARD + part if _begins_formula(part) else part for part in others]
    return _OTHER_SEPARATOR.join(parts)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else value


def _begins_formula(text: str) -> bool:
    start = text.lstrip(' "')[:1]
    return bool(start) and unicodedata.normalize("NFKC", start)[:1] in _FORMULA_SIGNS


def _is_changed_as_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and _HARMLESS_NUMBER.fullmatch(text) is None
