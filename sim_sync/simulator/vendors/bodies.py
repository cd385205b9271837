"""What simulated vendors read from requests and put into responses."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from sim_sync.simulator.faults import EarlyEnd, MalformedRecord, PageFault
from sim_sync.simulator.fleet_spec import MASK64
from sim_sync.simulator.vendor import Request

# Reading the parameters of a request as a strict carrier does: what is unknown or out of bounds is refused.


class BadParameter(ValueError):
    """A parameter of the request is not what the carrier takes; becomes a 4xx with this text in the vendor's shape."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Refuse a parameter that the carrier's documents do not name.

    Raises:
        BadParameter: there is one.
    """
    if surplus := sorted(set(given) - set(known)):
        raise BadParameter(f"unknown parameter {', '.join(surplus)}; known are {', '.join(sorted(known))}")


def parse_number(query: Mapping[str, str], name: str, *, default: int, lowest: int, highest: int) -> int:
    """Read a whole number within bounds.

    Raises:
        BadParameter: something else is given.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest):
        raise BadParameter(f"{name} must be an integer from {lowest} to {highest}")
    return int(text)


# Reading the bodies of requests as a strict carrier does: JSON objects and forms, with the media type they need.


def json_object(request: Request) -> Mapping[str, Any]:
    """Return the JSON object that a request carries.

    Raises:
        BadParameter: it carries another media type, or no object.
    """
    _check_media_type(request, "application/json")
    try:
        document = json.loads(request.body)
    except ValueError:
        raise BadParameter("the body is not JSON") from None
    if not isinstance(document, dict):
        raise BadParameter("the body is not a JSON object")
    return document


def form(request: Request) -> Mapping[str, str]:
    """Return the form that a request carries.

    Raises:
        BadParameter: it carries another media type, or no form.
    """
    _check_media_type(request, "application/x-www-form-urlencoded")
    try:
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise BadParameter("the body is not a form") from None


def _check_media_type(request: Request, expected: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise BadParameter(f"expected a body of the type {expected}", 415)


# A page's records as JSON texts, and how a fault spoils them. Texts, because a page of a thousand has to be cheap.


Listed = TypeVar("Listed")
Spoil = Callable[[dict[str, Any]], None]


def json_text(value: str | None) -> str:
    """Return a text, or null, as JSON."""
    return "null" if value is None else encode_basestring_ascii(value)


def kept_part(listed: Sequence[Listed], fault: PageFault | None) -> Sequence[Listed]:
    """Return what of a page a lying carrier still lists."""
    if not isinstance(fault, EarlyEnd):
        return listed
    return listed[: {"all": len(listed), "half": len(listed) // 2, "none": 0}[fault.records_kept]]


def spoil_record(records: list[str], fault: PageFault | None, *, forget_id: Spoil, forget_iccid: Spoil) -> None:
    """Spoil one of a page's records in place where the fault says so; an empty page stays as it is."""
    if not records or not isinstance(fault, MalformedRecord):
        return
    position = min(fault.position, len(records) - 1)
    record = json.loads(records[position])
    match fault.form:
        case "not_an_object":
            record = position
        case "no_id":
            forget_id(record)
        case "null_iccid":
            forget_iccid(record)
    records[position] = json.dumps(record)


# Vendors' own ids, made of a SIM's fingerprint or index without memory, and forms of identifiers they write.


# Half of such an id is the fingerprint, the other half is made of it by this odd number: neither half ever repeats.
_MULTIPLIER = 0x9E3779B97F4A7C15


def wide_id(fingerprint: int) -> str:
    """Return 32 hexadecimal digits of which the first 16 are the fingerprint."""
    return f"{fingerprint << 64 | fingerprint * _MULTIPLIER & MASK64:032x}"


def uuid_text(fingerprint: int) -> str:
    """Return such an id in the form of a UUID."""
    digits = wide_id(fingerprint)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def without_check_digit(iccid: str | None) -> str | None:
    """Return the first 19 digits of an ICCID."""
    return None if iccid is None else iccid[:19]


def plain_number(msisdn: str | None) -> str | None:
    """Return a number without its plus sign."""
    return None if msisdn is None else msisdn.removeprefix("+")
