"""The pagination styles that `carriers.yaml` can declare, and the rules that they become."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from sim_sync.carriers.json_bodies import lookup_of
from sim_sync.carriers.messages import Request
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
    RecordsOf,
    ToBody,
    ToQuery,
)
from sim_sync.carriers.pagination.rule import keys_of
from sim_sync.carriers.rest.responses import DeclaredField, EndOn, FlagThere, HeaderName, Path, place_of
from sim_sync.carriers.settings import LinkRule, Settings, with_a_type

ParameterName = Annotated[str, Field(min_length=1)]


def _ignored(parameter: str, key: str) -> str:
    return f"the carrier does not look at the parameter {parameter!r} (`{key}`)"


def _body_path(text: str) -> str:
    keys_of(text)
    return text


#: Keys with dots between them: `after`, `paging.cursor`.
BodyPath = Annotated[str, Field(min_length=1), AfterValidator(_body_path)]


class _Style(Settings):
    """What every style may declare: the parameter of the page's size, where the total number of records stands, and
    what else ends the list.

    The size is sent only where `size_param` says how.
    """

    size_param: ParameterName | None = None
    total: DeclaredField | None = None
    end_on: EndOn = ()

    def _sized(self, request: Request, page_size: int) -> Request:
        return request if self.size_param is None else ToQuery(self.size_param).put(request, page_size)


class _Onward(_Style):
    """What the styles have in common that put a position into the next request."""

    to_query: ParameterName | None = None
    to_body: BodyPath | None = None
    more: Path | None = None

    @model_validator(mode="after")
    def _goes_to_one_place(self) -> Any:
        if (self.to_query is None) == (self.to_body is None):
            raise ValueError("either to_query or to_body, where the position goes")
        if self.to_body is not None and self.size_param is not None:
            keys_of(self.size_param)
        return self

    def _target(self) -> ToQuery | ToBody:
        return ToBody(self.to_body) if self.to_body is not None else ToQuery(self.to_query or "")

    def _sized(self, request: Request, page_size: int) -> Request:
        if self.size_param is None:
            return request
        place = ToBody(self.size_param) if self.to_body is not None else ToQuery(self.size_param)
        return place.put(request, page_size)

    def suspect(self) -> str:
        """Return what of these keys is likely to be wrong where pages repeat."""
        if self.to_body is not None:
            return f"the carrier does not look at {self.to_body!r} in the body (`to_body`)"
        return _ignored(self.to_query or "", "to_query")

    def _more(self) -> FlagThere | None:
        return None if self.more is None else FlagThere(self.more)


class PageNumberStyle(_Style):
    """Page after page by its number; without `total_pages`, `total` and `last_page` an empty page is the end."""

    type: Literal["page_number"]
    page_param: ParameterName
    first_page: Annotated[int, Field(ge=0)] = 1
    total_pages: DeclaredField | None = None
    last_page: DeclaredField | None = None

    def rule(self, first: Request, records: RecordsOf, page_size: int) -> Pagination:
        """Return the rule."""
        return PageNumber(
            base=first,
            records=records,
            page_param=self.page_param,
            size_param=self.size_param,
            page_size=None if self.size_param is None else page_size,
            first_page=self.first_page,
            total_pages=place_of(self.total_pages),
            total=place_of(self.total),
            last_page=place_of(self.last_page),
            looks_behind=True,
            repeated_page_ends="repeated_page" in self.end_on,
        )

    def suspect(self) -> str:
        """Return what of these keys is likely to be wrong where pages repeat."""
        return _ignored(self.page_param, "page_param")


class OffsetStyle(_Style):
    """Rows by their place; without `total` an empty page is the end."""

    type: Literal["offset"]
    offset_param: ParameterName
    limit_param: ParameterName | None = None

    def rule(self, first: Request, records: RecordsOf, page_size: int) -> Pagination:
        """Return the rule."""
        limit_param = self.limit_param or self.size_param
        return Offset(
            base=first,
            records=records,
            offset_param=self.offset_param,
            limit_param=limit_param,
            page_size=None if limit_param is None else page_size,
            total=place_of(self.total),
            looks_behind=True,
            repeated_page_ends="repeated_page" in self.end_on,
        )

    def suspect(self) -> str:
        """Return what of these keys is likely to be wrong where pages repeat."""
        return _ignored(self.offset_param, "offset_param")


class NextLinkStyle(_Style):
    """The URL of the next page stands in the body, or in a `Link` header.

    In the body, null is the end; so is its absence, once a link was followed. `absent_is_end` says it of the first page
    too, for carriers that leave it out of a list of one page.
    """

    type: Literal["next_link"]
    path: Path | None = None
    header: HeaderName | None = None
    absent_is_end: bool = False
    links: LinkRule | None = None

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> Any:
        if (self.path is None) == (self.header is None):
            raise ValueError("either path or header, where the link stands")
        return self

    def rule(self, first: Request, records: RecordsOf, page_size: int) -> Pagination:
        """Return the rule."""
        first = self._sized(first, page_size)
        if self.header is not None:
            return NextLinkInHeader(first, self.header)
        return NextLinkInBody(first, self.path or "", absent_after_first=True, absent_is_end=self.absent_is_end)

    def suspect(self) -> str:
        """Return what of these keys is likely to be wrong where pages repeat."""
        where = f"{self.path!r} (`path`)" if self.header is None else f"the header {self.header!r} (`header`)"
        return f"{where} holds another link than that of the next page"


class CursorStyle(_Onward):
    """The carrier hands out a cursor, in the body or in a response header."""

    type: Literal["cursor"]
    path: Path | None = None
    header: HeaderName | None = None

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> Any:
        if (self.path is None) == (self.header is None):
            raise ValueError("either path or header, where the next cursor stands")
        return self

    def rule(self, first: Request, records: RecordsOf, page_size: int) -> Pagination:
        """Return the rule."""
        found_in = InHeader(self.header) if self.header is not None else InBody(self.path or "")
        return CursorInResponse(self._sized(first, page_size), found_in, self._target(), self._more())

    def suspect(self) -> str:
        """Return what of these keys is likely to be wrong where pages repeat."""
        where = f"{self.path!r} (`path`)" if self.header is None else f"the header {self.header!r} (`header`)"
        return f"{super().suspect()}, or {where} holds another cursor than that of the next page"


class KeysetStyle(_Onward):
    """The next page begins after a field of the last record; without `more` an empty page is the end."""

    type: Literal["keyset"]
    field: Path

    def rule(self, first: Request, records: RecordsOf, page_size: int) -> Pagination:
        """Return the rule."""
        return Keyset(
            first=self._sized(first, page_size),
            records=records,
            key=lookup_of(self.field),
            key_name=self.field,
            sent_to=self._target(),
            more=self._more(),
        )


Style: TypeAlias = Annotated[
    PageNumberStyle | OffsetStyle | NextLinkStyle | CursorStyle | KeysetStyle,
    Field(discriminator="type"),
    with_a_type("page_number", "offset", "next_link", "cursor", "keyset"),
]


def body_paths(style: Style) -> Sequence[str]:
    """Return where in the body a style puts something."""
    if not isinstance(style, _Onward) or style.to_body is None:
        return ()
    return [path for path in (style.to_body, style.size_param) if path is not None]
