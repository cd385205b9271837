import json
from decimal import Decimal

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import imei, luhn
from stdnum.iso7064 import mod_97_10

from sim_sync.core.identifiers import (
    NotAnIdentifier,
    identifier_text,
    looks_rounded,
    luhn_is_valid,
    normal_eid,
    normal_iccid,
    normal_imei,
    normal_imsi,
    normal_msisdn,
)

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


def in_digits_of(zero: str, text: str) -> str:
    """Write a number in the digits of another script, named by its zero."""
    return "".join(chr(ord(zero) + int(char)) if char.isdigit() else char for char in text)


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
        "8988303000008013931.0",
    ],
    ids=[
        "empty",
        "fillers",
        "filler in front",
        "filler inside",
        "a float's form",
        "full-width digits",
        "a sign",
        "a float",
    ],
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
        (-0.0, "0"),
        (901405100000018.0, "901405100000018"),
    ],
)
def test_an_identifier_keeps_every_character_that_the_carrier_sent(value: object, text: str | None) -> None:
    assert identifier_text(value) == text


@given(st.integers(min_value=0, max_value=10**22))
def test_a_json_number_keeps_all_its_digits(number: int) -> None:
    assert identifier_text(json.loads(json.dumps(number))) == str(number)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (8.9e19, "float"),
        (2.0**53, "float"),
        (1.5, "float"),
        (float("nan"), "float"),
        (float("inf"), "float"),
        (True, "bool"),
        (["89"], "list"),
        ({"iccid": "89"}, "dict"),
    ],
)
def test_what_has_lost_digits_or_is_no_value_is_refused(value: object, found: str) -> None:
    with pytest.raises(NotAnIdentifier, match=f"found {found}"):
        identifier_text(value)


@given(st.integers(10**18, 10**20 - 1))
def test_an_iccid_that_went_through_a_float_shows_it_however_that_was_printed(number: int) -> None:
    assert looks_rounded(str(int(float(number))))
    assert looks_rounded(str(int(Decimal(repr(float(number))))))


def test_an_iccid_that_kept_its_digits_rarely_looks_as_if_it_had_not() -> None:
    # In steps that no power of two or ten has in common.
    fleet = [str(8988307000000000013 + 9_973 * number) for number in range(20_000)]
    assert sum(map(looks_rounded, fleet)) < len(fleet) / 400
    assert sum(looks_rounded(f"{iccid}7") for iccid in fleet) < len(fleet) / 4_000
    assert not looks_rounded("100000000000000"), "15 digits are always exact"


class TestOtherIdentifiers:
    @pytest.mark.parametrize(
        ("raw", "normal", "flag"),
        [
            pytest.param("901405100000018", "901405100000018", None, id="1NCE"),
            pytest.param("90140510000001", "90140510000001", None, id="14 digits"),
            pytest.param(" 901-405 100.000018", "901405100000018", None, id="with marks"),
            pytest.param("123456789876543", "123456789876543", None, id="Hologram, a network that does not exist"),
            pytest.param("310410999999999999", "310410999999999999", "imsi_length", id="Telnyx, 18 digits"),
            pytest.param("unknown", "unknown", "imsi_malformed", id="a word"),
            pytest.param("901405100000018.0", "901405100000018", None, id="a float that is exact"),
            pytest.param("9014051000000180.0", "9014051000000180.0", "imsi_malformed", id="a float that may not be"),
            pytest.param("9.01405E+14", "9.01405E+14", "imsi_malformed", id="rounded by a spreadsheet"),
        ],
    )
    def test_an_imsi_has_14_or_15_digits(self, raw: str, normal: str, flag: str | None) -> None:
        assert normal_imsi(raw) == (normal, flag)

    @pytest.mark.parametrize(
        ("raw", "normal", "flag"),
        [
            pytest.param("106516771852751", "106516771852751", None, id="Telnyx"),
            pytest.param("990013907835573", "990013907835573", "imei_check_digit", id="Verizon"),
            pytest.param("9575200740240801", "9575200740240801", None, id="Hologram, an IMEISV"),
            pytest.param("0000000000000018", "0000000000000018", None, id="1NCE, an IMEISV"),
            pytest.param("35-209900-176148-1", "352099001761481", None, id="as printed on a box"),
            pytest.param("35209900176148", "35209900176148", None, id="without a check digit"),
            pytest.param("3520990", "3520990", "imei_length", id="too short"),
            pytest.param("A000002215F46B", "A000002215F46B", "imei_malformed", id="a MEID"),
            pytest.param("35209900176148ff", "35209900176148", None, id="an IMEISV, the version not known"),
            pytest.param("35209900176148F", "35209900176148", None, id="a filler for the check digit"),
            pytest.param("352099001761481F", "352099001761481", None, id="a filler behind it"),
            pytest.param("352099001761481.0", "352099001761481", None, id="a float that is exact"),
        ],
    )
    def test_an_imei_has_14_to_16_digits_and_only_15_have_a_check_digit(
        self, raw: str, normal: str, flag: str | None
    ) -> None:
        assert normal_imei(raw) == (normal, flag)

    @pytest.mark.parametrize(
        ("raw", "normal", "flag"),
        [
            pytest.param("89049032123451234512345678901235", "89049032123451234512345678901235", None, id="GSMA"),
            pytest.param(
                "89049011803455664400046832584675", "89049011803455664400046832584675", "eid_check_digits", id="emnify"
            ),
            pytest.param(
                "8904 9032 1234 5123 4512 3456 7890 1235", "89049032123451234512345678901235", None, id="in groups"
            ),
            pytest.param("8904903212345", "8904903212345", "eid_length", id="too short"),
            pytest.param("none", "none", "eid_malformed", id="a word"),
        ],
    )
    def test_an_eid_has_32_digits_and_leaves_1_when_divided_by_97(
        self, raw: str, normal: str, flag: str | None
    ) -> None:
        assert normal_eid(raw) == (normal, flag)

    @pytest.mark.parametrize(
        ("raw", "normal", "flag"),
        [
            pytest.param("+13109976224", "+13109976224", None, id="Telnyx"),
            pytest.param("882285100000018", "+882285100000018", None, id="1NCE, without a plus sign"),
            pytest.param("+49 151 23456789", "+4915123456789", None, id="with spaces"),
            pytest.param("+49 (0)151-23456789", "+4915123456789", None, id="with a trunk prefix"),
            pytest.param("004915123456789", "+4915123456789", None, id="with an international prefix"),
            pytest.param("49-151-23456789", "+4915123456789", None, id="with dashes"),
            pytest.param("015123456789", "015123456789", "msisdn_national", id="national, of no known country"),
            pytest.param("+4912", "+4912", "msisdn_length", id="too short"),
            pytest.param("+8822851000000181", "+8822851000000181", "msisdn_length", id="16 digits"),
            pytest.param("n/a", "n/a", "msisdn_malformed", id="a word"),
            pytest.param("tel:+49-151-23456789", "+4915123456789", None, id="a URI"),
            pytest.param("TEL:004915123456789", "+4915123456789", None, id="a URI in capitals"),
            pytest.param(
                "+49\N{NO-BREAK SPACE}151\N{NON-BREAKING HYPHEN}23456789", "+4915123456789", None, id="typeset"
            ),
            pytest.param(
                "\N{LEFT-TO-RIGHT EMBEDDING}+49 151 23456789\N{POP DIRECTIONAL FORMATTING}",
                "+4915123456789",
                None,
                id="with marks of direction",
            ),
            pytest.param(
                in_digits_of("\N{FULLWIDTH DIGIT ZERO}", "\uff0b49 151 23456789"), "+4915123456789", None, id="wide"
            ),
            pytest.param(
                in_digits_of("\N{ARABIC-INDIC DIGIT ZERO}", "4915123456789"), "+4915123456789", None, id="Arabic"
            ),
            pytest.param("(+49) 151 23456789", "+4915123456789", None, id="the country in brackets"),
            pytest.param("+490151 23456789", "+4915123456789", None, id="a trunk prefix without brackets"),
            pytest.param("490151 23456789", "+4915123456789", None, id="a trunk prefix, no plus sign"),
            pytest.param("0049 (0)151 23456789", "+4915123456789", None, id="both prefixes"),
            pytest.param("+00 49 151 23456789", "+4915123456789", None, id="plus sign and prefix"),
            pytest.param("+39 06 69812345", "+390669812345", None, id="Italy, whose zero belongs to the number"),
            pytest.param("+225 0712345678", "+2250712345678", None, id="Ivory Coast, too"),
            pytest.param("+883200012345678", "+883200012345678", None, id="of no country"),
            pytest.param(
                "+423663920123456", "+423663920123456", None, id="a machine's, longer than the country's plan"
            ),
            pytest.param("+33700012345678", "+33700012345678", None, id="another one"),
            pytest.param("+3197010281234", "+3197010281234", None, id="a Dutch one of 11 digits"),
            pytest.param("4915123456789.0", "+4915123456789", None, id="a float that is exact"),
            pytest.param("4.91512E+12", "4.91512E+12", "msisdn_malformed", id="rounded by a spreadsheet"),
            pytest.param("+49 151 23456789 ext 5", "+49 151 23456789 ext 5", "msisdn_malformed", id="an extension"),
            pytest.param("+1-800-FLOWERS", "+1-800-FLOWERS", "msisdn_malformed", id="letters"),
            pytest.param("+0151", "+0151", "msisdn_malformed", id="a country that begins with zero"),
            pytest.param("00", "00", "msisdn_malformed", id="a prefix alone"),
        ],
    )
    def test_an_msisdn_is_brought_to_e164(self, raw: str, normal: str, flag: str | None) -> None:
        assert normal_msisdn(raw) == (normal, flag)

    @pytest.mark.parametrize(
        ("raw", "normal"),
        [("6505550100", "+16505550100"), ("16505550100", "+16505550100"), ("(650) 555-0100", "+16505550100")],
    )
    def test_a_national_number_is_read_in_the_carriers_country(self, raw: str, normal: str) -> None:
        assert normal_msisdn(raw, "US") == (normal, None)
        assert normal_msisdn("+4915123456789", "US") == ("+4915123456789", None)

    @given(st.text(max_size=24) | st.from_regex(r"\+?[0-9 ()./-]{1,24}", fullmatch=True))
    def test_a_normal_form_is_its_own_normal_form_and_loses_no_digit_but_prefixes(self, raw: str) -> None:
        for normal_form in (normal_imsi, normal_imei, normal_eid, normal_msisdn):
            found = normal_form(raw.strip() or "0").normal
            assert normal_form(found).normal == found

    @given(st.text("0123456789", min_size=1, max_size=33))
    def test_check_digits_agree_with_python_stdnum(self, digits: str) -> None:
        assert luhn_is_valid(digits) is luhn.is_valid(digits)
        if len(digits) == 32:
            assert (normal_eid(digits).flag is None) is mod_97_10.is_valid(digits)

    @given(st.from_regex(r"[0-9]{32}", fullmatch=True))
    def test_the_check_of_an_eid_agrees_with_python_stdnum(self, digits: str) -> None:
        assert (normal_eid(digits).flag is None) is mod_97_10.is_valid(digits)

    @given(st.from_regex(r"[0-9]{14,16}", fullmatch=True))
    def test_the_check_of_an_imei_agrees_with_python_stdnum(self, digits: str) -> None:
        assert (normal_imei(digits).flag is None) is imei.is_valid(digits)

    @given(st.sampled_from(["US", "DE", "JP", "BR", "GB", "FR"]))
    def test_an_msisdn_agrees_with_phonenumbers(self, region: str) -> None:
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        assert number is not None
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for style in (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164):
            assert normal_msisdn(phonenumbers.format_number(number, style)) == (written, None)
        assert normal_msisdn(written.removeprefix("+")) == (written, None)
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        assert normal_msisdn(national, region) == (written, None)
