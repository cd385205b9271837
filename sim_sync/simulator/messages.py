"""What a test may order of a simulated carrier, and what it hears: plain values with a JSON form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from sim_sync.simulator.delivery import LogEntry
from sim_sync.simulator.faults import MAX_HOLD_SECONDS, ArmedFault, Fault, Trigger
from sim_sync.simulator.fleet import FleetEdit
from sim_sync.simulator.fleet_spec import MAX_FLEET_SIZE, SimulatedSim

# What a simulator is started with, as values: the command line and `running_simulator` both speak through these.


#: The only address that a simulator listens on.
LOOPBACK = "127.0.0.1"

_STRICT = ConfigDict(extra="forbid")


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class MountOptions:
    """What one simulated carrier is made of.

    `name` is empty for the carrier at the root of the server, and else the first part of its path. `credentials` that
    are not given are the simulated ones. `options` are the vendor's own; see its module. More list requests than
    `requests_per_second` (after `burst` at once) get the vendor's 429, and so does one that would make more than
    `max_in_flight` requests at work.
    """

    name: str = ""
    vendor: str = "twilio_super_sim"
    sims: Annotated[int, Field(ge=0, le=MAX_FLEET_SIZE)] = 1000
    seed: int = 1
    latency_ms: Annotated[float, Field(ge=0, le=MAX_HOLD_SECONDS * 1000)] = 0.0
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    max_in_flight: Annotated[int, Field(ge=1)] | None = None


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class SimulatorOptions:
    """What one simulator process is made of. `port` 0 takes a free one.

    `exit_with_parent` ends the process when its standard input closes, so that it never outlives who started it.
    """

    mounts: tuple[MountOptions, ...] = (MountOptions(),)
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    quiet: bool = False
    exit_with_parent: bool = False


def validation_text(problems: ValidationError) -> str:
    """Return what is wrong with a value in one line, without the value itself: it may hold a credential."""
    found = problems.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}" for problem in found)


#: The JSON form of a mount, for `--mount`.
MOUNT_OPTIONS = TypeAdapter(MountOptions)


# The JSON forms that the control API and its client exchange, each written down once for both sides.


#: Where the control API lives; no carrier can be mounted there.
CONTROL_PREFIX = "/_simulator"


@dataclass(frozen=True, slots=True)
class MountState:
    """One simulated carrier: `size` SIMs at the start, `live` now, `end` the index that the next added one gets.

    `peak_in_flight` counts all requests, `peak_list_requests_per_second` the list requests in any one second, and
    `rate_limited` those that were refused because they came too often.
    """

    name: str
    vendor: str
    base_url: str
    seed: int
    size: int
    live: int
    end: int
    edits: int
    requests: int
    list_requests: int
    in_flight: int
    latency_ms: float
    peak_in_flight: int = 0
    peak_list_requests_per_second: int = 0
    rate_limited: int = 0


@dataclass(frozen=True, slots=True)
class SimulatorState:
    """The process and all its carriers."""

    pid: int
    url: str
    mounts: Sequence[MountState]


@dataclass(frozen=True, slots=True)
class TrueSim:
    """What is true of a SIM: the neutral record, and how its vendor lists it.

    `listed` has what the vendor's list tells of it, by the columns of `carrier_sims`, as written there; a column that
    the list does not have is left out, one that is null for this SIM is None.
    """

    sim_id: str
    carrier_status: str
    sim: SimulatedSim
    listed: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrueSims:
    """A page of the true SIMs; `next_after` is the position to continue from, None at the end."""

    sims: Sequence[TrueSim]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Requests:
    """A part of the request log."""

    entries: Sequence[LogEntry]


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """The order to arm a fault."""

    fault: Fault
    trigger: Trigger = field(default_factory=Trigger)


@dataclass(frozen=True, slots=True)
class ArmedFaults:
    """The faults of a carrier."""

    faults: Sequence[ArmedFault]


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an edit did: the indices it added (first, and one past the last), and how many SIMs there are now."""

    added_start: int
    added_stop: int
    live: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long every request to a carrier waits for its answer, at least."""

    milliseconds: Annotated[float, Field(ge=0, le=MAX_HOLD_SECONDS * 1000)]


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many things were forgotten."""

    deleted: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The one line that the process prints when it can be used: `base_urls` has one entry per carrier."""

    url: str
    pid: int
    base_urls: Mapping[str, str]


STATE = TypeAdapter(SimulatorState)
TRUE_SIMS = TypeAdapter(TrueSims)
REQUESTS = TypeAdapter(Requests)
ARM_REQUEST = TypeAdapter(ArmRequest)
ARMED_FAULT = TypeAdapter(ArmedFault)
ARMED_FAULTS = TypeAdapter(ArmedFaults)
FLEET_EDIT = TypeAdapter(FleetEdit)
EDIT_RESULT = TypeAdapter(EditResult)
LATENCY = TypeAdapter(Latency)
DELETED = TypeAdapter(Deleted)
READY = TypeAdapter(Ready)
