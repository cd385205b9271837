"""Where a total, a flag or a cursor stands in an answer, and where a position goes in the next request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.paths import Lookup, lookup_of
from sim_sync.core.errors import UnexpectedAnswer


@dataclass(frozen=True, slots=True)
class InBody:
    """At a JMESPath in the body."""

    path: str
    _look_up: Lookup = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_look_up", lookup_of(self.path))

    def find(self, answer: Answer) -> Any:
        """Return what stands there, or None."""
        return self._look_up(answer.body)

    def __str__(self) -> str:
        return f"{self.path!r} of the answer"


@dataclass(frozen=True, slots=True)
class InHeader:
    """In a response header, whatever the case of its name."""

    name: str

    def find(self, answer: Answer) -> Any:
        """Return the header's value, or None where it is absent."""
        return answer.headers.get(self.name.lower())

    def __str__(self) -> str:
        return f"the response header {self.name}"


Place: TypeAlias = InBody | InHeader


@dataclass(frozen=True, slots=True)
class ToQuery:
    """A position goes into a query parameter."""

    name: str

    def put(self, ask: Ask, value: Any) -> Ask:
        """Return the request with a value at this place."""
        return with_query(ask, {self.name: str(value)})


@dataclass(frozen=True, slots=True)
class ToBody:
    """A position goes into a member of the JSON body."""

    name: str

    def put(self, ask: Ask, value: Any) -> Ask:
        """Return the request with a value at this place."""
        return replace(ask, body={**(ask.body or {}), self.name: value})


def with_query(ask: Ask, params: Mapping[str, str]) -> Ask:
    """Return a request with further query parameters."""
    return replace(ask, params={**ask.params, **params})


def whole_number(place: Place, answer: Answer) -> int | None:
    """Return the count that stands at a place, or None where nothing stands.

    Raises:
        UnexpectedAnswer: something else stands there.
    """
    found = place.find(answer)
    if found is None or found == "":
        return None
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return found
    if isinstance(found, str) and found.strip().isascii() and found.strip().isdigit():
        return int(found)
    raise UnexpectedAnswer(f"expected a whole number in {place}, found {_shown(found)}")


def flag(place: Place, answer: Answer) -> bool | None:
    """Return the flag that stands at a place, or None where nothing stands.

    Raises:
        UnexpectedAnswer: something else stands there.
    """
    found = place.find(answer)
    if found is None or isinstance(found, bool):
        return found
    word = found.strip().lower() if isinstance(found, str) else None
    if word in {"true", "false"}:
        return word == "true"
    raise UnexpectedAnswer(f"expected true or false in {place}, found {_shown(found)}")


def position(value: Any, where: object) -> str | int | None:
    """Return a value as a position: text or a whole number, or None where there is none.

    Raises:
        UnexpectedAnswer: it is something else; a float has lost digits.
    """
    if value is None or value == "":
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise UnexpectedAnswer(f"expected text or a whole number in {where}, found {_shown(value)}")


def _shown(value: Any) -> str:
    return repr(value[:40]) if isinstance(value, str) else type(value).__name__
