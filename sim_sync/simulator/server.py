"""The server of simulated carriers, with the calls by which a test controls them."""

import os
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import TypeAdapter, ValidationError

from sim_sync.core.errors import InputError
from sim_sync.simulator import messages
from sim_sync.simulator.delivery import Connection, LogEntry, RequestLog
from sim_sync.simulator.faults import ConnectionReset, Fault, Stall
from sim_sync.simulator.messages import CONTROL_PREFIX, LOOPBACK, MountOptions, validation_text
from sim_sync.simulator.simulated_carrier import SimulatedCarrier
from sim_sync.simulator.vendor import Request, Response, json_response

# The control API under `/_simulator/`: the request log, faults, edits, latency and the truth. Not a vendor's
# business.
#
# | request | does |
# |---|---|
# | GET state | the process and its carriers |
# | GET requests, DELETE requests | reads, empties the request log (`after`, `limit`) |
# | GET faults, POST faults, DELETE faults | reads, arms, disarms (`id`, else all) faults |
# | GET sims | the true SIMs (`after`, `limit`) |
# | POST sims | edits the fleet |
# | POST latency | sets the latency of every request |
#
# `mount` names the carrier; it may be left out where there is only one.


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
        return _control_response(messages.STATE, messages.SimulatorState(os.getpid(), self._url, mounts))

    def _requests(self, call: _Call) -> Response:
        limit = call.number("limit", 0) or None
        entries = self._log.entries(after=call.number("after", 0), limit=limit, mount=call.query.get("mount"))
        return _control_response(messages.REQUESTS, messages.Requests(entries))

    def _clear_requests(self, call: _Call) -> Response:
        return _control_response(messages.DELETED, messages.Deleted(self._log.clear()))

    def _faults(self, call: _Call) -> Response:
        return _control_response(messages.ARMED_FAULTS, messages.ArmedFaults(self._mount(call).faults.armed()))

    def _arm(self, call: _Call) -> Response:
        order = call.parsed(messages.ARM_REQUEST)
        return _control_response(messages.ARMED_FAULT, self._mount(call).arm(order.fault, order.trigger))

    def _disarm(self, call: _Call) -> Response:
        fault_id = call.number("id", 0) or None
        return _control_response(messages.DELETED, messages.Deleted(self._mount(call).faults.disarm(fault_id)))

    def _sims(self, call: _Call) -> Response:
        limit = call.number("limit", 1000)
        if not 1 <= limit <= _MAX_SIMS_A_PAGE:
            raise InputError(f"limit: expected 1 to {_MAX_SIMS_A_PAGE}, found {limit}")
        return _control_response(messages.TRUE_SIMS, self._mount(call).true_sims(call.number("after", -1), limit))

    def _edit(self, call: _Call) -> Response:
        mount = self._mount(call)
        added = mount.edit(call.parsed(messages.FLEET_EDIT))
        return _control_response(
            messages.EDIT_RESULT, messages.EditResult(added.start, added.stop, mount.fleet.live_count)
        )

    def _latency(self, call: _Call) -> Response:
        latency = call.parsed(messages.LATENCY)
        self._mount(call).latency_seconds = latency.milliseconds / 1000
        return _control_response(messages.LATENCY, latency)


def _control_response(adapter: TypeAdapter[Message], message: Message) -> Response:
    return Response(200, adapter.dump_json(message))


# The HTTP server of the simulated carriers: standard library, loopback only, keep-alive, one thread a connection.
#
# Knows neither vendors nor what the control API does; it finds the mount, asks, logs and delivers.


_MAX_BODY_BYTES = 64 * 2**20
_MOUNT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Goes into the links of answers, so it may hold nothing that needs escaping there.
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


class SimulatorServer(ThreadingHTTPServer):
    """Serves simulated carriers from background threads, from `start` to `stop`; also a context manager."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, mounts: Sequence[MountOptions], *, port: int = 0) -> None:
        _check_names(mounts)
        self.mounts: Mapping[str, SimulatedCarrier] = {options.name: SimulatedCarrier(options) for options in mounts}
        self.log = RequestLog()
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((LOOPBACK, port), _Handler)
        self.control = ControlApi(self.url, self.mounts, self.log)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="simulator", daemon=True)

    @property
    def url(self) -> str:
        """The server's own URL, without a slash at the end; a carrier's begins with it."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    @property
    def base_urls(self) -> Mapping[str, str]:
        """Each carrier's base URL by its mount name."""
        return {name: self.url + mount.prefix for name, mount in self.mounts.items()}

    def start(self) -> None:
        """Serve, and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Release every stall, close every connection and the port, and return when that is done."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            for connection in self._connections:
                _hang_up(connection)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `stop` can close it."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug of ours; a client that hangs up is none."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def mount_of(self, path: str) -> SimulatedCarrier | None:
        """Return the carrier whose paths this one belongs to."""
        return self.mounts.get("") or self.mounts.get(path.split("/")[1] if path.startswith("/") else "")


class _Handler(BaseHTTPRequestHandler):
    """One client connection: reads a request, has it answered, delivers the answer, and so on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def log_message(self, *args: object) -> None:
        """Stay quiet: the request log has it all."""

    def serve_request(self) -> None:
        """Answer one request of any method."""
        arrived_ns = time.monotonic_ns()
        line = Connection(self.connection, self.server.stopping)
        body = self._read_body(line)
        if body is None:
            return
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        prefix, _, resource = url.path.rpartition("/")
        mount = self.server.mount_of(url.path)
        if prefix == CONTROL_PREFIX:
            self._deliver(line, self.server.control.response(self.command, resource, query, body))
        elif mount is None:
            expected = ", ".join(sorted(self.server.base_urls.values()))
            self._deliver(line, json_response(404, {"error": f"no carrier has this path; expected one of {expected}"}))
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = unquote(url.path[len(mount.prefix) :])
            with mount.request_at_work() as in_flight:
                base_url = f"http://{self._host()}{mount.prefix}"
                request = Request(self.command, path, query, headers, body, base_url, in_flight)
                self._serve_carrier(line, mount, request, url.query, arrived_ns)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve_request  # noqa: N815  # the base class looks for these names

    def _serve_carrier(
        self, line: Connection, mount: SimulatedCarrier, request: Request, query: str, arrived_ns: int
    ) -> None:
        number = self.server.log.next_number()
        call = mount.vendor.list_call(request)
        fault = mount.next_fault(call, request.in_flight)
        if self.server.stopping.wait(mount.latency_seconds):
            self.close_connection = True
            return
        authentication, response = _response(mount, request, fault)
        # Written before the answer goes out: a client that has its answer finds its request in the log.
        self.server.log.append(
            LogEntry(
                number=number,
                mount=mount.name,
                method=request.method,
                path=request.path,
                query=query,
                status=_visible_status(response, fault),
                is_list=call is not None,
                page_token=call.page_token if call else None,
                page_number=call.page_number if call else None,
                authentication=authentication,
                fault=fault.kind if fault else None,
                client=f"{self.client_address[0]}:{self.client_address[1]}",
                in_flight=request.in_flight,
                arrived_ns=arrived_ns,
                answered_ns=time.monotonic_ns(),
            )
        )
        self._deliver(line, response, fault)

    def _deliver(self, line: Connection, response: Response, fault: Fault | None = None) -> None:
        if not line.deliver(response, fault):
            self.close_connection = True

    def _host(self) -> str:
        host = self.headers.get("Host", "")
        return host if _HOST.fullmatch(host) else self.server.url.removeprefix("http://")

    def _read_body(self, line: Connection) -> bytes | None:
        """Return the request's body, or None where it could not be taken and was refused."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            line.deliver(json_response(411, {"error": "expected a body with a Content-Length of at most 64 MiB"}))
            self.close_connection = True
            return None
        return self.rfile.read(int(length))


def _response(mount: SimulatedCarrier, request: Request, fault: Fault | None) -> tuple[str, Response]:
    """Return what the request's credentials were worth, and what the carrier says."""
    try:
        mount.strike(fault)
        # Asked before the answer: answering may use up a token.
        authentication = mount.vendor.authentication(request)
        return authentication, mount.response(request, fault, now_seconds=time.time())
    except InputError as problem:
        return "not needed", json_response(500, {"error": f"a fault could not happen as it was armed: {problem}"})


def _visible_status(response: Response, fault: Fault | None) -> int:
    match fault:
        case ConnectionReset() | Stall(where="start"):
            return 0
        case _:
            return response.status


def _check_names(mounts: Sequence[MountOptions]) -> None:
    names = [options.name for options in mounts]
    if not names:
        raise InputError("simulated carriers: expected at least one, found none")
    if names == [""]:
        return
    for name in names:
        if not _MOUNT_NAME.fullmatch(name) or names.count(name) > 1:
            raise InputError(
                f"simulated carriers: expected a name of letters, digits, '.', '_' and '-' for each of several "
                f"carriers, and each name once; found {name!r}"
            )


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # its client was faster
