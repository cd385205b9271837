"""What is compared, in order, and the counts that people and asset checks ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.session import Session
from sim_sync.warehouse.discrepancies import is_muted
from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.matching import counted_by_carrier_and_word
from sim_sync.warehouse.sessions import read_last_completed
from sim_sync.warehouse.tables import carrier_internals, carrier_sims, session_internals, sim_discrepancies

# What is compared, in order: how often our list changed, which walk was the last complete one, and what was compared.
#
# Numbers and not times: a list that was loaded, or a walk that ended, while a clock was wrong is new all the same,
# and one that was compared is compared. Whoever calls these holds the lock of the comparison.


_noted = carrier_internals.c


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierInternals:
    """One row of `carrier_internals`: what sim_sync remembers of a carrier for itself. Numbers count from 1."""

    list_number: int = 0
    list_changed_at: datetime | None = None
    comparison_number: int = 0
    compared_at: datetime | None = None
    compared_session_number: int = 0
    compared_list_number: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison: its number, which is that of the last one where nothing new is known, and the time it speaks of."""

    number: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared of a carrier: when the newest of that came to be known, and what is new since."""

    as_of: datetime | None
    walk_is_newer: bool
    list_is_newer: bool


def note_list_change(connection: sa.Connection, carrier: str, now: datetime) -> None:
    """Write down that our list of the carrier has changed."""
    noted = _read(connection, carrier)
    _write(connection, carrier, list_number=noted.list_number + 1, list_changed_at=now)


def next_comparison(connection: sa.Connection, carrier: str, walk: Session) -> Comparison:
    """Write down that our list is compared with the carrier's last complete walk, and return the comparison."""
    noted = _read(connection, carrier)
    times = _new_since(noted, walk)
    if not times and noted.compared_at is not None:
        return Comparison(noted.comparison_number, noted.compared_at)
    comparison = Comparison(noted.comparison_number + 1, max(times, default=walk.updated_at))
    _write(
        connection,
        carrier,
        comparison_number=comparison.number,
        compared_at=comparison.as_of,
        compared_session_number=walk.session_number,
        compared_list_number=noted.list_number,
    )
    return comparison


def last_comparisons(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, Comparison | None]:
    """Return the last comparison of each of the carriers; None where one was never compared."""
    return {
        carrier: None if one.compared_at is None else Comparison(one.comparison_number, one.compared_at)
        for carrier, one in _read_all(connection, carriers).items()
    }


def _new_since(noted: CarrierInternals, walk: Session) -> list[datetime]:
    """Return when what is new since the last comparison came to be known."""
    times = []
    if walk.session_number > noted.compared_session_number:
        times.append(walk.finished_at)
    if noted.list_number > noted.compared_list_number:
        times.append(noted.list_changed_at)
    return [time for time in times if time is not None]


def compared_of(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, Compared]:
    """Return what was compared of each of the carriers."""
    with reading(engine, "reading what was compared") as connection:
        walks = {walk.carrier: walk.session_number for walk in read_last_completed(connection, carriers)}
        noted = _read_all(connection, carriers)
    return {
        carrier: Compared(
            as_of=one.compared_at,
            walk_is_newer=walks.get(carrier, 0) > one.compared_session_number,
            list_is_newer=one.list_number > one.compared_list_number,
        )
        for carrier, one in noted.items()
    }


def _read(connection: sa.Connection, carrier: str) -> CarrierInternals:
    return _read_all(connection, [carrier])[carrier]


def _read_all(connection: sa.Connection, carriers: Sequence[str]) -> Mapping[str, CarrierInternals]:
    rows = connection.execute(sa.select(carrier_internals).where(_noted.carrier.in_(carriers))).mappings()
    found = {row["carrier"]: {name: value for name, value in row.items() if name != "carrier"} for row in rows}
    return {carrier: CarrierInternals(**found.get(carrier, {})) for carrier in carriers}


def _write(connection: sa.Connection, carrier: str, **values: Any) -> None:
    update = carrier_internals.update().where(_noted.carrier == carrier).values(**values)
    if connection.execute(update).rowcount == 0:
        connection.execute(carrier_internals.insert().values(carrier=carrier, **values))


# What people and asset checks ask the tables: counts. Read only.


def present_sims(engine: sa.Engine, carrier: str) -> int:
    """Count the carrier's SIMs that are not marked vanished."""
    sims = carrier_sims.c
    query = sa.select(sa.func.count()).where(sims.carrier == carrier, sims.vanished_at.is_(None))
    with reading(engine, f"counting the SIMs of carrier {carrier}") as connection:
        return connection.execute(query).scalar_one()


def present_sims_of_all(engine: sa.Engine) -> int:
    """Count the SIMs of all carriers that are not marked vanished."""
    with reading(engine, "counting the SIMs") as connection:
        query = sa.select(sa.func.count()).select_from(carrier_sims).where(carrier_sims.c.vanished_at.is_(None))
        return connection.execute(query).scalar_one()


def count_unknown_status_words(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Count present SIMs by carrier and by the status words that its connector does not know; none is left out."""
    query = counted_by_carrier_and_word()
    query = query.where(carrier_sims.c.carrier.in_(carriers)).order_by(*query.selected_columns[:2])
    counts: dict[str, dict[str, int]] = {}
    with reading(engine, "counting unknown status words") as connection:
        for carrier, word, count in connection.execute(query):
            counts.setdefault(carrier, {})[word] = count
    return counts


class WalkTotal(NamedTuple):
    """How many SIMs a carrier said it has, at its last completed walk, and how many that saw."""

    told: int
    seen: int


def totals_of_last_walks(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, WalkTotal]:
    """Return the totals of the carriers' last completed walks; those that tell none are left out."""
    known = session_internals.c
    with reading(engine, "reading the totals of the last walks") as connection:
        walks = {walk.session_id: walk.carrier for walk in read_last_completed(connection, carriers)}
        query = sa.select(known.session_id, known.carrier_total, known.sims_seen).where(
            known.session_id.in_(list(walks)), known.carrier_total.is_not(None), known.sims_seen.is_not(None)
        )
        return {walks[session_id]: WalkTotal(told, seen) for session_id, told, seen in connection.execute(query)}


def count_open_discrepancies(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, int]:
    """Count the open discrepancies by carrier that nobody has acknowledged; carriers without one are left out."""
    found = sim_discrepancies.c
    with reading(engine, "counting open discrepancies") as connection:
        query = (
            sa.select(found.carrier, sa.func.count())
            .where(found.carrier.in_(carriers), found.resolved_at.is_(None), ~is_muted(read_clock(connection)))
            .group_by(found.carrier)
            .order_by(found.carrier)
        )
        return {row[0]: row[1] for row in connection.execute(query)}


def count_high_discrepancies(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, int]:
    """Count the open discrepancies of high severity by carrier that nobody has acknowledged; none is left out."""
    found = sim_discrepancies.c
    is_severe = sa.and_(found.carrier.in_(carriers), found.severity == "high", found.resolved_at.is_(None))
    with reading(engine, "counting severe discrepancies") as connection:
        query = (
            sa.select(found.carrier, sa.func.count())
            .where(is_severe, ~is_muted(read_clock(connection)))
            .group_by(found.carrier)
            .order_by(found.carrier)
        )
        return {row[0]: row[1] for row in connection.execute(query)}
