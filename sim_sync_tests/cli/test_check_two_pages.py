"""`sim-sync check` looks at two pages of a carrier: a pagination that leads nowhere shows at the second one."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sim_sync_tests.carriers.walking import iccid
from sim_sync_tests.cli.command_line import CommandLine
from sim_sync_tests.fakes.raw_server import RawServer, Received, Script, reply, serving

SIZE = 10
PAGE = {"type": "page_number", "page_param": "page"}
OFFSET = {"type": "offset", "offset_param": "skip"}
CURSOR = {"type": "cursor", "path": "next", "to_query": "after"}
IN_BODY = {"type": "cursor", "path": "next", "to_body": "paging.after"}
KEYSET = {"type": "keyset", "field": "id", "to_query": "after"}
LINK = {"type": "next_link", "path": "next"}
EVERY_STYLE = [PAGE, PAGE | {"total": "total"}, OFFSET, OFFSET | {"total": "total"}, CURSOR, IN_BODY, KEYSET, LINK]


def place(request: Received, pagination: Mapping[str, Any]) -> int:
    """Return the number of the first row that is asked for."""
    asked = {name: values[0] for name, values in request.query.items()}
    match pagination:
        case {"type": "page_number"}:
            return (int(asked["page"]) - 1) * SIZE
        case {"type": "keyset"}:
            return int(asked.get("after", "s-01")[1:]) + 1
        case {"to_body": _}:
            return int(request.json().get("paging", {}).get("after", 0))
        case _:
            return int(asked.get("skip") or asked.get("after") or 0)


def rows(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": f"s{number:03d}", "iccid": iccid(number), "state": "active"} for number in range(first, last)]


def a_page(first: int, size: int, pagination: Mapping[str, Any]) -> bytes:
    """Return the answer with these rows and, where a carrier says so, with what comes next."""
    last = min(first + SIZE, size)
    following = f"/v1/sims?skip={last}" if pagination["type"] == "next_link" else str(last)
    return reply(200, {"data": rows(first, last), "total": size, "next": following if last < size else None})


def a_list(size: int, pagination: Mapping[str, Any]) -> Script:
    return lambda request: a_page(place(request, pagination), size, pagination)


def check(
    command_line: CommandLine, script: Script, pagination: Mapping[str, Any], **more: Any
) -> tuple[dict[str, Any], RawServer]:
    """Check a declared carrier, and return what was found and the server."""
    call = {"path": "/v1/sims", "records": "data", "pagination": pagination}
    if "to_body" in pagination:
        call |= {"method": "POST"}
    with serving(script) as server:
        declared = {
            "type": "rest",
            "base_url": server.url,
            "auth": {"type": "none"},
            "page_size": SIZE,
            "list": call,
            "fields": {"sim_id": "id", "iccid": "iccid", "status": "state"},
        }
        command_line.write_carriers(acme=declared | more)
        said = command_line.type_in("check", "--json")
    (found,) = said.document["carriers"]
    assert said.code == found["exit_code"]
    return found, server


@pytest.mark.parametrize("pagination", EVERY_STYLE, ids=str)
def test_a_list_of_two_pages_and_more_is_well(command_line: CommandLine, pagination: dict[str, Any]) -> None:
    found, server = check(command_line, a_list(35, pagination), pagination)
    assert (found["problem"], found["doubts"], found["ok"]) == (None, [], True)
    assert len(server.received) == 2


@pytest.mark.parametrize("size", [0, 4, SIZE])
@pytest.mark.parametrize("pagination", EVERY_STYLE, ids=str)
def test_a_list_of_one_page_is_well(command_line: CommandLine, pagination: dict[str, Any], size: int) -> None:
    found, _ = check(command_line, a_list(size, pagination), pagination)
    assert (found["problem"], found["doubts"], found["ok"]) == (None, [], True)


@pytest.mark.parametrize(
    ("pagination", "key"),
    [
        (PAGE, "the parameter 'page'"),
        (PAGE | {"total": "total"}, "the parameter 'page' (`page_param`)"),
        (OFFSET, "the parameter 'skip'"),
        (OFFSET | {"total": "total"}, "the parameter 'skip' (`offset_param`)"),
        (CURSOR, "the parameter 'after' (`to_query`)"),
        (IN_BODY, "'paging.after' in the body (`to_body`)"),
        (KEYSET, "the parameter 'after'"),
        (LINK, "'next' (`path`) holds another link"),
    ],
    ids=str,
)
def test_a_carrier_that_gives_the_first_page_again_is_told_with_the_key_to_look_at(
    command_line: CommandLine, pagination: dict[str, Any], key: str
) -> None:
    found, server = check(command_line, lambda _: a_page(0, 35, pagination), pagination)
    assert (found["exit_code"], found["reachable"], found["sims"] in {None, 35}) == (1, True, True)
    assert key in found["problem"]
    assert "documentation" in found["problem"]
    assert len(server.received) == 2


@pytest.mark.parametrize("pagination", [PAGE | {"total": "total"}, CURSOR, LINK], ids=str)
def test_a_second_page_with_nothing_but_sims_of_the_first_is_told(
    command_line: CommandLine, pagination: dict[str, Any]
) -> None:
    def script(_: Received) -> bytes:
        asked = len(server_received)
        server_received.append(None)
        return reply(200, {"data": rows(0, SIZE - 4 * asked), "total": 35, "next": f"/v1/sims?skip={asked + 1}"})

    server_received: list[None] = []
    found, _ = check(command_line, script, pagination)
    assert found["exit_code"] == 1
    assert "page 2 holds nothing but 6 records of page 1" in found["problem"]


@pytest.mark.parametrize("pagination", [CURSOR, IN_BODY, LINK], ids=str)
def test_a_page_that_leads_back_is_told(command_line: CommandLine, pagination: dict[str, Any]) -> None:
    def script(request: Received) -> bytes:
        start = place(request, pagination)
        following = "/v1/sims?skip=10" if pagination is LINK else "10"
        return reply(200, {"data": rows(start, start + SIZE), "next": following})

    found, _ = check(command_line, script, pagination)
    assert found["exit_code"] == 1
    assert "page 2 leads back to a page before it" in found["problem"]
    assert "Most likely" in found["problem"]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_second_page_that_cannot_be_read_is_told_with_what_may_be_declared(
    command_line: CommandLine, status: int
) -> None:
    def script(request: Received) -> bytes:
        start = place(request, CURSOR)
        return reply(status, {"detail": "no such page"}) if start else a_page(0, 35, CURSOR)

    found, _ = check(command_line, script, CURSOR)
    assert (found["exit_code"], found["sims"]) == (1, None)
    assert found["problem"].startswith("page 1 was read, but not page 2: ")
    assert str(status) in found["problem"]
    assert ("`end_on`" in found["problem"]) == (status != 500)


def test_an_end_that_may_be_none_and_an_order_that_is_not_stable_are_doubts_and_no_problems(
    command_line: CommandLine,
) -> None:
    counted = PAGE | {"total": "total"}
    found, _ = check(command_line, lambda _: a_page(0, SIZE, counted), counted)
    assert (found["ok"], ["end_on: [repeated_page]" in doubt for doubt in found["doubts"]]) == (True, [True])

    def script(request: Received) -> bytes:
        start = place(request, counted)
        first = max(start - 3, 0)
        return reply(200, {"data": rows(first, first + SIZE), "total": 35})

    found, _ = check(command_line, script, counted)
    assert (found["ok"], ["no stable order" in doubt for doubt in found["doubts"]]) == (True, [True])


@pytest.mark.parametrize(
    ("pagination", "in_flight", "is_told"),
    [
        *((style, 4, style in (PAGE, OFFSET)) for style in EVERY_STYLE),
        (PAGE, 1, False),
        (OFFSET | {"total": "total"}, 4, False),
    ],
    ids=str,
)
def test_several_pages_in_flight_are_a_doubt_where_pages_are_named_ahead_and_no_total_shows_what_is_passed_over(
    command_line: CommandLine, pagination: dict[str, Any], in_flight: int, is_told: bool
) -> None:
    limit = {"max_in_flight": in_flight}
    found, _ = check(command_line, a_list(35, pagination), pagination, rate_limit=limit)
    told = f"max_in_flight is {in_flight}, and the carrier tells no total"
    assert (found["ok"], any(told in doubt for doubt in found["doubts"])) == (True, is_told)


def test_what_a_declaration_says_to_be_the_end_is_none_of_these(command_line: CommandLine) -> None:
    repeated = PAGE | {"end_on": ["repeated_page"]}
    assert check(command_line, lambda _: a_page(0, SIZE, repeated), repeated)[0]["problem"] is None
    not_there: Callable[[Received], bytes] = lambda request: (  # noqa: E731
        reply(404, None) if place(request, PAGE) else a_page(0, SIZE, PAGE)
    )
    assert check(command_line, not_there, PAGE | {"end_on": [404]})[0]["problem"] is None
