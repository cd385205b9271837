"""1NCE, after help.1nce.com: keys as HTTP Basic with a JSON body, an array as the body, totals in headers."""

from typing import Any

from sim_sync.carriers.registry import connectors
from sim_sync_tests.carriers.walking import documented_parameters, iccid, settings, told, walk
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Play, Received, Script, reply, serving

AUTH = {"client_id": "api-user", "client_secret": "api-password"}


def sim(number: int, **more: Any) -> dict[str, Any]:
    return {
        "iccid": iccid(number, digits=19),
        "iccid_with_luhn": iccid(number),
        "imsi": f"90140{number:010d}",
        "imsi_2": f"90140{number + 1:010d}",
        "current_imsi": f"90140{number:010d}",
        "msisdn": f"88228{number:010d}",
        "imei": "0000000000000018",
        "imei_lock": True,
        "status": "Disabled" if number % 2 else "Enabled",
        "activation_date": "2018-03-09T07:59:09.000+0000",
        "ip_address": "100.100.100.18",
        "current_quota": 500,
        "label": "DX-137-B12",
        **more,
    }


def one_nce(count: int) -> Script:
    def script(received: Received) -> bytes:
        if received.path == "/oauth/token":
            assert received.method == "POST"
            assert received.headers["authorization"] == "Basic YXBpLXVzZXI6YXBpLXBhc3N3b3Jk"
            assert received.json() == {"grant_type": "client_credentials"}
            return reply(200, {"access_token": "nce-token", "token_type": "bearer", "expires_in": 3600})
        assert received.path == "/management-api/v2/sims"
        if received.headers.get("authorization") != "Bearer nce-token":
            return reply(401, {"statusCode": 401})
        asked = told(received)
        assert set(asked) == {"page", "pageSize"}
        page, size = int(asked["page"]), int(asked["pageSize"])
        assert size <= 100
        rows = [sim(number) for number in range(count)][(page - 1) * size : page * size]
        totals = {"X-Total-Count": str(count), "X-Total-Pages": str(-(-count // size)), "X-Current-Page": str(page)}
        return reply(200, rows, totals)

    return script


def test_the_requests_are_as_documented() -> None:
    with serving(one_nce(3)) as server:
        walk("one_nce", settings("one_nce", server.url, AUTH))
    assert [(received.method, received.target) for received in server.received] == [
        ("POST", "/oauth/token"),
        ("GET", "/management-api/v2/sims?page=1&pageSize=100"),
    ]
    assert documented_parameters("1nce/sim_list.openapi.json", "/v2/sims") >= {"page", "pageSize"}


def test_a_list_takes_one_request_a_page_at_no_more_than_ten_a_second() -> None:
    time = MovingTime()
    with serving(one_nce(250)) as server:
        found = walk("one_nce", settings("one_nce", server.url, AUTH, page_size=20), time=time)
        assert len(server.asked("/management-api/v2/sims")) == 13
    assert found.column("iccid") == [iccid(number) for number in range(250)]
    assert time.monotonic() - 1000 >= 1.0


def test_the_form_with_the_check_digit_is_the_iccid_and_the_id() -> None:
    read = connectors()["one_nce"].record_map.read(sim(7))
    assert (read.sim_id, read.iccid, read.iccid_raw) == (iccid(7), iccid(7), iccid(7, digits=19))
    assert (read.imsi, read.msisdn, read.imei) == ("901400000000007", "+882280000000007", "0000000000000018")
    assert (read.status, read.carrier_status, read.label) == ("suspended", "Disabled", "DX-137-B12")
    assert '"imsi_2":"901400000000008"' in read.attributes


def test_the_vendors_own_example_is_a_sim_with_a_flag() -> None:
    # Its 20-digit form is not its 19-digit form with a check digit, and fails Luhn.
    example = sim(1, iccid="8988303000123456789", iccid_with_luhn="89883030001234567890")
    read = connectors()["one_nce"].record_map.read(example)
    assert (read.iccid, read.quality_flags) == ("89883030001234567890", '["iccid_check_digit"]')


def test_without_the_longer_form_the_shorter_one_is_taken_and_never_completed() -> None:
    read = connectors()["one_nce"].record_map.read(sim(7, iccid_with_luhn=None))
    assert (read.iccid, read.iccid_raw) == (iccid(7, digits=19), iccid(7, digits=19))


def test_the_state_of_the_connection_is_no_status_of_the_sim() -> None:
    read = connectors()["one_nce"].record_map.read(sim(1, status="ONLINE"))
    assert (read.status, read.quality_flags) == ("unknown", '["unknown_status"]')


def test_the_token_call_may_be_moved() -> None:
    api = one_nce(1)

    def moved(received: Received) -> bytes | Play:
        if received.path == "/management-api/oauth/token":
            return reply(200, {"access_token": "nce-token", "expires_in": 3600})
        return api(received)

    with serving(moved) as server:
        given = settings("one_nce", server.url, {**AUTH, "token_url": "/management-api/oauth/token"})
        assert len(walk("one_nce", given).sims) == 1
