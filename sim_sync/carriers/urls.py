"""URLs in `carriers.yaml`: where a login is sent, and what is this machine's own."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _login_url(text: str) -> str:
    """Accept a path on `base_url`, an https URL, or an http URL on loopback: credentials are sent there."""
    if text.startswith("/") and not text.startswith("//"):
        return text
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.username is not None or parts.scheme not in {"http", "https"}:
        raise ValueError("a path on base_url, or a URL such as https://login.example.com/token")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("https, because credentials are sent there (http only for loopback)")
    return text


def is_loopback(host: str) -> bool:
    """Return whether a host name is this machine's own, by its form alone: nothing is resolved."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


#: A path on `base_url`, or a URL of its own.
LoginUrl = Annotated[str, AfterValidator(_login_url)]
