"""The carrier hands out the URL of the next page, in the body or in a `Link` header. Its path and query are kept."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sim_sync.carriers.json_bodies import is_plain, lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.rule import Pagination, PathOf
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor

_TARGET = re.compile(r"\s*,*\s*<([^>]*)>")
_PARAMETER = re.compile(r'\s*;\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')


def request_by_link(first: Request, cursor: Cursor) -> Request:
    """Return the first request, or the one that the carrier's link asks for: the link carries all its parameters."""
    if not cursor:
        return first
    return Request(method=first.method, path=str(cursor["next"]), headers=first.headers, body=first.body)


@dataclass(frozen=True, slots=True)
class NextLinkInBody(Pagination):
    """The body holds the URL of the next page; null is the end (Twilio, KORE), and so is an empty text.

    An answer without the link's key is refused, because it may be an answer that lost it, or a path with a slip of the
    pen. With `absent_after_first` that is said of the first page only: once a link was followed, its absence is the
    end. With `absent_is_end` it always is.
    """

    first: Request
    link: str
    absent_after_first: bool = False
    absent_is_end: bool = False

    def request(self, cursor: Cursor) -> Request:
        """Return the first request, or the one that the carrier's link asks for."""
        return request_by_link(self.first, cursor)

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the link's path and query as the next cursor."""
        url = lookup_of(self.link)(response.body)
        if url is None:
            self._refuse_absent(cursor, response)
            return None
        if not isinstance(url, str):
            raise UnexpectedResponse(f"expected a URL or null in {self.link}, found {type(url).__name__}")
        return {"next": path_of(url.strip())} if url.strip() else None

    def _refuse_absent(self, cursor: Cursor, response: Response) -> None:
        """Tell null from nothing, where the path is one of plain keys."""
        if self.absent_is_end or (self.absent_after_first and cursor) or not is_plain(self.link):
            return
        holder, _, key = self.link.rpartition(".")
        found: Any = lookup_of(holder)(response.body) if holder else response.body
        if not isinstance(found, Mapping) or key not in found:
            raise UnexpectedResponse(
                f"expected {self.link} in the answer, null on the last page; found none: without it the end of the "
                "list cannot be told"
            )


@dataclass(frozen=True, slots=True)
class NextLinkInHeader(Pagination):
    """A `Link` header with `rel="next"` (RFC 8288) leads on; without one the list ends."""

    first: Request
    header: str = "Link"

    def request(self, cursor: Cursor) -> Request:
        """Return the first request, or the one that the carrier's link asks for."""
        return request_by_link(self.first, cursor)

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the link's path and query as the next cursor."""
        url = next_link(response.headers.get(self.header.lower(), ""))
        return None if url is None else {"next": path_of(url)}


def next_link(header: str) -> str | None:
    """Return the target of `rel="next"` in a `Link` header, or None where it has none.

    Raises:
        UnexpectedResponse: the header is no list of links, so the end of the list cannot be told.
    """
    for target, relations in _links(header):
        if "next" in relations.lower().split():
            return target
    return None


def _links(header: str) -> Iterator[tuple[str, str]]:
    """Yield each link's target and relations. A target may contain commas, so nothing is split at them."""
    at = 0
    while header[at:].strip(" \t,"):
        found = _TARGET.match(header, at)
        if found is None:
            raise UnexpectedResponse(
                'expected links like <url>; rel="next" (RFC 8288) in the header Link, found no such'
            )
        at = found.end()
        relations = ""
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
            if parameter[1].lower() == "rel" and not relations:
                relations = parameter[2] or parameter[3] or ""
        yield found[1], relations
