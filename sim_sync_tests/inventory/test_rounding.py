"""ICCIDs that were rounded but look whole: one proves nothing, many do."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError
from sim_sync.core.identifiers import luhn_is_valid
from sim_sync.core.inventory import FindingKind, Rounding
from sim_sync.inventory.values import RoundingCount, rounding_of
from sim_sync_tests.inventory.lists import Read, parsed


def iccid(number: int, length: int = 20) -> str:
    """Return an ICCID as operators give them out: a running number, and Luhn's check digit."""
    body = f"8944500{number:0{length - 8}d}"
    return next(body + digit for digit in "0123456789" if luhn_is_valid(body + digit))


def listed(*iccids: str) -> Read:
    return parsed(*([number, "acme", "active"] for number in iccids))


def spreadsheet(number: str) -> str:
    """Return what a spreadsheet's number format makes of it."""
    return number[:15] + "0" * (len(number) - 15)


def _plain(scientific: str) -> str:
    mantissa, _, exponent = scientific.partition("e+")
    digits = mantissa.replace(".", "")
    return digits + "0" * (int(exponent or 0) + 1 - len(digits))


ROUNDINGS: dict[str, Callable[[str], str]] = {
    "a spreadsheet": spreadsheet,
    "a float as a whole number": lambda number: str(int(float(number))),
    "a float with just enough digits": lambda number: _plain(repr(float(number))),
    "a float with 16 digits": lambda number: _plain(f"{float(number):.16g}"),
    "a float with 17 digits": lambda number: _plain(f"{float(number):.17g}"),
}


@pytest.mark.parametrize("number", ["8988307000000000000", "89883070000000008192", "89445000000000000000"])
def test_the_well_known_examples_look_rounded(number: str) -> None:
    assert rounding_of(number) is not Rounding.NONE


@pytest.mark.parametrize("number", ["8988307000000000013", "89883070000000000139", "000000000000000123", "0" * 20])
def test_what_no_float_would_change_into_itself_does_not(number: str) -> None:
    assert rounding_of(number) is Rounding.NONE


@given(
    number=st.integers(0, 10**11 - 1), length=st.sampled_from([19, 20, 21, 22]), how=st.sampled_from(list(ROUNDINGS))
)
@settings(max_examples=300, deadline=None)
def test_every_number_that_was_rounded_looks_so(number: int, length: int, how: str) -> None:
    assert rounding_of(ROUNDINGS[how](iccid(number, length))) is not Rounding.NONE


@pytest.mark.parametrize("how", ROUNDINGS)
@pytest.mark.parametrize("length", [19, 20])
@pytest.mark.parametrize(("sound", "rounded"), [(6, 6), (100, 60), (3000, 500)])
def test_a_list_in_which_many_were_rounded_loses_them_and_only_them(
    how: str, length: int, sound: int, rounded: int
) -> None:
    chance = random.Random(1)
    kept = [iccid(chance.randrange(10**9), length) for _ in range(sound)]
    kept = [number for number in kept if rounding_of(number) is Rounding.NONE]
    lost = [ROUNDINGS[how](iccid(chance.randrange(10**9), length)) for _ in range(rounded)]
    inventory = listed(*kept, *lost)
    assert inventory.end.rounded_from is not None
    used = [row.iccid for row in inventory.rows if row.rounding < inventory.end.rounded_from]
    assert (used, inventory.tally.sims, inventory.tally.unusable_rows) == (kept, len(kept), rounded)
    ((number, (finding,)),) = inventory.tally.by_kind()
    assert (number, finding.kind, finding.column) == (rounded, FindingKind.ROUNDED, "ICCID")
    assert "was rounded by a spreadsheet, its last digits are lost" in finding.reason
    assert "export it again" in finding.reason


def test_three_of_six_are_told_even_where_all_three_became_the_same_number() -> None:
    inventory = listed(*(spreadsheet(iccid(number)) for number in range(3)), *map(iccid, range(3, 6)))
    assert inventory.end.rounded_from is not None
    assert inventory.tally.sims == 3


def test_a_list_that_was_rounded_as_a_whole_is_refused_and_says_so() -> None:
    with pytest.raises(InventoryError, match=r"has no row that could be used .*was rounded by a spreadsheet"):
        listed(*(spreadsheet(iccid(number)) for number in range(0, 10**9, 10**8)))


@pytest.mark.parametrize("length", [18, 19, 20, 22])
@pytest.mark.parametrize("step", [1, 7, 10, 64, 100])
def test_honest_lists_keep_every_sim_whatever_their_pattern(length: int, step: int) -> None:
    honest = [f"89445{number * step:0{length - 5}d}" for number in range(40_000)]
    count = RoundingCount()
    for number in honest:
        count.take(number)
    assert count.rounded_from is None


@pytest.mark.parametrize("seed", range(10))
def test_honest_lists_of_chance_keep_every_sim(seed: int) -> None:
    chance = random.Random(seed)
    for size in (1, 2, 5, 20, 100, 2000, 20_000):
        count = RoundingCount()
        for _ in range(size):
            count.take(iccid(chance.randrange(10**11), chance.choice([19, 20])))
        assert count.rounded_from is None, size


def test_the_first_number_of_a_series_is_no_proof() -> None:
    assert [row.iccid for row in listed("8988307000000000000", "8988307000000000001").rows] == [
        "8988307000000000000",
        "8988307000000000001",
    ]
