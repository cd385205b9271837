"""Integer mixing and check digits."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from sim_sync.simulator.fleet_spec import (
    Permutation,
    luhn_check_digit,
    luhn_sum,
    mix64,
    mod_97_check_digits,
    seeded_number,
    unmix64,
)

NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS)
def test_mixing_can_be_undone(number: int) -> None:
    assert unmix64(mix64(number)) == number


def test_mixing_is_the_published_splitmix64() -> None:
    """The first outputs of SplitMix64 seeded with 1234567, as its test vectors have them."""
    gamma = 0x9E3779B97F4A7C15
    outputs = [mix64(1234567 + gamma * step) for step in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.integers(2, 10**12), st.integers(), st.data())
def test_a_permutation_can_be_undone_and_stays_in_its_range(modulus: int, seed: int, data: st.DataObject) -> None:
    permutation = Permutation.seeded(modulus, "test", seed)
    number = data.draw(st.integers(0, modulus - 1))
    image = permutation.image(number)
    assert 0 <= image < modulus
    assert permutation.origin(image) == number


@given(st.integers(2, 500), st.integers())
def test_a_permutation_meets_every_number_once(modulus: int, seed: int) -> None:
    permutation = Permutation.seeded(modulus, seed)
    assert sorted(map(permutation.image, range(modulus))) == list(range(modulus))


@given(st.integers(1, 10**21))
def test_check_digits_are_those_of_stdnum(payload: int) -> None:
    assert str(luhn_check_digit(payload)) == luhn.calc_check_digit(str(payload))
    assert mod_97_10.is_valid(f"{payload}{mod_97_check_digits(payload):02}")


@given(st.integers(0, 10**11 - 1), st.integers(1, 10**8 - 1))
def test_luhn_sums_of_parts_add_up(low: int, high: int) -> None:
    assert luhn_sum(high * 10**11 + low) == luhn_sum(high * 10**11) + luhn_sum(low)


def test_a_seeded_number_is_the_digest_of_its_parts_in_their_order() -> None:
    assert seeded_number("iccid", 1) == int(hashlib.sha256(b"iccid:1").hexdigest(), 16)
    assert seeded_number("a", "b") != seeded_number("b", "a")
