"""Looks through a JSON document of a carrier's that nobody has described, level by level and not without end. Pure."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

#: An error document is small; of a larger one no more than this is looked at.
_MOST_MEMBERS = 1000
_DEEPEST = 6
_LONGEST_TEXT = 2000


def members(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of a document and of what is in it; an element of a list has the name of the list."""
    level, left = [("", body)], _MOST_MEMBERS
    for _ in range(_DEEPEST):
        found = list(islice((member for name, value in level for member in _children(name, value)), left))
        yield from found
        level, left = found, left - len(found)


def texts(body: Any) -> Iterator[str]:
    """Yield the start of every text in a document, of one that is a text its own; links are left out."""
    for value in [body, *(value for _, value in members(body))]:
        if isinstance(value, str) and not value.startswith(("http://", "https://")):
            yield value[:_LONGEST_TEXT]


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), member) for key, member in value.items())
    elif isinstance(value, list):
        yield from ((name, member) for member in value)
