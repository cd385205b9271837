"""Credentials that need no login."""

import base64

import pytest

from sim_sync.carriers.auth import Authorizer, BasicAuth, BearerAuth, HeaderAuth, NoAuth
from sim_sync_tests.fakes.transport import RecordingDesk

DESK = RecordingDesk({})


def test_basic_is_the_pair_in_base64() -> None:
    # The example of RFC 7617, section 2.
    assert BasicAuth("Aladdin", "open sesame").headers(DESK) == {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}


def test_basic_sends_other_letters_as_utf_8() -> None:
    header = BasicAuth("test", "123£").headers(DESK)["Authorization"]
    assert base64.b64decode(header.split()[1]).decode("utf-8") == "test:123£"


def test_a_bearer_token_and_any_header() -> None:
    assert BearerAuth("abc").headers(DESK) == {"Authorization": "Bearer abc"}
    assert HeaderAuth("X-Api-Key", "abc").headers(DESK) == {"X-Api-Key": "abc"}
    assert NoAuth().headers(DESK) == {}


@pytest.mark.parametrize(
    "auth",
    [BasicAuth("the-user", "s3cret"), BearerAuth("s3cret"), HeaderAuth("Authorization", "Token s3cret"), NoAuth()],
)
def test_fixed_credentials_are_not_renewed_log_in_nowhere_and_are_not_shown(auth: Authorizer) -> None:
    assert auth.renewed(auth.headers(DESK), DESK) is None
    assert DESK.asked == []
    assert "s3cret" not in f"{auth!r} {auth}"


def test_the_forms_in_which_a_secret_travels_are_known() -> None:
    assert BasicAuth("u", "s3cret").secrets() == ["s3cret", "u:s3cret"]
    assert list(HeaderAuth("Authorization", "Token s3cret").secrets()) == ["Token s3cret", "s3cret"]
