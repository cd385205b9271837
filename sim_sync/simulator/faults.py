"""What can go wrong on demand, and when: each fault and its trigger are plain values with a JSON form.

Nothing in here happens by itself: `fault_board` decides whether a fault's turn has come, `mount` and `delivery` act.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

#: No wait of a simulator is longer than this, whatever a fault asks for.
MAX_HOLD_SECONDS = 600.0

HoldSeconds = Annotated[float, Field(ge=0, le=MAX_HOLD_SECONDS)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ErrorStatus:
    """The carrier answers an error in its own shape: 429, 500, 502, 503, or any other from 400 to 599.

    `retry_after_seconds` adds the header `Retry-After`, as seconds or as an HTTP date; None leaves it out.
    """

    kind: Literal["error_status"] = "error_status"
    status: Annotated[int, Field(ge=400, le=599)]
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ConnectionReset:
    """The connection is reset (RST) instead of an answer."""

    kind: Literal["connection_reset"] = "connection_reset"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Stall:
    """Nothing more comes, then the connection closes: after `seconds`, or as soon as the client has gone.

    `where` is `start` (not even a status line comes) or `body` (the headers and half of the body come).
    """

    kind: Literal["stall"] = "stall"
    seconds: HoldSeconds = MAX_HOLD_SECONDS
    where: Literal["start", "body"] = "start"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SlowStart:
    """The answer is right, but its headers come only after `seconds`."""

    kind: Literal["slow_start"] = "slow_start"
    seconds: HoldSeconds


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TruncatedBody:
    """`Content-Length` promises the whole body, half of it comes, the connection closes."""

    kind: Literal["truncated_body"] = "truncated_body"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class MalformedJson:
    """The answer is complete, says 200 and JSON, and cannot be parsed."""

    kind: Literal["malformed_json"] = "malformed_json"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class MalformedRecord:
    """One record of the page, at `position` from 0 (beyond the end: the last one), cannot be a SIM or lacks its ICCID.

    `form` is `no_id` (the vendor's id is left out), `not_an_object` (a number instead) or `null_iccid`.
    """

    kind: Literal["malformed_record"] = "malformed_record"
    position: Annotated[int, Field(ge=0)] = 0
    form: Literal["no_id", "not_an_object", "null_iccid"] = "no_id"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class EarlyEnd:
    """The carrier lies: it says that this is the last page, and lists all, half or none of the page's SIMs."""

    kind: Literal["early_end"] = "early_end"
    records_kept: Literal["all", "half", "none"] = "none"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class RepeatedLink:
    """The link to the next page leads to this very page again."""

    kind: Literal["repeated_link"] = "repeated_link"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ForeignLink:
    """The link to the next page leads to another origin, where no request and no credentials may go."""

    kind: Literal["foreign_link"] = "foreign_link"
    origin: str = "http://127.0.0.1:9"


#: Faults in what a page says; a vendor carries them out, because only it knows its pages.
PageFault: TypeAlias = MalformedRecord | EarlyEnd | RepeatedLink | ForeignLink
#: Faults in how an answer is sent; they are the same for all vendors.
DeliveryFault: TypeAlias = ConnectionReset | Stall | SlowStart | TruncatedBody
#: Every fault, told apart in JSON by its `kind`.
Fault: TypeAlias = Annotated[
    ErrorStatus | MalformedJson | PageFault | DeliveryFault,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Trigger:
    """When an armed fault happens. All conditions have to hold; without any, it happens at the next list request.

    `scope`: list requests only, or `any` request to the carrier. `page_token` and `page_number`: only requests for this
    page. `nth`: from the n-th such request on, counted from 1 since the arming. `probability`: a draw decides, the same
    for the same `seed` and request number. `times`: how often at most; None is without end.
    """

    scope: Literal["list", "any"] = "list"
    page_token: str | None = None
    page_number: int | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int = 0
    times: Annotated[int, Field(ge=1)] | None = 1


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ArmedFault:
    """A fault that waits for its trigger: `seen` requests met the trigger's scope and page, `applied` got the fault."""

    id: int
    fault: Fault
    trigger: Trigger
    seen: int = 0
    applied: int = 0
