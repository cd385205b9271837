"""Single rules: what ends a list, what does not, and which answers are refused because they do not say."""

import re
from typing import Any
from unittest.mock import ANY

import pytest

from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import (
    CursorInResponse,
    InBody,
    InHeader,
    Keyset,
    NextLinkInBody,
    NextLinkInHeader,
    Offset,
    PageNumber,
    ToBody,
    ToQuery,
)
from sim_sync.carriers.pagination.links import next_link
from sim_sync.core.errors import ForeignOrigin, UnexpectedResponse
from sim_sync.core.pages import Cursor
from sim_sync_tests.carriers.listings import BASE, items, path_of, response


def refuse(url: str) -> str:
    raise ForeignOrigin(f"{url} leads away")


def following(rule: Any, cursor: Cursor, found: Response) -> Cursor | None:
    after: Cursor | None = rule.next_cursor(cursor, found, path_of)
    return after


class TestNextLinks:
    IN_BODY = NextLinkInBody(BASE, "meta.next_page_url")

    def test_null_is_the_end(self) -> None:
        assert following(self.IN_BODY, {}, response({"items": [1], "meta": {"next_page_url": None}})) is None

    @pytest.mark.parametrize("body", [{}, {"meta": {}}, {"meta": None}, [], None, "a gateway's text"])
    def test_an_answer_without_the_key_is_not_the_end(self, body: Any) -> None:
        with pytest.raises(
            UnexpectedResponse, match=r"expected meta\.next_page_url in the answer, null on the last page"
        ):
            following(self.IN_BODY, {}, response(body))

    @pytest.mark.parametrize("link", ["", " "])
    def test_an_empty_text_is_the_end_as_null_is(self, link: str) -> None:
        assert following(self.IN_BODY, {}, response({"items": [1], "meta": {"next_page_url": link}})) is None

    @pytest.mark.parametrize("link", [7, 0, True, False, {}, ["https://carrier.example/2"]])
    def test_what_is_no_url_is_not_the_end(self, link: Any) -> None:
        with pytest.raises(UnexpectedResponse, match="expected a URL or null"):
            following(self.IN_BODY, {}, response({"meta": {"next_page_url": link}}))

    def test_a_link_to_another_origin_is_refused_before_it_becomes_a_cursor(self) -> None:
        in_body = response({"meta": {"next_page_url": "https://evil.example/"}})
        with pytest.raises(ForeignOrigin):
            self.IN_BODY.next_cursor({}, in_body, refuse)
        with pytest.raises(ForeignOrigin):
            NextLinkInHeader(BASE).next_cursor({}, response([], Link='<https://evil.example/>; rel="next"'), refuse)

    def test_a_cursor_holds_no_origin(self) -> None:
        found = response({"meta": {"next_page_url": "https://carrier.example/v1/items?PageToken=x"}})
        assert following(self.IN_BODY, {}, found) == {"next": "/v1/items?PageToken=x"}

    def test_a_key_that_vanishes_after_a_link_was_followed_may_be_declared_the_end(self) -> None:
        rule = NextLinkInBody(BASE, "next", absent_after_first=True)
        assert following(rule, {"next": "/2"}, response({"items": []})) is None
        with pytest.raises(UnexpectedResponse):
            following(rule, {}, response({"items": []}))
        assert following(NextLinkInBody(BASE, "next", absent_is_end=True), {}, response({"items": []})) is None

    def test_a_link_may_stand_at_an_expression(self) -> None:
        rule = NextLinkInBody(BASE, "links[?rel=='next'].href | [0]")
        links = [{"rel": "self", "href": "/a"}, {"rel": "next", "href": "https://carrier.example/v1/items?p=2"}]
        assert following(rule, {}, response({"links": links})) == {"next": "/v1/items?p=2"}
        assert following(rule, {}, response({"links": links[:1]})) is None

    def test_a_post_follows_a_link_with_the_same_body(self) -> None:
        rule = NextLinkInBody(Request(path="/v1/items", method="POST", body={"all": True}), "next")
        assert rule.request({"next": "/v1/items?p=2"}) == Request(
            path="/v1/items?p=2", method="POST", body={"all": True}
        )

    @pytest.mark.parametrize(
        ("header", "target"),
        [
            ("", None),
            ('<https://a.example/2>; rel="next"', "https://a.example/2"),
            ("</2>; rel=next", "/2"),
            ('</1>; rel="prev", </3>; rel="next"', "/3"),
            ('</3>;rel="next";title="a, <b>; rel=\\"prev\\""', "/3"),
            ('</3?a=1,2;3>; title="x"; rel="last NEXT"', "/3?a=1,2;3"),
            ('</3>; REL="next"', "/3"),
            ('</1>; rel="first"; rel="next"', None),
            ("</1>; rel=first, </9>; rel=last", None),
            ('</2>; crossorigin; rel="next"', "/2"),
            (' , </2>; rel="next" , ', "/2"),
        ],
    )
    def test_a_link_header_is_read_as_rfc_8288_writes_it(self, header: str, target: str | None) -> None:
        assert next_link(header) == target

    @pytest.mark.parametrize("header", ["https://a.example/2", '<https://a.example/2; rel="next"', "next"])
    def test_a_header_that_is_no_list_of_links_is_not_the_end(self, header: str) -> None:
        with pytest.raises(UnexpectedResponse, match="RFC 8288"):
            next_link(header)


def numbered(**where: Any) -> PageNumber:
    return PageNumber(base=BASE, records=items, page_param="page", size_param="per_page", page_size=2, **where)


class TestPageNumber:
    def test_the_first_request_asks_for_the_first_page(self) -> None:
        assert numbered().request({}).params == {"page": "1", "per_page": "2"}
        assert numbered(first_page=0).request({}).params["page"] == "0"

    def test_without_a_declared_parameter_no_size_is_sent(self) -> None:
        rule = PageNumber(base=BASE, records=items, page_param="page", page_size=2)
        assert rule.request({}).params == {"page": "1"}

    def test_an_empty_page_before_the_last_is_passed_over(self) -> None:
        rule = numbered(total_pages=InBody("pages"))
        assert following(rule, {"page": 2}, response({"items": [], "pages": 4})) == {"page": 3, "pages": 4}

    def test_a_short_page_is_not_the_end(self) -> None:
        assert following(numbered(), {}, response({"items": [1]})) == {"page": 2, "size": 1, "held": ANY}

    def test_a_carrier_that_ignores_the_page_number_is_refused_before_it_continues_for_ever(self) -> None:
        cursor = following(numbered(), {}, response({"items": [1, 2]}))
        assert cursor is not None
        with pytest.raises(UnexpectedResponse, match="same page twice, as if it did not look at the parameter 'page'"):
            following(numbered(), cursor, response({"items": [1, 2]}))

    def test_an_empty_list_is_one_page(self) -> None:
        for pages in (0, 1):
            rule = numbered(total_pages=InBody("pages"))
            assert following(rule, {}, response({"items": [], "pages": pages})) is None
        assert following(numbered(total=InBody("total")), {}, response({"items": [], "total": 0})) is None

    def test_a_carrier_that_gives_fewer_rows_than_asked_for_is_walked_to_its_total(self) -> None:
        # 5 rows by one a page: by the size that was asked for, page 3 would seem to be the last.
        rule = numbered(total=InBody("total"))
        cursor: Cursor = {}
        for page in range(2, 6):
            after = following(rule, cursor, response({"items": [page], "total": 5}))
            assert after == {"page": page, "size": 1, "total": 5}
            cursor = after
        assert following(rule, cursor, response({"items": [6], "total": 5})) is None

    @pytest.mark.parametrize("place", ["total_pages", "total", "last_page"])
    def test_an_answer_that_does_not_say_where_the_list_ends_is_refused(self, place: str) -> None:
        rule = numbered(**{place: InHeader("X-End")})
        with pytest.raises(UnexpectedResponse, match="expected the response header X-End to say where the list ends"):
            following(rule, {}, response({"items": []}))

    @pytest.mark.parametrize("said", [35.0, "35", " 35 ", "35.0", "35."])
    def test_a_count_may_come_as_a_float_or_as_text(self, said: Any) -> None:
        found = following(numbered(total=InBody("total")), {}, response({"items": [1, 2], "total": said}))
        assert found == {"page": 2, "total": 35}

    @pytest.mark.parametrize("place", ["total", "total_pages"])
    def test_a_total_may_stand_on_the_first_page_alone(self, place: str) -> None:
        rule = numbered(**{place: InBody("n")})
        count = {"total": 5, "total_pages": 3}[place]
        second = following(rule, {}, response({"items": [1, 2], "n": count}))
        assert second is not None
        third = following(rule, second, response({"items": [3, 4]}))
        assert third is not None
        assert following(rule, third, response({"items": [5]})) is None

    def test_a_total_that_is_told_once_tells_nothing_about_rows_that_left(self) -> None:
        rule = numbered(total=InBody("n"))
        assert following(rule, {"page": 2, "total": 9}, response({"items": [3, 4]})) == {"page": 3, "total": 9}

    @pytest.mark.parametrize("said", ["many", "-1", -1, True, 1.5, "1.5", "1,000", 1e20, [1]])
    def test_a_total_that_is_no_number_is_refused(self, said: Any) -> None:
        with pytest.raises(UnexpectedResponse, match="expected a whole number in 'pages' of the answer"):
            following(numbered(total_pages=InBody("pages")), {}, response({"items": [], "pages": said}))

    @pytest.mark.parametrize(("said", "ends"), [(True, True), ("true", True), (False, False), ("False", False)])
    def test_a_flag_may_be_text(self, said: Any, ends: bool) -> None:
        found = following(numbered(last_page=InBody("last")), {}, response({"items": [], "last": said}))
        assert (found is None) is ends

    def test_a_flag_that_is_none_is_refused(self) -> None:
        with pytest.raises(UnexpectedResponse, match="expected true or false in 'last' of the answer, found int"):
            following(numbered(last_page=InBody("last")), {}, response({"items": [], "last": 1}))

    def test_a_total_that_fell_leads_back_by_the_pages_that_hold_so_many_rows(self) -> None:
        rule = numbered(total=InBody("total"))
        found = response({"items": [1, 2], "total": 17})
        assert following(rule, {"page": 6, "total": 20}, found) == {"page": 4, "total": 17, "back": 1, "far": 7}

    def test_it_never_leads_back_before_the_first_page(self) -> None:
        rule = numbered(total=InBody("total"))
        found = response({"items": [1, 2], "total": 20})
        assert following(rule, {"page": 3, "total": 50}, found) == {"page": 1, "total": 20, "back": 1, "far": 4}

    def test_rows_that_left_before_the_last_page_are_looked_for_too(self) -> None:
        rule = numbered(total_pages=InBody("pages"), total=InBody("total"))
        found = response({"items": [], "total": 4, "pages": 2})
        assert following(rule, {"page": 3, "total": 5}, found) == {"page": 2, "total": 4, "back": 1, "far": 4}

    def test_where_only_pages_are_told_a_fall_of_pages_leads_back_by_one_more(self) -> None:
        rule = numbered(total_pages=InBody("pages"))
        found = response({"items": [1, 2], "pages": 8})
        assert following(rule, {"page": 6, "pages": 10}, found) == {"page": 3, "pages": 8, "back": 1, "far": 7}

    def test_pages_that_it_leads_back_to_are_told_apart_from_new_ones(self) -> None:
        rule = numbered(total=InBody("total"))
        cursor: Cursor | None = {"page": 6, "total": 20}
        places = []
        for total in (17, 17, 17, 17):
            assert cursor is not None
            places.append((cursor["page"], rule.is_reread(cursor)))
            cursor = following(rule, cursor, response({"items": [1, 2], "total": total}))
        assert places == [(6, False), (4, True), (5, True), (6, True)]
        assert cursor == {"page": 7, "total": 17, "back": 1}
        assert not rule.is_reread(cursor)

    def test_a_total_that_goes_up_and_down_for_ever_does_not_hold_the_walk_for_ever(self) -> None:
        rule = numbered(total=InBody("total"))
        cursor: Cursor | None = {}
        used: list[Cursor] = []
        while cursor is not None and len(used) < 5000:
            assert cursor not in used
            used.append(cursor)
            # 40 rows, and a search index that has not made up its mind about one more.
            cursor = following(rule, cursor, response({"items": [1, 2], "total": 40 + len(used) % 2}))
        assert cursor is None


class TestOffset:
    RULE = Offset(base=BASE, records=items, offset_param="offset", limit_param="limit", page_size=2, total=InBody("n"))

    def test_the_first_request_begins_at_nought(self) -> None:
        assert self.RULE.request({}).params == {"offset": "0", "limit": "2"}

    def test_the_next_rows_begin_after_those_that_came(self) -> None:
        assert following(self.RULE, {}, response({"items": [1], "n": 9})) == {"offset": 1, "total": 9}

    def test_an_empty_page_within_the_total_is_passed_over(self) -> None:
        assert following(self.RULE, {"offset": 4}, response({"items": [], "n": 9})) == {"offset": 6, "total": 9}

    def test_a_total_that_fell_leads_back_by_as_many_rows(self) -> None:
        found = response({"items": [1, 2], "n": 17})
        assert following(self.RULE, {"offset": 10, "total": 20}, found) == {
            "offset": 7,
            "total": 17,
            "back": 1,
            "far": 12,
        }

    def test_a_carrier_that_ignores_the_offset_is_refused_before_it_continues_for_ever(self) -> None:
        rule = Offset(base=BASE, records=items, offset_param="skip")
        cursor = following(rule, {}, response({"items": [1, 2]}))
        assert cursor is not None
        with pytest.raises(UnexpectedResponse, match="same page twice, as if it did not look at the parameter 'skip'"):
            following(rule, cursor, response({"items": [1, 2]}))

    def test_a_total_may_stand_on_the_first_page_alone(self) -> None:
        second = following(self.RULE, {}, response({"items": [1, 2], "n": 3}))
        assert second == {"offset": 2, "total": 3}
        assert following(self.RULE, second, response({"items": [3]})) is None

    def test_a_missing_total_is_refused(self) -> None:
        with pytest.raises(UnexpectedResponse, match="expected 'n' of the answer to say where the list ends"):
            following(self.RULE, {}, response({"items": []}))


class TestCursorInAnswer:
    RULE = CursorInResponse(BASE, InHeader("X-Next-Key"), ToQuery("key"))

    def test_the_first_request_has_no_cursor(self) -> None:
        assert self.RULE.request({}) == BASE
        assert self.RULE.request({"after": "a&b"}).params == {"key": "a&b"}

    def test_an_empty_page_with_a_cursor_is_not_the_end(self) -> None:
        assert following(self.RULE, {}, response([], X_Next_Key="k2")) == {"after": "k2"}

    def test_no_cursor_is_the_end_whatever_the_page_holds(self) -> None:
        assert following(self.RULE, {}, response([1, 2])) is None
        assert following(self.RULE, {}, response([1, 2], X_Next_Key="")) is None

    def test_more_without_a_cursor_is_refused(self) -> None:
        rule = CursorInResponse(BASE, InBody("lastid"), ToQuery("startafter"), more=lambda found: found.body["more"])
        assert following(rule, {}, response({"more": False, "lastid": 5})) is None
        with pytest.raises(UnexpectedResponse, match="says that there is more, but 'lastid' of the answer is empty"):
            following(rule, {}, response({"more": True, "lastid": None}))

    def test_a_number_stays_whole(self) -> None:
        rule = CursorInResponse(BASE, InBody("lastid"), ToBody("after"))
        cursor = following(rule, {}, response({"lastid": 89883070000123456789}))
        assert cursor == {"after": 89883070000123456789}
        assert rule.request(cursor).body == {"after": 89883070000123456789}

    def test_a_number_that_lost_digits_is_refused(self) -> None:
        rule = CursorInResponse(BASE, InBody("lastid"), ToQuery("after"))
        with pytest.raises(
            UnexpectedResponse, match="expected text or a whole number in 'lastid' of the answer, found float"
        ):
            following(rule, {}, response({"lastid": 8.9e19}))


class TestKeyset:
    RULE = Keyset(
        first=Request(path="/list", method="POST", body={"size": 2}),
        records=items,
        key=lambda record: record.get("id"),
        key_name="the id",
        sent_to=ToBody("largestSeen"),
        more=lambda found: found.body["more"],
    )

    def test_the_key_of_the_last_record_leads_on(self) -> None:
        cursor = following(self.RULE, {}, response({"items": [{"id": 3}, {"id": 9}], "more": True}))
        assert cursor == {"after": 9}
        assert self.RULE.request(cursor).body == {"size": 2, "largestSeen": 9}
        assert self.RULE.request({}).body == {"size": 2}

    def test_an_empty_page_with_more_behind_it_is_never_the_end(self) -> None:
        with pytest.raises(
            UnexpectedResponse, match=re.escape("there is more, but its page is empty: without a last record")
        ):
            following(self.RULE, {}, response({"items": [], "more": True}))

    def test_a_last_record_without_the_key_is_refused_with_what_to_do(self) -> None:
        with pytest.raises(
            UnexpectedResponse, match=r"expected the id in the last record to continue from, found none.*Check that"
        ):
            following(self.RULE, {}, response({"items": [{}], "more": True}))

    ID = Keyset(first=BASE, records=items, key=lambda record: record, key_name="id", sent_to=ToQuery("since"))

    def test_records_that_share_the_key_may_hide_others_at_the_edge_of_a_page(self) -> None:
        second = following(self.ID, {}, response({"items": [1, 2, 2]}))
        assert second == {"after": 2, "tied": 2, "shared": True}
        assert self.ID.gap({}, response({"items": [1, 2, 2]})) is None
        assert "records share their id" in (self.ID.gap(second, response({"items": [3]})) or "")
        assert "records share their id" in (self.ID.gap(second, response({"items": []})) or "")

    def test_a_carrier_that_begins_with_the_key_itself_hides_none_and_repeats_by_design(self) -> None:
        second = following(self.ID, {}, response({"items": [1, 2, 2]}))
        assert second is not None
        page = response({"items": [2, 2, 2, 3]})
        assert (self.ID.overlap(second, page), self.ID.gap(second, page)) == (2, None)
        third = following(self.ID, second, page)
        assert third == {"after": 3, "shared": True}
        assert following(self.ID, third, response({"items": [3]})) is None

    def test_a_page_that_holds_but_one_key_ends_nothing_by_coming_again(self) -> None:
        # A carrier that does not look at the key gives it forever; the store notices the same cursor.
        second = following(self.ID, {}, response({"items": [7]}))
        assert second == {"after": 7, "alone": True}
        assert following(self.ID, second, response({"items": [7]})) == second

    @pytest.mark.parametrize("keys", [[3, 1, 2], ["10", "9", "11"], ["b", "a", "c"], ["B2", "a1", "C3"]])
    def test_a_list_that_is_not_in_the_order_of_its_key_may_hide_records(self, keys: list[Any]) -> None:
        assert "not in the order of id" in (self.ID.gap({}, response({"items": keys})) or "")

    @pytest.mark.parametrize(
        "keys",
        [
            [],
            [5],
            [1, 2, 10],
            [10, 2, 1],
            ["1", "2", "10"],
            ["1", "10", "2"],
            ["a", "B", "c"],
            ["B", "a"],
            ["2026-01-01T10:00", "2025-01-01T10:00", "2027-01-01T10:00"],
            [None, 3, 1],
        ],
    )
    def test_an_order_that_may_be_one_is_not_doubted(self, keys: list[Any]) -> None:
        assert self.ID.gap({}, response({"items": keys})) is None


class TestToBody:
    ASK = Request(path="/list", method="POST", body={"paging": {"limit": 10}, "all": True})

    def test_a_dotted_path_leads_into_the_body_and_leaves_the_rest_as_it_is(self) -> None:
        asked = ToBody("paging.cursor").put(self.ASK, "k2")
        assert asked.body == {"paging": {"limit": 10, "cursor": "k2"}, "all": True}
        assert self.ASK.body == {"paging": {"limit": 10}, "all": True}

    def test_objects_on_the_way_are_made(self) -> None:
        assert ToBody("query.window.after").put(Request(path="/list"), 7).body == {"query": {"window": {"after": 7}}}

    def test_a_key_that_holds_a_dot_itself_stands_in_quotes(self) -> None:
        assert ToBody('"paging.cursor"').put(Request(path="/list"), 7).body == {"paging.cursor": 7}
        assert ToBody('filter."a.b".$after').put(Request(path="/list"), 7).body == {"filter": {"a.b": {"$after": 7}}}
