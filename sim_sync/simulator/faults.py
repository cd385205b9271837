"""What can go wrong on demand, and when: each fault and its trigger are plain values with a JSON form.

Nothing in here happens by itself: `simulated_carrier` decides whether a fault is due, and acts with `delivery`.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from sim_sync.simulator.fleet import FleetEdit

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


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class WrongTotal:
    """The page tells `records` SIMs and `pages` pages too many (or, below 0, too few); what it lists is right."""

    kind: Literal["wrong_total"] = "wrong_total"
    records: int = 1
    pages: int = 0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ErrorInSuccess:
    """The answer is 200 and its body says that it failed, or that the client asks too often."""

    kind: Literal["error_in_success"] = "error_in_success"
    reason: Literal["failure", "rate_limit"] = "failure"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Throttled:
    """The client asks too often: 429 in the vendor's own dialect, which may or may not tell how long to wait.

    `quota_gone`: what was allowed for the month is used up, where the vendor has such a thing.
    """

    kind: Literal["throttled"] = "throttled"
    wait_seconds: Annotated[int, Field(ge=0)] = 1
    quota_gone: bool = False


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class TokenExpiry:
    """All tokens issued so far stop being good, this request's too; new ones are issued as always.

    `which` is `access` or `session` where a vendor has both.
    """

    kind: Literal["token_expiry"] = "token_expiry"
    which: Literal["all", "access", "session"] = "all"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CursorExpiry:
    """All cursors handed out so far are refused with this status, this request's too; later ones are good."""

    kind: Literal["cursor_expiry"] = "cursor_expiry"
    status: Literal[400, 404, 410] = 400


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class FleetChange:
    """The fleet changes between two pages: right before this request is answered, or right after."""

    kind: Literal["fleet_change"] = "fleet_change"
    edit: FleetEdit
    when: Literal["before", "after"] = "before"


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Redirect:
    """The answer sends the client to the same path of another origin, where no credentials may go."""

    kind: Literal["redirect"] = "redirect"
    origin: str = "http://127.0.0.1:9"
    status: Literal[301, 302, 303, 307, 308] = 302


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SlowDrip:
    """The answer is right, but its body comes in `pieces`, spread evenly over `seconds`."""

    kind: Literal["slow_drip"] = "slow_drip"
    seconds: HoldSeconds
    pieces: Annotated[int, Field(ge=2, le=1000)] = 10


#: Faults in what a page says; a vendor carries them out, because only it knows its pages.
PageFault: TypeAlias = MalformedRecord | EarlyEnd | RepeatedLink | ForeignLink | WrongTotal | ErrorInSuccess
#: Faults in what the carrier remembers: they happen to it before or after it answers.
StateFault: TypeAlias = TokenExpiry | CursorExpiry | FleetChange
#: Faults that take the place of the vendor's answer.
ResponseFault: TypeAlias = ErrorStatus | Throttled | MalformedJson | Redirect
#: Faults in how an answer is sent; they are the same for all vendors.
DeliveryFault: TypeAlias = ConnectionReset | Stall | SlowStart | SlowDrip | TruncatedBody
#: Every fault, told apart in JSON by its `kind`.
Fault: TypeAlias = Annotated[
    ResponseFault | PageFault | StateFault | DeliveryFault,
    Field(discriminator="kind"),
]

#: The faults that not every vendor can have, by kind: a vendor names those that it has.
VENDOR_FAULTS = frozenset(
    {
        "early_end",
        "repeated_link",
        "foreign_link",
        "wrong_total",
        "error_in_success",
        "token_expiry",
        "cursor_expiry",
    }
)


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
