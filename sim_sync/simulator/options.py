"""What a simulator is started with, as values: the command line and `running_simulator` both speak through these."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sim_sync.simulator.faults import MAX_HOLD_SECONDS
from sim_sync.simulator.fleet_spec import MAX_FLEET_SIZE

#: The only address that a simulator listens on.
LOOPBACK = "127.0.0.1"

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=_STRICT)
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


@dataclass(frozen=True, kw_only=True, config=_STRICT)
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
