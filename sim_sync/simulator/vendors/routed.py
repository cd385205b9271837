"""What all imitations share: paths and methods, credentials before anything else, refusals, and the records of a page.

Nothing of any one vendor is in here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias

from sim_sync.simulator.faults import CursorExpiry, PageFault, TokenExpiry
from sim_sync.simulator.fleet import Fleet
from sim_sync.simulator.sim_view import BlueprintSim, SimView
from sim_sync.simulator.vendor import Authentication, ListCall, Request, Response
from sim_sync.simulator.vendors.auth import TokenEndpoint
from sim_sync.simulator.vendors.bodies import BadParameter, kept_part, spoil_record
from sim_sync.simulator.vendors.paging import Cursors

Handler: TypeAlias = Callable[[Request, PageFault | None], Response]


class RoutedVendor(ABC):
    """A vendor over one fleet: 401 before 404 before 405 before 400.

    `token_endpoints` by what they are called in a `TokenExpiry`, and `cursors`, are what can expire on demand.
    """

    #: The method and the path of the list call; a vendor whose options choose them sets them before all else.
    list_method: str = "GET"
    list_path: str
    #: Paths that need no credentials of the kind that `worth` looks at.
    open_paths: ClassVar[Collection[str]] = ()
    #: What the vendor calls each place in the lifecycle.
    status_words: ClassVar[Mapping[str, str]]
    #: Where a record has its id.
    id_field: ClassVar[str] = "id"
    #: What stands before and behind a record that is asked for alone, below the list's path; None: no such call.
    alone: ClassVar[tuple[str, str] | None] = None

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.fleet_spec = fleet.fleet_spec
        self.token_endpoints: Mapping[str, TokenEndpoint] = {}
        self.cursors: Cursors | None = None
        self._routes = self.routes()

    @abstractmethod
    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return who answers which method and path."""

    @abstractmethod
    def page_call(self, request: Request) -> ListCall:
        """Return which page a list request asks for."""

    @abstractmethod
    def failure(self, status: int, message: str | None = None) -> Response:
        """Return the vendor's own answer for an error status."""

    @abstractmethod
    def record(self, sim: SimView, base_url: str) -> str:
        """Return a SIM as JSON text."""

    def unauthorized(self, worth: Authentication) -> Response:
        """Return the vendor's answer to credentials that are missing or wrong."""
        return self.failure(401)

    def not_found(self, request: Request) -> Response:
        """Return the vendor's answer to a path that it does not have."""
        return self.failure(404)

    def tokens_of(self, request: Request) -> Mapping[str, str | None]:
        """Return the token that a request carries for each of the token endpoints whose token it needs."""
        return {}

    def worth(self, request: Request) -> Authentication:
        """Return what the credentials of a request to a path that needs them are worth; here, its tokens."""
        found = [self.token_endpoints[name].worth(token) for name, token in self.tokens_of(request).items()]
        return next((worth for worth in found if worth != "ok"), "ok")

    def throttled(self, wait_seconds: int, *, quota_gone: bool = False) -> Response:
        """Return the vendor's own 429; by default it tells nothing of the wait."""
        return self.failure(429)

    def list_call(self, request: Request) -> ListCall | None:
        """Return which page a request asks for, or None where it does not list SIMs."""
        is_list = request.method == self.list_method and request.path == self.list_path
        return self.page_call(request) if is_list else None

    def authentication(self, request: Request) -> Authentication:
        """Return what the request's credentials are worth."""
        return "not needed" if request.path in self.open_paths else self.worth(request)

    def response(self, request: Request, fault: PageFault | None = None) -> Response:
        """Answer as the vendor would; what it does not take is refused in its own shape."""
        worth = self.authentication(request)
        if worth in ("missing", "wrong"):
            return self.unauthorized(worth)
        handlers = self.handlers(request.path)
        if not handlers:
            return self.not_found(request)
        if request.method not in handlers:
            return self.failure(405)
        if worth == "ok":
            self._spend(request)
        try:
            return handlers[request.method](request, fault)
        except BadParameter as problem:
            return self.failure(problem.status, str(problem))

    def handlers(self, path: str) -> Mapping[str, Handler]:
        """Return who answers each method on a path; empty where there is no such path."""
        found = {method: handler for (method, known), handler in self._routes.items() if known == path}
        prefix, _, name = path.rpartition("/")
        if not found and self.alone is not None and name and prefix == self.list_path:
            return {"GET": partial(self._one, name)}
        return found

    def index_of(self, name: str) -> int | None:
        """Return the index of the SIM that a path names; None where the carrier has none of that name."""
        return None

    def index_of_digits(self, digits: str) -> int | None:
        """Return the index of the SIM whose ICCID this is, with its check digit or without."""
        forms = [digits] if len(digits) == 20 else [f"{digits}{digit}" for digit in range(10)]
        return next((index for form in forms if (index := self.fleet.index_of_iccid(form)) is not None), None)

    def _one(self, name: str, request: Request, fault: PageFault | None) -> Response:
        index = self.index_of(name)
        if index is None or not self.fleet.is_live(index) or self.alone is None:
            return self.not_found(request)
        before, behind = self.alone
        record = self.records([index], request.base_url)[0]
        return Response(200, f"{before}{record}{behind}".encode())

    def expire(self, fault: TokenExpiry | CursorExpiry) -> None:
        """Refuse from now on the tokens or cursors given out so far."""
        if isinstance(fault, CursorExpiry):
            if self.cursors is not None:
                self.cursors.expire(fault.status)
            return
        for name, endpoint in self.token_endpoints.items():
            if fault.which in ("all", name):
                endpoint.expire()

    def fingerprint(self, sim: SimView) -> int:
        """Return the SIM's own number, from which ids are made."""
        return sim.fingerprint if isinstance(sim, BlueprintSim) else self.fleet_spec.fingerprint(sim.index)

    def carrier_status(self, sim: SimView) -> str:
        """Return the vendor's word for the SIM's status, or what an edit says it sends instead."""
        return sim.vendor_status or self.status_words[sim.status]

    def records(self, indices: Sequence[int], base_url: str, fault: PageFault | None = None) -> list[str]:
        """Return the records of a page, spoiled as the fault says."""
        records = [self.record(sim, base_url) for sim in self.fleet.views(kept_part(indices, fault))]
        spoil_record(records, fault, forget_id=self.forget_id, forget_iccid=self.forget_iccid)
        return records

    def forget_id(self, record: dict[str, Any]) -> None:
        """Take the SIM's id out of a record."""
        del record[self.id_field]

    def forget_iccid(self, record: dict[str, Any]) -> None:
        """Make a record's ICCID null."""
        record["iccid"] = None

    def _spend(self, request: Request) -> None:
        for name, token in self.tokens_of(request).items():
            self.token_endpoints[name].spend(token)
