"""Where a login may be sent: credentials go there."""

import pytest
from pydantic import TypeAdapter, ValidationError

from sim_sync.carriers.settings import LoginUrl

LOGIN_URL: TypeAdapter[str] = TypeAdapter(LoginUrl)


@pytest.mark.parametrize(
    "url",
    [
        "/oauth/token",
        "https://login.example.com/token?tenant=1",
        "http://127.0.0.1:8585/token",
        "http://[::1]:8585/token",
        "http://localhost/token",
        "http://kore.localhost/token",
    ],
)
def test_a_path_https_and_loopback_are_taken_as_they_are(url: str) -> None:
    assert LOGIN_URL.validate_python(url) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://login.example.com/token", "https, because credentials are sent there"),
        ("http://127.0.0.1.example.com/token", "https, because credentials are sent there"),
        ("//login.example.com/token", "a path on base_url, or a URL such as"),
        ("login.example.com/token", "a path on base_url, or a URL such as"),
        ("ftp://login.example.com/token", "a path on base_url, or a URL such as"),
        ("https://me:pass@login.example.com/token", "a path on base_url, or a URL such as"),
        ("https://[::1/token", "a path on base_url, or a URL such as"),
        ("https://login.example.com:port/token", "a path on base_url, or a URL such as"),
        ("", "a path on base_url, or a URL such as"),
    ],
)
def test_everything_else_is_refused(url: str, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        LOGIN_URL.validate_python(url)
