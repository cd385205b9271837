"""What PostgreSQL does for rate limits that many hosts share (`carriers.shared_limits.SharedLimits`).

The state of a limit is a row, changed while it is locked, with the clock of the database read after that. A place in
flight is an advisory lock of one session, which the server gives back as soon as the process or its host is gone; where
a pooler hands sessions around, it is a lease in a row. Nothing waits inside of a transaction.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import sqlalchemy as sa

from sim_sync.core.errors import SimSyncError
from sim_sync.core.ports import Waiter
from sim_sync.warehouse.engine import open_engine, transaction, translate_db_errors
from sim_sync.warehouse.postgresql import BEHIND_POOLER, NO_TRANSACTION, is_for_many_hosts
from sim_sync.warehouse.store import WarehouseRetry

Outcome = TypeVar("Outcome")
TextChange = Callable[[str | None, float], tuple[str | None, Outcome]]


def shared_limits(url: str, waiter: Waiter) -> "SqlSharedLimits | None":
    """Return where a warehouse keeps limits for all hosts; None where it is one host's own. Nothing is opened yet.

    Args:
        url: the warehouse's.
        waiter: how the time is passed while the warehouse is away.
    """
    if not is_for_many_hosts(url):
        return None
    return SqlSharedLimits(_opened(url), waiter)


@cache
def _opened(url: str) -> "Held":
    """Return what all carriers of this process share: the connections, and the places that it holds."""
    return Held(open_engine(url, **HURRY))


#: A change takes a millisecond or two: who has the row for so long is frozen, and the server ends its transaction.
#: A commit need not be on the disk: a server that crashed is away for a longer time than that of the commits it lost.
HURRY: dict[str, Any] = {"lock_timeout": "'5s'", "synchronous_commit": "off"}


class SqlSharedLimits:
    """`SharedLimits` on PostgreSQL; a warehouse that is away for a while is ridden out."""

    def __init__(self, held: "Held", waiter: Waiter) -> None:
        self._held = held
        self._waiter = waiter

    def change(self, key: str, rule: TextChange[Outcome]) -> Outcome:
        """See `SharedLimits`.

        Raises:
            WarehouseUnavailable: the warehouse stays away.
            StopRequested: the wait for it was cut short.
        """
        return WarehouseRetry(self._waiter)(self._held.rows.change, key, rule)

    def take_place(self, key: str, places: int) -> Callable[[], None] | None:
        """See `SharedLimits`.

        Raises:
            WarehouseUnavailable, StopRequested: as for a change.
        """
        return WarehouseRetry(self._waiter)(self._held.take_place, key, places)


class Held:
    """What one process has of all limits in one warehouse. Threads may share it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.rows = Rows(engine)
        self._places: _Places | None = None

    def take_place(self, key: str, places: int) -> Callable[[], None] | None:
        """Take a place in the way that this database lets us; return how to give it back, None if all are taken."""
        if self._places is None:
            with translate_db_errors(self._engine, _TAKING), self._engine.connect() as connection:
                is_pooled = connection.info[BEHIND_POOLER]
            self._places = LeasedPlaces(self.rows) if is_pooled else LockedPlaces(self._engine)
        return self._places.take(key, places)


class _Places(Protocol):
    def take(self, key: str, places: int) -> Callable[[], None] | None: ...


_TAKING = "taking a place among the requests in flight"


# --- the state of a limit --------------------------------------------------------------------------------------------

#: The clock is read by the outer part, when the inner one has the lock: no two changes have their times in wrong order.
_LOCK = sa.text(
    "WITH locked AS MATERIALIZED (SELECT state FROM rate_limits WHERE shared_key = :key FOR UPDATE) "
    "SELECT state, CAST(extract(epoch FROM clock_timestamp()) AS float8) AS now FROM locked"
)
_NOW = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
_IS_MADE = sa.text("SELECT to_regclass('rate_limits') IS NOT NULL")
_MAKE = sa.text("INSERT INTO rate_limits (shared_key, state) VALUES (:key, '') ON CONFLICT DO NOTHING")
_WRITE = sa.text("UPDATE rate_limits SET state = :state WHERE shared_key = :key")


class Rows:
    """The texts under their keys, one row each; before the first sync has made the tables, this process's own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._is_made = False
        self._before: dict[str, str] = {}
        self._lock = threading.Lock()

    def change(self, key: str, rule: TextChange[Outcome]) -> Outcome:
        """Replace the text under a key by what the rule makes of it, in one transaction."""
        with transaction(self._engine, "keeping a shared rate limit") as connection:
            self._is_made = self._is_made or connection.execute(_IS_MADE).scalar_one()
            if not self._is_made:  # `sim-sync check` makes no tables
                return self._change_before(key, rule, connection.execute(_NOW).scalar_one())
            state, now = self._locked(connection, key)
            text, outcome = rule(state or None, now)
            if text is not None:
                connection.execute(_WRITE, {"key": key, "state": text})
            return outcome

    def _locked(self, connection: sa.Connection, key: str) -> tuple[str, float]:
        while (row := connection.execute(_LOCK, {"key": key}).one_or_none()) is None:
            connection.execute(_MAKE, {"key": key})
        return row.state, row.now

    def _change_before(self, key: str, rule: TextChange[Outcome], now: float) -> Outcome:
        with self._lock:
            text, outcome = rule(self._before.get(key), now)
            if text is not None:
                self._before[key] = text
            return outcome


# --- places in flight as locks of a session --------------------------------------------------------------------------

#: Of the server's side of the session, where it lets us: it notices within 30 s that a host is gone without a word, and
#: does not end a session that is only idle.
_SESSION = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "idle_session_timeout": "0",
}
_SET_UP = sa.text(
    "SELECT set_config(name, CAST(:values AS json) ->> name, false) FROM pg_settings "
    "WHERE CAST(:values AS json) ->> name IS NOT NULL"
)
#: The first of these locks that is free is taken; rows are looked at one after the other, and none after that.
_TAKE = sa.text(
    "SELECT place FROM unnest(CAST(:places AS bigint[])) AS place WHERE pg_try_advisory_lock(place) LIMIT 1"
)
_GIVE_BACK = sa.text("SELECT pg_advisory_unlock(:place)")


class LockedPlaces:
    """The places that this process holds, of all keys, by one session. Threads may share it.

    The server grants a session a lock that it already has: which those are is known here.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._session: sa.Connection | None = None
        self._held: set[int] = set()

    def take(self, key: str, places: int) -> Callable[[], None] | None:
        """Take the first free place of a key; return how to give it back, None if all are taken.

        Raises:
            WarehouseUnavailable: the database is away; what this process held, the server has given back.
        """
        with self._lock:
            wanted = [place for place in _locks_of(key, places) if place not in self._held]
            place = self._try(wanted) if wanted else None
            if place is None:
                return None
            self._held.add(place)
            return partial(self._give_back, place, self._session)

    def _try(self, places: Sequence[int]) -> int | None:
        try:
            with translate_db_errors(self._engine, _TAKING):
                if self._session is None:
                    self._session = self._open()
                found: int | None = self._session.execute(_TAKE, {"places": list(places)}).scalar()
                return found
        except SimSyncError:
            self._forget()
            raise

    def _open(self) -> sa.Connection:
        session = self._engine.connect().execution_options(**{NO_TRANSACTION: True})
        session.detach()  # from the pool: it is closed with this process, and never another's
        session.execute(_SET_UP, {"values": json.dumps(_SESSION)})
        return session

    def _give_back(self, place: int, session: sa.Connection | None) -> None:
        with self._lock:
            self._held.discard(place)
            if session is None or session is not self._session:
                return  # that session has ended, and its locks with it
            try:
                session.execute(_GIVE_BACK, {"place": place})
            except sa.exc.SQLAlchemyError:
                self._forget()

    def _forget(self) -> None:
        """Let go of a session that failed: the next place is taken by another one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(sa.exc.SQLAlchemyError):
                session.close()


def _locks_of(key: str, places: int) -> Sequence[int]:
    """Return the numbers of a key's locks: 63 bits of a hash, so that no other program's are met."""
    digests = (hashlib.sha256(f"sim_sync rate limit {key} {place}".encode()).digest() for place in range(places))
    return [int.from_bytes(digest[:8]) >> 1 for digest in digests]


# --- places in flight as leases --------------------------------------------------------------------------------------

#: A place of a host that has died is free after so long; one that lives renews its places four times as often.
LEASE_SECONDS = 40.0
_RENEW_SECONDS = 10.0


class LeasedPlaces:
    """The places of this process as leases in a row of the key, renewed by a thread while there are some."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._all_given_back = threading.Event()

    def take(self, key: str, places: int) -> Callable[[], None] | None:
        """Take a place of a key; return how to give it back, None if all are taken."""
        row, place = f"{key}.places", uuid4().hex
        if not self._rows.change(row, lambda text, now: _taken(text, now, place, places)):
            return None
        with self._lock:
            if not self._held:
                self._all_given_back = threading.Event()
                renewal = partial(self._keep_renewing, self._all_given_back)
                threading.Thread(target=renewal, name="places in flight", daemon=True).start()
            self._held[place] = row
        return partial(self._give_back, place)

    def _give_back(self, place: str) -> None:
        with self._lock:
            row = self._held.pop(place)
            if not self._held:
                self._all_given_back.set()
        with suppress(SimSyncError):  # its lease will run out
            self._rows.change(row, lambda text, now: _renewed(text, now, {place}, 0.0))

    def _keep_renewing(self, is_over: threading.Event) -> None:
        while not is_over.wait(_RENEW_SECONDS):
            with self._lock:
                held = dict(self._held)
            for row in set(held.values()):
                places = {place for place, its_row in held.items() if its_row == row}
                with suppress(SimSyncError):
                    self._rows.change(row, partial(_renewed, places=places))


def _taken(text: str | None, now: float, place: str, places: int) -> tuple[str | None, bool]:
    """Take a place where one is free."""
    leases = _living(text, now)
    if len(leases) >= places:
        return None, False
    return json.dumps(leases | {place: now + LEASE_SECONDS}), True


def _renewed(
    text: str | None, now: float, places: set[str], lease_seconds: float = LEASE_SECONDS
) -> tuple[str | None, None]:
    """Extend the leases of these places, or give them back at once; one that has run out may be another's by now."""
    leases = _living(text, now)
    return json.dumps(leases | {place: now + lease_seconds for place in places if place in leases}), None


def _living(text: str | None, now: float) -> dict[str, float]:
    """Return the places whose leases run; none is longer than a lease, also when the clock was set back."""
    leases: Mapping[str, Any] = json.loads(text or "{}")
    return {place: min(until, now + LEASE_SECONDS) for place, until in leases.items() if until > now}
