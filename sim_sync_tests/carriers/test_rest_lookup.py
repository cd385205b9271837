"""A declared carrier is asked for one SIM as `list.lookup` says."""

from pathlib import Path
from typing import Any

import pytest

from sim_sync.core.errors import AuthenticationFailed, CarrierError, ConfigError, ParkRequired
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync_tests.carriers.declared import declared
from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import RawServer, in_turn, reply, serving

ASKED = AskedSim("s/1", iccid(1), iccid(1))
SIM = {"id": "s/1", "iccid": iccid(1), "state": "active"}
BY_ID = "{path: '/v1/sims/{sim_id}'}"


def acme(url: str, lookup: str | None) -> str:
    return f"""
type: rest
base_url: {url}
auth: {{type: bearer, token: tok}}
retry: {{max_attempts: 2, base_seconds: 0.01}}
list:
  path: /v1/sims
  records: data
  pagination: {{type: cursor, path: next, to_query: cursor}}
  {"" if lookup is None else f"lookup: {lookup}"}
fields: {{sim_id: id, iccid: iccid, status: state}}
"""


def look_up(folder: Path, lookup: str | None, answer: bytes, asked: AskedSim = ASKED) -> tuple[LookedUp, RawServer]:
    with serving(in_turn(answer, answer)) as server:
        carrier = declared(folder, acme(server.url, lookup)).build(MovingTime())
        assert carrier.can_look_up
        return carrier.look_up(asked), server


@pytest.mark.parametrize(
    ("lookup", "answer"),
    [
        (BY_ID, SIM),
        ("{path: '/v1/sims/{sim_id}', record: data}", {"data": SIM}),
        ("{path: '/v1/sims', params: {id: '{sim_id}'}, record: data}", {"data": [SIM]}),
        ("{path: '/v1/sims', params: {id: '{sim_id}'}, record: data}", {"data": [SIM | {"id": "s2"}, SIM]}),
    ],
)
def test_a_sim_is_found_where_the_declaration_says(tmp_path: Path, lookup: str, answer: Any) -> None:
    found, _ = look_up(tmp_path, lookup, reply(200, answer))
    assert found.outcome is LookupOutcome.FOUND
    assert found.sim is not None
    assert (found.sim.sim_id, found.sim.iccid, found.sim.status) == ("s/1", iccid(1), "active")


@pytest.mark.parametrize(
    ("lookup", "method", "target", "body"),
    [
        (BY_ID, "GET", "/v1/sims/s%2F1", None),
        ("{path: '/v1/sims/by-iccid/{iccid}.json'}", "GET", f"/v1/sims/by-iccid/{iccid(1)}.json", None),
        ("{path: /v1/find, params: {iccid: '{iccid}', limit: 1}}", "GET", f"/v1/find?iccid={iccid(1)}&limit=1", None),
        (
            "{path: /v1/find, method: POST, body: {filter: {ids: ['{sim_id}']}, size: 1}}",
            "POST",
            "/v1/find",
            {"filter": {"ids": ["s/1"]}, "size": 1},
        ),
    ],
)
def test_the_id_stands_where_the_declaration_puts_it(
    tmp_path: Path, lookup: str, method: str, target: str, body: Any
) -> None:
    _, server = look_up(tmp_path, lookup, reply(200, SIM))
    (received,) = server.received
    assert (received.method, received.target, received.json() if received.body else None) == (method, target, body)


@pytest.mark.parametrize(
    ("not_found", "answer"),
    [
        (None, reply(404)),
        ("[404, 410]", reply(410)),
        ("{status: 400, path: error.code, equals: NO_SUCH_SIM}", reply(400, {"error": {"code": "NO_SUCH_SIM"}})),
        ("{path: error, contains: unknown sim}", reply(200, {"error": "Unknown SIM"})),
        ("empty", reply(200, {"data": []})),
        ("empty", reply(200, {"data": None})),
        ("[empty, 404]", reply(404)),
    ],
)
def test_a_sim_is_not_there_by_what_the_declaration_says(tmp_path: Path, not_found: str | None, answer: bytes) -> None:
    declared_as = "" if not_found is None else f", not_found: {not_found}"
    found, _ = look_up(tmp_path, f"{{path: '/v1/sims/{{sim_id}}', record: data{declared_as}}}", answer)
    assert found.outcome is LookupOutcome.NOT_FOUND


@pytest.mark.parametrize(
    ("not_found", "answer", "error"),
    [
        ("{path: error, contains: unknown sim}", reply(500, {"error": "unknown sim"}), ParkRequired),
        ("{path: error, contains: unknown sim}", reply(403, {"error": "unknown sim"}), AuthenticationFailed),
        ("{path: error, contains: unknown sim}", reply(404, {"error": "no route"}), CarrierError),
        ("{path: error, contains: unknown sim}", reply(429, {"error": "unknown sim"}), ParkRequired),
        ("404", reply(200, {"data": []}), CarrierError),
        ("404", reply(200, {"data": SIM | {"id": "s2"}}), CarrierError),
        ("404", reply(200, raw=b"<html>"), (CarrierError, ParkRequired)),
        ("empty", reply(500, {"data": []}), ParkRequired),
        ("empty", reply(200, {"data": [1, "x"]}), CarrierError),
    ],
)
def test_everything_else_is_neither(tmp_path: Path, not_found: str, answer: bytes, error: Any) -> None:
    with pytest.raises(error):
        look_up(tmp_path, f"{{path: '/v1/sims/{{sim_id}}', record: data, not_found: {not_found}}}", answer)


@pytest.mark.parametrize("asked", [AskedSim("..", None, None), AskedSim("s1", None, None)])
def test_a_sim_that_lacks_what_the_call_needs_is_not_asked_for(tmp_path: Path, asked: AskedSim) -> None:
    lookup = "{path: '/v1/sims/{sim_id}'}" if asked.sim_id == ".." else "{path: /v1/find, params: {iccid: '{iccid}'}}"
    found, server = look_up(tmp_path, lookup, reply(200, SIM), asked)
    assert (found.outcome, server.received) == (LookupOutcome.UNCLEAR, [])


def test_without_a_lookup_nobody_is_asked_for(tmp_path: Path) -> None:
    assert not declared(tmp_path, acme("http://127.0.0.1:1", None)).build(MovingTime()).can_look_up


def test_a_lookup_that_is_added_changes_no_cursor(tmp_path: Path) -> None:
    hashes = {
        declared(tmp_path, acme("http://127.0.0.1:1", lookup)).build(MovingTime()).config_hash
        for lookup in (None, BY_ID)
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("lookup", "told"),
    [
        ("{path: /v1/sims}", "which SIM is asked for"),
        ("{path: '/v1/sims/{imsi}'}", "not imsi"),
        ("{path: '/v1/sims/{sim_id}', not_found: 500}", "no 5xx"),
        ("{path: '/v1/sims/{sim_id}', not_found: [404, 403]}", "none of credentials or speed"),
        ("{path: '/v1/sims/{sim_id}', not_found: {status: 503, path: error}}", "no 5xx"),
        ("{path: '/v1/sims/{sim_id}', not_found: []}", "not_found"),
        ("{path: '/v1/sims', body: {id: '{sim_id}'}}", "method: POST"),
        ("{path: '/v1/sims?id={sim_id}'}", "path"),
        ("{path: '/v1/sims/{sim_id}', record: '['}", "JMESPath"),
    ],
)
def test_a_lookup_that_cannot_be_one_is_refused(tmp_path: Path, lookup: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        declared(tmp_path, acme("http://127.0.0.1:1", lookup))
