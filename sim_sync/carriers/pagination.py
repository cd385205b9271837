"""Pagination rules: pure functions from (cursor, answer) to the next cursor, or to None at the carrier's end signal.

An empty or short page is not the end unless a rule says so. Cursors hold positions, never origins or secrets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jmespath

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.core.errors import UnexpectedAnswer
from sim_sync.core.pages import Cursor

#: Turns a URL that the carrier supplied into path and query, or refuses it (`HttpClient.path_of`).
PathOf = Callable[[str], str]


class Pagination(Protocol):
    """One way to walk a list."""

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""

    def ask(self, cursor: Cursor) -> Ask:
        """Return the request for the page at a cursor."""

    def next_cursor(self, cursor: Cursor, answer: Answer, path_of: PathOf) -> Cursor | None:
        """Return where the walk goes on after an answer, or None at the carrier's own end signal."""


@dataclass(frozen=True, slots=True)
class NextLinkInBody:
    """The body holds the URL of the next page; null is the end (Twilio, KORE)."""

    first: Ask
    link: str

    def first_cursor(self) -> Cursor:
        """Return the empty cursor."""
        return {}

    def ask(self, cursor: Cursor) -> Ask:
        """Return the first request, or the one that the carrier's link asks for."""
        if not cursor:
            return self.first
        return Ask(method=self.first.method, path=str(cursor["next"]), headers=self.first.headers)

    def next_cursor(self, cursor: Cursor, answer: Answer, path_of: PathOf) -> Cursor | None:
        """Return the link's path and query as the next cursor."""
        holder, _, key = self.link.rpartition(".")
        found: Any = jmespath.search(holder, answer.body) if holder else answer.body
        if not isinstance(found, Mapping) or key not in found:
            raise UnexpectedAnswer(
                f"expected {self.link} in the answer, null on the last page; found none: without it the end of the "
                "list cannot be told"
            )
        url = found[key]
        if url is None:
            return None
        if not isinstance(url, str) or not url:
            raise UnexpectedAnswer(f"expected a URL or null in {self.link}, found {type(url).__name__}")
        return {"next": path_of(url)}
