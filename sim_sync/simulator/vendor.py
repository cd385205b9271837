"""What the simulator asks of a vendor's imitation, and the parsed requests and answers they exchange. No sockets here.

A vendor is everything that one carrier's API does in its own way: paths, auth, parameters, pages, errors. How answers
reach the client, and everything that goes wrong on demand on the way, is the same for all and lies elsewhere.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked_dataclass

from sim_sync.simulator.faults import CursorExpiry, PageFault, TokenExpiry
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.fleet_spec import Profile
from sim_sync.simulator.sim_view import SimView

#: What a request's credentials are worth; `not needed` for calls that a vendor leaves open, such as a login.
Authentication: TypeAlias = Literal["ok", "missing", "wrong", "not needed"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to one carrier. Header names are lower case; of a repeated parameter or header the last one counts.

    `path` starts below the carrier's mount; `base_url` is how the client reached that mount, without a slash at the
    end. `in_flight` counts the carrier's requests at work, this one included.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    in_flight: int = 1


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as the carrier means it. `headers` has neither `Content-Length` nor `Date`."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListCall:
    """Which page a list request asks for, in the vendor's own terms; what it does not tell is None."""

    page_token: str | None = None
    page_number: int | None = None


class Vendor(Protocol):
    """One carrier's API over one fleet. Called from many threads at once."""

    def list_call(self, request: Request) -> ListCall | None:
        """Return which page a request asks for, or None where it does not list SIMs. Looks at no credentials."""

    def authentication(self, request: Request) -> Authentication:
        """Return what the request's credentials are worth; asking changes nothing."""

    def response(self, request: Request, fault: PageFault | None = None) -> Response:
        """Answer as the vendor would, credentials checked; a `fault` spoils the page that the answer lists."""

    def failure(self, status: int, message: str | None = None) -> Response:
        """Return the vendor's own answer for an error status."""

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return the vendor's own 429, which says how long to wait only where the vendor does."""

    def expire(self, fault: TokenExpiry | CursorExpiry) -> None:
        """Refuse from now on the tokens or cursors given out so far."""

    def sim_id(self, sim: SimView) -> str:
        """Return the id under which the vendor lists the SIM."""

    def carrier_status(self, sim: SimView) -> str:
        """Return the vendor's own word for the SIM's status."""

    def listed(self, sim: SimView) -> Mapping[str, str | None]:
        """Return what the vendor's list tells of the SIM, by the columns of `carrier_sims`, as it is written there.

        A column that the vendor's list does not have is left out; one that is null for this SIM is None. Times are
        ISO 8601 in UTC with seconds and Z, however the vendor writes them.
        """


@checked_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class NoOptions:
    """The options of a vendor that has none."""


@dataclass(frozen=True, slots=True)
class VendorSpec:
    """How a vendor enters the registry: one module, one spec.

    `status_words` is what it calls each place in the lifecycle that it knows. `credential_keys` are the credentials
    that `build` wants, named as `auth` in `carriers.yaml` names them. `options` is the pydantic dataclass of what else
    a mount may choose. `faults` are those of `VENDOR_FAULTS` that make sense for it.
    """

    name: str
    profile: Profile
    status_words: Mapping[str, str]
    credential_keys: Sequence[str]
    build: Callable[[Fleet, Mapping[str, str], Any], Vendor]
    faults: frozenset[str] = frozenset()
    options: type[Any] = NoOptions


def phrase_of(status: int) -> str:
    """Return the reason phrase of a status, also of one that no standard names."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def json_response(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer with a JSON body."""
    return Response(status, json.dumps(document).encode(), headers=headers or {})
