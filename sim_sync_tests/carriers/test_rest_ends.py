"""How a declared carrier ends its list, where its answers say so in another way, or say what is not so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim_sync.core.errors import CarrierError, ConfigError, CursorRejected, UnexpectedResponse
from sim_sync_tests.carriers.declared import declared, walk_declared
from sim_sync_tests.carriers.walking import Walk, iccid, told
from sim_sync_tests.fakes.raw_server import Play, RawServer, Received, Script, reply, serving

SIZE = 10
NUMBERED = "{type: page_number, page_param: page, size_param: per_page"
OFFSET = "{type: offset, offset_param: skip, limit_param: per_page"
LINKED = "{type: next_link, path: next"
KEYSET = "{type: keyset, field: id, to_query: after"


def rows(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": f"s{number:03d}", "iccid": iccid(number), "state": "active"} for number in range(first, last)]


def place(received: Received) -> int:
    """Return the number of the first row that is asked for."""
    asked = told(received)
    if "page" in asked:
        return (int(asked["page"]) - 1) * SIZE
    return int(asked["skip"]) if "skip" in asked else int(asked.get("after", "s-01")[1:]) + 1


def a_list(size: int, behind: bytes | None = None, **more: Any) -> Script:
    """Return a carrier with that many SIMs that answers `behind` to who asks behind its list."""

    def script(received: Received) -> bytes:
        start = place(received)
        if behind is not None and start >= size:
            return behind
        return reply(200, {"data": rows(start, min(start + SIZE, size)), **more})

    return script


def walked(folder: Path, server: RawServer, pagination: str, *, more: str = "") -> Walk:
    config = declared(
        folder,
        f"""
        type: rest
        base_url: {server.url}
        auth: {{type: none}}
        page_size: {SIZE}
        retry: {{base_seconds: 0.1, ceiling_seconds: 0.1, max_attempts: 3}}
        list: {{path: /v1/sims, records: data, pagination: {pagination}}}}}
        fields: {{sim_id: id, iccid: iccid, status: state}}
        {more}
        """,
    )
    return walk_declared(config)


def ids(size: int) -> list[str]:
    return [f"s{number:03d}" for number in range(size)]


NOT_FOUND = reply(404, {"detail": "Invalid page."})
NO_CONTENT = reply(204, None)
NULL = reply(200, {"data": None})
BAD_REQUEST = reply(400, {"detail": "page out of range"})


class TestSignsThatAreClear:
    @pytest.mark.parametrize("style", [NUMBERED, OFFSET, KEYSET])
    @pytest.mark.parametrize("behind", [NOT_FOUND, NO_CONTENT, NULL], ids=["404", "204", "null"])
    @pytest.mark.parametrize("size", [5, 10, 35, 40])
    def test_where_an_empty_page_ends_the_list_a_page_that_holds_nothing_does(
        self, tmp_path: Path, style: str, behind: bytes, size: int
    ) -> None:
        with serving(a_list(size, behind)) as server:
            found = walked(tmp_path, server, style)
            assert len(server.received) <= -(-size // SIZE) + 3
        assert found.column("sim_id") == ids(size)
        assert found.pages[-1].end_doubt is None

    @pytest.mark.parametrize("behind", [NOT_FOUND, NO_CONTENT, NULL], ids=["404", "204", "null"])
    def test_a_first_page_that_holds_nothing_is_no_empty_list(self, tmp_path: Path, behind: bytes) -> None:
        with serving(a_list(0, behind)) as server, pytest.raises(UnexpectedResponse):
            walked(tmp_path, server, NUMBERED)

    def test_a_list_that_is_gone_as_a_whole_does_not_end_with_the_page_that_noticed_it(self, tmp_path: Path) -> None:
        int_in = a_list(35)

        def script(received: Received) -> bytes | Play:
            return int_in(received) if len(server.received) <= 2 else NOT_FOUND

        with serving(script) as server, pytest.raises(UnexpectedResponse, match="HTTP 404"):
            walked(tmp_path, server, NUMBERED)

    @pytest.mark.parametrize("total", ["total: total", "total_pages: pages"])
    def test_a_page_that_is_not_there_is_no_end_while_the_total_says_that_there_is_more(
        self, tmp_path: Path, total: str
    ) -> None:
        with serving(a_list(20, NOT_FOUND, total=40, pages=4)) as server:
            with pytest.raises(UnexpectedResponse, match="HTTP 404"):
                walked(tmp_path, server, f"{NUMBERED}, {total}")
            assert len(server.received) == 3

    def test_a_list_that_is_not_there_is_not_null(self, tmp_path: Path) -> None:
        with serving(a_list(20, reply(200, {"detail": "oops"}))) as server, pytest.raises(UnexpectedResponse):
            walked(tmp_path, server, NUMBERED)

    def test_an_empty_page_of_null_is_passed_over_where_the_link_leads_on(self, tmp_path: Path) -> None:
        def script(received: Received) -> bytes:
            page = int(told(received).get("page", "1"))
            data = None if page == 2 else rows((page - 1) * SIZE, page * SIZE)
            return reply(200, {"data": data, "next": f"/v1/sims?page={page + 1}" if page < 3 else None})

        with serving(script) as server:
            assert len(walked(tmp_path, server, LINKED).sims) == 20


class TestSignsThatAreDeclared:
    @pytest.mark.parametrize(
        ("sign", "behind"),
        [
            ("404", NOT_FOUND),
            ("[404, 410]", NOT_FOUND),
            ("['400']", BAD_REQUEST),
            ("[{status: 400, path: detail, contains: out of range}]", BAD_REQUEST),
            ("[{path: code, equals: NO_MORE}]", reply(200, {"code": "NO_MORE"})),
            ("[204]", NO_CONTENT),
            ("[empty_page]", reply(200, {"data": [], "next": "/v1/sims?page=99"})),
        ],
    )
    def test_what_is_declared_ends_a_list_of_links(self, tmp_path: Path, sign: str, behind: bytes) -> None:
        def script(received: Received) -> bytes:
            page = int(told(received).get("page", "1"))
            data = rows((page - 1) * SIZE, min(page * SIZE, 25))
            return reply(200, {"data": data, "next": f"/v1/sims?page={page + 1}"}) if data else behind

        with serving(script) as server:
            found = walked(tmp_path, server, f"{LINKED}, end_on: {sign}")
            assert len(server.received) == 4
        assert found.column("sim_id") == ids(25)

    def test_null_may_be_declared_to_be_an_empty_list_from_the_first_page_on(self, tmp_path: Path) -> None:
        with serving(a_list(0, NULL)) as server:
            assert walked(tmp_path, server, f"{NUMBERED}, end_on: [null]").sims == []

    @pytest.mark.parametrize("style", [NUMBERED, OFFSET])
    def test_the_last_page_given_again_may_be_declared_to_be_the_end(self, tmp_path: Path, style: str) -> None:
        def script(received: Received) -> bytes:
            start = min(place(received), 20)
            return reply(200, {"data": rows(start, 25)[:SIZE]})

        with serving(script) as server:
            found = walked(tmp_path, server, f"{style}, end_on: repeated_page")
            with pytest.raises(UnexpectedResponse, match=r"same page twice.*`end_on: \[repeated_page\]`"):
                walked(tmp_path, server, style)
        assert found.column("sim_id")[:25] == ids(25)
        assert sum(len(page.sims) - page.overlap for page in found.pages) == 25

    def test_a_first_page_never_ends_a_list_by_a_status(self, tmp_path: Path) -> None:
        with serving(a_list(0, NOT_FOUND)) as server, pytest.raises(UnexpectedResponse):
            walked(tmp_path, server, f"{NUMBERED}, end_on: [404]")

    @pytest.mark.parametrize(
        "sign", ["401", "[403]", "[429]", "[500]", "[302]", "[0]", "[true]", "[last_page]", "[{}]"]
    )
    def test_what_is_never_an_end_is_a_problem_of_the_configuration(self, tmp_path: Path, sign: str) -> None:
        with serving(a_list(5)) as server, pytest.raises(ConfigError, match="end_on"):
            walked(tmp_path, server, f"{NUMBERED}, end_on: {sign}")

    def test_without_a_declaration_a_link_that_leads_nowhere_is_a_cursor_that_is_no_longer_taken(
        self, tmp_path: Path
    ) -> None:
        def script(received: Received) -> bytes:
            return (
                NOT_FOUND if "page" in told(received) else reply(200, {"data": rows(0, 5), "next": "/v1/sims?page=2"})
            )

        with serving(script) as server, pytest.raises(CursorRejected):
            walked(tmp_path, server, LINKED)


#: What a total may count beside the list's records, by the page that tells it.
OTHER_TOTALS: list[tuple[str, Callable[[int, int], int]]] = [
    ("pages", lambda size, _start: -(-size // SIZE)),
    ("what is left", lambda size, start: max(size - start - SIZE, 0)),
    ("what is left with this page", lambda size, start: max(size - start, 0)),
    ("this page", lambda size, start: min(SIZE, max(size - start, 0))),
    ("half of them", lambda size, _start: size // 2),
    ("at most twenty", lambda size, _start: min(size, 20)),
    ("nothing", lambda _size, _start: 0),
    ("this page's number", lambda _size, start: start // SIZE + 1),
    ("all, and then fewer", lambda size, start: size if start < 20 else 20),
]


class TestTotalsThatCountSomethingElse:
    @pytest.mark.parametrize("kind", ["total", "total_pages"])
    @pytest.mark.parametrize(("counts", "total"), OTHER_TOTALS, ids=[name for name, _ in OTHER_TOTALS])
    @pytest.mark.parametrize("size", [35, 40])
    def test_the_list_is_walked_to_its_own_end(
        self, tmp_path: Path, kind: str, counts: str, total: Callable[[int, int], int], size: int
    ) -> None:
        def script(received: Received) -> bytes:
            start = place(received)
            return reply(200, {"data": rows(start, min(start + SIZE, size)), "n": total(size, start)})

        with serving(script) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, {kind}: n")
            assert len(server.received) < 50
        assert set(found.column("sim_id")) == set(ids(size)), counts

    @pytest.mark.parametrize(("counts", "total"), OTHER_TOTALS, ids=[name for name, _ in OTHER_TOTALS])
    def test_by_offset_it_is_too(self, tmp_path: Path, counts: str, total: Callable[[int, int], int]) -> None:
        def script(received: Received) -> bytes:
            start = place(received)
            return reply(200, {"data": rows(start, min(start + SIZE, 40)), "n": total(40, start)})

        with serving(script) as server:
            found = walked(tmp_path, server, f"{OFFSET}, total: n")
            assert len(server.received) < 50
        assert set(found.column("sim_id")) == set(ids(40)), counts

    @pytest.mark.parametrize("style", [f"{NUMBERED}, total: n", f"{OFFSET}, total: n", f"{NUMBERED}, total_pages: p"])
    @pytest.mark.parametrize(("size", "requests"), [(35, 4), (31, 4), (40, 5), (10, 2), (5, 2), (0, 1)])
    def test_only_an_end_that_a_short_page_does_not_show_is_looked_behind(
        self, tmp_path: Path, style: str, size: int, requests: int
    ) -> None:
        with serving(a_list(size, n=size, p=-(-size // SIZE))) as server:
            found = walked(tmp_path, server, style)
            assert len(server.received) == requests
        assert len(found.pages) == max(-(-size // SIZE), 1)
        assert found.column("sim_id") == ids(size)
        assert found.pages[-1].end_doubt is None

    @pytest.mark.parametrize("behind", [NOT_FOUND, NO_CONTENT, NULL], ids=["404", "204", "null"])
    def test_behind_the_total_nothing_in_any_form_is_the_end(self, tmp_path: Path, behind: bytes) -> None:
        with serving(a_list(40, behind, n=40)) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, total: n")
        assert (len(found.sims), found.pages[-1].end_doubt) == (40, None)

    @pytest.mark.parametrize("status", [400, 410, 416, 422, 500, 503])
    def test_a_refusal_behind_the_total_leaves_a_doubt_and_no_failure(self, tmp_path: Path, status: int) -> None:
        with serving(a_list(40, reply(status, {"detail": "Result window is too large"}), n=40)) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, total: n")
        assert len(found.sims) == 40
        assert "could not be seen, so the list may continue" in (found.pages[-1].end_doubt or "")

    def test_a_refusal_that_is_declared_leaves_none(self, tmp_path: Path) -> None:
        with serving(a_list(40, BAD_REQUEST, n=40)) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, total: n, end_on: [400]")
        assert found.pages[-1].end_doubt is None

    @pytest.mark.parametrize("again", [lambda _start: 30, lambda _start: 0], ids=["the last page", "the first page"])
    def test_a_carrier_that_gives_a_page_again_behind_its_total_has_ended(
        self, tmp_path: Path, again: Callable[[int], int]
    ) -> None:
        def script(received: Received) -> bytes:
            start = place(received) if place(received) < 40 else again(place(received))
            return reply(200, {"data": rows(start, start + SIZE), "n": 40})

        with serving(script) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, total: n")
        assert (len(found.sims), found.pages[-1].end_doubt) == (40, None)

    @pytest.mark.parametrize(("sign", "doubted"), [("", True), (", end_on: [repeated_page]", False)])
    def test_a_carrier_that_gives_its_only_page_for_every_number_leaves_a_doubt_unless_that_is_declared(
        self, tmp_path: Path, sign: str, doubted: bool
    ) -> None:
        with serving(lambda _request: reply(200, {"data": rows(0, SIZE), "n": SIZE})) as server:
            found = walked(tmp_path, server, f"{NUMBERED}, total: n{sign}")
        assert len(found.pages) == 1
        assert (found.pages[0].end_doubt is not None) is doubted


def test_a_look_behind_the_end_costs_no_long_wait(tmp_path: Path) -> None:
    with serving(a_list(10, reply(503, {}), n=10)) as server:
        walked(tmp_path, server, f"{NUMBERED}, total: n")
        assert len(server.received) == 3


def test_a_throttle_behind_the_end_is_no_end(tmp_path: Path) -> None:
    with serving(a_list(10, reply(429, {}, {"Retry-After": "4000"}), n=10)) as server:
        with pytest.raises(Exception, match="429") as caught:
            walked(tmp_path, server, f"{NUMBERED}, total: n")
        assert not isinstance(caught.value, CarrierError)
