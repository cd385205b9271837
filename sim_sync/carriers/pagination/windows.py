"""A list that is only given for a span of time: window after window, from a beginning to now, each page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sim_sync.carriers.messages import Request, Response
from sim_sync.carriers.pagination.page_number import PageNumber
from sim_sync.carriers.pagination.positional import int_in, rewinds
from sim_sync.carriers.pagination.rule import Pagination, PathOf
from sim_sync.carriers.waits import carriers_now
from sim_sync.core.pages import Cursor

#: Windows overlap: for a carrier's clock that is not ours, and for a bound that it does not count in.
OVERLAP = timedelta(minutes=1)
#: A walk that ended this soon after the end of its last window needs no further one.
CAUGHT_UP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows(Pagination):
    """Windows of at most `longest`, by the time of a SIM's last modification, oldest first.

    A SIM that is modified during the walk leaves its window for the end of time. So the end of a window that reaches
    the present is fixed in the cursor when the window begins. The walk is over when such a window was read to its end
    without a SIM leaving it, and within `CAUGHT_UP`. Otherwise a tail follows: a window from there to the present. A
    tail of a single page is the last one however long it took, because nothing can have moved from page to page in it.

    Args:
        pages: how the pages of one window are walked.
        put: writes a window's bounds into a request.
        since: where the first window begins.
        started: what the present was when the walk began.
        now: the clock.
    """

    pages: PageNumber
    put: Callable[[Request, str, str], Request]
    since: datetime
    started: datetime
    now: Callable[[], datetime]
    longest: timedelta = timedelta(days=365)

    def request(self, cursor: Cursor) -> Request:
        """Return the request for a page of a window."""
        since, until = self._window(cursor)
        return self.put(self.pages.request(_place(cursor)), since, until)

    def ahead(self, cursor: Cursor, following: Cursor) -> Iterator[Cursor]:
        """Yield the pages of a window behind its first one; which window is the next one, its last page tells."""
        place = _place(following)
        for page in self.pages.ahead(_place(cursor), place) if place else ():
            yield {**following, **page}

    def is_reread(self, cursor: Cursor) -> bool:
        """Say yes: windows overlap, most of them hold nothing, and their number has a bound of its own."""
        return True

    def is_handed_out(self, cursor: Cursor) -> bool:
        """Say no: a window and a page are places in the list."""
        return False

    def next_cursor(self, cursor: Cursor, response: Response, path_of: PathOf) -> Cursor | None:
        """Return the next page of the window, the next window, or None where the present is reached."""
        since, until = self._window(cursor)
        place = self.pages.next_cursor(_place(cursor), response, path_of)
        if place is not None:
            kept = {name: cursor[name] for name in ("window", "tail") if name in cursor}
            return {"since": since, "till": until, **kept, **place}
        present = self._present(response)
        reached = datetime.fromisoformat(until)
        in_time = reached >= present - CAUGHT_UP or ("tail" in cursor and "page" not in cursor)
        if in_time and not rewinds(cursor):
            return None
        # A window that is shorter than it may be was cut off at the present.
        is_tail = reached < datetime.fromisoformat(since) + self.longest
        start = reached - OVERLAP
        number = int_in(cursor, "window", 0) + 1
        return {
            "since": _text(start),
            "till": self._until(start, present),
            "window": number,
            **({"tail": True} if is_tail else {}),
        }

    def _present(self, response: Response) -> datetime:
        """Return the present by the clock that is ahead, ours or the carrier's, so that the windows reach it.

        A carrier's clock that is ahead by more than a window says nothing.
        """
        ours = self.now()
        theirs = carriers_now(response, ours)
        return theirs if ours < theirs <= ours + self.longest else ours

    def _window(self, cursor: Cursor) -> tuple[str, str]:
        if not cursor:
            return _text(self.since), self._until(self.since, self.started)
        return str(cursor["since"]), str(cursor["till"])

    def _until(self, start: datetime, present: datetime) -> str:
        # The second that has begun belongs to the window: what was modified just now is in it.
        whole_second = present.replace(microsecond=0) + timedelta(seconds=bool(present.microsecond))
        return _text(min(start + self.longest, max(whole_second, start)))


def _place(cursor: Cursor) -> Cursor:
    """Return the cursor of the page in its window; a window's first page has none."""
    return {name: value for name, value in cursor.items() if name not in {"since", "till", "window", "tail"}}


def _text(time: datetime) -> str:
    return time.astimezone(UTC).replace(microsecond=0).isoformat()
