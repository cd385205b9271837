"""A configured account, read page by page: the building blocks of a connector put together and asked."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace

from sim_sync.carriers.connector import Connector
from sim_sync.carriers.http import HttpClient
from sim_sync.carriers.messages import Answer, Ask
from sim_sync.carriers.retry import Patience
from sim_sync.carriers.secrets import Redactor
from sim_sync.carriers.settings import CarrierSettings
from sim_sync.carriers.throttle import Turnstile
from sim_sync.core.errors import CursorRejected, UnexpectedAnswer
from sim_sync.core.pages import Cursor, Page, canonical_json
from sim_sync.core.ports import Waiter


class RestCarrier:
    """`CarrierSource` over a connector and the settings of one account."""

    def __init__(
        self,
        connector: Connector,
        settings: CarrierSettings,
        waiter: Waiter,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._connector = connector
        self._settings = settings
        self._pagination = connector.pagination(settings)
        words = connector.record_map.statuses.overridden_by(settings.statuses)
        self._record_map = replace(connector.record_map, statuses=words)
        self._auth = connector.build_auth(settings)
        self._http = HttpClient(
            settings.name,
            settings.base_url,
            settings.timeouts,
            Redactor([*settings.auth.secrets(), *self._auth.secrets()]),
        )
        self._turnstile = Turnstile(settings.rate_limit, waiter)
        self._patience = Patience(settings.retry, waiter, chance=chance)

    @property
    def name(self) -> str:
        """The carrier's name in `carriers.yaml`."""
        return self._settings.name

    @property
    def config_hash(self) -> str:
        """A digest of what gives this carrier's cursors their meaning: connector, account, page size; no secret."""
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

    def fetch_page(self, cursor: Cursor) -> Page:
        """Fetch one page, riding out what passes by itself; see `CarrierSource`."""
        ask = self._pagination.ask(cursor)
        answer, effort = self._patience.ride_out(lambda: self._fetch(ask, cursor))
        try:
            records = self._connector.records(answer)
            next_cursor = self._pagination.next_cursor(cursor, answer, lambda url: self._http.path_of(ask, url))
        except UnexpectedAnswer as error:
            raise UnexpectedAnswer(f"carrier {self.name}: {ask}: {error}") from None
        sims, rejected = self._record_map.read_page(records)
        totals = self._connector.totals(answer)
        return Page(
            sims=sims,
            next_cursor=next_cursor,
            records=len(records),
            rejected=rejected,
            records_total=totals.records,
            pages_total=totals.pages,
            effort=effort,
        )

    def _fetch(self, ask: Ask, cursor: Cursor) -> Answer:
        self._turnstile.pass_through()
        answer = self._http.fetch(ask, self._auth.headers())
        is_first = cursor == self.first_cursor()
        try:
            self._http.raise_for_status(ask, answer)
        except UnexpectedAnswer as error:
            if answer.status in self._connector.cursor_rejected_statuses and not is_first:
                raise CursorRejected(f"the carrier no longer takes its own cursor: {error}") from None
            raise
        return answer
