"""Telephone numbers without their `+`: whether so many digits can be an international number at all. Pure."""

from functools import cache

#: ITU-T E.164's country codes have one, two or three digits, and none is the beginning of another one.
_CODE_LENGTHS = (1, 2, 3)


def is_too_short(digits: str) -> bool:
    """Return whether a number has fewer digits than any number of its country code.

    `7700900123` was 07700900123 in Britain: as a number of +7 it is too short. Too long is no sign of anything:
    machines' numbers are.
    """
    for length in _CODE_LENGTHS:
        least = _least_digits(digits[:length])
        if least is not None:
            return len(digits) - length < least
    return False


@cache
def _least_digits(code: str) -> int | None:
    """Return how many digits follow a country code at least; None where it is none."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if regions is None:
        return None
    if regions == ("001",):
        metadata = PhoneMetadata.metadata_for_nongeo_region(int(code), None)
    else:
        metadata = PhoneMetadata.metadata_for_region(regions[0], None)
    lengths = metadata.general_desc.possible_length if metadata and metadata.general_desc else ()
    return min(lengths, default=0)
