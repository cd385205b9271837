"""What a pagination rule is, what else ends a list, and where a total, a flag or a cursor stands in an answer."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from sim_sync.carriers.dialect import never
from sim_sync.carriers.json_bodies import Lookup, NumberText, lookup_of
from sim_sync.carriers.messages import Request, Response
from sim_sync.core.errors import UnexpectedResponse
from sim_sync.core.pages import Cursor
from sim_sync.core.storable import MAX_COUNT

# --- places in answers and requests ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InBody:
    """At a JMESPath in the body."""

    path: str
    _look_up: Lookup = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_look_up", lookup_of(self.path))

    def find(self, response: Response) -> Any:
        """Return what is there, or None."""
        return self._look_up(response.body)

    def __str__(self) -> str:
        return f"{self.path!r} of the answer"


@dataclass(frozen=True, slots=True)
class InHeader:
    """In a response header, whatever the case of its name."""

    name: str

    def find(self, response: Response) -> Any:
        """Return the header's value, or None where it is absent."""
        return response.headers.get(self.name.lower())

    def __str__(self) -> str:
        return f"the response header {self.name}"


ResponseField: TypeAlias = InBody | InHeader


@dataclass(frozen=True, slots=True)
class ToQuery:
    """A position goes into a query parameter."""

    name: str

    def put(self, request: Request, value: Any) -> Request:
        """Return the request with a value at this place."""
        return with_query(request, {self.name: str(value)})


@dataclass(frozen=True, slots=True)
class ToBody:
    """A position goes into a member of the JSON body: `after`, or a path such as `paging.cursor` (`keys_of`)."""

    path: str

    def put(self, request: Request, value: Any) -> Request:
        """Return the request with a value at this place; what else the body holds stays as it is."""
        return replace(request, body=_with_member(request.body or {}, keys_of(self.path), value))


#: Keys with dots between them; one that holds a dot itself stands in double quotes.
_KEYS = re.compile(r'(?:[^."\[\]\s]+|"[^"]+")(?:\.(?:[^."\[\]\s]+|"[^"]+"))*')
_KEY = re.compile(r'"([^"]+)"|([^."]+)')


def keys_of(path: str) -> Sequence[str]:
    """Return the keys of a path into a body: `paging.cursor` is two, `"paging.cursor"` in double quotes is one.

    Raises:
        ValueError: it is no such path; members of lists cannot be named.
    """
    if _KEYS.fullmatch(path) is None:
        raise ValueError("keys with dots between them, such as paging.cursor (members of lists cannot be named)")
    return [quoted or plain for quoted, plain in _KEY.findall(path)]


def _with_member(body: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    key, *rest = keys
    if not rest:
        return {**body, key: value}
    inner = body.get(key)
    if inner is not None and not isinstance(inner, Mapping):
        raise ValueError(f"an object under {key!r} of `body`, because the pagination puts {rest[0]!r} into it")
    return {**body, key: _with_member(inner or {}, rest, value)}


def with_query(request: Request, params: Mapping[str, str]) -> Request:
    """Return a request with further query parameters."""
    return replace(request, params={**request.params, **params})


#: Digits, and zeros behind the point at most: `35`, `35.0`.
_COUNT = re.compile(r"([0-9]{1,18})(?:\.0*)?")


def whole_number(place: ResponseField, response: Response) -> int | None:
    """Return the count that stands at a place, or None where nothing stands.

    Counts come as text and as floats too: some languages have no other numbers. `35.0` is 35, `35.5` is no count.

    Raises:
        UnexpectedResponse: something else is there.
    """
    found = place.find(response)
    if found is None or found == "":
        return None
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_COUNT:
        return found
    # A larger float has lost digits.
    if isinstance(found, float) and found.is_integer() and 0 <= found < 2**53:
        return int(found)
    if isinstance(found, str) and (count := _COUNT.fullmatch(found.strip())):
        return int(count[1])
    raise UnexpectedResponse(f"expected a whole number in {place}, found {_shown(found)}")


def flag(place: ResponseField, response: Response) -> bool | None:
    """Return the flag that stands at a place, or None where nothing stands.

    Raises:
        UnexpectedResponse: something else is there.
    """
    found = place.find(response)
    if found is None or isinstance(found, bool):
        return found
    word = found.strip().lower() if isinstance(found, str) else None
    if word in {"true", "false"}:
        return word == "true"
    raise UnexpectedResponse(f"expected true or false in {place}, found {_shown(found)}")


_SHOWN_CHARACTERS = 40
#: More than any number that is meant to be one, and fewer than Python reads.
_MOST_DIGITS = 400


def position(value: Any, where: object) -> str | int | None:
    """Return a value as a position: text or a whole number, or None where there is none.

    Raises:
        UnexpectedResponse: it is something else; a float has lost digits.
    """
    if value is None or value == "":
        return None
    if isinstance(value, NumberText) and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)  # as a number it goes back
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise UnexpectedResponse(f"expected text or a whole number in {where}, found {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a short text as it is and anything else by its kind: a part of a text may be a part of a secret."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"a text of {len(value)} characters"
    return type(value).__name__


# --- a rule ----------------------------------------------------------------------------------------------------------

#: Turns a URL that the carrier supplied into path and query, or refuses it (`HttpClient.path_of`).
PathOf: TypeAlias = Callable[[str], str]
#: Returns the list of records in an answer, or raises `UnexpectedResponse`.
RecordsOf: TypeAlias = Callable[[Response], list[Any]]


class Pagination(Protocol):
    """One way to walk a list. The empty cursor `{}` is the first page of every walk.

    A rule inherits from this: what most of them have nothing to say about is answered here.
    """

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""
        return {}

    def request(self, cursor: Cursor) -> Request:
        """Return the request for the page at a cursor."""

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return where the walk continues after an answer, or None at the carrier's own end signal.

        Raises:
            UnexpectedResponse: the answer does not say whether, or where, the list continues.
            ForeignOrigin: it leads to another origin.
        """

    def ahead(self, cursor: Cursor, following: Cursor) -> Iterator[Cursor]:
        """Yield where the walk presumably continues behind `following`, to which the page at `cursor` has led.

        Only what these are asked by has to be right: what a cursor remembers, the pages before it tell in their turn.
        Places behind an end that is known are none; where it is not known, there is no end to them. Nothing, where only
        an answer leads on.
        """
        return iter(())

    def is_reread(self, cursor: Cursor) -> bool:
        """Return whether the page at a cursor need not bring anything new, by the rule's own doing."""
        return False

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Return whether the cursor is the carrier's own, which it may no longer take; if not, it is a place."""
        return True

    def ends_with_nothing(self, cursor: Cursor) -> bool:
        """Return whether the lack of records alone ends the list at a cursor: so does a page that is not there."""
        return False

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return the place that many pages behind an end that may be none; None where it is beyond doubt."""
        return None

    def overlap(self, cursor: Cursor, response: Response) -> int:
        """Return how many records of an answer stood on the page before too, by the paging's design."""
        return 0

    def moves_unseen(self, cursor: Cursor) -> bool:
        """Return whether nothing says that records have moved up from page to page."""
        return False

    def gap(self, cursor: Cursor, response: Response) -> str | None:
        """Return why records may have been passed over before or on this page."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSigns:
    """What ends a list on any page but the first.

    `says` finds the end in an answer, an error's too. `empty_page`: a page without records is the last one.
    `repeated_page`: so is one that is the page before, or that leads to itself.
    """

    says: Callable[[Response], bool] = never
    empty_page: bool = False
    repeated_page: bool = False
