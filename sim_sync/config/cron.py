"""Tells a cron expression from something else, so that `sim-sync check` says it and not Dagster's start."""

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
#: Lowest and highest number of each field, and its names: minute, hour, day of the month, month, day of the week.
_FIELDS: tuple[tuple[int, int, list[str]], ...] = (
    (0, 59, []),
    (0, 23, []),
    (1, 31, []),
    (1, 12, _MONTHS),
    (0, 7, _DAYS),
)
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?")
_ALIASES = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"})


def parse_cron(text: str) -> str:
    """Return a cron expression of five fields as it is.

    Raises:
        ValueError: it is none.
    """
    fields = text.split()
    if text in _ALIASES:
        return text
    if len(fields) != 5 or not all(map(_is_field, fields, _FIELDS)):
        raise ValueError('a cron expression of five fields, such as "0 2 * * *" for every night at two')
    return text


def _is_field(field: str, limits: tuple[int, int, list[str]]) -> bool:
    return all(_is_part(part, *limits) for part in field.split(","))


def _is_part(part: str, lowest: int, highest: int, names: list[str]) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    ends = [end for end in (match["first"], match["last"]) if end is not None]
    numbers = [_number(end, lowest, names) for end in ends]
    return all(number is not None and lowest <= number <= highest for number in numbers)


def _number(text: str, lowest: int, names: list[str]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + lowest
    return int(text) if text.isascii() and text.isdigit() else None
