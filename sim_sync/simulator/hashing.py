"""Integer mixing and check digits: numbers that look like chance and are the same in every release.

No `random` in here: its algorithms may change, and a fleet has to stay what it was.
"""

import hashlib
import math
from typing import NamedTuple

MASK64 = (1 << 64) - 1

# The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a bijection.
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_FIRST_INVERSE = pow(_FIRST, -1, 1 << 64)
_SECOND_INVERSE = pow(_SECOND, -1, 1 << 64)


def mix64(value: int) -> int:
    """Return a 64-bit number that looks unrelated to `value`; different values give different numbers."""
    value &= MASK64
    value = ((value ^ (value >> 30)) * _FIRST) & MASK64
    value = ((value ^ (value >> 27)) * _SECOND) & MASK64
    return value ^ (value >> 31)


def unmix64(value: int) -> int:
    """Return the number that `mix64` made `value` of."""
    value ^= (value >> 31) ^ (value >> 62)
    value = (value * _SECOND_INVERSE) & MASK64
    value ^= (value >> 27) ^ (value >> 54)
    value = (value * _FIRST_INVERSE) & MASK64
    return value ^ (value >> 30) ^ (value >> 60)


def seeded_number(*parts: object) -> int:
    """Return a 256-bit number that depends on every part and on their order."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest(), "big")


class Permutation(NamedTuple):
    """A reordering of 0 .. modulus - 1 that is computed, not stored: `multiplier * n + offset` modulo `modulus`."""

    modulus: int
    multiplier: int
    offset: int

    @classmethod
    def seeded(cls, modulus: int, *parts: object) -> "Permutation":
        """Return the permutation that these parts name."""
        multiplier = seeded_number("multiplier", *parts) % modulus
        while math.gcd(multiplier, modulus) != 1:
            multiplier += 1
        return cls(modulus, multiplier, seeded_number("offset", *parts) % modulus)

    def image(self, number: int) -> int:
        """Return where `number` goes."""
        return (number * self.multiplier + self.offset) % self.modulus

    def origin(self, image: int) -> int:
        """Return the number whose image this is."""
        return (image - self.offset) * pow(self.multiplier, -1, self.modulus) % self.modulus


def _group_sum(group: int) -> int:
    doubled = sum(sum(divmod(2 * (group // place % 10), 10)) for place in (1, 100))
    return doubled + sum(group // place % 10 for place in (10, 1000))


_GROUP_SUMS = tuple(_group_sum(group) for group in range(10_000))


def luhn_sum(payload: int) -> int:
    """Return the Luhn sum of a payload that still lacks its check digit (ISO/IEC 7812-1); sums of parts add up."""
    total = 0
    while payload:
        payload, group = divmod(payload, 10_000)
        total += _GROUP_SUMS[group]
    return total


def luhn_check_digit(payload: int) -> int:
    """Return the digit that makes the payload pass the Luhn check."""
    return -luhn_sum(payload) % 10


def mod_97_check_digits(payload: int) -> int:
    """Return the two digits (as a number) that make the payload pass ISO/IEC 7064 MOD 97-10."""
    return 98 - payload * 100 % 97
