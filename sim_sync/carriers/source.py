"""A configured account, read page by page: the building blocks of a connector put together and asked.

`PageReader` says what an answer is to a walk: SIMs, and where the list continues or why it ends.
"""

import hashlib
import random
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from sim_sync.carriers.ahead import Answered, DroppableWaiter, PagesAhead, ThreadWorkers, first
from sim_sync.carriers.client import CarrierClient, Paused, Retrier
from sim_sync.carriers.connector import Connector, Totals
from sim_sync.carriers.end_check import SeemingEnd
from sim_sync.carriers.http import HttpClient, whole_response_limits
from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination import Pagination, PathOf
from sim_sync.carriers.point_lookup import PointLookup, the_one
from sim_sync.carriers.rate_limit import RateLimiter
from sim_sync.carriers.records import RecordMap
from sim_sync.carriers.records.reading import RecordDigests
from sim_sync.carriers.rereading import reread
from sim_sync.carriers.secrets import CursorSeal, Redactor, without_own_secrets
from sim_sync.carriers.settings import CarrierSettings
from sim_sync.carriers.shared_limits import SharedLimits, store_for
from sim_sync.core.errors import CursorRejected, SimSyncError, UnexpectedResponse
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome
from sim_sync.core.pages import Cursor, Page, ReadRecords, Unread
from sim_sync.core.ports import Waiter
from sim_sync.core.quarantine import Reread
from sim_sync.core.storable import canonical_json, is_secret_key, storable_count
from sim_sync.core.sync import AskedAhead, Workers

#: A page that is not there. Behind the last one, where nothing else is told, that is how many frameworks say: the end.
_NOT_THERE = 404


class PageReader:
    """Reads the pages of one carrier. `kind` says what of the account's settings may decide how a record is read."""

    def __init__(
        self, connector: Connector, pagination: Pagination, record_map: RecordMap, redactor: Redactor, kind: str
    ) -> None:
        self._connector = connector
        self._pagination = pagination
        self._record_map = record_map
        self._redactor = redactor
        self._kind = kind

    def is_declared_end(self, cursor: Cursor, response: Response) -> bool:
        """Return whether the account declares this answer, behind the first page, to be the end of the list."""
        return not self._is_first(cursor) and self._connector.end_signs.says(response)

    def may_be_the_end(self, cursor: Cursor, response: Response) -> bool:
        """Return whether a page that is not there may be how the list ends."""
        return (
            response.status == _NOT_THERE and not self._is_first(cursor) and self._pagination.ends_with_nothing(cursor)
        )

    def read(
        self,
        cursor: Cursor,
        response: Response,
        path_of: PathOf,
        leads_to: Callable[[Cursor], None] = lambda _: None,
        reading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Page:
        """Return the page that an answer is; its records are read as somebody looks at them.

        `leads_to` is told where the list continues; in `reading`, records are read.

        Raises:
            UnexpectedResponse: it is none, or does not say whether the list continues.
            ForeignOrigin: it leads to another origin.
        """
        if self.is_declared_end(cursor, response) or self.may_be_the_end(cursor, response):
            return Page(sims=(), next_cursor=None, records=0)
        find = self._connector.records_of_first_page if self._is_first(cursor) else None
        records = (find or self._connector.records)(response)
        next_cursor = None if self._ends_here(records) else self._pagination.next_cursor(cursor, response, path_of)
        if next_cursor is not None:
            leads_to(next_cursor)
        told = self._connector.totals
        totals = Totals() if told is None or response.body is None else told(response)
        return Page.of_unread(
            self._unread(records, reading),
            next_cursor=next_cursor,
            records=len(records),
            records_total=storable_count(totals.records),
            pages_total=storable_count(totals.pages),
            overlap=self._pagination.overlap(cursor, response),
            is_reread=self._pagination.is_reread(cursor),
            gap=self._pagination.gap(cursor, response),
            moves_unseen=self._pagination.moves_unseen(cursor),
            suspect=self._connector.suspect,
        )

    def beyond(self, cursor: Cursor, response: Response, pages: int = 1) -> Cursor | None:
        """Return the place that many pages behind the end at a page; None where that end is beyond doubt."""
        if self.is_declared_end(cursor, response) or self.may_be_the_end(cursor, response):
            return None
        return self._pagination.beyond(cursor, response, pages)

    def _unread(self, records: Sequence[Any], reading: Callable[[], AbstractContextManager[None]]) -> Unread:
        found, values = self._record_map.as_they_came(records, self._digests)
        if self._redactor.may_be_made_of(values):
            found = {}  # what is hidden in them depends on tonight's secrets

        def read(known: Collection[str]) -> ReadRecords:
            with reading():
                sims, rejected = self._record_map.read_page(records, {found[sim_id][1] for sim_id in known})
            page = Page(sims=sims, next_cursor=None, records=len(records), rejected=rejected)
            clean = without_own_secrets(page, self._redactor)
            is_as_read = clean is page and len({sim.sim_id for sim in sims}) == len(sims)
            # A record that can be no SIM says nothing about another one with its id.
            unusable = {one.position for one in rejected}
            digests = {sim_id: digest for sim_id, (digest, place) in found.items() if place not in unusable}
            return ReadRecords(clean.sims, clean.rejected, digests if is_as_read else {})

        return Unread({sim_id: digest for sim_id, (digest, _) in found.items()}, read)

    @cached_property
    def _digests(self) -> RecordDigests:
        return self._record_map.digests(self._kind)

    def _ends_here(self, records: list[object]) -> bool:
        return self._connector.end_signs.empty_page and not records

    def _is_first(self, cursor: Cursor) -> bool:
        return cursor == self._pagination.first_cursor()


#: Keys that every message needs to say what it is about.
_SHOWN = frozenset({("base_url",), ("type",)})
#: How often a look behind the end of a list is tried.
_ATTEMPTS_OF_A_LOOK = 2
#: So many pages behind the end of a list nothing of it can stand, however it has moved meanwhile.
_FAR = 100


class RestCarrier:
    """`CarrierSource` over a connector and the settings of one account."""

    def __init__(
        self,
        connector: Connector,
        settings: CarrierSettings,
        waiter: Waiter,
        *,
        shared_limits: SharedLimits | None = None,
        chance: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        workers: Callable[[int, str], Workers] = ThreadWorkers,
        wire: Callable[..., HttpClient] = HttpClient,
    ) -> None:
        self._waiter = waiter = DroppableWaiter(waiter)
        connector = connector.for_account(settings)
        self._connector = connector
        self._settings = settings
        self._pagination = connector.pagination(settings)
        self._links = connector.links or settings.links
        words = connector.record_map.statuses.overridden_by(settings.statuses)
        record_map = replace(connector.record_map, statuses=words)
        self._record_map = record_map
        self._lookup = None if connector.lookup is None else connector.lookup(settings)
        self._auth = connector.build_auth(settings)
        self._monotonic = monotonic
        self._workers = workers
        self._ahead: PagesAhead | None = None
        redactor = self._redactor = Redactor(
            [*settings.auth.secrets(), *self._auth.secrets(), *_secret_parameters(settings)],
            not_in_messages=[value for place, value in settings.from_variables.items() if place not in _SHOWN],
        )
        kind = canonical_json([connector.type, connector.version, settings.options.model_dump(mode="json")])
        self._reader = PageReader(connector, self._pagination, record_map, redactor, kind)
        self._seal = CursorSeal(settings.name, settings.auth.secrets(), redactor)

        limits = whole_response_limits(settings.timeouts, waiter.is_stopped)

        def client_for(base_url: str) -> HttpClient:
            return wire(settings.name, base_url, settings.timeouts, redactor, limits=limits)

        self._http = client_for(settings.base_url)
        self._client = CarrierClient(
            self._http,
            client_for,
            RateLimiter(
                settings.rate_limit,
                waiter,
                carrier=settings.name,
                park_after_seconds=settings.retry.park_after_seconds,
                store=store_for(settings.rate_limit, shared_limits, monotonic),
            ),
            replace(connector.dialect, longest_wait_seconds=settings.retry.max_wait_seconds),
            redactor,
            auth_keys=", ".join(settings.auth.keys_to_check()) or "the keys",
            now=now,
        )
        self._retrier = Retrier(settings.retry, waiter, chance=chance)
        # A look at what the walk does not need is not worth a long wait.
        few = settings.retry.model_copy(update={"max_attempts": min(settings.retry.max_attempts, _ATTEMPTS_OF_A_LOOK)})
        self._brief_retrier = Retrier(few, waiter, chance=chance)

    @property
    def name(self) -> str:
        """The carrier's name in `carriers.yaml`."""
        return self._settings.name

    @property
    def config_hash(self) -> str:
        """A digest of what gives this carrier's cursors their meaning: connector, account, page size; no secret.

        A rotated password, other limits, retries or status words leave it as it is.
        """
        settings = self._settings
        meaning = {
            "type": self._connector.type,
            "version": self._connector.version,
            "base_url": settings.base_url,
            "page_size": settings.page_size,
            "options": settings.options.model_dump(mode="json"),
            "account": settings.auth.identity(),
        }
        return hashlib.sha256(canonical_json(meaning).encode()).hexdigest()[:16]

    def first_cursor(self) -> Cursor:
        """Return the cursor of the first page."""
        return self._pagination.first_cursor()

    @contextmanager
    def reading_ahead(self, pages_left: Callable[[], int | None]) -> Iterator[None]:
        """Let pages be asked for while others are committed; see `PageSource`.

        Pages that can be named are asked for ahead as long as there is room for requests in flight; of others only the
        next one is known.
        """
        settings = self._settings
        if settings.read_ahead == 0:
            yield
            return
        in_flight = settings.rate_limit.max_in_flight
        workers = self._workers(in_flight, f"pages ahead of carrier {self.name}")
        most = max(settings.read_ahead, in_flight)
        self._ahead = PagesAhead(AskedAhead(workers, most), pages_left, self._monotonic)
        try:
            yield
        finally:
            ahead, self._ahead = self._ahead, None
            ahead.close()

    def fetch_page(self, cursor: Cursor) -> Page:
        """Fetch one page, riding out transient failures; see `CarrierSource`."""
        paused = Paused()
        try:
            opened = self._seal.opened(cursor)
            page, response = self._page_at(opened, self._retrier, paused, self._ahead)
            if page.next_cursor is None:
                page = self._with_a_sure_end(page, opened, response, paused)
            return replace(
                page,
                next_cursor=None if page.next_cursor is None else self._seal.sealed(page.next_cursor),
                effort=paused.added_to(page.effort),
            )
        except SimSyncError as error:
            told = error.saying(self._redactor(str(error)))
        raise told  # out here, so that the text with secrets is not even its context

    @property
    def can_look_up(self) -> bool:
        """Whether the carrier has a call that asks for one SIM."""
        return self._lookup is not None

    def look_up(self, asked: AskedSim) -> LookedUp:
        """Ask for one SIM, riding out transient failures; see `LookupSource`."""
        try:
            return self._look_up(asked, Paused())
        except SimSyncError as error:
            told = error.saying(self._redactor(str(error)))
        raise told  # out here, so that the text with secrets is not even its context

    def reread(self, payload: str) -> Reread:
        """Return what a record from the quarantine is with today's mapping; nothing is fetched."""
        return reread(payload, self._record_map, self._redactor)

    def _look_up(self, asked: AskedSim, paused: Paused) -> LookedUp:
        lookup, doing = self._lookup, f"carrier {self.name}: looking up a SIM"
        with self._in_own_words(doing):
            request = None if lookup is None else lookup.request(asked)
        if lookup is None or request is None:
            return LookedUp(LookupOutcome.UNCLEAR, problem=f"{doing}: it has nothing that it could be asked for by")
        doing = self._http.doing(request)
        with self._in_own_words(f"{doing}: sending"):
            says_not_there = partial(self._says_not_there, lookup)
            attempt = partial(self._client.request, request, self._auth, paused, says_not_there)
            (response, failure), effort = self._retrier.call(attempt)
        effort = paused.added_to(effort)
        if says_not_there(response):
            return LookedUp(LookupOutcome.NOT_FOUND, effort=effort)
        if failure is not None:
            raise failure
        with self._reading_the_answer(doing):
            sims, _ = self._record_map.read_page(lookup.records(response))
            sim = the_one(asked, sims)
        page = without_own_secrets(Page(sims=[sim], next_cursor=None, records=1), self._redactor)
        return LookedUp(LookupOutcome.FOUND, page.sims[0], effort=effort)

    def _says_not_there(self, lookup: PointLookup, response: Response) -> bool:
        is_about_us = self._connector.dialect.throttling.is_said_by(response)
        return not is_about_us and lookup.says_not_there(response)

    def _page_at(
        self, cursor: Cursor, retrier: Retrier, paused: Paused, ahead: PagesAhead | None = None
    ) -> tuple[Page, Response]:
        with self._in_own_words(f"carrier {self.name}: asking for a page"):
            request = self._pagination.request(cursor)
        doing = self._http.doing(request)
        is_end = partial(self._reader.is_declared_end, cursor)
        with self._in_own_words(f"{doing}: sending"):
            attempt = partial(self._client.request, request, self._auth, paused, is_end)
            early = None if ahead is None else ahead.answer_to(request, paused)
            (response, failure), effort = retrier.call(first(early, attempt, partial(self._may_be_the_end, cursor)))
        if failure is not None and not is_end(response):
            self._refuse_all_but_an_end(failure, response, cursor)
        with self._reading_the_answer(doing):
            path_of = partial(self._http.path_of, request, links=self._links)
            leads_to = partial(self._ask_ahead, ahead, cursor)
            page = self._reader.read(cursor, response, path_of, leads_to, partial(self._reading_later, doing))
        return replace(page, effort=effort), response

    def _may_be_the_end(self, cursor: Cursor, answered: Answered) -> bool:
        """Return whether an answer may be the end, or a gateway that has lost the list: a look at once tells which."""
        response, _ = answered
        return self._reader.may_be_the_end(cursor, response) and not self._reader.is_declared_end(cursor, response)

    def _ask_ahead(self, ahead: PagesAhead | None, cursor: Cursor, following: Cursor) -> None:
        """Ask for the page at `following`, to which the one at `cursor` has led, and for those presumably behind it."""
        if ahead is None or self._waiter.is_stopped():
            return
        is_end = partial(self._reader.is_declared_end, following)

        def send(request: Request, paused: Paused) -> Answered:
            return self._client.request(request, self._auth, paused, is_end)

        with suppress(Exception):  # a page that cannot be named says why when its turn comes
            self._seal.sealed(following)  # hides its secrets: an answer may quote them before this page is read
            cursors = chain([following], self._pagination.ahead(cursor, following))
            ahead.ask(map(self._pagination.request, cursors), send)

    def _refuse_all_but_an_end(self, failure: SimSyncError, response: Response, cursor: Cursor) -> None:
        """Raise what an answer is that is no page; return where a page that is not there may be how the list ends."""
        if not isinstance(failure, UnexpectedResponse) or cursor == self.first_cursor():
            raise failure
        if self._connector.dialect.failed(response):
            raise failure
        if self._reader.may_be_the_end(cursor, response):
            return
        if self._pagination.is_handed_out(cursor) and response.status in self._connector.cursor_rejected_statuses:
            raise CursorRejected(f"the carrier no longer takes its own cursor: {failure}")
        raise failure

    def _with_a_sure_end(self, page: Page, cursor: Cursor, response: Response, paused: Paused) -> Page:
        """Look whether the end of the list is one, where that can be mistaken (`end_check`)."""
        first = self.first_cursor()
        if self._may_be_the_end(cursor, (response, None)):
            # While a gateway has lost the list, its first page is not there either: that is raised as it comes.
            self._page_at(first, self._retrier, paused)
            return page
        beyond, far = (self._reader.beyond(cursor, response, pages) for pages in (1, _FAR))
        if beyond is None or far is None:
            return page
        end = SeemingEnd(
            page=page,
            is_first=cursor == first,
            first=first,
            beyond=beyond,
            far=far,
            ends_on_repeat=self._connector.end_signs.repeated_page,
        )
        return end.seen_through(lambda place: self._page_at(place, self._brief_retrier, paused)[0])

    @contextmanager
    def _in_own_words(self, doing: str) -> Iterator[None]:
        """Say in our own words what went wrong in a connector's code: its error may quote records or credentials."""
        try:
            yield
        except SimSyncError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below, in our own words
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = (
                f"{doing}: the connector {self._connector.type!r} did not expect this "
                f"({type(error).__name__} in {place.name}, line {place.lineno} of {Path(place.filename).name})"
            )
            raise UnexpectedResponse(told) from None  # `fetch_page` leaves the other error behind

    @contextmanager
    def _reading_the_answer(self, doing: str) -> Iterator[None]:
        """Say of which request the answer is that cannot be read."""
        with self._in_own_words(f"{doing}: reading the answer"):
            try:
                yield
            except UnexpectedResponse as error:
                raise UnexpectedResponse(f"{doing}: {error}") from None

    @contextmanager
    def _reading_later(self, doing: str) -> Iterator[None]:
        """Say the same where a page's records are read, however late that is."""
        try:
            with self._reading_the_answer(doing):
                yield
                return
        except SimSyncError as error:
            told = error.saying(self._redactor(str(error)))
        raise told  # out here, as above


def _secret_parameters(settings: CarrierSettings) -> list[str]:
    """Return what came from the environment, stands beside `auth`, and is a secret by its key or as a header."""
    return [
        value
        for place, value in settings.from_variables.items()
        if place[:1] != ("auth",) and ("headers" in place or is_secret_key(str(place[-1])))
    ]
