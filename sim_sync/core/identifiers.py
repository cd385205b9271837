"""The forms in which SIM identifiers travel, and the one form they are compared in. All identifiers are text.

A wrong check digit or an odd length is a quality flag, never a reason to refuse: published examples of four vendors
fail Luhn. Plain digits, the usual case, take a short way; everything else goes through python-stdnum and phonenumbers.
`docs/decisions/0007-identifier-forms.md` says why each form is what it is.
"""

import re
from typing import NamedTuple

_SEPARATORS = re.compile(r"[\s\-.]")
#: What people write between the digits of an IMSI, IMEI, EID or telephone number.
_MARKS = " -.()/"
#: The doubled digits of Luhn's rule, with the sum of their own digits: 0 2 4 6 8 1 3 5 7 9.
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_ZERO = ord("0")
#: The large countries of the numbering plan +1, all of whose national numbers have ten digits.
_NORTH_AMERICA = frozenset({"US", "CA"})


class NotAnIdentifier(ValueError):
    """The value cannot be this identifier at all: told to the connector, which flags the SIM or rejects the record."""


class Identifier(NamedTuple):
    """An identifier in its normal form, and the quality flag that it earned, if any."""

    normal: str
    flag: str | None = None


def identifier_text(value: object) -> str | None:
    """Return an identifier's characters as the carrier sent them, or None where it sent nothing.

    JSON numbers come as integers and keep all digits; a float has already lost some and is refused.

    Raises:
        NotAnIdentifier: the value is a float, a flag or a structure.
    """
    if isinstance(value, str):
        return value.strip() or None
    match value:
        case None:
            return None
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
    digits = raw if _is_digits(raw) else _SEPARATORS.sub("", raw).rstrip("Ff")
    if not (_is_digits(digits) and 18 <= len(digits) <= 22):
        raise NotAnIdentifier("expected an ICCID of 18 to 22 digits")
    return digits


def normal_imsi(raw: str) -> Identifier:
    """Return an IMSI's digits; ITU-T E.212 gives it 15 at most, and 14 in the oldest networks."""
    digits = _digits_of(raw)
    if digits is None:
        return Identifier(raw, "imsi_malformed")
    return Identifier(digits, None if 14 <= len(digits) <= 15 else "imsi_length")


def normal_imei(raw: str) -> Identifier:
    """Return an IMEI's digits: 15 with a check digit, 14 without, 16 for an IMEISV (3GPP TS 23.003, 6.2)."""
    digits = _digits_of(raw)
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
    """
    digits = raw[1:] if raw.startswith("+") else raw
    if _is_digits(digits) and (digits is not raw or (region is None and digits[0] != "0")):
        return Identifier(f"+{digits}", None if 7 <= len(digits) <= 15 else "msisdn_length")
    if region in _NORTH_AMERICA and _is_digits(digits) and len(digits) == 10 and digits[0] not in "01":
        return Identifier(f"+1{digits}")
    return _parsed_msisdn(raw, region)


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
    digits = _without_marks(raw)
    return digits if _is_digits(digits) else None


def _without_marks(raw: str) -> str:
    from stdnum.exceptions import ValidationError
    from stdnum.util import clean

    try:
        return str(clean(raw, _MARKS))  # knows the dashes, spaces and digits of Unicode
    except ValidationError:
        return raw


def _parsed_msisdn(raw: str, region: str | None) -> Identifier:
    import phonenumbers

    plain = _digits_of(raw) or raw
    text = f"+{plain[2:]}" if plain.startswith("00") else raw
    if region is None and not text.startswith("+"):
        digits = _digits_of(text)
        if digits is None:
            return Identifier(raw, "msisdn_malformed")
        if digits.startswith("0"):
            return Identifier(digits, "msisdn_national")
        text = f"+{digits}"
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return Identifier(raw, "msisdn_malformed")
    normal = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Identifier(normal, None if phonenumbers.is_possible_number(number) else "msisdn_length")
