"""The key `end_on` of a pagination: what ends the list of this carrier beside what its pagination reads."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator

from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import EndSigns
from sim_sync.carriers.rest.errors import Match

#: Statuses that mean something else wherever they come: credentials, the wrong moment, too fast.
_NEVER_AN_END = frozenset({401, 403, 407, 408, 425, 429})
Word: TypeAlias = Literal["null", "empty_page", "repeated_page"]


def _entry(value: Any) -> Any:
    """Take YAML's own null for the word, and digits in quotes for a status."""
    if value is None:
        return "null"
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and (value in _NEVER_AN_END or not (200 <= value < 300 or 400 <= value < 500)):
        raise ValueError(
            "a status that can be the end of a list: a 2xx, or a 4xx that is not about credentials or speed"
        )
    return value


def _entries(value: Any) -> Any:
    """Take one entry for a list of one."""
    given = value if isinstance(value, (list, tuple)) else [value]
    return [_entry(entry) for entry in given]


EndOn = Annotated[tuple[int | Word | Match, ...], BeforeValidator(_entries)]


def end_signs_of(declared: Sequence[int | str | Match]) -> EndSigns:
    """Return the signs that are declared."""
    statuses = {entry for entry in declared if isinstance(entry, int)}
    forms = [entry for entry in declared if isinstance(entry, Match)]

    def says(response: Response) -> bool:
        return response.status in statuses or any(form.fits(response) for form in forms)

    return EndSigns(says=says, empty_page="empty_page" in declared, repeated_page="repeated_page" in declared)
