"""What carriers agree about without a standard: "slower", "log in again" and "this is an error"."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_sync.carriers.dialect import (
    asks_to_slow_down,
    denies_access,
    documents_an_error,
    may_be_an_expired_login,
    refuses_a_login,
    says_that_login_expired,
)
from sim_sync.carriers.messages import Response


def response(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, headers=headers or {}, body=body)


SLOWER = [
    response(403, {"error": "slow down"}, {"retry-after": "1"}),
    response(403, None, {"retry-after": "Mon, 02 Mar 2026 02:01:00 GMT"}),
    response(403, None, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1772416860"}),  # GitHub
    response(403, {"message": "You have exceeded a secondary rate limit"}),
    response(403, {"error": {"errors": [{"reason": "userRateLimitExceeded"}]}}),  # Google
    response(403, {"error": {"errors": [{"reason": "quotaExceeded"}]}}),
    response(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]),  # Salesforce
    response(403, "<h1>Developer Over Qps</h1>"),  # Mashery
    response(403, "Too many requests"),
    response(403, {"retry_after": 30}),
    response(403, {"message": "Quota used up"}),
    response(400, {"__type": "ThrottlingException"}),  # AWS
    response(420, {"message": "Too fast"}),
    response(200, {"error": "API rate limit exceeded"}),
    response(200, {"success": False, "code": 429}),
    response(200, {"status": "error", "message": "Too many requests", "data": None}),
]
NOT_SLOWER = [
    response(403, {"error": "no rights"}),
    response(403, {"error": "forbidden", "documentation": "https://acme.example/rate-limits"}),
    response(403, {"rate_limit": {"limit": 100, "used": 3}, "error": "forbidden"}),
    response(403, None, {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "60"}),
    response(401, {"error": "slow down"}, {"retry-after": "1"}),
    response(404, None, {"x-ratelimit-remaining": "0"}),
    response(400, {"message": "page size exceeds the limit of 100"}),
    response(500, {"error": "rate limit exceeded"}),  # transient anyway
    response(200, {"data": [{"label": "rate limit exceeded"}]}),
    response(200, {"data": []}, {"x-ratelimit-remaining": "0", "retry-after": "3"}),
    response(200, None),
]


@pytest.mark.parametrize("given", SLOWER, ids=str)
def test_a_refusal_may_mean_slower(given: Response) -> None:
    assert asks_to_slow_down(given)


@pytest.mark.parametrize("given", NOT_SLOWER, ids=str)
def test_a_refusal_without_a_sign_is_one(given: Response) -> None:
    assert not asks_to_slow_down(given)


@pytest.mark.parametrize(
    ("given", "has_expired", "may_have"),
    [
        (response(401), True, False),
        (response(419), True, False),
        (response(440), True, False),
        (response(498), True, False),
        (response(400, headers={"www-authenticate": 'Bearer error="invalid_token"'}), True, False),
        (response(403), False, True),
        (response(400, {"message": "Session expired"}), False, True),
        (response(400, {"message": "Expired token"}), False, True),
        (response(400, {"error": {"code": 401}}), False, True),
        (response(200, {"error": {"code": "401", "text": "?"}}), False, True),
        (response(400, {"message": "bad page"}), False, False),
        (response(500, {"message": "token expired"}), False, False),
        (response(200, {"data": [{"label": "token expired"}]}), False, False),
    ],
)
def test_a_login_may_have_run_out(given: Response, has_expired: bool, may_have: bool) -> None:
    assert (says_that_login_expired(given), may_be_an_expired_login(given)) == (has_expired, may_have)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "backend away"},
        {"error": True},
        {"error": {"code": 17, "message": "backend away"}},
        {"errors": [{"message": "backend away"}], "data": None},
        {"errorMessage": "backend away"},
        {"error_code": "E17"},
        {"success": False, "data": []},
        {"isSuccess": False},
        {"ok": False},
        {"status": "error", "data": []},
        {"status": "fail"},
        {"status": 500, "message": "backend away"},
        {"statusCode": "503"},
        {"code": 404},
    ],
)
def test_a_success_may_document_an_error(body: Any) -> None:
    assert documents_an_error(response(200, body))


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"error": "of one SIM"}]},
        {"error": None, "data": []},
        {"error": "", "errors": [], "data": []},
        {"error": 0, "errorCode": "0", "errorMessage": "OK", "data": []},
        {"error": {"code": 0, "message": "Success"}, "data": []},
        {"errors": {}, "success": True, "ok": True, "status": "ok", "code": 200},
        {"success": None, "status": "active", "code": 12},
        [{"error": "x"}],
        [],
        {},
        "error",
        None,
    ],
)
def test_a_page_documents_no_error(body: Any) -> None:
    assert not documents_an_error(response(200, body))


@pytest.mark.parametrize(
    ("body", "denied"),
    [
        ({"error": "Unauthorized"}, True),
        ({"success": False, "code": 403}, True),
        ({"error": {"message": "Invalid API key"}}, True),
        ({"error": "invalid_token"}, True),
        ({"error": "backend away"}, False),
        ({"data": ["forbidden"]}, False),
    ],
)
def test_an_error_document_may_refuse_the_credentials(body: Any, denied: bool) -> None:
    assert denies_access(response(200, body)) is denied


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"error": "invalid_client"}, True),
        ({"error": "bad_verification_code"}, True),
        ({"error": "temporarily_unavailable"}, False),
        ({"error": {"code": 500, "message": "?"}}, False),
        ({"access_token": "abc"}, False),
    ],
)
def test_a_login_is_refused_unless_the_carrier_has_trouble_of_its_own(body: Any, refused: bool) -> None:
    assert refuses_a_login(response(200, body)) is refused


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(st.integers(100, 599), _JSON, st.dictionaries(st.sampled_from(["retry-after", "ratelimit"]), st.text()))
def test_any_answer_can_be_judged(status: int, body: Any, headers: dict[str, str]) -> None:
    judged = response(status, body, headers)
    for sign in (asks_to_slow_down, may_be_an_expired_login, documents_an_error, denies_access, refuses_a_login):
        assert sign(judged) in {True, False}
