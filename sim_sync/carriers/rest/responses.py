"""How `carriers.yaml` says where something stands in a response, and what that means: an error, the end of a list.

Where something stands is a JMESPath in the body, or `{header: NAME}`.
"""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from sim_sync.carriers.dialect import (
    ABOUT_WHO_OR_WHEN,
    Dialect,
    ErrorInBody,
    Sign,
    Throttling,
    WaitRule,
    asks_to_slow_down,
    denies_access,
    documents_an_error,
    may_be_an_expired_login,
    says_that_login_expired,
)
from sim_sync.carriers.json_bodies import BadPath, lookup_of
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import EndSigns, InBody, InHeader, ResponseField
from sim_sync.carriers.pagination.rule import flag
from sim_sync.carriers.settings import Settings, Shaped, Unfit
from sim_sync.carriers.waits import carriers_now, seconds_until, throttled_wait

# --- where something stands ------------------------------------------------------------------------------------------


def _path(text: str) -> str:
    try:
        lookup_of(text)
    except BadPath as bad:
        raise Unfit("a JMESPath expression such as meta.total", f" ({bad})") from None
    return text


#: A JMESPath expression that compiles.
Path = Annotated[str, Field(min_length=1), AfterValidator(_path)]
HeaderName = Annotated[str, Shaped(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "the name of a header, such as X-Total-Count")]


def _as_text(value: Any) -> Any:
    """Take `true` and `5` for the text that goes into a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


#: A text, for which `true` and `5` may be written.
Text = Annotated[str, BeforeValidator(_as_text)]


class HeaderField(Settings):
    """A response header."""

    header: HeaderName


def _kind(value: Any) -> str:
    return "header" if isinstance(value, (dict, HeaderField)) else "path"


#: A path, or a header.
DeclaredField: TypeAlias = Annotated[
    Annotated[Path, Tag("path")] | Annotated[HeaderField, Tag("header")], Discriminator(_kind)
]


def one_or_more(entry: Callable[[Any], Any]) -> BeforeValidator:
    """Return what takes one entry for a list of one, and digits in quotes for a status; `entry` looks at each."""

    def entries(value: Any) -> Any:
        given = value if isinstance(value, (list, tuple)) else [value]
        return [entry(int(one) if isinstance(one, str) and one.isascii() and one.isdigit() else one) for one in given]

    return BeforeValidator(entries)


def place_of(declared: str | HeaderField | None) -> ResponseField | None:
    """Return the place that is declared."""
    if declared is None:
        return None
    return InHeader(declared.header) if isinstance(declared, HeaderField) else InBody(declared)


class FlagThere:
    """Says whether a flag is set; where it does not stand, it is not."""

    def __init__(self, path: str) -> None:
        self._place = InBody(path)

    def __call__(self, response: Response) -> bool:
        """Return whether the answer sets it."""
        return flag(self._place, response) is True


# --- what a response means -------------------------------------------------------------------------------------------

Status = Annotated[int, Field(ge=100, le=599)]


class Match(Settings):
    """One form of an answer: all that is given has to fit. Without a text to compare, something has to stand there."""

    status: Status | tuple[Status, ...] | None = None
    path: Path | None = None
    header: HeaderName | None = None
    equals: bool | int | float | str | None = None
    contains: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Any:
        if self.status is None and self.path is None and self.header is None:
            raise ValueError("status, path or header: what tells this answer from others")
        if self.path is not None and self.header is not None:
            raise ValueError("either path or header; write two entries where either may say it")
        needs_place = self.equals is not None or self.contains is not None
        if needs_place and self.path is None and self.header is None:
            raise ValueError("path or header beside equals and contains: where the text stands")
        return self

    def fits(self, response: Response) -> bool:
        """Return whether an answer is of this form."""
        if self.status is not None and response.status not in _statuses(self.status):
            return False
        place = place_of(self.path) if self.header is None else InHeader(self.header)
        return place is None or self._fits_text(place.find(response))

    def _fits_text(self, found: Any) -> bool:
        if found is None:
            return False
        if self.equals is not None and _text(found) != _text(self.equals):
            return False
        if self.contains is not None and self.contains.lower() not in _text(found).lower():
            return False
        return self.equals is not None or found not in (False, 0, "", [], {})


class Errors(Settings):
    """What answers mean, beyond what carriers commonly say; with `guess: false`, in place of it."""

    throttled: tuple[Match, ...] = ()
    expired: tuple[Match, ...] = ()
    unavailable: tuple[Match, ...] = ()
    failed: tuple[Match, ...] = ()
    #: Where the wait stands, if it is not where carriers commonly put it.
    retry_after: DeclaredField | None = None
    guess: bool = True

    def dialect(self) -> Dialect:
        """Return the dialect. An answer that is listed means what it is listed as, whatever else it might mean."""
        throttled, expired = _any_of(self.throttled), _any_of(self.expired)
        unavailable, failed = _any_of(self.unavailable), _any_of(self.failed)
        listed = _any_of([*self.throttled, *self.expired, *self.unavailable, *self.failed])

        def unlisted(sign: Sign, *, status: int | None = None) -> Sign:
            """Say yes where nothing is listed, to a status that always means it, and to what may be guessed."""
            return lambda response: (
                not listed(response) and (response.status == status or (self.guess and sign(response)))
            )

        place, has_expired = place_of(self.retry_after), unlisted(says_that_login_expired, status=401)
        return Dialect(
            throttling=Throttling(
                statuses=frozenset(),
                common=unlisted(asks_to_slow_down, status=429),
                told=throttled,
                waits=(throttled_wait,) if place is None else (throttled_wait, _wait_at(place)),
            ),
            failed=failed,
            unavailable=unavailable,
            error_in_body=ErrorInBody(sign=unlisted(documents_an_error), denied=unlisted(denies_access)),
            credentials_expired=lambda response: expired(response) or has_expired(response),
            credentials_may_have_expired=unlisted(may_be_an_expired_login),
        )


def _any_of(matches: Sequence[Match]) -> Callable[[Response], bool]:
    return lambda response: any(match.fits(response) for match in matches)


def _wait_at(place: ResponseField) -> WaitRule:
    return lambda response, now: seconds_until(place.find(response), carriers_now(response, now))


def _statuses(status: int | tuple[int, ...]) -> tuple[int, ...]:
    return (status,) if isinstance(status, int) else status


def _text(value: Any) -> str:
    """Return a value as it is compared: `true`, `5` and text as they stand in JSON, without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- the end of a list -----------------------------------------------------------------------------------------------

Word: TypeAlias = Literal["null", "empty_page", "repeated_page"]


def _entry(value: Any) -> Any:
    """Take YAML's own null for the word, and refuse a status that cannot be an end."""
    if value is None:
        return "null"
    if isinstance(value, int) and (value in ABOUT_WHO_OR_WHEN or not (200 <= value < 300 or 400 <= value < 500)):
        raise ValueError(
            "a status that can be the end of a list: a 2xx, or a 4xx that is not about credentials or speed"
        )
    return value


EndOn = Annotated[tuple[int | Word | Match, ...], one_or_more(_entry)]


def end_signs_of(declared: Sequence[int | str | Match]) -> EndSigns:
    """Return the signs that are declared."""
    statuses = {entry for entry in declared if isinstance(entry, int)}
    forms = [entry for entry in declared if isinstance(entry, Match)]

    def says(response: Response) -> bool:
        return response.status in statuses or any(form.fits(response) for form in forms)

    return EndSigns(says=says, empty_page="empty_page" in declared, repeated_page="repeated_page" in declared)
