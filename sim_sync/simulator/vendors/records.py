"""A page's records as JSON texts, and how a fault spoils them. Texts, because a page of a thousand has to be cheap."""

import json
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar

from sim_sync.simulator.faults import EarlyEnd, MalformedRecord, PageFault

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
