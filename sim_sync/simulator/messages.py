"""The JSON forms that the control API and its client exchange, each written down once for both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter

from sim_sync.simulator.delivery import LogEntry
from sim_sync.simulator.faults import MAX_HOLD_SECONDS, ArmedFault, Fault, Trigger
from sim_sync.simulator.fleet import FleetEdit
from sim_sync.simulator.fleet_spec import SimulatedSim

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
