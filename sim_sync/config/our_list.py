"""Our own list of SIMs as the config names it: in a file, or as the answer to a query."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from sim_sync.inventory import Reading, Terms


class OurList(Protocol):
    """Our list, to be read as often as needed."""

    def digest(self) -> str | None:
        """Return a digest of what the list says, without reading what that is; None where that costs a reading."""

    def opened(self, only: Collection[str] | None = None) -> AbstractContextManager[Reading]:
        """Open the list for one reading, of the carriers in `only` or of all."""


class SqlList:
    """Our list as the answer to a query."""

    def __init__(self, url: str, query: str, terms: Terms, variable: str | None = None) -> None:
        """`variable` is the environment variable that the URL came from: then no part of it is ever shown."""
        self._url = url
        self._query = query
        self._terms = terms
        self._variable = variable

    def digest(self) -> None:
        """Return None: only the database knows whether the answer is the same."""

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Reading]:
        """Send the query for one reading."""
        from sim_sync.inventory.sql_source import open_sql

        with open_sql(self._url, self._query, variable=self._variable) as sheet:
            yield Reading(sheet, self._terms, only)
