import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.core.identifiers import NotAnIdentifier, identifier_text, luhn_is_valid, normal_iccid

iccids = st.text("0123456789", min_size=18, max_size=22)

#: ICCIDs from vendors' own documents, with their normal form and whether Luhn's check holds.
VENDORS_ICCIDS = [
    pytest.param("89883030000080139311", "89883030000080139311", True, id="emnify"),
    pytest.param("89457387300000024185", "89457387300000024185", True, id="Onomondo"),
    pytest.param("89141390780800784259", "89141390780800784259", True, id="Verizon"),
    pytest.param("89302690201003397968", "89302690201003397968", True, id="Jasper"),
    pytest.param("8944476500008878576F", "8944476500008878576", True, id="a modem, 19 digits and a filler"),
    pytest.param("89883070000123456789", "89883070000123456789", False, id="Twilio and KORE"),
    pytest.param("89883030001234567890", "89883030001234567890", False, id="1NCE"),
    pytest.param("89310410106543789301", "89310410106543789301", False, id="Telnyx"),
    pytest.param("89461100000000000000", "89461100000000000000", False, id="CLX"),
]


@pytest.mark.parametrize(("raw", "normal", "luhn"), VENDORS_ICCIDS)
def test_vendors_iccids_are_all_accepted_whatever_their_check_digit_says(raw: str, normal: str, luhn: bool) -> None:
    assert normal_iccid(raw) == normal
    assert luhn_is_valid(normal) is luhn


def test_the_form_without_a_check_digit_is_not_completed_by_guess() -> None:
    assert normal_iccid("8988303000008013931") == "8988303000008013931"


@pytest.mark.parametrize("length", range(15, 26))
def test_an_iccid_has_18_to_22_digits(length: int) -> None:
    digits = ("89" + "0123456789" * 3)[:length]
    if 18 <= length <= 22:
        assert normal_iccid(digits) == digits
    else:
        with pytest.raises(NotAnIdentifier):
            normal_iccid(digits)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "F" * 20,
        "F89883030000080139311",
        "89F44476500008878576",
        "898830300000801393E1",
        "\N{FULLWIDTH DIGIT EIGHT}" * 20,
        "+89883030000080139311",
    ],
    ids=["empty", "fillers", "filler in front", "filler inside", "a float's form", "full-width digits", "a sign"],
)
def test_what_is_not_only_digits_is_no_iccid(raw: str) -> None:
    with pytest.raises(NotAnIdentifier):
        normal_iccid(raw)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(NotAnIdentifier) as refused:
        normal_iccid("secret-token")
    assert "secret-token" not in str(refused.value)


@given(iccids, st.integers(0, 22), st.sampled_from(["", " ", "-", ".", "\t"]), st.sampled_from(["", "F", "f", "FF"]))
def test_separators_and_fillers_do_not_change_an_iccid(digits: str, place: int, separator: str, filler: str) -> None:
    assert normal_iccid(f" {digits[:place]}{separator}{digits[place:]}{filler}\n") == digits


@given(st.text(max_size=30) | iccids)
def test_a_normal_form_is_its_own_normal_form(raw: str) -> None:
    try:
        normal = normal_iccid(raw)
    except NotAnIdentifier:
        return
    assert normal_iccid(normal) == normal
    assert normal.isascii()
    assert normal.isdigit()


@given(st.text("0123456789", min_size=1, max_size=21))
def test_exactly_one_last_digit_is_the_right_check_digit(payload: str) -> None:
    assert [luhn_is_valid(payload + digit) for digit in "0123456789"].count(True) == 1


@given(st.text("0123456789", min_size=2, max_size=21), st.data())
def test_one_wrong_digit_is_always_noticed(digits: str, data: st.DataObject) -> None:
    valid = next(digits + digit for digit in "0123456789" if luhn_is_valid(digits + digit))
    place = data.draw(st.integers(0, len(valid) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != valid[place]]))
    assert not luhn_is_valid(valid[:place] + wrong + valid[place + 1 :])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (" 000002418 ", "000002418"),
        ("0000123456-00001", "0000123456-00001"),
        (89883070000123456789, "89883070000123456789"),
        (0, "0"),
    ],
)
def test_an_identifier_keeps_every_character_that_the_carrier_sent(value: object, text: str | None) -> None:
    assert identifier_text(value) == text


@given(st.integers(min_value=0, max_value=10**22))
def test_a_json_number_keeps_all_its_digits(number: int) -> None:
    assert identifier_text(json.loads(json.dumps(number))) == str(number)


@pytest.mark.parametrize(
    ("value", "found"), [(8.9e19, "float"), (True, "bool"), (["89"], "list"), ({"iccid": "89"}, "dict")]
)
def test_what_has_lost_digits_or_is_no_value_is_refused(value: object, found: str) -> None:
    with pytest.raises(NotAnIdentifier, match=f"found {found}"):
        identifier_text(value)
