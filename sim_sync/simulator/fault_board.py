"""The armed faults of one simulated carrier, and the decision which of them a request gets. Safe for many threads."""

import threading
from dataclasses import replace

from sim_sync.simulator.faults import ArmedFault, Fault, Trigger
from sim_sync.simulator.hashing import mix64
from sim_sync.simulator.vendor import ListCall


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
