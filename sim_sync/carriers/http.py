"""The only module that opens a connection to a carrier. Every wait in it is bounded, and no request leaves its origin.

It turns what can happen on a wire into our errors; what an answer means is in `dialect`. Each request is watched from
outside and its connection cut where it takes too long, and where nobody waits any more: the HTTP client's own timeouts
begin again with every byte, so an answer that drips in would keep a sync from stopping.
"""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpx2

from sim_sync import __version__
from sim_sync.carriers.json_bodies import SeveralDocuments, UnknownCharset, read_json
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.links import origin_of, path_within
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import LinkRule, Timeouts
from sim_sync.carriers.tls import lasting_tls_failure, tls_context, unknown_name
from sim_sync.core.errors import (
    AuthenticationFailed,
    CarrierUnavailable,
    ForeignOrigin,
    InsecureConnection,
    SimSyncError,
    StopRequested,
    UnexpectedResponse,
)

# --- cutting a connection --------------------------------------------------------------------------------------------

#: An answer that comes so soon after a stop is still taken: the page is not asked for again. Whoever ends a process
#: waits longer than this (Docker: 10 seconds, Kubernetes: 30).
GRACE_SECONDS = 2.0
_LOOK_EVERY_SECONDS = 0.1


class CutOff(Exception):
    """The connection was cut: `is_stop` where the sync has to stop, else because the request took too long."""

    def __init__(self, *, is_stop: bool) -> None:
        super().__init__("stop" if is_stop else "too late")
        self.is_stop = is_stop


@dataclass(frozen=True, slots=True)
class CutOffLimits:
    """How long a whole answer may take, and how long once `is_stopped` says that the sync has to stop."""

    response_seconds: float
    grace_seconds: float = GRACE_SECONDS
    is_stopped: Callable[[], bool] = lambda: False


class Watch:
    """What became of one request that is watched."""

    def __init__(self, limits: CutOffLimits) -> None:
        self._limits = limits
        self._cut: CutOff | None = None

    def raise_if_cut(self) -> None:
        """Raise `CutOff` where the connection was cut: whatever the client made of it is not the carrier's doing."""
        if self._cut is not None:
            raise self._cut from None

    def wait(self, done: threading.Event, cut: Callable[[], None]) -> None:
        """Wait until the request is done, and cut its connection when its time is over."""
        deadline, is_stop = time.monotonic() + self._limits.response_seconds, False
        while not done.wait(min(max(deadline - time.monotonic(), 0.0), _LOOK_EVERY_SECONDS)):
            now = time.monotonic()
            if not is_stop and self._limits.is_stopped():
                is_stop = now + self._limits.grace_seconds < deadline
                deadline = min(deadline, now + self._limits.grace_seconds)
            if now >= deadline:
                self._cut = CutOff(is_stop=is_stop)
                cut()
                return


@contextmanager
def watched(cut: Callable[[], None], limits: CutOffLimits) -> Iterator[Watch]:
    """Call `cut` when what is done in here takes longer than the limits allow."""
    watch, done = Watch(limits), threading.Event()
    # In the context of the request, so that it hears of what ends this one alone.
    watching = partial(copy_context().run, watch.wait, done, cut)
    thread = threading.Thread(target=watching, name="watch of a request", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        done.set()


def cut_socket(connected: socket.socket) -> None:
    """End a connection in both directions; whoever reads from it in another thread finds its end."""
    with suppress(OSError):
        # Not the method of a TLS socket: that would take its session away from the thread that reads.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


# --- requests --------------------------------------------------------------------------------------------------------

#: No carrier's page is near this size; a larger one is refused instead of filling the memory.
MAX_BODY_BYTES = 64 * 1024 * 1024
#: An answer that drips in may take this many times the read timeout as a whole.
_WHOLE_RESPONSE_FACTOR = 10
_SHOWN_OF_A_BODY = 200
#: Successes that have no body by their definition (RFC 9110, 15.3.5 and 15.3.6).
_EMPTY_STATUSES = frozenset({204, 205})
#: The encodings that are asked for. Others, and one inside of another, would unpack without a bound.
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})

# The client's own lines tell whole URLs, queries included.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def nobody_asks() -> None:
    """Tell nobody that a request was written."""


class Line:
    """One thread's connection, which another thread can cut: the client's own timeouts start again with every byte.

    It trusts whom this host trusts, follows no redirect and asks no proxy. `headers` go with every request.
    """

    def __init__(self, timeouts: Timeouts, headers: Mapping[str, str]) -> None:
        self.client = httpx2.Client(
            timeout=httpx2.Timeout(timeouts.read_seconds, connect=timeouts.connect_seconds),
            limits=httpx2.Limits(max_connections=1),
            verify=tls_context() or _host_context(),
            headers={"User-Agent": f"sim_sync/{__version__}", **headers},
            follow_redirects=False,
            trust_env=False,  # a proxy or .netrc of the environment must not see credentials or a secret address
        )
        self._stream: Any = None
        #: Called when a request has been written.
        self.on_sent: Callable[[], None] = nobody_asks

    def note(self, event: str, found: Mapping[str, Any]) -> None:
        """Remember the connection that the client has just made, and tell of what it wrote (its `trace` extension)."""
        if event == "http11.send_request_body.complete":
            self.on_sent()
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._stream = found["return_value"]

    @contextmanager
    def cut_off_after(self, limits: CutOffLimits) -> Iterator[None]:
        """Cut the connection when what is done in here takes longer, and raise `CutOff`."""
        with watched(self.cut, limits) as watch:
            try:
                yield
            except (httpx2.TransportError, httpx2.DecodingError):
                watch.raise_if_cut()
                raise
            # Where the length of a body is not known, its end looks the same.
            watch.raise_if_cut()

    def cut(self) -> None:
        """End the connection, if there is one, whatever is on its way."""
        raw = self._stream.get_extra_info("socket") if self._stream else None
        if raw is not None:
            cut_socket(raw)


class _Lines(threading.local):
    """The line of the thread that asks for it, made at its first request."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._line: Line | None = None

    @property
    def own(self) -> Line:
        if self._line is None:
            self._line = Line(self._timeouts, {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"})
        return self._line


def whole_response_limits(timeouts: Timeouts, is_stopped: Callable[[], bool] = lambda: False) -> CutOffLimits:
    """Return how long a whole answer of a carrier may take."""
    return CutOffLimits(timeouts.read_seconds * _WHOLE_RESPONSE_FACTOR, is_stopped=is_stopped)


class HttpClient:
    """One carrier's connection. `base_url` is the only origin it ever talks to. Threads may share it.

    An answer is cut off at the `limits`: after ten read timeouts, where nothing else is said.
    """

    def __init__(
        self,
        carrier: str,
        base_url: str,
        timeouts: Timeouts,
        redactor: Redactor,
        *,
        limits: CutOffLimits | None = None,
    ) -> None:
        self._carrier = carrier
        self._base_url = base_url.rstrip("/")
        self._origin = origin_of(base_url)
        self._redactor = redactor
        self._limits = limits or whole_response_limits(timeouts)
        self._lines = _Lines(timeouts)

    def prepare(self) -> None:
        """Make what this thread's first request needs, so that it leaves in the moment in which it may."""
        _ = self._lines.own

    def fetch(
        self, request: Request, credentials: Mapping[str, str], on_sent: Callable[[], None] = nobody_asks
    ) -> Response:
        """Send one request and return its answer, whatever its status. `on_sent` is called when it is written.

        Raises:
            CarrierUnavailable: no answer, or not a whole one.
            ForeignOrigin: the answer is a redirect to another origin; nothing was sent there.
            UnexpectedResponse: the answer is larger than any page, or a redirect.
            InsecureConnection: the server is not trusted, or speaks no TLS that this host does.
            AuthenticationFailed: the credentials cannot be written into a header.
            StopRequested: the sync has to stop, and the answer did not come soon.
        """
        url = self._url_of(request)
        self._check_credentials(request, credentials)
        try:
            self._lines.own.on_sent = on_sent
            status, headers, raw = self._exchange(request, url, credentials)
        except httpx2.LocalProtocolError:  # its text quotes headers
            told: SimSyncError = UnexpectedResponse(f"{self.doing(request)}: the request could not be written as HTTP")
        except httpx2.InvalidURL:  # its text quotes the URL
            told = UnexpectedResponse(f"{self.doing(request)}: this is not a URL that can be asked")
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            told = self._failure_of_the_wire(request, error)
        except CutOff as cut:
            told = self._cut_off(request, is_stop=cut.is_stop)
        else:
            return Response(
                status=status, headers=headers, body=self._parse(request, status, headers.get("content-type", ""), raw)
            )
        raise told  # out here, so that the client's error, which knows the request, is not even its context

    def _failure_of_the_wire(self, request: Request, error: Exception) -> SimSyncError:
        lasting = lasting_tls_failure(error)
        if lasting is not None:
            return InsecureConnection(f"{self.doing(request)}: no secure connection: {lasting}")
        passing = unknown_name(error) or _told(error)
        return CarrierUnavailable(f"{self.doing(request)}: {self._readable(passing)}")

    def _cut_off(self, request: Request, *, is_stop: bool) -> SimSyncError:
        if is_stop:
            return StopRequested(f"{self.doing(request)}: the answer on its way was cut off to stop the sync")
        return CarrierUnavailable(
            f"{self.doing(request)}: the answer was not whole after {self._limits.response_seconds:.0f} s"
        )

    def _exchange(
        self, request: Request, url: str, credentials: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        line = self._lines.own
        with (
            line.cut_off_after(self._limits),
            line.client.stream(
                request.method,
                url,
                params=dict(request.params) or None,
                headers={**request.headers, **credentials},
                json=request.body,
                data=None if request.form is None else dict(request.form),
                extensions={"trace": line.note},
            ) as streamed,
        ):
            # A carrier's state between requests is the cursor, and nothing else.
            line.client.cookies.clear()
            status, headers = streamed.status_code, {k.lower(): v for k, v in streamed.headers.items()}
            if 300 <= status < 400:
                self._refuse_redirect(request, status, headers.get("location", ""))
            return status, headers, self._read(streamed, request)

    def path_of(self, request: Request, url: str, links: LinkRule = LinkRule.SAME_ORIGIN) -> str:
        """Return path and query of a URL that the carrier supplied, relative to `base_url`.

        Raises:
            ForeignOrigin: it leads to another origin than the configured one; no request goes there.
            UnexpectedResponse: it is not a URL, or leads out of the path that `base_url` has.
        """
        return path_within(self._base_url, request.path, url, doing=self.doing(request), links=links)

    def doing(self, request: Request) -> str:
        """Return what is being done, for a message: carrier, method and address without the query."""
        path = self._readable(request.path.partition("?")[0])
        return f"carrier {self._carrier}: {request.method} {self._base_url}{path}"

    def told(self, request: Request, response: Response) -> str:
        """Return what was done and what came, for a message: `doing`, the status and the start of the body."""
        return f"{self.doing(request)}: HTTP {response.status}{self._shown(response.body)}"

    def _url_of(self, request: Request) -> str:
        url = self._base_url + request.path
        if not request.path.startswith("/") or origin_of(url) != self._origin:
            raise ForeignOrigin(f"{self.doing(request)}: the path leads away from {self._origin}")
        return url

    def _check_credentials(self, request: Request, credentials: Mapping[str, str]) -> None:
        """Refuse what no header can carry: a secret read from a file with its line end, for example."""
        for name, value in credentials.items():
            if not value.isascii() or not value.isprintable() or value != value.strip():
                raise AuthenticationFailed(
                    f"{self.doing(request)}: the credentials for the header {name} have a space or line end around "
                    f"them, or characters that no header can carry: check `auth` of {self._carrier} in carriers.yaml"
                )

    def _read(self, streamed: httpx2.Response, request: Request) -> bytes:
        encoding = streamed.headers.get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise UnexpectedResponse(
                f"{self.doing(request)}: the answer's encoding is {encoding!r}; asked for was gzip"
            )
        chunks, size = [], 0
        for chunk in streamed.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise UnexpectedResponse(f"{self.doing(request)}: the answer is larger than {MAX_BODY_BYTES:,} bytes")
        return b"".join(chunks)

    def _parse(self, request: Request, status: int, content_type: str, raw: bytes) -> Any:
        is_success = 200 <= status < 300
        if not raw:
            if is_success and status not in _EMPTY_STATUSES:
                raise CarrierUnavailable(
                    f"{self.doing(request)}: HTTP {status}, but the answer is empty; expected JSON"
                )
            return None
        try:
            return read_json(raw, content_type)
        except (ValueError, RecursionError) as error:
            refusal = error
        if not is_success:  # an error page of a gateway
            return raw.decode("utf-8", errors="replace")
        raise self._unreadable(f"{self.doing(request)}: HTTP {status}, but the answer", refusal, len(raw))

    @staticmethod
    def _unreadable(doing: str, refusal: Exception, size: int) -> SimSyncError:
        """Return the error of a body that is no JSON document; only one that may be whole the next time passes."""
        match refusal:
            case UnknownCharset():
                return UnexpectedResponse(
                    f"{doing} is in the charset {str(refusal)!r}, which is not known; expected UTF-8"
                )
            case SeveralDocuments():
                return UnexpectedResponse(f"{doing} is several JSON documents one after another; expected one")
            case _:
                return CarrierUnavailable(f"{doing} is no whole JSON ({type(refusal).__name__} in {size:,} bytes)")

    def _refuse_redirect(self, request: Request, status: int, location: str) -> None:
        self.path_of(request, location)
        raise UnexpectedResponse(
            f"{self.doing(request)}: HTTP {status}, a redirect to {self._readable(location.partition('?')[0])!r}; "
            f"expected an answer: check `base_url` of {self._carrier}"
        )

    def _shown(self, body: Any) -> str:
        if body is None:
            return ""
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        # Secrets go before anything is cut off: half of one is a secret, too.
        start = " ".join(self._redactor(text).split())[:_SHOWN_OF_A_BODY]
        return f" ({self._readable(start)})"

    def _readable(self, text: str) -> str:
        """Return a text of the carrier's as a message may hold it: no secrets, and nothing that no database takes."""
        return "".join(char if char.isprintable() or char.isspace() else "\ufffd" for char in self._redactor(text))


@cache
def _host_context() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def _told(error: Exception) -> str:
    text = str(error).strip()
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
