"""Where a URL leads: origins as they are compared, and a server's links, held to the configured one. Pure."""

from enum import StrEnum
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


class LinkRule(StrEnum):
    """What is taken of a link that a carrier hands out. No request ever goes to another origin than the configured."""

    #: One that names another origin is refused: it may be another API's.
    SAME_ORIGIN = "same_origin"
    #: Path and query alone: the carrier is behind a proxy, and its links name what it is called inside.
    PATH_ONLY = "path_only"


def path_within(
    base_url: str, asked_path: str, link: str, *, doing: str, links: LinkRule = LinkRule.SAME_ORIGIN
) -> str:
    """Return path and query of a link in the answer to `asked_path`, relative to `base_url`; `doing` starts messages.

    Raises:
        ForeignOrigin: it leads to another origin than the configured one, and `links` does not let that be.
        UnexpectedAnswer: it is no URL, or leads out of the path that `base_url` has.
    """
    try:
        parts = urlsplit(urljoin(base_url + asked_path, link))
    except ValueError:
        raise UnexpectedAnswer(f"{doing}: the carrier's link is no URL") from None
    base_path = urlsplit(base_url).path
    if links is LinkRule.SAME_ORIGIN:
        _refuse_foreign(base_url, parts.geturl(), doing)
    elif not parts.path.startswith(f"{base_path}/"):
        base_path = ""  # the proxy adds it
    if not parts.path.startswith(f"{base_path}/"):
        raise UnexpectedAnswer(f"{doing}: the carrier's link leads out of {base_path!r}: give a shorter `base_url`")
    path = parts.path.removeprefix(base_path)
    # Two slashes at the start would be taken for a host.
    return f"{path}?{parts.query}" if path.startswith("//") else urlunsplit(("", "", path, parts.query, ""))


def _refuse_foreign(base_url: str, link: str, doing: str) -> None:
    origin, configured = origin_of(link), origin_of(base_url)
    if origin != configured:
        raise ForeignOrigin(
            f"{doing}: the carrier's link leads to {origin!a}, but only {configured} is configured; no request and no "
            "credentials were sent there. If that is the carrier's own name behind a proxy, `links: path_only` in "
            "carriers.yaml takes the path and query of its links alone"
        )
