"""Declared REST carriers in every style that their options choose, from the client's side."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sim_sync_tests.simulator.raw_http import Client, Seen, target_of
from sim_sync_tests.simulator.vendors.dialects import link_following
from sim_sync_tests.simulator.vendors.walking import (
    Call,
    Dialect,
    Headers,
    ReadSim,
    basic_headers,
    bearer_headers,
    form_login,
    posted,
    secret,
    target,
    with_query,
)

Following = Callable[[Call, Seen], Call | None]
_PATH = "/v1/sims"


def read_rest(record: Any) -> list[ReadSim]:
    columns = {
        **{key: record[key] for key in ("iccid", "imsi", "msisdn", "imei", "eid", "activated_at")},
        "rate_plan": record["plan"],
        "ip_address": record["ip"],
        "label": record["name"],
        "carrier_updated_at": record["updated_at"],
    }
    return [(str(record["id"]), record["state"], columns)]


def bearer(_: Client) -> Headers:
    return bearer_headers(secret("rest", "token"))


def oauth2(carrier: Client) -> Headers:
    fields = {
        "grant_type": "client_credentials",
        "client_id": secret("rest", "client_id"),
        "client_secret": secret("rest", "client_secret"),
    }
    return bearer_headers(form_login(carrier, "/oauth2/token", fields)["access_token"])


LOGINS: Mapping[str, Callable[[Client], Headers]] = {
    "bearer": bearer,
    "basic": lambda _: basic_headers(secret("rest", "username"), secret("rest", "password")),
    "header": lambda _: {"X-API-Key": secret("rest", "api_key")},
    "oauth2_client_credentials": oauth2,
    "none": lambda _: {},
}


def _parameter(call: Call, name: str) -> int:
    return int(dict(parse_qsl(urlsplit(call.target).query))[name])


def numbered(is_last: Callable[[int, int, Seen], bool]) -> Following:
    def following(call: Call, seen: Seen) -> Call | None:
        number, size = _parameter(call, "page"), _parameter(call, "per_page")
        return None if is_last(number, size, seen) else with_query(call, page=number + 1)

    return following


def offset_by(total: Callable[[Seen], int | None], records: Callable[[Seen], list[Any]]) -> Following:
    def following(call: Call, seen: Seen) -> Call | None:
        found, whole = records(seen), total(seen)
        offset = _parameter(call, "offset") + len(found)
        is_last = not found if whole is None else offset >= whole
        return None if is_last else with_query(call, offset=offset)

    return following


def data(seen: Seen) -> list[Any]:
    return list(seen.json()["data"])


def array(seen: Seen) -> list[Any]:
    return list(seen.json())


def body_link(call: Call, seen: Seen) -> Call | None:
    link = seen.json()["links"]["next"]
    return None if link is None else Call(target_of(link))


def body_cursor(call: Call, seen: Seen) -> Call | None:
    cursor = seen.json()["meta"]["next_cursor"]
    return None if cursor is None else with_query(call, cursor=cursor)


def header_cursor(call: Call, seen: Seen) -> Call | None:
    cursor = seen.headers.get("X-Next-Cursor")
    return None if cursor is None else with_query(call, cursor=cursor)


def posted_cursor(call: Call, seen: Seen) -> Call | None:
    meta = seen.json()["meta"]
    size = len(seen.json()["data"])
    return posted(_PATH, {"limit": size, "cursor": meta["next_cursor"]}) if meta["more"] else None


def keyset(call: Call, seen: Seen) -> Call | None:
    records = data(seen)
    return with_query(call, after=records[-1]["id"]) if records else None


def keyset_with_flag(call: Call, seen: Seen) -> Call | None:
    return with_query(call, after=data(seen)[-1]["id"]) if seen.json()["meta"]["more"] else None


def by_page(size: int) -> Call:
    return Call(target(_PATH, page=1, per_page=size))


def by_offset(size: int) -> Call:
    return Call(target(_PATH, offset=0, limit=size))


def by_limit(size: int) -> Call:
    return Call(target(_PATH, limit=size))


def rest(
    name: str,
    first: Callable[[int], Call],
    following: Following,
    listed: Callable[[Seen], list[Any]] = data,
    **options: Any,
) -> Dialect:
    return Dialect(
        vendor="rest",
        name=f"rest by {name}",
        login=LOGINS[options.get("authentication", "bearer")],
        first=first,
        following=following,
        records=listed,
        read=read_rest,
        options={**options, "max_page_size": 100},
    )


def whole(seen: Seen) -> int:
    return int(seen.headers["X-Total-Count"])


#: Every style, and every way to log in.
REST_DIALECTS = (
    rest(
        "page and total pages",
        by_page,
        numbered(lambda number, size, seen: number >= seen.json()["meta"]["total_pages"]),
        pagination="page_number",
        total="total_pages",
    ),
    rest(
        "page from 0 and total",
        lambda size: Call(target(_PATH, page=0, per_page=size)),
        numbered(lambda number, size, seen: (number + 1) * size >= seen.json()["meta"]["total"]),
        pagination="page_number",
        total="total",
        first_page=0,
        authentication="basic",
    ),
    rest(
        "page and a last-page flag",
        by_page,
        numbered(lambda number, size, seen: bool(seen.json()["meta"]["last_page"])),
        lambda seen: list(seen.json()["result"]["items"]),
        pagination="page_number",
        total="last_page",
        records="result.items",
        authentication="header",
    ),
    rest(
        "page and an empty end",
        by_page,
        numbered(lambda number, size, seen: not array(seen)),
        array,
        pagination="page_number",
        total="none",
        records="",
        authentication="none",
    ),
    rest(
        "offset and total",
        by_offset,
        offset_by(lambda seen: int(seen.json()["meta"]["total"]), data),
        pagination="offset",
        authentication="oauth2_client_credentials",
    ),
    rest(
        "offset and a header",
        by_offset,
        offset_by(whole, array),
        array,
        pagination="offset",
        total="header",
        records="",
    ),
    rest("next link in the body", by_limit, body_link, pagination="next_link"),
    rest("Link header", by_limit, link_following, array, pagination="next_link", place="header", records=""),
    rest("cursor in the body", by_limit, body_cursor, pagination="cursor"),
    rest("cursor in a header", by_limit, header_cursor, array, pagination="cursor", place="header", records=""),
    rest(
        "cursor in a posted body",
        lambda size: posted(_PATH, {"limit": size}),
        posted_cursor,
        pagination="cursor",
        method="POST",
        more=True,
    ),
    rest("keyset and an empty end", by_limit, keyset, pagination="keyset"),
    rest("keyset and a flag", by_limit, keyset_with_flag, pagination="keyset", more=True),
)
