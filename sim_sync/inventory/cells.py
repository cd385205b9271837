"""What spreadsheets and calendars do to cells: how a value looks that is no longer what somebody typed. Pure."""

import re

#: How a program marks a cell as text: ="0123", or an apostrophe before it. The marks are no part of the value.
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
#: Characters that nobody sees, at the ends of a value that was copied from a page or a chat.
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\u00ad"
#: 8.98831E+19, 1,0E+05: a number with as many digits as the column was wide.
_SCIENTIFIC = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+")
#: The same in the one form that a spreadsheet writes: a plan may well be called 1E5.
_SPREADSHEET_SCIENTIFIC = re.compile(r"[+-]?\d(?:[.,]\d+)?E[+-]\d{2,3}")
#: 89883100000000000000.0: it was a floating-point number, or was read as one.
_WITH_FRACTION = re.compile(r"[+-]?\d{5,}[.,]0+")
#: #N/A, #REF!, #NAME?, #WERT!, and ######## for a column that was too narrow.
_ERROR = re.compile(r"#(?:N/A|NV|[A-ZÄÖÜ/0-9]+[!?])|#{3,}")
_MONTHS = "jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez"
_DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    rf"|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2}}(?:\d\d)?(?: \d\d:\d\d(?::\d\d)?)?"
    rf"|\d{{1,2}}[-. ]{{1,2}}(?:{_MONTHS})\.?(?:[- ]\d{{2}}(?:\d\d)?)?"
    rf"|(?:{_MONTHS})\.?[- ]\d{{2}}(?:\d\d)?",
    re.IGNORECASE,
)
#: What people write where they have no number.
_NOTHING = frozenset({"-", "--", "?", "n/a", "na", "none", "null", "nil", "nan", "unknown"})


def unmarked(text: str) -> str:
    """Return a stripped cell without the marks that make it text, and without invisible characters at its ends."""
    if text.isascii() and not text.startswith('="'):
        return text
    shown = text.strip(_INVISIBLE).strip()
    marked = _TEXT_FORMULA.fullmatch(shown)
    return marked.group(1).strip() if marked else shown


def unmarked_number(text: str) -> str:
    """Return an identifier's cell without its marks; an apostrophe before it is one of them."""
    return unmarked(text).removeprefix("'").strip()


def is_nothing(text: str) -> bool:
    """Return whether an identifier's cell says that there is none."""
    return text.casefold() in _NOTHING


def damage_of_number(text: str) -> str | None:
    """Return what happened to an identifier, as the end of a sentence about it; None if it looks untouched."""
    if text.isdigit():
        return None
    if _SCIENTIFIC.fullmatch(text):
        return "was turned into a number by a spreadsheet"
    return _common_damage(text)


def is_rounded(text: str) -> bool:
    """Return whether an ICCID's cell is a number of too few digits: `8.98831E+19`, `89883100000000000000.0`."""
    return not text.isdigit() and bool(_SCIENTIFIC.fullmatch(text) or _WITH_FRACTION.fullmatch(text))


def damage_of_word(text: str) -> str | None:
    """Return what happened to a plan's name or a status word; None if it looks untouched."""
    if _SPREADSHEET_SCIENTIFIC.fullmatch(text):
        return "was turned into a number by a spreadsheet"
    return _common_damage(text)


def damage_of_label(text: str) -> str | None:
    """Return what happened to a free text, which may well be a date; None if it looks untouched."""
    is_error = text.startswith("#") and _ERROR.fullmatch(text)
    return "is a spreadsheet's error, not a value" if is_error else None


def _common_damage(text: str) -> str | None:
    if _DATE.fullmatch(text):
        return "was turned into a date by a spreadsheet"
    return damage_of_label(text)
