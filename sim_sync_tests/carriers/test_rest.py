"""A carrier that is declared wholly in `carriers.yaml`: every style of paging, every kind of credentials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim_sync_tests.carriers.declared import declared, walk_declared
from sim_sync_tests.carriers.walking import documented_parameters, iccid, told
from sim_sync_tests.fakes.moving_time import MovingTime
from sim_sync_tests.fakes.raw_server import Received, Script, reply, serving

ROWS = [{"id": f"s{number}", "iccid": iccid(number), "state": "ENABLED"} for number in range(7)]
SIZE = 3


def page_of(received: Received, start: int) -> list[dict[str, Any]]:
    size = int(told(received).get("per_page", SIZE))
    return ROWS[start : start + size]


def numbered(received: Received) -> bytes:
    rows = page_of(received, (int(told(received)["page"]) - 1) * SIZE)
    return reply(200, {"data": rows, "meta": {"total_pages": 3}}, {"X-Total-Count": "7"})


def zero_based_with_a_flag(received: Received) -> bytes:
    page = int(told(received)["p"])
    return reply(200, {"data": page_of(received, page * SIZE), "last": page == 2})


def nothing_told(received: Received) -> bytes:
    return reply(200, {"data": page_of(received, (int(told(received)["page"]) - 1) * SIZE)})


def by_offset(received: Received) -> bytes:
    return reply(200, {"data": page_of(received, int(told(received)["skip"])), "count": 7})


def linked_in_body(received: Received) -> bytes:
    start = int(told(received).get("from", 0))
    more = {"next": f"/v1/sims?from={start + SIZE}"} if start + SIZE < 7 else {}
    return reply(200, {"data": page_of(received, start), "links": more})


def linked_in_header(received: Received) -> bytes:
    start = int(told(received).get("from", 0))
    link = {"Link": f'<http://{received.headers["host"]}/v1/sims?from={start + SIZE}>; rel="next"'}
    return reply(200, ROWS[start : start + SIZE], link if start + SIZE < 7 else {})


def cursor_in_body(received: Received) -> bytes:
    start = int(told(received).get("cursor", "c0")[1:])
    following = f"c{start + SIZE}" if start + SIZE < 7 else None
    return reply(200, {"data": page_of(received, start), "meta": {"next": following}})


def cursor_in_header(received: Received) -> bytes:
    start = int(received.json().get("cursor", "c0")[1:])
    following = {"X-Next": f"c{start + SIZE}"} if start + SIZE < 7 else {}
    return reply(200, {"data": ROWS[start : start + SIZE]}, following)


def cursor_deep_in_the_body(received: Received) -> bytes:
    paging = received.json()["paging"]
    assert paging["limit"] == SIZE
    assert paging["sort"] == "id"
    start = int(paging.get("cursor", "c0")[1:])
    return reply(200, {"data": ROWS[start : start + SIZE], "next": f"c{start + SIZE}" if start + SIZE < 7 else None})


def keyset(received: Received) -> bytes:
    start = int(told(received).get("after_id", "s-1")[1:]) + 1
    return reply(200, {"data": page_of(received, start)})


def keyset_in_body(received: Received) -> bytes:
    body = received.json()
    assert body["account"] == "0001"
    assert body["limit"] == SIZE
    start = int(body.get("after", "s-1")[1:]) + 1
    return reply(200, {"data": ROWS[start : start + SIZE], "more": start + SIZE < 7})


STYLES = [
    pytest.param(
        "records: data\n"
        "pagination: {type: page_number, page_param: page, size_param: per_page, total_pages: meta.total_pages}",
        numbered,
        ["?page=1&per_page=3", "?page=2&per_page=3", "?page=3&per_page=3"],
        id="page number, as in the design",
    ),
    pytest.param(
        "records: data\npagination: {type: page_number, page_param: page, total: {header: X-Total-Count}}",
        numbered,
        ["?page=1", "?page=2", "?page=3"],
        id="page number, total in a header",
    ),
    pytest.param(
        "records: data\npagination: {type: page_number, page_param: p, first_page: 0, last_page: last}",
        zero_based_with_a_flag,
        ["?p=0", "?p=1", "?p=2"],
        id="page number from nought, with a flag",
    ),
    pytest.param(
        "records: data\npagination: {type: page_number, page_param: page}\nparams: {active: true, kind: 5}",
        nothing_told,
        [f"?active=true&kind=5&page={page}" for page in (1, 2, 3, 4)],
        id="page number, an empty page ends",
    ),
    pytest.param(
        "records: data\npagination: {type: offset, offset_param: skip, limit_param: per_page, total: count}",
        by_offset,
        ["?skip=0&per_page=3", "?skip=3&per_page=3", "?skip=6&per_page=3"],
        id="offset and total",
    ),
    pytest.param(
        "records: data\npagination: {type: offset, offset_param: skip}",
        by_offset,
        ["?skip=0", "?skip=3", "?skip=6", "?skip=7"],
        id="offset, an empty page ends",
    ),
    pytest.param(
        "records: data\npagination: {type: next_link, path: links.next, size_param: per_page}",
        linked_in_body,
        ["?per_page=3", "?from=3", "?from=6"],
        id="next link in the body, left out of the last page",
    ),
    pytest.param(
        "pagination: {type: next_link, header: Link}",
        linked_in_header,
        ["", "?from=3", "?from=6"],
        id="next link in a header, an array as the body",
    ),
    pytest.param(
        "records: data\npagination: {type: cursor, path: meta.next, to_query: cursor}",
        cursor_in_body,
        ["", "?cursor=c3", "?cursor=c6"],
        id="cursor in the body",
    ),
    pytest.param(
        "records: data\nmethod: POST\npagination: {type: cursor, header: X-Next, to_body: cursor}",
        cursor_in_header,
        ["", "", ""],
        id="cursor in a header, to the body",
    ),
    pytest.param(
        "records: data\nmethod: POST\nbody: {paging: {sort: id}}\n"
        "pagination: {type: cursor, path: next, to_body: paging.cursor, size_param: paging.limit}",
        cursor_deep_in_the_body,
        ["", "", ""],
        id="cursor to a member of a member of the body",
    ),
    pytest.param(
        "records: data\npagination: {type: keyset, field: id, to_query: after_id}",
        keyset,
        ["", "?after_id=s2", "?after_id=s5", "?after_id=s6"],
        id="keyset in the query, an empty page ends",
    ),
    pytest.param(
        "records: data\nmethod: POST\nbody: {account: '0001'}\n"
        "pagination: {type: keyset, field: id, to_body: after, size_param: limit, more: more}",
        keyset_in_body,
        ["", "", ""],
        id="keyset in the body",
    ),
]


def declaration(base_url: str, call: str, *, auth: str = "{type: bearer, token: acme-token}", more: str = "") -> str:
    lines = "\n  ".join(["path: /v1/sims", *call.splitlines()])
    return f"""type: rest
base_url: {base_url}
auth: {auth}
page_size: 3
list:
  {lines}
fields: {{sim_id: id, iccid: iccid, status: state}}
statuses: {{ENABLED: active, DISABLED: suspended}}
{more}"""


@pytest.mark.parametrize(("call", "script", "queries"), STYLES)
def test_every_style_walks_the_whole_list_with_the_requests_that_it_needs(
    tmp_path: Path, call: str, script: Callable[[Received], bytes], queries: list[str]
) -> None:
    with serving(script) as server:
        found = walk_declared(declared(tmp_path, declaration(server.url, call)))
    assert found.column("sim_id") == [row["id"] for row in ROWS]
    assert found.column("status") == ["active"] * 7
    assert [received.target for received in server.received] == [f"/v1/sims{query}" for query in queries]
    assert {received.headers["authorization"] for received in server.received} == {"Bearer acme-token"}


def linked_from_inside(received: Received) -> bytes:
    start = int(told(received).get("from", 0))
    link = f"http://sims.internal:8080/v1/sims?from={start + SIZE}" if start + SIZE < 7 else None
    return reply(200, {"data": page_of(received, start), "next": link})


@pytest.mark.parametrize(
    ("call", "more"),
    [
        ("pagination: {type: next_link, path: next, links: path_only}", ""),
        ("links: path_only\npagination: {type: next_link, path: next}", ""),
        ("pagination: {type: next_link, path: next}", "links: path_only"),
    ],
)
def test_links_that_name_an_inner_host_are_walked_by_their_paths(tmp_path: Path, call: str, more: str) -> None:
    with serving(linked_from_inside) as server:
        found = walk_declared(declared(tmp_path, declaration(server.url, f"records: data\n{call}", more=more)))
        targets = [received.target for received in server.received]
    assert found.column("sim_id") == [row["id"] for row in ROWS]
    assert targets == ["/v1/sims", "/v1/sims?from=3", "/v1/sims?from=6"]


ONE_PAGE = "pagination: {type: next_link, header: Link}"


def one_page(header: str, value: str) -> Script:
    def script(received: Received) -> bytes:
        return reply(200, ROWS) if received.headers.get(header) == value else reply(401, {"error": "who is it?"})

    return script


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ("{type: bearer, token: acme-token}", "authorization", "Bearer acme-token"),
        ("{type: basic, username: me, password: acme-password}", "authorization", "Basic bWU6YWNtZS1wYXNzd29yZA=="),
        ("{type: header, name: X-Api-Key, value: acme-key}", "x-api-key", "acme-key"),
        ("{type: header, name: Authorization, value: Token acme-key}", "authorization", "Token acme-key"),
    ],
)
def test_every_kind_of_credentials_is_sent_as_it_is_declared(
    tmp_path: Path, auth: str, header: str, value: str
) -> None:
    with serving(one_page(header, value)) as server:
        found = walk_declared(declared(tmp_path, declaration(server.url, ONE_PAGE, auth=auth)))
    assert len(found.sims) == 7


def test_client_credentials_are_exchanged_where_they_are_declared_to_be(tmp_path: Path) -> None:
    api = one_page("authorization", "Bearer fresh-token")

    def script(received: Received) -> Any:
        if received.path == "/login":
            assert received.form()["scope"] == "sims.read"
            assert received.form()["client_secret"] == "acme-secret"
            return reply(200, {"access_token": "fresh-token", "expires_in": 60})
        return api(received)

    with serving(script) as server:
        auth = (
            "{type: oauth2_client_credentials, token_url: /login, client_id: me, client_secret: acme-secret, "
            "scope: sims.read}"
        )
        found = walk_declared(declared(tmp_path, declaration(server.url, ONE_PAGE, auth=auth)))
    assert len(found.sims) == 7


def test_without_an_id_the_iccid_is_the_id_and_without_words_our_own_are_understood(tmp_path: Path) -> None:
    rows = [{"number": "8944 4765 0000 8878 576F", "is": "suspended"}]
    with serving(lambda _request: reply(200, rows)) as server:
        carrier = f"""
            type: rest
            base_url: {server.url}
            auth: {{type: none}}
            list: {{path: /sims, pagination: {{type: next_link, header: Link}}}}
            fields: {{iccid: number, status: is}}
        """
        sim = walk_declared(declared(tmp_path, carrier)).sims[0]
    assert (sim.sim_id, sim.iccid, sim.status) == ("8944476500008878576",) * 2 + ("suspended",)
    assert "authorization" not in server.received[0].headers


def test_records_may_be_gathered_from_nested_lists_and_fields_be_expressions(tmp_path: Path) -> None:
    body = {"accounts": [{"sims": [{"id": 1, "ids": [{"kind": "iccid", "id": iccid(1)}]}]}, {"sims": [{"id": 2}]}]}
    with serving(lambda _request: reply(200, body)) as server:
        carrier = f"""
            type: rest
            base_url: {server.url}
            auth: {{type: none}}
            list:
              path: /sims
              records: accounts[].sims[]
              pagination: {{type: next_link, header: Link}}
            fields: {{sim_id: id, iccid: "ids[?kind=='iccid'].id | [0]"}}
        """
        found = walk_declared(declared(tmp_path, carrier))
    assert found.column("sim_id") == ["1", "2"]
    assert found.column("iccid") == [iccid(1), None]


def test_totals_are_told_to_the_walk(tmp_path: Path) -> None:
    places = "total_pages: meta.total_pages, total: {header: x-total-count}"
    call = f"records: data\npagination: {{type: page_number, page_param: page, {places}}}"
    with serving(numbered) as server:
        page = walk_declared(declared(tmp_path, declaration(server.url, call))).pages[0]
    assert (page.records_total, page.pages_total) == (7, 3)


def test_what_gives_cursors_their_meaning_is_in_the_hash_and_a_secret_is_not(tmp_path: Path) -> None:
    def hash_of(call: str, token: str) -> str:
        keys = declaration("https://api.acme.example", call, auth=f"{{type: bearer, token: {token}}}")
        return declared(tmp_path, keys).build(MovingTime()).config_hash

    by_page = "pagination: {type: page_number, page_param: page}"
    assert hash_of(by_page, "one-token") == hash_of(by_page, "another-token")
    assert hash_of(by_page, "one-token") != hash_of(by_page.replace("page_param: page", "page_param: p"), "one-token")


def test_a_bare_list_without_any_total_is_declared_too(tmp_path: Path) -> None:
    """Simplex Wireless, after its OpenAPI file: `pageIndex`, `pageSize`, and nothing that says where it ends."""

    def simplex(received: Received) -> bytes:
        assert received.headers.get("x-authorization") == "simplex-session"
        asked = told(received)
        assert set(asked) == documented_parameters("simplex/sim_list.openapi.json", "/devices") - {"X-Authorization"}
        start, size = int(asked["pageIndex"]) * int(asked["pageSize"]), int(asked["pageSize"])
        rows = [{"ICCID": iccid(number), "DeviceStatus": "Active", "DateUpdated": "2024-04-01"} for number in range(7)]
        return reply(200, rows[start : start + size])

    with serving(simplex) as server:
        carrier = f"""
            type: rest
            base_url: {server.url}/v1
            auth: {{type: header, name: X-Authorization, value: simplex-session}}
            page_size: 3
            list:
              path: /devices
              pagination: {{type: page_number, page_param: pageIndex, first_page: 0, size_param: pageSize}}
            fields: {{iccid: ICCID, status: DeviceStatus, carrier_updated_at: DateUpdated}}
        """
        found = walk_declared(declared(tmp_path, carrier))
    assert found.column("sim_id") == [iccid(number) for number in range(7)]
    assert [told(received)["pageIndex"] for received in server.received] == ["0", "1", "2", "3"]
    assert {received.path for received in server.received} == {"/v1/devices"}
