"""ICCIDs that went through a floating-point number and still look whole: 8988307000000000000, 89883070000000008192.

One such number proves nothing: of honest 19-digit ICCIDs about one in 1,024 is a whole number that a 64-bit float
holds, of 20-digit ones one in 16,384. A list in which they are far more frequent than that was rounded. Pure.
"""

import math
from collections import Counter

from sim_sync.core.inventory import Rounding

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
