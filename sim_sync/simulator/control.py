"""Runs a simulator as a separate process and steers it: what tests, demos and benchmarks use.

Talks to the control API with the standard library only.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from pydantic import TypeAdapter

import sim_sync
from sim_sync.core.errors import InputError
from sim_sync.simulator import messages
from sim_sync.simulator.delivery import LogEntry
from sim_sync.simulator.faults import ArmedFault, Fault, Trigger
from sim_sync.simulator.fleet import FleetEdit, SimChange
from sim_sync.simulator.messages import MOUNT_OPTIONS, MountOptions, MountState, Ready, SimulatorState, TrueSim

Message = TypeVar("Message")

_ANSWER_SECONDS = 60.0
_END_SECONDS = 10.0
_NEXT_REQUEST = Trigger()


@dataclass(frozen=True)
class SimulatorControl:
    """Steers a running simulator. `mount` names the carrier that is meant; it may be None where there is only one."""

    url: str
    mount: str | None = None

    def carrier(self, mount: str) -> "SimulatorControl":
        """Return the same control for one of several carriers."""
        return replace(self, mount=mount)

    def fetch_state(self) -> SimulatorState:
        """Return the process and all its carriers."""
        return self._call(messages.STATE, "GET", "state")

    def fetch_mount_state(self) -> MountState:
        """Return the state of the carrier that is meant.

        Raises:
            InputError: no carrier, or one of several that were not told apart.
        """
        found = [state for state in self.fetch_state().mounts if self.mount in (None, state.name)]
        if len(found) != 1:
            raise InputError(f"simulated carrier {self.mount}: expected to find one, found {len(found)}")
        return found[0]

    def fetch_requests(self, *, after: int = 0, limit: int | None = None) -> Sequence[LogEntry]:
        """Return the log of the carrier's requests (of all, where `mount` is None), oldest first."""
        return self._call(messages.REQUESTS, "GET", "requests", after=after, limit=limit or 0).entries

    def clear_requests(self) -> int:
        """Empty the request log of all carriers, and return how many entries it had."""
        return self._call(messages.DELETED, "DELETE", "requests").deleted

    def arm(self, fault: Fault, trigger: Trigger = _NEXT_REQUEST) -> ArmedFault:
        """Let a fault wait for its trigger; without one, for the next list request."""
        order = messages.ARM_REQUEST.dump_json(messages.ArmRequest(fault, trigger))
        return self._call(messages.ARMED_FAULT, "POST", "faults", order)

    def fetch_faults(self) -> Sequence[ArmedFault]:
        """Return the carrier's armed faults, with what they have seen and done."""
        return self._call(messages.ARMED_FAULTS, "GET", "faults").faults

    def disarm(self, fault_id: int | None = None) -> int:
        """Forget one fault or all, and return how many."""
        return self._call(messages.DELETED, "DELETE", "faults", id=fault_id or 0).deleted

    def edit(self, edit: FleetEdit) -> range:
        """Change the fleet at once, and return the indices of the SIMs that were added."""
        result = self._call(messages.EDIT_RESULT, "POST", "sims", messages.FLEET_EDIT.dump_json(edit))
        return range(result.added_start, result.added_stop)

    def add_sims(self, count: int) -> range:
        """Add new SIMs at the end of the list, and return their indices."""
        return self.edit(FleetEdit(add=count))

    def change_sims(self, indices: Sequence[int], **fields: str | None) -> None:
        """Set fields of some SIMs; see `CHANGEABLE_FIELDS`."""
        self.edit(FleetEdit(change=[SimChange(list(indices), fields)]))

    def remove_sims(self, indices: Sequence[int]) -> None:
        """Take SIMs off the list."""
        self.edit(FleetEdit(remove=list(indices)))

    def restore_sims(self, indices: Sequence[int]) -> None:
        """Put removed SIMs back where they were."""
        self.edit(FleetEdit(restore=list(indices)))

    def fetch_sims(self, *, page_size: int = 5000) -> Iterator[TrueSim]:
        """Yield what is true of every SIM that the carrier has, in the order of its list."""
        after: int | None = -1
        while after is not None:
            page = self._call(messages.TRUE_SIMS, "GET", "sims", after=after, limit=page_size)
            yield from page.sims
            after = page.next_after

    def set_latency(self, milliseconds: float) -> None:
        """Let every request to the carrier wait that long for its answer."""
        self._call(messages.LATENCY, "POST", "latency", messages.LATENCY.dump_json(messages.Latency(milliseconds)))

    def _call(
        self, adapter: TypeAdapter[Message], method: str, resource: str, body: bytes | None = None, **query: int
    ) -> Message:
        parameters = {**query, **({} if self.mount is None else {"mount": self.mount})}
        url = f"{self.url}{messages.CONTROL_PREFIX}/{resource}?{urlencode(parameters)}"
        request = Request(url, body, {"Content-Type": "application/json"}, method=method)  # noqa: S310  # loopback only
        try:
            with _opener().open(request, timeout=_ANSWER_SECONDS) as response:
                return adapter.validate_json(response.read())
        except HTTPError as refusal:
            with refusal:
                reason = json.load(refusal)["error"]
            raise InputError(f"the simulator at {self.url} refused {method} {resource}: {reason}") from None


def _opener() -> OpenerDirector:
    # A proxy from the environment must not come between two processes on loopback.
    return build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class RunningSimulator(SimulatorControl):
    """The control of a simulator that runs as a process of its own."""

    pid: int = 0
    base_urls: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def running_simulator(*mounts: MountOptions, port: int = 0) -> Iterator[RunningSimulator]:
    """Run a simulator in a separate process, and end it afterwards; it also ends when this process dies.

    Without `mounts`, it serves one default carrier at the root.

    Raises:
        InputError: the simulator did not start; its own message is on standard error.
    """
    with subprocess.Popen(  # noqa: S603  # our own module, our own options
        [sys.executable, "-m", "sim_sync.simulator", *_arguments(mounts or (MountOptions(),), port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(),
    ) as process:
        try:
            ready = _wait_until_ready(process)
            yield RunningSimulator(ready.url, pid=ready.pid, base_urls=ready.base_urls)
        finally:
            _end(process)


def _arguments(mounts: Sequence[MountOptions], port: int) -> list[str]:
    texts = [MOUNT_OPTIONS.dump_json(mount).decode() for mount in mounts]
    return ["--quiet", "--exit-with-parent", f"--port={port}", *(f"--mount={text}" for text in texts)]


def _environment() -> Mapping[str, str]:
    """Return the environment in which the child runs the very package that this process runs, installed or not."""
    here = str(Path(sim_sync.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}


def _wait_until_ready(process: subprocess.Popen[bytes]) -> Ready:
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise InputError(f"the simulator did not start (exit code {process.wait()}); its message is on standard error")
    return messages.READY.validate_json(line)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
