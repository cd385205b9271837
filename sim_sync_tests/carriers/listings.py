"""Lists that are given page by page, each in one style, written from the styles' definitions and not from our rules."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
    Pagination,
    ToBody,
    ToQuery,
)
from sim_sync.carriers.records import array_in_body, list_at
from sim_sync.core.pages import Cursor

items = list_at("items")


def parameters(request: Request) -> dict[str, Any]:
    """Return what a request says: query parameters, those of its path, and members of its body."""
    in_path = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    return {**in_path, **request.params, **(request.body or {})}


def response(body: Any, **headers: str) -> Response:
    """Return an answer as it comes through the wire."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Response(status=200, headers=named, body=json.loads(json.dumps(body)))


def path_of(url: str) -> str:
    """Return path and query of a URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def pages_of(rows: list[int], size: int) -> int:
    """Return how many pages rows fill; an empty list is one page."""
    return max(1, -(-len(rows) // size))


def _and_an_empty_one(rows: list[int], size: int) -> int:
    return -(-len(rows) // size) + 1


@dataclass(frozen=True)
class Style:
    """One way to give a list: the rule that walks it, and the carrier that gives it."""

    name: str
    rule: Callable[[int], Pagination]
    give: Callable[[Request, list[int], int], Response]
    #: How many requests a walk of these rows takes.
    requests: Callable[[list[int], int], int] = pages_of

    def __str__(self) -> str:
        return self.name


def _by_place(request: Request, rows: list[int], size: int) -> tuple[int, list[int]]:
    page = int(parameters(request)["page"])
    assert int(parameters(request)["size"]) == size
    return page, rows[(page - 1) * size : page * size]


def _give_total_pages(request: Request, rows: list[int], size: int) -> Response:
    _, found = _by_place(request, rows, size)
    return response({"items": found, "meta": {"pages": -(-len(rows) // size), "total": len(rows)}})


def _give_total(request: Request, rows: list[int], size: int) -> Response:
    _, found = _by_place(request, rows, size)
    return response({"items": found}, X_Total_Count=str(len(rows)))


def _give_last_page(request: Request, rows: list[int], size: int) -> Response:
    page, found = _by_place(request, rows, size)
    return response({"items": found, "last": page >= pages_of(rows, size), "total": len(rows)})


def _give_pages_only(request: Request, rows: list[int], size: int) -> Response:
    _, found = _by_place(request, rows, size)
    return response({"items": found})


def _give_capped(request: Request, rows: list[int], size: int) -> Response:
    """Give at most three rows a page, whatever was asked for."""
    most = min(size, 3)
    page = int(parameters(request)["page"])
    return response({"items": rows[(page - 1) * most : page * most], "total": len(rows)})


def _give_offset(request: Request, rows: list[int], size: int) -> Response:
    start = int(parameters(request)["offset"])
    return response({"items": rows[start : start + size], "total": len(rows)})


def _after(request: Request, rows: list[int], size: int, name: str) -> tuple[list[int], bool]:
    after = int(parameters(request).get(name, -1))
    left = [row for row in rows if row > after]
    return left[:size], len(left) > size


def _give_next_link(request: Request, rows: list[int], size: int) -> Response:
    found, more = _after(request, rows, size, "after")
    link = f"https://carrier.example/v1/items?size={size}&after={found[-1]}" if more else None
    return response({"items": found, "meta": {"next": link}})


def _give_link_header(request: Request, rows: list[int], size: int) -> Response:
    found, more = _after(request, rows, size, "after")
    first = '<https://carrier.example/v1/items?a=1,2>; rel="first"'
    return response({"items": found}, Link=f'{first}, </v1/items?after={found[-1]}>; rel="next"' if more else first)


def _give_cursor_in_body(request: Request, rows: list[int], size: int) -> Response:
    found, more = _after(request, rows, size, "cursor")
    return response({"items": found, **({"continues": True, "lastid": found[-1]} if more else {})})


def _give_cursor_in_header(request: Request, rows: list[int], size: int) -> Response:
    """Scan that many numbers a page, whether or not rows have them: pages are short or empty long before the end."""
    reached = int(parameters(request).get("cursor", -1)) + size
    found = [row for row in rows if reached - size < row <= reached]
    more = bool(rows) and reached < rows[-1]
    return response(found, **({"X_Next_Key": str(reached)} if more else {}))


def _give_keyset(request: Request, rows: list[int], size: int) -> Response:
    found, more = _after(request, rows, size, "largestSeen")
    return response({"items": [{"id": row} for row in found], "more": more})


def _give_keyset_in_query(request: Request, rows: list[int], size: int) -> Response:
    found, _ = _after(request, rows, size, "since_id")
    return response({"items": [{"id": row} for row in found]})


BASE = Request(path="/v1/items")


def _numbered(size: int, **where: Any) -> PageNumber:
    return PageNumber(base=BASE, records=items, page_param="page", size_param="size", page_size=size, **where)


def _offset(size: int) -> Offset:
    return Offset(
        base=BASE, records=items, offset_param="offset", limit_param="limit", page_size=size, total=InBody("total")
    )


def _keyset(size: int) -> Keyset:
    return Keyset(
        first=Request(path="/v1/items", method="POST", body={"size": size}),
        records=items,
        key=lambda record: record["id"],
        key_name="id",
        sent_to=ToBody("largestSeen"),
        more=lambda found: bool(found.body["more"]),
    )


def _keyset_in_query(_size: int) -> Keyset:
    return Keyset(
        first=BASE, records=items, key=lambda record: record["id"], key_name="id", sent_to=ToQuery("since_id")
    )


def _continues(found: Response) -> bool:
    return found.body.get("continues") is True


#: Styles that notice rows which leave during the walk, or to which it makes no difference.
STEADY = [
    Style("page number, total in a header", lambda n: _numbered(n, total=InHeader("X-Total-Count")), _give_total),
    Style(
        "page number, total pages and total",
        lambda n: _numbered(n, total_pages=InBody("meta.pages"), total=InBody("meta.total")),
        _give_total_pages,
    ),
    Style(
        "page number, last page and total",
        lambda n: _numbered(n, last_page=InBody("last"), total=InBody("total")),
        _give_last_page,
    ),
    Style(
        "page number, fewer rows than asked for",
        lambda n: _numbered(n, total=InBody("total")),
        _give_capped,
        requests=lambda rows, size: pages_of(rows, min(size, 3)),
    ),
    Style("offset and total", _offset, _give_offset),
    Style("next link in the body", lambda n: NextLinkInBody(BASE, "meta.next"), _give_next_link),
    Style("next link in a header", lambda n: NextLinkInHeader(BASE), _give_link_header),
    Style(
        "cursor in the body",
        lambda n: CursorInResponse(BASE, InBody("lastid"), ToQuery("cursor"), more=_continues),
        _give_cursor_in_body,
    ),
    Style(
        "cursor in a header, to the body",
        lambda n: CursorInResponse(
            Request(path="/v1/items", method="POST", body={}), InHeader("X-Next-Key"), ToBody("cursor")
        ),
        _give_cursor_in_header,
        requests=lambda rows, size: max(1, -(-(rows[-1] + 1) // size)) if rows else 1,
    ),
    Style("keyset in the body", _keyset, _give_keyset),
    Style("keyset in the query", _keyset_in_query, _give_keyset_in_query, requests=_and_an_empty_one),
]
#: Styles that cannot notice it.
BLIND = [
    Style("page number, total pages", lambda n: _numbered(n, total_pages=InBody("meta.pages")), _give_total_pages),
    Style("page number, nothing told", _numbered, _give_pages_only, requests=_and_an_empty_one),
    Style("page number, last page", lambda n: _numbered(n, last_page=InBody("last")), _give_last_page),
    Style(
        "offset, nothing told",
        lambda n: Offset(base=BASE, records=items, offset_param="offset", page_size=n),
        _give_offset,
        requests=_and_an_empty_one,
    ),
]


def ids_in(found: Response) -> list[int]:
    """Return the ids that an answer gives."""
    records = array_in_body(found) if isinstance(found.body, list) else items(found)
    return [record["id"] if isinstance(record, dict) else record for record in records]


def stored(cursor: Cursor) -> Cursor:
    """Return a cursor as another process reads it."""
    read: Cursor = json.loads(json.dumps(cursor))
    return read
