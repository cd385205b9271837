"""The forms in which SIM identifiers travel, and the one form they are compared in. All identifiers are text.

A wrong check digit or an odd length is a quality flag, never a reason to refuse: published examples of four vendors
fail Luhn. Plain digits, the usual case, take a short way; everything else goes through python-stdnum and phonenumbers.
`docs/decisions/0007-identifier-forms.md` says why each form is what it is.
"""

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

_SEPARATORS = re.compile(r"[\s\-.]")
#: What people write between the digits of an IMSI, IMEI, EID or telephone number.
_MARKS = " -.()/"
_WIDE_MARKS = str.maketrans("\uff0b\uff08\uff09", "+()")
#: A whole number that went through a floating-point column: its last zero is no digit of it.
_FLOAT_TEXT = re.compile(r"([0-9]+)\.0+")
#: So many digits a floating-point number (IEEE 754 binary64) always keeps.
_EXACT_DIGITS = 15
#: A larger whole number may have been rounded by one.
_EXACT_BELOW = 2**53
#: An IMEISV whose software version is not known, or an IMEI with a filler where a digit would be.
_FILLED_IMEI = re.compile(r"([0-9]{14})[Ff]{1,2}|([0-9]{15})[Ff]")
#: The doubled digits of Luhn's rule, with the sum of their own digits: 0 2 4 6 8 1 3 5 7 9.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_ZERO = ord("0")
#: The large countries of the numbering plan +1, all of whose national numbers have ten digits.
_NORTH_AMERICA = frozenset({"US", "CA"})
#: ITU-T E.164's country codes of one and of two digits; all the others have three.
_SHORT_COUNTRY_CODES = frozenset(
    str(code)
    for codes in (
        (1, 7, 20, 27, *range(30, 35), 36, 39, 40, 41, *range(43, 50)),
        (*range(51, 59), *range(60, 67), 81, 82, 84, 86, *range(90, 96), 98),
    )
    for code in codes
)


class NotAnIdentifier(ValueError):
    """The value cannot be this identifier at all: told to the connector, which flags the SIM or rejects the record."""


class Identifier(NamedTuple):
    """An identifier in its normal form, and the quality flag that it earned, if any."""

    normal: str
    flag: str | None = None


def identifier_text(value: object) -> str | None:
    """Return an identifier's characters as the carrier sent them, or None where it sent nothing.

    JSON numbers come as integers and keep all digits. A float that is whole and small enough to have lost nothing is
    that number; any other one is refused.

    Raises:
        NotAnIdentifier: the value is a float that may have lost digits, a flag or a structure.
    """
    if isinstance(value, str):
        return value.strip() or None
    match value:
        case None:
            return None
        case float() if value.is_integer() and abs(value) < _EXACT_BELOW:
            return str(int(value))
        case bool() | float() | list() | dict():
            raise NotAnIdentifier(f"expected text or a whole number, found {type(value).__name__}")
        case _:
            return str(value).strip() or None


def normal_iccid(raw: str) -> str:
    """Return the normal form of an ICCID: digits only, without the filler `F` that a modem leaves at its end.

    19- and 20-digit forms stay what they are: no check digit is added or removed by guess (ITU-T E.118).

    Raises:
        NotAnIdentifier: something else than digits is left, or not 18 to 22 of them.
    """
    if raw.isascii() and raw.isdigit() and 18 <= len(raw) <= 22:  # nearly all
        return raw
    digits = raw if _is_digits(raw) else _SEPARATORS.sub("", raw).rstrip("Ff")
    if _FLOAT_TEXT.fullmatch(raw) or not (_is_digits(digits) and 18 <= len(digits) <= 22):
        raise NotAnIdentifier("expected an ICCID of 18 to 22 digits")
    return digits


def looks_rounded(digits: str) -> bool:
    """Return whether a number of more than 15 digits is one that a floating-point number would be printed as.

    Of a list that kept its digits, about one ICCID of 19 digits in 500 is so by chance, and one of 20 in 8,000; of a
    list that went through floating-point numbers (a spreadsheet, JavaScript), all are.
    """
    if len(digits) <= _EXACT_DIGITS:
        return False
    number = int(digits)
    nearest = float(number)
    return int(nearest) == number or int(Decimal(repr(nearest))) == number


def normal_imsi(raw: str) -> Identifier:
    """Return an IMSI's digits; ITU-T E.212 gives it 15 at most, and 14 in the oldest networks."""
    digits = _digits_of(raw)
    if digits is None:
        return Identifier(raw, "imsi_malformed")
    return Identifier(digits, None if 14 <= len(digits) <= 15 else "imsi_length")


def normal_imei(raw: str) -> Identifier:
    """Return an IMEI's digits: 15 with a check digit, 14 without, 16 for an IMEISV (3GPP TS 23.003, 6.2).

    `ff` in place of the software version means that the network does not know it.
    """
    filled = _FILLED_IMEI.fullmatch(raw)
    digits = filled[1] or filled[2] if filled else _digits_of(raw)
    if digits is None:
        return Identifier(raw, "imei_malformed")
    if not 14 <= len(digits) <= 16:
        return Identifier(digits, "imei_length")
    return Identifier(digits, "imei_check_digit" if len(digits) == 15 and not luhn_is_valid(digits) else None)


def normal_eid(raw: str) -> Identifier:
    """Return an EID's 32 digits; as a number they leave 1 when divided by 97 (GSMA SGP.29, ISO 7064 MOD 97-10)."""
    digits = _digits_of(raw)
    if digits is None:
        return Identifier(raw, "eid_malformed")
    if len(digits) != 32:
        return Identifier(digits, "eid_length")
    return Identifier(digits, None if int(digits) % 97 == 1 else "eid_check_digits")


def normal_msisdn(raw: str, region: str | None = None) -> Identifier:
    """Return a telephone number in the international form of ITU-T E.164: `+` and up to 15 digits.

    Digits without `+` are an international number, as carriers send it, unless the carrier's own `region` (ISO 3166)
    says in which country they are dialled. A national number without a known region stays what it is, and is flagged.
    A number is never judged by the plan of its country: machines' numbers are longer than people's.
    """
    digits = raw[1:] if raw.startswith("+") else raw
    if _is_digits(digits) and digits[0] != "0" and (digits is not raw or region is None):
        return _international(digits)
    if region in _NORTH_AMERICA and _is_digits(digits) and len(digits) == 10 and digits[0] not in "01":
        return Identifier(f"+1{digits}")
    return _written_msisdn(raw, region)


def luhn_is_valid(digits: str) -> bool:
    """Return whether the last digit is the right Luhn check digit (ISO/IEC 7812-1)."""
    reverse = digits.encode()[::-1]
    return (sum(reverse[::2]) + sum(reverse[1::2].translate(_DOUBLED)) - _ZERO * len(reverse)) % 10 == 0


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _digits_of(raw: str) -> str | None:
    """Return the digits between which people write marks, or None where something else is left."""
    if _is_digits(raw):
        return raw
    if as_float := _FLOAT_TEXT.fullmatch(raw):
        return as_float[1] if len(as_float[1]) <= _EXACT_DIGITS else None
    digits = _without_marks(raw)
    return digits if _is_digits(digits) else None


def _without_marks(raw: str) -> str:
    from stdnum.exceptions import ValidationError
    from stdnum.util import clean

    # Word processors and telephones put invisible marks of direction around numbers; digits may be of any script.
    plain = "".join(_ascii(char) for char in raw.translate(_WIDE_MARKS) if unicodedata.category(char) != "Cf")
    try:
        return str(clean(plain, _MARKS)).strip()  # knows the dashes and spaces of Unicode
    except ValidationError:
        return raw


def _ascii(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)


def _written_msisdn(raw: str, region: str | None) -> Identifier:
    """Read a number as people write it: with marks, as a `tel:` URI, with an international or a trunk prefix."""
    text = raw[4:] if raw[:4].lower() == "tel:" else raw
    plus, digits = _plus_and_digits(text)
    if digits is None:
        return Identifier(raw, "msisdn_malformed")
    if digits.startswith("00"):
        plus, digits = True, digits.lstrip("0")
    if plus or (region is None and not digits.startswith("0")):
        return _international(digits) if digits and digits[0] != "0" else Identifier(raw, "msisdn_malformed")
    if region is None:
        return Identifier(digits, "msisdn_national")
    return _dialled(digits, region) or Identifier(raw, "msisdn_malformed")


def _plus_and_digits(text: str) -> tuple[bool, str | None]:
    if digits := _digits_of(text):
        return False, digits
    found = _without_marks(text)
    digits = found.removeprefix("+")
    return True, digits if digits is not found and _is_digits(digits) else None


def _international(digits: str) -> Identifier:
    """Return a number that begins with its country's code; a trunk prefix behind that is no part of it."""
    code = next((digits[:size] for size in (1, 2) if digits[:size] in _SHORT_COUNTRY_CODES), digits[:3])
    if digits[len(code) : len(code) + 1] == "0" and (found := _dialled(f"+{digits}", None)):
        return found
    return Identifier(f"+{digits}", _length_flag(digits))


def _dialled(text: str, region: str | None) -> Identifier | None:
    """Return what phonenumbers, which knows each country's prefixes, makes of a number."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    normal = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return Identifier(normal, _length_flag(normal[1:]))


def _length_flag(digits: str) -> str | None:
    return None if 7 <= len(digits) <= 15 else "msisdn_length"
