"""The life of a session: its states, the events that move it, the one table of legal transitions, and what is stored.

A session is one complete walk over a carrier, over as many runs as it takes. Who may still write to it is checked here,
too: what a store asks under the lock, before it lets an event happen. What each event does to a session is in
`session_events`, who may take it over in `opening`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from sim_sync.core.errors import CursorRepeated, Fenced, IllegalTransition, InputError
from sim_sync.core.pages import Cursor, Effort, Page, cursor_digest


class _Word(StrEnum):
    """A word of a column. One that another version of sim_sync has written is kept as it stands, and only shown."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = "OF_ANOTHER_VERSION", value
        return word

    @property
    def is_known(self) -> bool:
        """Whether this version knows what the word means."""
        return self.name in type(self).__members__


class State(_Word):
    """Where a session stands. Machine stop, waiting, human stop, giving up and done are different words."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    PARKED = "parked"
    PAUSED = "paused"
    FAILED = "failed"
    COMPLETED = "completed"
    SUPERSEDED = "superseded"


class Event(StrEnum):
    """What can happen to a session. Each is something real: a commit, a death, a person."""

    PAGE_COMMITTED = "page committed"
    WALK_RESTARTED = "walk restarted"
    SIM_LOOKED_UP = "SIM looked up"
    LEASE_RENEWED = "lease renewed"
    OWNER_LOST = "owner lost"
    STOPPED_BY_MACHINE = "stopped by the machine"
    WAIT_TOO_LONG = "wait too long"
    PAUSED_BY_OPERATOR = "paused by an operator"
    GAVE_UP = "gave up"
    WALKED_TO_THE_END = "walked to the end"
    TAKEN_OVER = "taken over"
    RELEASED_BY_OPERATOR = "released by an operator"
    REPLACED_BY_NEW_SESSION = "replaced by a new session"


#: The `config_hash` of a session that failed before a run could read its carrier's configuration: no cursor fits it.
NEVER_OPENED = ""

FINAL_STATES = frozenset({State.COMPLETED, State.SUPERSEDED})

TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        # A page, its rows and its checkpoint were committed in one transaction.
        (State.RUNNING, Event.PAGE_COMMITTED): State.RUNNING,
        # The pause arrived while a page was in hand: the page is committed, the pause stays.
        (State.PAUSED, Event.PAGE_COMMITTED): State.PAUSED,
        # The carrier no longer takes the cursor: the walk goes back to its first page, in the same session.
        (State.RUNNING, Event.WALK_RESTARTED): State.RUNNING,
        (State.PAUSED, Event.WALK_RESTARTED): State.PAUSED,
        # Behind the last page, a SIM that the list lacks was asked for, and the answer was committed; also the last
        # one before a pause.
        (State.RUNNING, Event.SIM_LOOKED_UP): State.RUNNING,
        (State.PAUSED, Event.SIM_LOOKED_UP): State.PAUSED,
        # The owner is at work on a page that takes long.
        (State.RUNNING, Event.LEASE_RENEWED): State.RUNNING,
        # The owner's process is gone, its run is over, or its lease ran out (kill -9, power cut, host lost).
        (State.RUNNING, Event.OWNER_LOST): State.INTERRUPTED,
        # SIGTERM of a deploy, or the page or time budget of the run is used up.
        (State.RUNNING, Event.STOPPED_BY_MACHINE): State.INTERRUPTED,
        # Retry-After of hours, monthly quota gone, carrier down after all attempts.
        (State.RUNNING, Event.WAIT_TOO_LONG): State.PARKED,
        # `sim-sync pause`, or Terminate in the UI; also while nobody is at work.
        (State.RUNNING, Event.PAUSED_BY_OPERATOR): State.PAUSED,
        (State.INTERRUPTED, Event.PAUSED_BY_OPERATOR): State.PAUSED,
        (State.PARKED, Event.PAUSED_BY_OPERATOR): State.PAUSED,
        (State.FAILED, Event.PAUSED_BY_OPERATOR): State.PAUSED,
        # A permanent error of the carrier or the config.
        (State.RUNNING, Event.GAVE_UP): State.FAILED,
        # N resumes in a row ended without one committed page: noticed before the next resume.
        (State.INTERRUPTED, Event.GAVE_UP): State.FAILED,
        (State.PARKED, Event.GAVE_UP): State.FAILED,
        # The carrier gave its end signal, and what to do about unseen SIMs is decided.
        (State.RUNNING, Event.WALKED_TO_THE_END): State.COMPLETED,
        # A new run takes the lease and raises the fence.
        (State.INTERRUPTED, Event.TAKEN_OVER): State.RUNNING,
        (State.PARKED, Event.TAKEN_OVER): State.RUNNING,
        # An op's retry of the same run: the new attempt raises the fence over the one that ended without a word.
        (State.RUNNING, Event.TAKEN_OVER): State.RUNNING,
        # Only an operator or the nightly run does this.
        (State.FAILED, Event.TAKEN_OVER): State.RUNNING,
        # `sim-sync resume`: the session may be taken over again, by the sensor or by the person's own run.
        (State.PAUSED, Event.RELEASED_BY_OPERATOR): State.INTERRUPTED,
        (State.FAILED, Event.RELEASED_BY_OPERATOR): State.INTERRUPTED,
        (State.PARKED, Event.RELEASED_BY_OPERATOR): State.INTERRUPTED,
        # A restart was asked for, the config changed so that the cursor means nothing, or the session is too old.
        (State.RUNNING, Event.REPLACED_BY_NEW_SESSION): State.SUPERSEDED,
        (State.INTERRUPTED, Event.REPLACED_BY_NEW_SESSION): State.SUPERSEDED,
        (State.PARKED, Event.REPLACED_BY_NEW_SESSION): State.SUPERSEDED,
        (State.PAUSED, Event.REPLACED_BY_NEW_SESSION): State.SUPERSEDED,
        (State.FAILED, Event.REPLACED_BY_NEW_SESSION): State.SUPERSEDED,
    }
)


def next_state(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises:
        IllegalTransition: the table has no such way.
        InputError: the state is one of another version, and nobody here knows what may follow.
    """
    require_known(state)
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(
            f"a session that is {state.value} cannot be moved by the event {event.value!r}; please report this as a bug"
        ) from None


def require_known(state: State, whose: str = "a session") -> None:
    """Raise `InputError` where a state is one of another version: what it means is not for us to guess."""
    if not state.is_known:
        raise InputError(
            f"{whose} is {state.value!r}, a state that this version of sim_sync does not know; upgrade sim_sync here"
        )


class SweepState(_Word):
    """What became of marking the SIMs that a walk did not see."""

    PENDING = "pending"
    DONE = "done"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Process:
    """The operating-system process behind an owner: enough to tell on its own host whether it still lives."""

    host: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write to a session: valid while `fence` is the session's highest."""

    session_id: str
    carrier: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One row of `sync_sessions`: the committed truth about a walk. Field meanings are in `docs/tables.md`.

    `cursor` is `None` when the carrier has given its end signal and only closing is left. `session_number` says which
    session of a carrier is newer; its times do not: the clock may have been wrong.
    """

    session_id: str
    session_number: int
    carrier: str
    state: State
    cursor: Cursor | None
    fence: int
    config_hash: str
    started_at: datetime
    updated_at: datetime
    pages_done: int = 0
    pages_expected: int | None = None
    records_seen: int = 0
    records_expected: int | None = None
    records_added: int = 0
    records_changed: int = 0
    records_quarantined: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    eta_at: datetime | None = None
    owner: str | None = None
    lease_expires_at: datetime | None = None
    not_before: datetime | None = None
    stalled_resumes: int = 0
    finished_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    sweep_state: SweepState = SweepState.PENDING
    sweep_reason: str | None = None
    sweep_decided_by: str | None = None
    sweep_decided_at: datetime | None = None
    sweep_decision_reason: str | None = None
    #: Behind the last page: how many SIMs that the walk missed are asked for one by one, and how many were so far.
    lookups_expected: int = 0
    lookups_done: int = 0

    @property
    def claim(self) -> Claim:
        """The claim that this row's fence stands for."""
        return Claim(self.session_id, self.carrier, self.fence)

    @property
    def is_open(self) -> bool:
        """Whether the session can still continue."""
        return self.state not in FINAL_STATES

    @property
    def is_looking_up(self) -> bool:
        """Whether SIMs that the walk missed are still asked for one by one."""
        return self.walked_to_the_end and self.lookups_done < self.lookups_expected

    @property
    def walked_to_the_end(self) -> bool:
        """Whether the carrier has given its end signal."""
        return self.cursor is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInternals:
    """One row of `session_internals`: what sim_sync remembers about a session for itself."""

    lease_seconds: float
    owner_host: str | None = None
    owner_pid: int | None = None
    owner_started: str | None = None
    carrier_total: int | None = None
    pace_seconds: float | None = None
    #: The times of its owner's last pages, the oldest first, and when the last of them was committed.
    recent_page_seconds: tuple[float, ...] = ()
    page_committed_at: datetime | None = None
    #: Since when it waits without a page, tries in between included; and the first page after such a wait.
    parked_since: datetime | None = None
    unparked_at: datetime | None = None
    walk_restarts: int = 0
    #: Pages and records of the walk from before it started again: what a counter must not lose.
    earlier_pages: int = 0
    earlier_records: int = 0
    #: Distinct SIMs of the whole walk, counted when it was closed.
    sims_seen: int | None = None
    #: SIMs on the walk's pages: one that stands on two of them counts twice.
    sims_listed: int = 0
    #: By how many SIMs the carrier's total fell from page to page, all falls together.
    total_fallen: int = 0
    #: The newest page did not tell the total, and one before it did.
    total_is_stale: bool = False
    #: Why SIMs may have been passed over, and why the end may be none.
    walk_gap: str | None = None
    end_doubt: str | None = None
    #: Nothing told on some page whether records had moved up, and for how long the walk stood still at most.
    moves_unseen: bool = False
    longest_break_seconds: float = 0.0
    #: Pages in a row, up to now, that brought no SIM that the walk had not seen.
    idle_pages: int = 0
    #: The bounds of a walk: that many such pages, and that many pages at all.
    max_idle_pages: int = 100
    max_pages: int = 1_000_000
    #: The cursor whose page was committed last: how a lost acknowledgement is told from a page that was never written.
    last_cursor_digest: str | None = None
    #: How many of the SIMs that the walk missed are more than `sweep.lookup_limit`.
    lookups_left_out: int = 0
    #: The digest of the SIMs that were last shown as those that a held sweep would mark.
    shown_sweep_digest: str | None = None

    @property
    def process(self) -> Process | None:
        """The operating-system process of the last owner."""
        if self.owner_host is None or self.owner_pid is None:
            return None
        return Process(self.owner_host, self.owner_pid, self.owner_started or "")


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """All that is stored about one session: what an event changes as a whole."""

    session: Session
    internals: SessionInternals


@dataclass(frozen=True, slots=True)
class Release:
    """How an owner gives its lease back: by which event, why, for how long, and what a page has cost that did not come.

    `wait_seconds` says when a parked session is due; `None` where it does not wait.
    """

    event: Event
    error: str | None = None
    wait_seconds: float | None = None
    effort: Effort = field(default_factory=Effort)


# --- who may still write to it ---------------------------------------------------------------------------------------

#: A pause lets the current page through; in every other state the worker was given up.
WORKING_STATES = frozenset({State.RUNNING, State.PAUSED})
#: A session may be closed again by the worker that closed it: the acknowledgement may have been lost.
CLOSABLE_STATES = WORKING_STATES | {State.COMPLETED}


def check_claim(session: Session, claim: Claim, states: Collection[State] = WORKING_STATES) -> None:
    """Raise `Fenced` unless the claim is the session's newest and its owner may still write under it."""
    if session.fence != claim.fence:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} was taken over by run {session.owner} "
            f"(its fence is {session.fence}, this worker's was {claim.fence}); this worker stops and writes nothing"
        )
    if session.state not in states:
        raise Fenced(
            f"carrier {claim.carrier}: session {claim.session_id} is {session.state.value}; "
            "this worker stops and writes nothing"
        )


def unknown_session(claim: Claim) -> Fenced:
    """Return the error for a claim to a session that is not there."""
    return Fenced(f"carrier {claim.carrier}: session {claim.session_id} does not exist in this warehouse")


def is_committed(record: SessionRecord, cursor: Cursor, page: Page) -> bool:
    """Return whether this very page was committed last, so that only its acknowledgement got lost.

    A page counts as that one if it was fetched at the cursor whose page was committed last, and leads to where the
    session is: taking another page for it would lose that page silently.

    Raises:
        Fenced: the session is neither at this cursor nor right behind it.
    """
    session = record.session
    if session.cursor == cursor:
        return False
    if record.internals.last_cursor_digest == cursor_digest(cursor) and session.cursor == page.next_cursor:
        return True
    raise Fenced(
        f"carrier {session.carrier}: session {session.session_id} has moved on to another page than this worker "
        "expected; this worker stops and writes nothing"
    )


def repeated_cursor(session: Session, page: Page) -> CursorRepeated:
    """Return the error for a page that leads back to a cursor of its own walk."""
    return CursorRepeated(
        f"carrier {session.carrier}: page {session.pages_done + 1} leads back to a page that this walk has "
        f"already fetched, so it would never end. {page.advice_on_repeats}; then run "
        f"`sim-sync restart {session.carrier}`"
    )


def may_come_again(record: SessionRecord, page: Page) -> bool:
    """Return whether a page may hold SIMs that its walk has seen, though the carrier lists each of them once."""
    return page.is_reread or record.internals.walk_restarts > 0
