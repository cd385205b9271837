"""Which SIMs a walk has seen: how that is written down, and the one place that answers it.

A SIM whose row a walk has written names that walk in `last_seen_session`. One that is as it was is not written: its
number goes into `seen_sims`, one row a page, in the page's own transaction. A walk has seen the SIMs of both kinds. At
its end its numbers are laid out in a temporary table, so that what it missed is one difference of two sets; while it
lasts, its owner has them as bits. Runs inside the transaction that `store` opened; nothing here commits.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import sqlalchemy as sa

from sim_sync.core.session import Session
from sim_sync.core.storable import canonical_json
from sim_sync.warehouse.engine import RowId, text_of_json
from sim_sync.warehouse.tables import carrier_sims, seen_sims, sync_sessions
from sim_sync.warehouse.temporary import analyzed

_sims, _seen, _walks = carrier_sims.c, seen_sims.c, sync_sessions.c

# --- while a walk lasts ----------------------------------------------------------------------------------------------

_NOTES_AT_ONCE = 200


class SeenNumbers:
    """The numbers of the SIMs that a walk has seen and not written, a bit each: 10 million take 1.25 MB."""

    def __init__(self, session_number: int) -> None:
        self.session_number = session_number
        self._last_place = 0
        self._bits = bytearray()

    def __contains__(self, number: int | None) -> bool:
        if number is None or number >> 3 >= len(self._bits):
            return False
        return bool(self._bits[number >> 3] >> (number & 7) & 1)

    def without(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the numbers that are not among these."""
        return [number for number in numbers if number not in self] if self._bits else list(numbers)

    def is_brought_up_to_date(self, connection: sa.Connection, carrier: str) -> bool:
        """Read what has been noted since the last time; False where what was read then is not there any more."""
        while True:
            expected, rows = self._last_place, self._next_notes(connection, carrier)
            if expected and (not rows or rows[0].place != expected):
                return False
            for row in rows:
                self._add(json.loads(row.numbers or "[]"))
                self._last_place = row.place
            if len(rows) < _NOTES_AT_ONCE:
                return True

    def _next_notes(self, connection: sa.Connection, carrier: str) -> Sequence[sa.Row[Any]]:
        key = {"carrier": carrier, "session_number": self.session_number, "last_place": self._last_place}
        return connection.execute(_next_notes(connection.dialect.name), key).all()

    def _add(self, numbers: Sequence[int]) -> None:
        most = max(numbers, default=0) >> 3
        if most >= len(self._bits):
            self._bits.extend(bytes(most + 1 - len(self._bits) + (len(self._bits) >> 3)))
        for number in numbers:
            self._bits[number >> 3] |= 1 << (number & 7)


@cache
def _next_notes(dialect_name: str) -> sa.TextClause:
    # The last one that was read comes again, without its numbers: it says that these are the notes that were read.
    numbers = text_of_json(dialect_name, "sim_numbers")
    return sa.text(
        f"SELECT place, CASE WHEN place > :last_place THEN {numbers} END AS numbers FROM seen_sims "
        "WHERE carrier = :carrier AND session_number = :session_number AND place >= :last_place "
        f"ORDER BY place LIMIT {_NOTES_AT_ONCE}"
    )


class SeenMemory:
    """What the walks of one process have seen, kept from page to page. Only what was committed is ever in it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._by_carrier: dict[str, SeenNumbers] = {}

    def numbers_of(self, connection: sa.Connection, session: Session) -> SeenNumbers:
        """Return what a session has seen. To be asked before its transaction notes anything."""
        with self._lock:
            known = self._by_carrier.get(session.carrier)
            is_current = known is not None and known.session_number == session.session_number
            if known is None or not is_current or not known.is_brought_up_to_date(connection, session.carrier):
                known = read_numbers(connection, session.carrier, session.session_number)
            self._by_carrier[session.carrier] = known
            return known


def read_numbers(connection: sa.Connection, carrier: str, session_number: int) -> SeenNumbers:
    """Return what a session has seen, as it is noted."""
    numbers = SeenNumbers(session_number)
    numbers.is_brought_up_to_date(connection, carrier)
    return numbers


def read_noted_walks(connection: sa.Connection, carrier: str) -> list[SeenNumbers]:
    """Return what each walk has seen whose notes are kept, the newest walk first: the last completed one, and later."""
    query = sa.select(_seen.session_number).where(_seen.carrier == carrier).distinct()
    numbers = sorted(connection.execute(query).scalars(), reverse=True)
    return [read_numbers(connection, carrier, number) for number in numbers]


@cache
def _note(dialect_name: str) -> sa.TextClause:
    numbers = ":sim_numbers" if dialect_name == "sqlite" else "CAST(:sim_numbers AS json)"
    return sa.text(
        "INSERT INTO seen_sims (carrier, session_number, place, sim_numbers) "
        f"SELECT CAST(:carrier AS text), :session_number, COALESCE(MAX(place), 0) + 1, {numbers} FROM seen_sims "
        "WHERE carrier = :carrier AND session_number = :session_number"
    )


def note_seen(connection: sa.Connection, session: Session, numbers: Sequence[int]) -> None:
    """Note SIMs of a page that the walk has seen and that are as they were."""
    if numbers:
        key = {"carrier": session.carrier, "session_number": session.session_number}
        connection.execute(_note(connection.dialect.name), key | {"sim_numbers": canonical_json(list(numbers))})


_NEXT_NUMBERS = sa.text(
    "UPDATE sim_numbers SET last_number = last_number + :count WHERE carrier = :carrier RETURNING last_number"
)
#: Behind those that are there: rows may have been copied, or have got the name of another carrier.
_FIRST_NUMBERS = sa.text(
    "INSERT INTO sim_numbers (carrier, last_number) "
    "SELECT CAST(:carrier AS text), COALESCE(MAX(sim_number), 0) + :count FROM carrier_sims WHERE carrier = :carrier "
    "RETURNING last_number"
)


def new_numbers(connection: sa.Connection, carrier: str, count: int) -> Iterator[int]:
    """Return numbers for so many of the carrier's SIMs. None is ever given again, whoever deletes its row."""
    if not count:
        return iter(())
    key = {"carrier": carrier, "count": count}
    last = connection.execute(_NEXT_NUMBERS, key).scalar_one_or_none()
    if last is None:
        last = connection.execute(_FIRST_NUMBERS, key).scalar_one()
    return iter(range(int(last) - count + 1, int(last) + 1))


# --- at its end ------------------------------------------------------------------------------------------------------


def _laid_out(name: str) -> sa.Table:
    column = sa.Column("sim_number", RowId, primary_key=True, autoincrement=False)
    return sa.Table(name, sa.MetaData(), column, prefixes=["TEMPORARY"])


_by_walk, _by_earlier_walk = _laid_out("seen_by_walk"), _laid_out("seen_by_earlier_walk")


@contextmanager
def laid_out(connection: sa.Connection, session: Session, *, and_later: bool = False) -> Iterator[None]:
    """Have what the session has seen laid out while the block runs, which the conditions below need.

    `and_later`: also what any later session has seen.
    """
    last = _LAST if and_later else session.session_number
    with _numbers_in(connection, _by_walk, session.carrier, range(session.session_number, last + 1)):
        yield


@contextmanager
def laid_out_of_later(connection: sa.Connection, session: Session) -> Iterator[None]:
    """Have what sessions after this one have noted laid out while the block runs, for `is_noted`."""
    with _numbers_in(connection, _by_walk, session.carrier, range(session.session_number + 1, _LAST + 1)):
        yield


_LAST = 2**62


@contextmanager
def _numbers_in(connection: sa.Connection, table: sa.Table, carrier: str, walks: range) -> Iterator[None]:
    """Fill a temporary table while the block runs; after an error the transaction's end drops it."""
    table.create(connection)
    numbers = _expanded(connection.dialect.name, table.name)
    connection.execute(numbers, {"carrier": carrier, "first": walks.start, "last": walks.stop - 1})
    analyzed(connection, table)
    yield
    table.drop(connection)


@cache
def _expanded(dialect_name: str, table: str) -> sa.TextClause:
    number, source = "CAST(value AS bigint)", "json_array_elements_text(sim_numbers) AS one(value)"
    if dialect_name == "sqlite":
        number, source = "value", "json_each(sim_numbers)"
    return sa.text(
        f"INSERT INTO {table} SELECT DISTINCT {number} AS number FROM seen_sims, {source} "
        "WHERE carrier = :carrier AND session_number BETWEEN :first AND :last ORDER BY number"
    ).bindparams(*(sa.bindparam(name, type_=sa.BigInteger()) for name in ("first", "last")))


def is_seen(session: Session, sims: sa.FromClause = carrier_sims) -> sa.ColumnElement[bool]:
    """Return the condition of the SIMs that the session has seen, on `carrier_sims` or an alias of it."""
    return sa.or_(sims.c.last_seen_session == session.session_id, _is_in(_by_walk, sims))


def is_unseen(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs that are there, as far as is known, and that the session misses."""
    is_not_written = _sims.last_seen_session != session.session_id
    return sa.and_(_there(session), is_not_written, ~_is_in(_by_walk))


def is_unseen_since(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition of such SIMs that neither the session nor any later one has seen."""
    since = sa.select(_walks.session_id).where(
        _walks.carrier == session.carrier, _walks.session_number >= session.session_number
    )
    return sa.and_(_there(session), _sims.last_seen_session.not_in(since), ~_is_in(_by_walk))


def _there(session: Session) -> sa.ColumnElement[bool]:
    return sa.and_(_sims.carrier == session.carrier, _sims.vanished_at.is_(None))


def _is_in(table: sa.Table, sims: sa.FromClause = carrier_sims) -> sa.ColumnElement[bool]:
    return sa.exists().where(table.c.sim_number == sims.c.sim_number)


def is_noted(sims: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition of the rows, of whatever table has a `sim_number`, of SIMs that are laid out."""
    return _is_in(_by_walk, sims)


# --- what is left of it ----------------------------------------------------------------------------------------------


def settle_earlier_walks(connection: sa.Connection, session: Session, *, misses: bool) -> None:
    """Forget what earlier walks have noted; first write into the rows that this one misses which walk saw them last.

    What the session has seen is laid out. `misses`: whether it misses any.
    """
    query = sa.select(_seen.session_number).where(_seen.carrier == session.carrier).distinct()
    earlier = sorted(number for number in connection.execute(query).scalars() if number < session.session_number)
    for number in earlier if misses else ():
        _write_last_seen(connection, session, number)
    connection.execute(seen_sims.delete().where(_seen.carrier == session.carrier, _seen.session_number.in_(earlier)))


def _write_last_seen(connection: sa.Connection, session: Session, number: int) -> None:
    walks = sa.select(_walks.session_id).where(_walks.carrier == session.carrier)
    since = walks.where(_walks.session_number > number)
    session_id = connection.execute(walks.where(_walks.session_number == number)).scalar_one_or_none()
    if session_id is None:
        return
    with _numbers_in(connection, _by_earlier_walk, session.carrier, range(number, number + 1)):
        is_last = sa.and_(_is_in(_by_earlier_walk), _sims.last_seen_session.not_in(since))
        update = carrier_sims.update().where(is_unseen(session), is_last)
        connection.execute(update.values(last_seen_session=session_id))


def last_seen_number(noted: Iterable[SeenNumbers], number: int | None, written: int) -> int:
    """Return the number of the session that saw a SIM last.

    Args:
        noted: from `read_noted_walks`.
        number: the SIM's.
        written: the number of the session that wrote its row last.
    """
    return max(written, next((walk.session_number for walk in noted if number in walk), 0))
