"""Vendors' own ids, made of a SIM's fingerprint or index without memory, and forms of identifiers they write."""

from sim_sync.simulator.hashing import MASK64

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
