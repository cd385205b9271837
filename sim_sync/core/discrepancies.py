"""The words of `sim_discrepancies`: what can differ between our list and a carrier, and in which fields."""

from enum import StrEnum


class Kind(StrEnum):
    """What differs."""

    #: Our list has it, the carrier does not.
    MISSING_AT_CARRIER = "missing_at_carrier"
    #: The carrier has it, our list does not.
    UNKNOWN_TO_US = "unknown_to_us"
    #: Both have it, and tell one field of it differently.
    MISMATCH = "mismatch"
    #: Something about the data keeps SIMs from being compared: a status word that nobody has listed.
    QUALITY = "quality"


#: The fields that can be compared, because both sides have them.
COMPARABLE_FIELDS: tuple[str, ...] = ("status", "msisdn", "imsi", "imei", "rate_plan", "label")
