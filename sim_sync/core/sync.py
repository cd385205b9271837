"""The step loop, the heart of sim_sync: fetch a page, commit it with its checkpoint, ask whether to stop, continue.

It knows no clock, network, SQL or Dagster. A crash at any point of it costs at most the current page; what was asked
for ahead is asked for again. The points at which a test, or `sim-sync selftest`, may let a sync die have names, and
nothing is armed by default.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, takewhile
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from sim_sync.core.errors import CarrierError, CursorRejected, ParkRequired, TooManyQuarantined
from sim_sync.core.lookups import LookupLimits
from sim_sync.core.pages import Cursor, Page
from sim_sync.core.ports import PageSource, PageStore
from sim_sync.core.session import Session, State
from sim_sync.core.text import counted

# --- where it may be let die -----------------------------------------------------------------------------------------

#: Called with the name of each point as it is passed; a test's version raises or kills.
CrashPoint: TypeAlias = Callable[[str], None]

#: In the order in which one complete walk passes them, if it looks up a SIM that its list lacks. The names say what has
#: happened so far.
CRASH_POINTS: tuple[str, ...] = (
    "open_session:begun",
    "open_session:written",
    "open_session:committed",
    "fetch_page:fetched",
    "commit_page:begun",
    "commit_page:fence_checked",
    "commit_page:rows_written",
    "commit_page:changes_written",
    "commit_page:quarantine_written",
    "commit_page:checkpoint_written",
    "commit_page:committed",
    "plan_lookups:begun",
    "plan_lookups:written",
    "plan_lookups:committed",
    "look_up_sim:answered",
    "commit_lookup:begun",
    "commit_lookup:fence_checked",
    "commit_lookup:rows_written",
    "commit_lookup:checkpoint_written",
    "commit_lookup:committed",
    "close_session:begun",
    "close_session:swept",
    "close_session:written",
    "close_session:committed",
)

#: In the order in which a person's decision on a held sweep passes them; those in the middle where it marks SIMs.
DECISION_POINTS: tuple[str, ...] = (
    "decide_sweep:begun",
    "decide_sweep:compared",
    "decide_sweep:written",
    "decide_sweep:committed",
)


def nothing_armed(_name: str) -> None:
    """Pass every point unharmed: the normal life of a sync."""


# --- the loop --------------------------------------------------------------------------------------------------------


class StopReason(StrEnum):
    """Why a run's work on a walk stopped before its end."""

    PAUSED = "paused by an operator"
    FENCED = "another run took the session over"
    PARKED = "the wait is longer than a worker should sleep"
    FAILED = "a permanent error"
    SHUTDOWN = "the process was asked to end"
    PAGE_BUDGET = "the page budget of this run is used up"
    TIME_BUDGET = "the time budget of this run is used up"


@dataclass(frozen=True, slots=True)
class QuarantineLimit:
    """How many unreadable records a walk may have. One bad record never stops a walk."""

    max_percent: float = 1.0
    #: Below this many records the share says nothing yet; it is judged at the end of a short walk.
    judged_from_records: int = 1000

    def check(self, session: Session) -> None:
        """Raise `TooManyQuarantined` where it is no accident any more."""
        if session.records_seen < self.judged_from_records and not session.walked_to_the_end:
            return
        allowed = max(1.0, session.records_seen * self.max_percent / 100)
        if session.records_quarantined > allowed:
            raise TooManyQuarantined(
                f"carrier {session.carrier}: {session.records_quarantined:,} of "
                f"{counted(session.records_seen, 'record')} could not be read, more than quarantine.max_percent "
                f"({self.max_percent:g} %) allows; `sim-sync quarantine list` has their reasons: correct the field "
                "mapping and replay them (`sim-sync quarantine replay`), or raise the limit"
            )


def _once(method: Callable[..., Any], *arguments: object) -> Any:
    return method(*arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRules:
    """What a walk is bound by: where it may start again, what it tolerates and when it stops."""

    should_stop: Callable[[Session], StopReason | None]
    on_checkpoint: Callable[[Session], None]
    #: How many more pages than the one in hand this run may take; None is no bound. None of them is asked for in vain.
    pages_left: Callable[[], int | None] = lambda: None
    quarantine: QuarantineLimit = QuarantineLimit()
    #: Calls a method of the store with its arguments; again where that helps.
    retried: Callable[..., Any] = _once
    #: A cursor that the carrier no longer takes sets the walk back to its start, this many times in one run.
    max_walk_restarts: int = 3
    #: Whether and how SIMs that the walk has missed are asked for behind its end; None asks for none.
    lookups: LookupLimits | None = None
    #: Called with `fetch_page:fetched` and `look_up_sim:answered`, the moments at which a crash costs the most.
    at: CrashPoint = nothing_armed


def walk(session: Session, carrier: PageSource, store: PageStore, rules: StepRules) -> StopReason | None:
    """Walk a claimed session from its cursor until the carrier's end signal (None) or a reason to stop.

    Fetching and committing are two sides: the one knows the carrier, the other the store. Behind the fetching side
    pages may be asked for ahead (`AskedAhead`); this loop sees them one by one, in their order.

    Raises:
        TransientError, ParkRequired, CarrierError, OwnershipError: from the carrier and the store, see there.
    """
    rules.quarantine.check(session)
    fetching = _Fetching(carrier, rules.max_walk_restarts)
    with carrier.reading_ahead(rules.pages_left):
        while session.cursor is not None:
            if reason := reason_to_stop(session, rules):
                return reason
            fetched = fetching.next(session, session.cursor)
            if isinstance(fetched, _Restart):
                session = rules.retried(store.commit_walk_restart, session.claim, fetched.first_cursor, fetched.reason)
            else:
                rules.at("fetch_page:fetched")
                session = rules.retried(store.commit_page, session.claim, session.cursor, fetched)
            rules.on_checkpoint(session)
            rules.quarantine.check(session)
    return StopReason.PAUSED if session.state is State.PAUSED else None


@dataclass(frozen=True, slots=True)
class _Restart:
    """What is fetched in the place of a page where the carrier no longer takes the cursor: the walk begins again."""

    first_cursor: Cursor
    reason: str


class _Fetching:
    """The side of a walk that asks the carrier."""

    def __init__(self, carrier: PageSource, max_restarts: int) -> None:
        self._carrier = carrier
        self._restarts_left = max_restarts
        self._pages_at_restart = -1

    def next(self, session: Session, cursor: Cursor) -> Page | _Restart:
        """Return the page at the session's cursor; an error says which page it is about."""
        page = f"page {session.pages_done + 1}"
        try:
            return self._carrier.fetch_page(cursor)
        except CursorRejected as error:
            return self._restarted(session, cursor, error.with_context(page))
        except (CarrierError, ParkRequired) as error:
            raise error.with_context(page) from None

    def _restarted(self, session: Session, cursor: Cursor, rejected: CursorRejected) -> _Restart:
        first_cursor = self._carrier.first_cursor()
        if self._restarts_left == 0 or cursor == first_cursor:
            raise rejected from None
        # A cursor that ran out once does so somewhere else the next time; one that leads nowhere is refused again.
        if session.pages_done <= self._pages_at_restart:
            raise rejected.with_context("the walk started again because of this, and got no further") from None
        self._restarts_left, self._pages_at_restart = self._restarts_left - 1, session.pages_done
        return _Restart(first_cursor, str(rejected))


def reason_to_stop(session: Session, rules: StepRules) -> StopReason | None:
    """Return why no further step is taken now, or None: a pause, or what the rules say."""
    if session.state is State.PAUSED:
        return StopReason.PAUSED
    return rules.should_stop(session)


# --- what is asked ahead ---------------------------------------------------------------------------------------------

# Which requests are on their way before the walk needs their answers, how many, and which of them are thrown away.
#
# A walk asks its questions one after the other, and what it asks next it knows for certain only from the last answer.
# What it will presumably ask after that may be known before. Such questions are asked ahead; their answers are kept,
# in order and unread, until the walk asks the very question. So whatever an answer is, a page, a refusal or a bug, it
# takes effect when its turn comes, and one whose turn never comes has none.
#
# Pure: what runs beside the walk is behind `Workers`.

Question = TypeVar("Question")
Found = TypeVar("Found")
Told = TypeVar("Told", covariant=True)  # noqa: PLC0105 - read as "what is told", like the others


class Pending(Protocol[Told]):
    """A task that was started, and may be at work."""

    def result(self) -> Told:
        """Wait for its end, and return what it returned, or raise what it raised."""

    def drop(self) -> None:
        """Let it end soon, or not begin: nobody asks for its result any more."""


class Workers(Protocol):
    """Does tasks beside the walk, in the order in which they were started, several at a time."""

    def start(self, task: Callable[[], Found]) -> Pending[Found]:
        """Have a task done, as soon as a worker is free."""

    def close(self) -> None:
        """Take no more tasks; those that were dropped may still be at their end."""


class AskedAhead(Generic[Question, Found]):
    """The questions that were asked ahead, in the order in which the walk will presumably ask them.

    Never more than `most`: more answers are not waiting in memory, however slow the walk is. A question that the walk
    did not ask next shows that those after it were guessed wrong: they are thrown away, because the list may have moved
    since, and from then on only the next one is asked ahead; each right guess lets one more be.
    """

    def __init__(self, workers: Workers, most: int) -> None:
        self._workers = workers
        self._most = self._trusted = most
        self._asked: deque[tuple[Question, Pending[Found]]] = deque()

    def take(self, question: Question) -> Pending[Found] | None:
        """Return the answer to the walk's question, if that was asked ahead."""
        if not self._asked:
            return None
        asked, pending = self._asked[0]
        if asked != question:
            self._guessed_wrong(0)
            return None
        self._asked.popleft()
        self._trusted = min(self._trusted + 1, self._most)
        return pending

    def ask(
        self, questions: Iterator[Question], task_for: Callable[[Question], Callable[[], Found]], most: int | None
    ) -> None:
        """Ask what the walk will presumably ask: `questions` in their order, the first of them for certain.

        Args:
            questions: may have no end.
            task_for: returns what asks one of them.
            most: no more than these of them, however many may wait; None is no such bound.
        """
        wanted = list(islice(questions, self._trusted if most is None else min(most, self._trusted)))
        right = sum(1 for _ in takewhile(bool, map(_is_asked, self._asked, wanted)))
        if right < min(len(self._asked), len(wanted)):
            self._guessed_wrong(right)
        self._drop_from(right)
        for question in wanted[right : self._trusted]:
            self._asked.append((question, self._workers.start(task_for(question))))

    def close(self) -> None:
        """Throw everything away."""
        self._drop_from(0)
        self._workers.close()

    def _guessed_wrong(self, place: int) -> None:
        self._drop_from(place)
        self._trusted = 1

    def _drop_from(self, place: int) -> None:
        while len(self._asked) > place:
            self._asked.pop()[1].drop()


def _is_asked(asked: tuple[Question, object], wanted: Question) -> bool:
    return asked[0] == wanted
