"""The key `errors`: how a carrier that is declared in `carriers.yaml` says "slower", "log in again" and "an error"."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from sim_sync.carriers.dialect import (
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
from sim_sync.carriers.messages import Response
from sim_sync.carriers.pagination import InHeader, ResponseField
from sim_sync.carriers.rest.places import DeclaredField, HeaderName, Path, place_of
from sim_sync.carriers.settings import Settings
from sim_sync.carriers.waits import carriers_now, seconds_until, throttled_wait

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
