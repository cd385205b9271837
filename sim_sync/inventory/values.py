"""What a cell of ours says, what spreadsheets do to cells, and which digits were lost on the way. Pure."""

import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

from sim_sync.core.identifiers import Identifier, normal_eid, normal_imei, normal_imsi, normal_msisdn
from sim_sync.core.inventory import FindingKind, Rounding, shortened

# What spreadsheets and calendars do to cells: how a value looks that is no longer what somebody typed. Pure.


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


# Telephone numbers without their `+`: whether so many digits can be an international number at all. Pure.


#: ITU-T E.164's country codes have one, two or three digits, and none is the beginning of another one.
_CODE_LENGTHS = (1, 2, 3)


def is_too_short(digits: str) -> bool:
    """Return whether a number has fewer digits than any number of its country code.

    `7700900123` was 07700900123 in Britain: as a number of +7 it is too short. Too long is no sign of anything:
    machines' numbers are.
    """
    for length in _CODE_LENGTHS:
        least = _least_digits(digits[:length])
        if least is not None:
            return len(digits) - length < least
    return False


@cache
def _least_digits(code: str) -> int | None:
    """Return how many digits follow a country code at least; None where it is none."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if regions is None:
        return None
    if regions == ("001",):
        metadata = PhoneMetadata.metadata_for_nongeo_region(int(code), None)
    else:
        metadata = PhoneMetadata.metadata_for_region(regions[0], None)
    lengths = metadata.general_desc.possible_length if metadata and metadata.general_desc else ()
    return min(lengths, default=0)


# What a cell of ours says: the value in its normal form, or the flaw for which it is left out. Pure.
#
# Each function takes a cell that is not empty and returns the value, None where it says nothing, with its flaw if it
# has one. Plain values, the usual case, take the short way.


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


_FILLER = "fills the column and names no eUICC"
_ROUNDED = "was rounded by a spreadsheet, its last digits are lost"
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


def read_eid(raw: str) -> Value:
    """Return an EID's 32 digits. So many keep none of their look by chance: a round one was rounded.

    Many cards have what somebody filled a column with, such as 32 zeros: matched by it they would all be one.
    """
    eid, flaw = _identifier(raw, normal_eid)
    if eid is not None and (len(set(eid)) == 1 or int(eid) < _EXACT):
        return None, Flaw(FindingKind.NOT_AN_IDENTIFIER, f"{shortened(raw)!r} {_FILLER}; it is left out")
    if eid is not None and rounding_of(eid) is not Rounding.NONE:
        return _undamaged(raw, eid, _ROUNDED)
    return eid, flaw


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


# ICCIDs that went through a floating-point number and still look whole: 8988307000000000000, 89883070000000008192.
#
# One such number proves nothing: of honest 19-digit ICCIDs about one in 1,024 is a whole number that a 64-bit float
# holds, of 20-digit ones one in 16,384. A list in which they are far more frequent than that was rounded. Pure.


#: Up to here a 64-bit float (IEEE 754 binary64) holds every whole number: nothing is rounded.
_EXACT = 2**53
#: What spreadsheets keep: 15 significant digits.
_SPREADSHEET_DIGITS = 15
#: A float has at most that many significant digits in any program's writing.
_FLOAT_DIGITS = 17
#: How a float is written: as the whole number that it is, and with 15, 16, 17 or just enough significant digits.
_WRITINGS = 4
#: By chance a list comes so far with this probability at most, and never with a share five times as large as expected:
#: numbers are given out in patterns, and a pattern is no damage.
_CHANCE = 1e-5
#: Steps in which numbers may be given out; larger ones are what rounding makes of them.
_LONGEST_STEP = 100
_FAR = 5


def rounding_of(iccid: str) -> Rounding:
    """Return whether an ICCID in its normal form is one of the numbers that a float is written as."""
    number = int(iccid)
    if number < _EXACT:
        return Rounding.NONE
    as_float = float(number)
    if iccid[-1] == "0":
        significant = len(str(number).rstrip("0"))
        if significant <= _SPREADSHEET_DIGITS:
            return Rounding.ZEROS
        if significant <= _FLOAT_DIGITS and _is_writing_of(number, as_float):
            return Rounding.FLOAT
    return Rounding.FLOAT if int(as_float) == number else Rounding.NONE


def _is_writing_of(number: int, as_float: float) -> bool:
    writings = (repr(as_float), f"{as_float:.16g}", f"{as_float:.17g}")
    return any(_whole(text) == number for text in writings)


def _whole(text: str) -> int:
    """Return the number that `8.988303000008014e+19` is, with zeros for the digits that it lacks."""
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    return int(whole + fraction) * 10 ** (int(exponent or 0) - len(fraction)) if exponent else int(float(text))


class RoundingCount:
    """Counts how many ICCIDs of a list look rounded, and says whether that can be chance."""

    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()
        self._looks: Counter[Rounding] = Counter()
        self._first: int | None = None
        self._stride = 0

    def take(self, iccid: str) -> Rounding:
        """Count one ICCID and return how it looks."""
        look = rounding_of(iccid)
        self._lengths[len(iccid)] += 1
        self._looks[look] += 1
        if self._stride != 1:
            self._find_stride(int(iccid))
        return look

    @property
    def rounded_from(self) -> Rounding | None:
        """Which looks are damage and no accident: all from this one on; None if the list is sound."""
        zeros = self._looks[Rounding.ZEROS]
        if _is_far_beyond(zeros + self._looks[Rounding.FLOAT], self._expected_floats()):
            return Rounding.FLOAT
        return Rounding.ZEROS if _is_far_beyond(zeros, self._expected_zeros()) else None

    def number_from(self, look: Rounding) -> int:
        """Return how many look so or worse."""
        return sum(number for found, number in self._looks.items() if found >= look)

    def _find_stride(self, number: int) -> None:
        self._first = number if self._first is None else self._first
        self._stride = math.gcd(self._stride, number - self._first)

    def _expected_floats(self) -> float:
        return sum(
            number * min(1.0, self._step() * _WRITINGS / math.ulp(8.9 * 10.0 ** (length - 1)))
            for length, number in self._lengths.items()
        )

    def _expected_zeros(self) -> float:
        expected = 0.0
        for length, number in self._lengths.items():
            one_in = 10 ** max(length - _SPREADSHEET_DIGITS, 0)
            expected += number * math.gcd(self._step(), one_in) / one_in
        return expected

    def _step(self) -> int:
        """Return the step in which all numbers are given out: of every tenth, ten times as many are round by chance."""
        return self._stride if 1 <= self._stride <= _LONGEST_STEP else 1


def _is_far_beyond(found: int, expected: float) -> bool:
    """Return whether chance would hardly ever bring that many (Chernoff's bound of the Poisson distribution)."""
    if found < 2 or found <= _FAR * expected:
        return False
    return found - expected + found * math.log(expected / found) < math.log(_CHANCE)
