"""Tells whether a carrier gave the same page again: one that ignores the parameter of the position would never end."""

from collections.abc import Sequence
from typing import Any

from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor, digest_of


def page_digest(records: Sequence[Any]) -> str:
    """Return 16 hex digits that name what a page holds."""
    return digest_of(records)


def is_repeated(cursor: Cursor, digest: str) -> bool:
    """Return whether the page before held the same."""
    return cursor.get("held") == digest


def repeated_page(parameter: str) -> UnexpectedResponse:
    """Return the error for a page that is the one before: the carrier does not look at the parameter."""
    return UnexpectedResponse(
        f"the carrier gave the same page twice, as if it did not look at the parameter {parameter!r}: check how the "
        "carrier's documentation calls it. If it ends its list by giving the last page again, say "
        "`end_on: [repeated_page]` in the pagination"
    )
