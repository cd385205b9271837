"""Where a URL leads: origins as they are compared, and a server's links, held to the configured one. Pure."""

from urllib.parse import urljoin, urlsplit, urlunsplit

from sim_sync.core.errors import ForeignOrigin, UnexpectedAnswer


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the way they are compared."""
    parts = urlsplit(url)
    if "@" in parts.netloc or "\\" in parts.netloc:  # read in one way here and in another elsewhere: equal to none
        return f"{parts.scheme}://(unclear)"
    try:
        port = parts.port
    except ValueError:
        port = -1
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port or default}"


def path_within(base_url: str, asked_path: str, link: str, *, doing: str) -> str:
    """Return path and query of a link in the answer to `asked_path`, relative to `base_url`; `doing` starts messages.

    Raises:
        ForeignOrigin: it leads to another origin than the configured one.
        UnexpectedAnswer: it is no URL, or leads out of the path that `base_url` has.
    """
    try:
        parts = urlsplit(urljoin(base_url + asked_path, link))
    except ValueError:
        raise UnexpectedAnswer(f"{doing}: the carrier's link is no URL") from None
    origin, configured = origin_of(parts.geturl()), origin_of(base_url)
    if origin != configured:
        raise ForeignOrigin(
            f"{doing}: the carrier's link leads to {origin!a}, but only {configured} is configured; no request and no "
            "credentials were sent there"
        )
    base_path = urlsplit(base_url).path
    if not parts.path.startswith(f"{base_path}/"):
        raise UnexpectedAnswer(f"{doing}: the carrier's link leads out of {base_path!r}: give a shorter `base_url`")
    path = parts.path.removeprefix(base_path)
    # Two slashes at the start would be taken for a host.
    return f"{path}?{parts.query}" if path.startswith("//") else urlunsplit(("", "", path, parts.query, ""))
