"""The carrier hands out where its list continues: the URL of the next page, or an opaque cursor.

A URL stands in the body or in a `Link` header; its path and query are kept, and it is held to the configured origin. A
cursor stands in the body or in a response header, and goes into the next request.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from sim_sync.carriers.json_bodies import is_plain, lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.rule import Pagination, PathOf, ResponseField, ToBody, ToQuery, position
from sim_sync.carriers.settings import LinkRule
from sim_sync.core.errors import ForeignOrigin, UnexpectedResponse
from sim_sync.core.pages import Cursor

# --- where a URL leads -----------------------------------------------------------------------------------------------

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the way they are compared."""
    parts = urlsplit(url)
    if _is_unclear(parts):
        return f"{parts.scheme}://(unclear)"
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{_port_of(parts)}"


def differ_in_scheme_alone(url: str, other: str) -> bool:
    """Return whether two URLs name one host by http and by https, at the same port or each at its scheme's own.

    A server behind a proxy that ends TLS writes `http` into its links, because that is how it was asked.
    """
    parts, others = urlsplit(url), urlsplit(other)
    if _is_unclear(parts) or _is_unclear(others) or {parts.scheme, others.scheme} != _DEFAULT_PORTS.keys():
        return False
    ports = [_port_of(parts), _port_of(others)]
    is_one_port = ports[0] == ports[1] or ports == [_DEFAULT_PORTS[one.scheme] for one in (parts, others)]
    return is_one_port and parts.hostname is not None and parts.hostname == others.hostname


def _is_unclear(parts: SplitResult) -> bool:
    """Return whether a URL's host is read in one way here and in another elsewhere: it is equal to none."""
    return "@" in parts.netloc or "\\" in parts.netloc


def _port_of(parts: SplitResult) -> int | None:
    """Return the port, the scheme's own where none is named; -1 for one that is none."""
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return -1


def path_within(
    base_url: str, requested_path: str, link: str, *, doing: str, links: LinkRule = LinkRule.SAME_ORIGIN
) -> str:
    """Return path and query of a link in the answer to `requested_path`, relative to `base_url`.

    `doing` starts messages.

    Raises:
        ForeignOrigin: it leads to another origin than the configured one, and `links` does not let that be.
        UnexpectedResponse: it is not a URL, or leads out of the path that `base_url` has.
    """
    try:
        parts = urlsplit(urljoin(base_url + requested_path, link))
    except ValueError:
        raise UnexpectedResponse(f"{doing}: the carrier's link is not a URL") from None
    base_path = urlsplit(base_url).path
    if links is LinkRule.SAME_ORIGIN:
        _refuse_foreign(base_url, parts.geturl(), doing)
    elif not parts.path.startswith(f"{base_path}/"):
        base_path = ""  # the proxy adds it
    if not parts.path.startswith(f"{base_path}/"):
        raise UnexpectedResponse(f"{doing}: the carrier's link leads out of {base_path!r}: give a shorter `base_url`")
    path = parts.path.removeprefix(base_path)
    # Two slashes at the start would be taken for a host.
    return f"{path}?{parts.query}" if path.startswith("//") else urlunsplit(("", "", path, parts.query, ""))


def _refuse_foreign(base_url: str, link: str, doing: str) -> None:
    origin, configured = origin_of(link), origin_of(base_url)
    if origin != configured and not differ_in_scheme_alone(link, base_url):
        raise ForeignOrigin(
            f"{doing}: the carrier's link leads to {origin!a}, but only {configured} is configured; no request and no "
            "credentials were sent there. If that is the carrier's own name behind a proxy, `links: path_only` in "
            "carriers.yaml takes the path and query of its links alone"
        )


# --- links -----------------------------------------------------------------------------------------------------------

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


# --- cursors ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CursorInResponse(Pagination):
    """The next cursor stands at `found_in` and goes to `sent_to`; where it is absent, null or empty the list ends.

    Where the carrier also says whether there is more, `more` decides, and a cursor that is then missing is an error.
    """

    first: Request
    found_in: ResponseField
    sent_to: ToQuery | ToBody
    more: Callable[[Response], bool] | None = None

    def request(self, cursor: Cursor) -> Request:
        """Return the first request, with the cursor from the second page on."""
        return self.sent_to.put(self.first, cursor["after"]) if cursor else self.first

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the cursor that the carrier handed out."""
        if self.more is not None and not self.more(response):
            return None
        after = position(self.found_in.find(response), self.found_in)
        if after is not None:
            return {"after": after}
        if self.more is None:
            return None
        raise UnexpectedResponse(
            f"the carrier says that there is more, but {self.found_in} is empty: the list cannot be followed. "
            "Nothing is lost; try again later, and ask the carrier if it stays so"
        )
