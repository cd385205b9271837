"""The key `errors` of a declared carrier: which answers mean slower, log in again, trouble that passes, and the end."""

from pathlib import Path
from typing import Any

import pytest

from sim_sync.carriers.messages import Response
from sim_sync.carriers.rest.responses import Errors, Match
from sim_sync.config.carrier import CarrierConfig
from sim_sync.core.errors import AuthenticationFailed, ConfigError, CursorRejected, ParkRequired, UnexpectedResponse
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.docs.documents import PROJECT, code_blocks
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, in_turn, reply, serving

PAGE = reply(200, {"data": [{"id": "1", "iccid": "8988303000000000011", "state": "active"}], "total": 1})


NUMBERED = "{type: page_number, page_param: page, total: total}"
LINKED = "{type: next_link, path: next}"


def acme(
    folder: Path,
    server: RawServer,
    errors: str,
    auth: str = "{type: bearer, token: abcdef}",
    pagination: str = NUMBERED,
) -> CarrierConfig:
    return declared(
        folder,
        f"""
        type: rest
        base_url: {server.url}
        auth: {auth}
        list: {{path: /v1/sims, records: data, pagination: {pagination}}}
        fields: {{sim_id: id, iccid: iccid, status: state}}
        errors: {errors}
        """,
    )


def fetched(config: CarrierConfig, cursor: dict[str, Any] | None = None) -> list[float]:
    """Fetch a page, which has to come in the end, and return the waits until then."""
    time = MovingTime()
    carrier = config.build(time)
    assert carrier.fetch_page(cursor or carrier.first_cursor()).records == 1
    return time.waits


def failure(config: CarrierConfig, kind: type[Exception], cursor: dict[str, Any] | None = None) -> str:
    carrier = config.build(MovingTime())
    with pytest.raises(kind) as caught:
        carrier.fetch_page(cursor or carrier.first_cursor())
    return str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (403, {"error": {"code": "TOO_FAST", "seconds": 20}}, {}),
        (200, {"error": {"seconds": 20}}, {"X-Error-Code": "ERR_OVER_QPS"}),
        (404, {"error": {"seconds": "20"}, "data": []}, {"X-Error-Code": "over_qps"}),
    ],
)
def test_what_is_listed_as_throttled_is_waited_for_as_long_as_it_says(
    tmp_path: Path, status: int, body: Any, headers: dict[str, str]
) -> None:
    errors = (
        "{throttled: [{status: 403, path: error.code, equals: TOO_FAST}, {header: X-Error-Code, contains: over_qps}], "
        "retry_after: error.seconds}"
    )
    with serving(in_turn(reply(status, body, headers), PAGE)) as server:
        wait = fetched(acme(tmp_path, server, errors))[0]
    assert 20 <= wait <= 21


def test_a_wait_may_stand_in_a_header_of_the_carriers_own(tmp_path: Path) -> None:
    errors = "{retry_after: {header: X-Come-Back}}"
    with serving(in_turn(reply(429, {}, {"X-Come-Back": "45"}), PAGE)) as server:
        wait = fetched(acme(tmp_path, server, errors))[0]
    assert 45 <= wait <= 46


@pytest.mark.parametrize("status", [200, 404, 400])
def test_what_is_listed_as_unavailable_is_tried_again(tmp_path: Path, status: int) -> None:
    errors = "{unavailable: [{status: [200, 404, 400], path: state, equals: MAINTENANCE}]}"
    with serving(in_turn(reply(status, {"state": "MAINTENANCE", "data": []}), PAGE)) as server:
        assert len(fetched(acme(tmp_path, server, errors))) == 1


@pytest.mark.parametrize("status", [200, 400, 403, 429, 503])
def test_what_is_listed_as_failed_is_final_whatever_the_status(tmp_path: Path, status: int) -> None:
    errors = "{failed: [{path: error.code, equals: ACCOUNT_CLOSED}]}"
    closed = reply(status, {"error": {"code": "ACCOUNT_CLOSED"}}, {"Retry-After": "5"})
    with serving(in_turn(closed)) as server:
        for cursor in (None, {"page": 2}):
            told = failure(acme(tmp_path, server, errors), UnexpectedResponse, cursor)
            assert "ACCOUNT_CLOSED" in told
            assert "final for this carrier" in told


def test_a_cursor_is_rejected_as_before_where_nothing_is_listed(tmp_path: Path) -> None:
    with serving(in_turn(reply(400, {"error": {"code": "OTHER"}}))) as server:
        linked = acme(tmp_path, server, "{failed: [{path: error.code, equals: X}]}", pagination=LINKED)
        failure(linked, CursorRejected, {"next": "/v1/sims?page=2"})


def test_a_page_number_is_no_cursor_that_a_carrier_may_no_longer_take(tmp_path: Path) -> None:
    with serving(in_turn(reply(400, {"error": {"code": "OTHER"}}))) as server:
        assert "HTTP 400" in failure(acme(tmp_path, server, "{}"), UnexpectedResponse, {"page": 2})


@pytest.mark.parametrize("status", [200, 409])
def test_what_is_listed_as_expired_costs_one_login_and_refuses_fixed_credentials(tmp_path: Path, status: int) -> None:
    errors = "{expired: [{path: code, equals: 17}]}"
    login = "{type: oauth2_client_credentials, token_url: /login, client_id: a, client_secret: s3cret}"
    grant, expired = reply(200, {"access_token": "token-0001"}), reply(status, {"code": 17})
    with serving(in_turn(grant, expired, grant, PAGE)) as server:
        assert fetched(acme(tmp_path, server, errors, login)) == []
        assert len(server.asked("/login")) == 2
    with serving(in_turn(expired)) as server:
        failure(acme(tmp_path, server, errors), AuthenticationFailed)


def test_an_answer_that_is_listed_is_not_what_might_be_guessed(tmp_path: Path) -> None:
    errors = "{failed: [{status: 403, path: error, contains: rate plan}]}"
    refused = reply(403, {"error": "Rate plan exceeded its rate limit"}, {"Retry-After": "60"})
    with serving(in_turn(refused)) as server:
        failure(acme(tmp_path, server, errors), UnexpectedResponse)


def test_without_guesses_a_page_may_hold_an_error_and_a_403_is_a_refusal(tmp_path: Path) -> None:
    page = reply(200, {"error": "none of yours", "data": [{"id": "1", "iccid": "8988303000000000011"}], "total": 1})
    with serving(in_turn(page)) as server:
        assert fetched(acme(tmp_path, server, "{guess: false}")) == []
        failure(acme(tmp_path, server, "{}"), ParkRequired)
    with serving(in_turn(reply(403, {"error": "slow down"}, {"Retry-After": "5"}))) as server:
        failure(acme(tmp_path, server, "{guess: false}"), AuthenticationFailed)


@pytest.mark.parametrize(
    ("match", "status", "body", "headers", "fits"),
    [
        (Match(status=403), 403, None, {}, True),
        (Match(status=403), 404, None, {}, False),
        (Match(status=(403, 404)), 404, None, {}, True),
        (Match(path="error"), 200, {"error": "x"}, {}, True),
        (Match(path="error"), 200, {"error": ""}, {}, False),
        (Match(path="error"), 200, {"error": 0}, {}, False),
        (Match(path="error"), 200, {}, {}, False),
        (Match(path="ok", equals=False), 200, {"ok": False}, {}, True),
        (Match(path="ok", equals=False), 200, {"ok": None}, {}, False),
        (Match(path="code", equals=17), 200, {"code": "17"}, {}, True),
        (Match(path="code", equals="17"), 200, {"code": 17}, {}, True),
        (Match(path="code", equals=0), 200, {"code": 0}, {}, True),
        (Match(path="error", contains="RATE"), 200, {"error": ["the rate"]}, {}, True),
        (Match(path="error", contains="rate"), 200, "no JSON", {}, False),
        (Match(path="error", contains="null"), 200, {"error": None}, {}, False),
        (Match(header="X-Code"), 200, None, {"x-code": "1"}, True),
        (Match(header="X-Code", equals="1"), 200, None, {}, False),
        (Match(path="errors[?code=='E1'] | [0]"), 200, {"errors": [{"code": "E1"}]}, {}, True),
    ],
)
def test_an_entry_fits_where_all_of_it_does(
    match: Match, status: int, body: Any, headers: dict[str, str], fits: bool
) -> None:
    assert match.fits(Response(status=status, headers=headers, body=body)) is fits


@pytest.mark.parametrize(
    ("errors", "problem"),
    [
        ("{throttled: [{}]}", "status, path or header"),
        ("{throttled: [{status: 42}]}", "greater than or equal to 100"),
        ("{expired: [{status: 403, contains: token}]}", "path or header beside equals and contains"),
        ("{failed: [{path: a, header: X-A}]}", "either path or header"),
        ("{failed: [{path: 'a['}]}", "a JMESPath expression"),
        ("{slower: []}", "an unknown key"),
        ("{throttled: {status: 403}}", "a list"),
    ],
)
def test_what_cannot_be_meant_is_a_problem_of_the_file(tmp_path: Path, errors: str, problem: str) -> None:
    with serving(in_turn(PAGE)) as server, pytest.raises(ConfigError) as caught:
        acme(tmp_path, server, errors)
    assert problem in str(caught.value)
    assert "carriers.acme.errors" in str(caught.value)


def test_other_words_for_errors_leave_a_cursor_its_meaning(tmp_path: Path) -> None:
    with serving(in_turn(PAGE)) as server:
        plain = acme(tmp_path, server, "{}").build(MovingTime()).config_hash
        assert acme(tmp_path, server, "{failed: [{status: 403}]}").build(MovingTime()).config_hash == plain


def test_nothing_is_listed_without_a_word() -> None:
    assert Errors() == Errors(throttled=(), expired=(), unavailable=(), failed=(), retry_after=None, guess=True)


def test_the_documented_example_loads(tmp_path: Path) -> None:
    (text,) = [text for text in code_blocks(PROJECT / "docs" / "carriers.md", "yaml") if "errors:" in text]
    section = "\n".join(line.removeprefix("    ") for line in text.splitlines()[2:])
    config = declared(tmp_path, section, {"ACME_TOKEN": "abcdef"})
    assert config.settings.options.errors.failed[0].equals == "ACCOUNT_CLOSED"
