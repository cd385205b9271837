"""Where a URL leads: origins as they are compared, and a server's links, held to the configured one. Pure."""

from enum import StrEnum
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from sim_sync.core.errors import ForeignOrigin, UnexpectedResponse

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


class LinkRule(StrEnum):
    """What is taken of a link that a carrier hands out. No request ever goes to another origin than the configured."""

    #: One that names another origin is refused: it may be another API's. `http` for `https` of one host is no other.
    SAME_ORIGIN = "same_origin"
    #: Path and query alone: the carrier is behind a proxy, and its links name what it is called inside.
    PATH_ONLY = "path_only"


def path_within(
    base_url: str, requested_path: str, link: str, *, doing: str, links: LinkRule = LinkRule.SAME_ORIGIN
) -> str:
    """Return path and query of a link in the answer to `asked_path`, relative to `base_url`; `doing` starts messages.

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
