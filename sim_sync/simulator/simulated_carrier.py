"""One simulated carrier of the process: a vendor over a fleet, its faults, rate limit and counters."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from math import ceil
from typing import Any
from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError

from sim_sync.core.errors import InputError
from sim_sync.core.sims import Lifecycle
from sim_sync.simulator.credentials import simulated_credentials
from sim_sync.simulator.faults import (
    VENDOR_FAULTS,
    ArmedFault,
    CursorExpiry,
    EarlyEnd,
    ErrorInSuccess,
    ErrorStatus,
    Fault,
    FleetChange,
    ForeignLink,
    MalformedJson,
    MalformedRecord,
    Redirect,
    RepeatedLink,
    Throttled,
    TokenExpiry,
    Trigger,
    WrongTotal,
)
from sim_sync.simulator.fleet import Fleet, FleetEdit
from sim_sync.simulator.fleet_spec import FleetSpec, mix64
from sim_sync.simulator.messages import MountOptions, MountState, TrueSim, TrueSims, validation_text
from sim_sync.simulator.vendor import ListCall, Request, Response, Vendor, VendorSpec
from sim_sync.simulator.vendors import VENDORS

# How often a simulated carrier may be asked, and how often it was: a bucket that refills, and the peaks it saw.


class RateLimit:
    """A token bucket: `burst` requests at once, refilled at that many a second; without a rate, all are allowed.

    `clock` reports seconds that never go back. Safe for many threads.
    """

    def __init__(
        self, per_second: float | None, burst: int | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst or (1 if per_second is None else max(ceil(per_second), 1))
        self._clock = clock
        self._lock = threading.Lock()
        self._level = float(self._burst)
        self._filled = clock()

    def take(self) -> float | None:
        """Take one request out of the bucket; return None, or how many seconds to wait where it is empty."""
        if self._per_second is None:
            return None
        with self._lock:
            now = self._clock()
            self._level = min(self._level + (now - self._filled) * self._per_second, self._burst)
            self._filled = now
            if self._level < 1:
                return (1 - self._level) / self._per_second
            self._level -= 1
            return None


class Peak:
    """The most requests in any one second. Safe for many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[float] = deque()
        self.highest = 0

    def count(self) -> None:
        """Count a request that arrives now."""
        with self._lock:
            now = self._clock()
            self._recent.append(now)
            while self._recent[0] <= now - 1:
                self._recent.popleft()
            self.highest = max(self.highest, len(self._recent))


# The armed faults of one simulated carrier, and the decision which of them a request gets. Safe for many threads.


class FaultBoard:
    """Faults wait here for their trigger. A request gets the first armed one whose turn it is, and only that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[int, ArmedFault] = {}
        self._last_id = 0

    def arm(self, fault: Fault, trigger: Trigger) -> ArmedFault:
        """Let a fault wait for its trigger."""
        with self._lock:
            self._last_id += 1
            armed = ArmedFault(id=self._last_id, fault=fault, trigger=trigger)
            self._armed[armed.id] = armed
            return armed

    def disarm(self, fault_id: int | None = None) -> int:
        """Forget one fault, or all of them; return how many."""
        with self._lock:
            ids = list(self._armed) if fault_id is None else [i for i in self._armed if i == fault_id]
            for i in ids:
                del self._armed[i]
            return len(ids)

    def armed(self) -> list[ArmedFault]:
        """Return the faults in the order of arming, the spent ones too, with what they have seen and done."""
        with self._lock:
            return list(self._armed.values())

    def next_fault(self, call: ListCall | None) -> Fault | None:
        """Return the fault that this request gets; `call` is None for a request that lists no SIMs."""
        chosen: Fault | None = None
        with self._lock:
            for armed in self._armed.values():
                if not _concerns(armed.trigger, call):
                    continue
                seen = replace(armed, seen=armed.seen + 1)
                if chosen is None and _is_due(seen):
                    chosen = armed.fault
                    seen = replace(seen, applied=seen.applied + 1)
                self._armed[armed.id] = seen
        return chosen


def _concerns(trigger: Trigger, call: ListCall | None) -> bool:
    if call is None:
        return trigger.scope == "any" and trigger.page_token is None and trigger.page_number is None
    return trigger.page_token in (None, call.page_token) and trigger.page_number in (None, call.page_number)


def _is_due(armed: ArmedFault) -> bool:
    trigger = armed.trigger
    if armed.seen < trigger.nth or (trigger.times is not None and armed.applied >= trigger.times):
        return False
    if trigger.probability is None:
        return True
    return mix64(mix64(trigger.seed) + armed.seen) < trigger.probability * 2**64


# One simulated carrier of the process: a vendor over a fleet, its faults, its latency and its counters.


class SimulatedCarrier:
    """A simulated carrier at work. Safe for many threads."""

    def __init__(self, options: MountOptions) -> None:
        self.name = options.name
        self.spec = vendor_spec(options.vendor)
        self.fleet = Fleet(FleetSpec(self.spec.profile, options.seed), options.sims)
        self.faults = FaultBoard()
        self.latency_seconds = options.latency_ms / 1000
        self.vendor: Vendor = self.spec.build(
            self.fleet, _credentials(self.spec, options.credentials), _vendor_options(self.spec, options.options)
        )
        self._rate_limit = RateLimit(options.requests_per_second, options.burst)
        self._max_in_flight = options.max_in_flight or sys.maxsize
        self._peak = Peak()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._peak_in_flight = 0
        self._requests = 0
        self._list_requests = 0
        self._rate_limited = 0

    @property
    def prefix(self) -> str:
        """What this carrier's paths begin with on the server."""
        return f"/{self.name}" if self.name else ""

    @contextmanager
    def request_at_work(self) -> Iterator[int]:
        """Count a request as in flight, and give the number of those, this one included."""
        with self._lock:
            self._requests += 1
            self._in_flight += 1
            in_flight = self._in_flight
            self._peak_in_flight = max(self._peak_in_flight, in_flight)
        try:
            yield in_flight
        finally:
            with self._lock:
                self._in_flight -= 1

    def next_fault(self, call: ListCall | None, in_flight: int) -> Fault | None:
        """Return the fault that a request gets, if its turn has come; a list request too many is throttled.

        `in_flight` counts the requests at work, this one included.
        """
        if call is None:
            return self.faults.next_fault(call)
        self._peak.count()
        wait_seconds = 1.0 if in_flight > self._max_in_flight else self._rate_limit.take()
        with self._lock:
            self._list_requests += 1
            self._rate_limited += wait_seconds is not None
        return self.faults.next_fault(call) if wait_seconds is None else Throttled(wait_seconds=ceil(wait_seconds))

    def arm(self, fault: Fault, trigger: Trigger) -> ArmedFault:
        """Let a fault wait for its trigger.

        Raises:
            InputError: the vendor has nothing that could go wrong like this, or the fleet cannot change so.
        """
        if fault.kind in VENDOR_FAULTS and fault.kind not in self.spec.faults:
            known = ", ".join(sorted(self.spec.faults)) or "none"
            raise InputError(f"{self.spec.name} cannot have the fault {fault.kind}; of its own faults it has {known}")
        if isinstance(fault, FleetChange):
            self._check_words(fault.edit)
        return self.faults.arm(fault, trigger)

    def strike(self, fault: Fault | None) -> None:
        """Let happen to the carrier what a fault has happen before it looks at the request.

        Raises:
            InputError: the fleet cannot change as the fault says, now that its turn has come.
        """
        match fault:
            case TokenExpiry() | CursorExpiry():
                self.vendor.expire(fault)
            case FleetChange(when="before", edit=edit):
                self.edit(edit)

    def response(self, request: Request, fault: Fault | None, *, now_seconds: float) -> Response:
        """Return what the carrier says under a fault; `now_seconds` is the time of day, for dates in headers."""
        match fault:
            case ErrorStatus():
                return _with_retry_after(self.vendor.failure(fault.status), fault, now_seconds)
            case Throttled():
                return self.vendor.throttled(fault.wait_seconds, quota_gone=fault.quota_gone)
            case Redirect():
                return _redirect(request, fault)
            case _:
                return self._own_response(request, fault)

    def _own_response(self, request: Request, fault: Fault | None) -> Response:
        match fault:
            case MalformedRecord() | EarlyEnd() | RepeatedLink() | ForeignLink() | WrongTotal() | ErrorInSuccess():
                return self.vendor.response(request, fault)
        response = self.vendor.response(request)
        match fault:
            case MalformedJson():
                return replace(response, body=response.body[: len(response.body) // 2])
            case FleetChange(when="after", edit=edit):
                self.edit(edit)
        return response

    def edit(self, edit: FleetEdit) -> range:
        """Change the fleet, and return the indices of the SIMs it added.

        Raises:
            InputError: the fleet or the vendor cannot do that; nothing was changed.
        """
        self._check_words(edit)
        return self.fleet.edit(edit)

    def true_sims(self, after: int, limit: int) -> TrueSims:
        """Return the true state of the SIMs after a position."""
        indices = self.fleet.live_after(after, limit + 1)
        sims = [self.fleet.sim(index) for index in indices[:limit]]
        return TrueSims(
            [
                TrueSim(self.vendor.sim_id(sim), self.vendor.carrier_status(sim), sim, self.vendor.listed(sim))
                for sim in sims
            ],
            indices[limit - 1] if len(indices) > limit else None,
        )

    def state(self, server_url: str) -> MountState:
        """Return the counters as they are now."""
        fleet = self.fleet
        return MountState(
            name=self.name,
            vendor=self.spec.name,
            base_url=server_url + self.prefix,
            seed=fleet.fleet_spec.seed,
            size=fleet.size,
            live=fleet.live_count,
            end=fleet.end,
            edits=fleet.revision,
            requests=self._requests,
            list_requests=self._list_requests,
            in_flight=self._in_flight,
            latency_ms=self.latency_seconds * 1000,
            peak_in_flight=self._peak_in_flight,
            peak_list_requests_per_second=self._peak.highest,
            rate_limited=self._rate_limited,
        )

    def _check_words(self, edit: FleetEdit) -> None:
        for change in edit.change:
            status = change.fields.get("status")
            if status in set(Lifecycle) and status not in self.spec.status_words:
                known = ", ".join(self.spec.status_words)
                raise InputError(f"edit of a fleet: {self.spec.name} has no word for {status}; it knows {known}")


def vendor_spec(name: str) -> VendorSpec:
    """Return the vendor of that name.

    Raises:
        InputError: the simulator has no such vendor.
    """
    try:
        return VENDORS[name]
    except KeyError:
        raise InputError(f"simulated carrier: expected the vendor {' or '.join(VENDORS)}, found {name}") from None


def _credentials(spec: VendorSpec, given: Mapping[str, str]) -> Mapping[str, str]:
    if surplus := sorted(set(given) - set(spec.credential_keys)):
        expected = ", ".join(spec.credential_keys)
        raise InputError(f"credentials of {spec.name}: expected {expected}, found {', '.join(surplus)}")
    return {**simulated_credentials(spec.name), **given}


def _vendor_options(spec: VendorSpec, given: Mapping[str, Any]) -> Any:
    try:
        return TypeAdapter(spec.options).validate_python(given)
    except ValidationError as problem:
        raise InputError(f"options of {spec.name}: {validation_text(problem)}") from None


def _with_retry_after(response: Response, fault: ErrorStatus, now_seconds: float) -> Response:
    seconds = fault.retry_after_seconds
    if seconds is None:
        return response
    # A date has whole seconds: rounded up, so that a client that obeys it never comes too early.
    text = str(seconds) if fault.retry_after_form == "seconds" else formatdate(ceil(now_seconds + seconds), usegmt=True)
    return replace(response, headers={**response.headers, "Retry-After": text})


def _redirect(request: Request, fault: Redirect) -> Response:
    path_of_mount = "/".join(request.base_url.split("/")[3:])
    query = f"?{urlencode(request.query)}" if request.query else ""
    location = f"{fault.origin}{'/' if path_of_mount else ''}{path_of_mount}{request.path}{query}"
    return Response(fault.status, b"", headers={"Location": location})
