"""The control API under `/_simulator/`: the request log, faults, edits, latency and the truth. Not a vendor's business.

| request | does |
|---|---|
| GET state | the process and its carriers |
| GET requests, DELETE requests | reads, empties the request log (`after`, `limit`) |
| GET faults, POST faults, DELETE faults | reads, arms, disarms (`id`, else all) faults |
| GET sims | the true SIMs (`after`, `limit`) |
| POST sims | edits the fleet |
| POST latency | sets the latency of every request |

`mount` names the carrier; it may be left out where there is only one.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from sim_sync.core.errors import InputError
from sim_sync.simulator import messages
from sim_sync.simulator.delivery import RequestLog
from sim_sync.simulator.options import validation_text
from sim_sync.simulator.simulated_carrier import SimulatedCarrier
from sim_sync.simulator.vendor import Response, json_response

_MAX_SIMS_A_PAGE = 10_000
Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class _Call:
    query: Mapping[str, str]
    body: bytes

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.query.get(name, default))
        except ValueError:
            raise InputError(f"{name}: expected a whole number, found {self.query[name]}") from None

    def parsed(self, adapter: TypeAdapter[Message]) -> Message:
        return adapter.validate_json(self.body)


class ControlApi:
    """Answers control requests. `url` is the server's own."""

    def __init__(self, url: str, mounts: Mapping[str, SimulatedCarrier], log: RequestLog) -> None:
        self._url = url
        self._mounts = mounts
        self._log = log
        self._routes: Mapping[tuple[str, str], Callable[[_Call], Response]] = {
            ("GET", "state"): self._state,
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._clear_requests,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._arm,
            ("DELETE", "faults"): self._disarm,
            ("GET", "sims"): self._sims,
            ("POST", "sims"): self._edit,
            ("POST", "latency"): self._latency,
        }

    def response(self, method: str, resource: str, query: Mapping[str, str], body: bytes) -> Response:
        """Do what a request asks; what cannot be done is a 4xx with the reason under `error`."""
        route = self._routes.get((method, resource))
        if route is None:
            known = ", ".join(" ".join(key) for key in self._routes)
            return json_response(404, {"error": f"expected one of {known}; found {method} {resource}"})
        try:
            return route(_Call(query, body))
        except ValidationError as problem:
            return json_response(400, {"error": f"{method} {resource}: {validation_text(problem)}"})
        except InputError as problem:
            return json_response(400, {"error": str(problem)})

    def _mount(self, call: _Call) -> SimulatedCarrier:
        name = call.query.get("mount")
        if name is None and len(self._mounts) == 1:
            return next(iter(self._mounts.values()))
        if name is None or name not in self._mounts:
            raise InputError(f"mount: expected one of {', '.join(map(repr, self._mounts))}, found {name!r}")
        return self._mounts[name]

    def _state(self, call: _Call) -> Response:
        mounts = [mount.state(self._url) for mount in self._mounts.values()]
        return _response(messages.STATE, messages.SimulatorState(os.getpid(), self._url, mounts))

    def _requests(self, call: _Call) -> Response:
        limit = call.number("limit", 0) or None
        entries = self._log.entries(after=call.number("after", 0), limit=limit, mount=call.query.get("mount"))
        return _response(messages.REQUESTS, messages.Requests(entries))

    def _clear_requests(self, call: _Call) -> Response:
        return _response(messages.DELETED, messages.Deleted(self._log.clear()))

    def _faults(self, call: _Call) -> Response:
        return _response(messages.ARMED_FAULTS, messages.ArmedFaults(self._mount(call).faults.armed()))

    def _arm(self, call: _Call) -> Response:
        order = call.parsed(messages.ARM_REQUEST)
        return _response(messages.ARMED_FAULT, self._mount(call).arm(order.fault, order.trigger))

    def _disarm(self, call: _Call) -> Response:
        fault_id = call.number("id", 0) or None
        return _response(messages.DELETED, messages.Deleted(self._mount(call).faults.disarm(fault_id)))

    def _sims(self, call: _Call) -> Response:
        limit = call.number("limit", 1000)
        if not 1 <= limit <= _MAX_SIMS_A_PAGE:
            raise InputError(f"limit: expected 1 to {_MAX_SIMS_A_PAGE}, found {limit}")
        return _response(messages.TRUE_SIMS, self._mount(call).true_sims(call.number("after", -1), limit))

    def _edit(self, call: _Call) -> Response:
        mount = self._mount(call)
        added = mount.edit(call.parsed(messages.FLEET_EDIT))
        return _response(messages.EDIT_RESULT, messages.EditResult(added.start, added.stop, mount.fleet.live_count))

    def _latency(self, call: _Call) -> Response:
        latency = call.parsed(messages.LATENCY)
        self._mount(call).latency_seconds = latency.milliseconds / 1000
        return _response(messages.LATENCY, latency)


def _response(adapter: TypeAdapter[Message], message: Message) -> Response:
    return Response(200, adapter.dump_json(message))
