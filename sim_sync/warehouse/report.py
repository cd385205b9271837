"""The figures of a report, counted by the database in one reading: no row of a SIM is fetched but the worst few."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from sim_sync.core.report import FieldCount, Flow, Hotspot, Night, Pair, Pile, ReasonCount, Reasons, ReportFigures
from sim_sync.warehouse.discrepancies import is_muted, told_column, with_names, worst_discrepancies
from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.tables import (
    carrier_sims,
    inventory_findings,
    inventory_sims,
    quarantined_records,
    sim_changes,
    sim_discrepancies,
)

#: So many lines has a list of groups; the rest is told as a number.
_LINES = 10
#: The issuer's digits of an ICCID and the first of a batch: SIMs that were bought together.
_RANGE_DIGITS = 10
#: Fields whose values are words. Those of other fields name single SIMs, and are counted together.
_WORDY = ("", "status", "rate_plan")

_found, _sims, _listed = sim_discrepancies.c, carrier_sims.c, inventory_sims.c


def report_figures(engine: sa.Engine, carriers: Sequence[str], since: datetime, *, rows: int) -> ReportFigures:
    """Count what a report of these carriers tells.

    Args:
        engine: the warehouse.
        carriers: their names.
        since: where the period begins.
        rows: how many discrepancies are listed, the worst first.
    """
    with reading(engine, "counting the figures of the report") as connection:
        now = read_clock(connection)
        return ReportFigures(
            since=since,
            as_of=now,
            sims=_by_carrier(connection, _sims.carrier, _sims.vanished_at, carriers),
            listed=_by_carrier(connection, _listed.carrier, _listed.removed_at, carriers),
            piles=_piles(connection, carriers, now),
            flows=_flows(connection, carriers, since, now),
            nights=_nights(connection, carriers, since, now),
            pairs=_pairs(connection, carriers, now),
            hotspots=list(_hotspots(connection, carriers, now)),
            unread=_unread(connection, carriers),
            unusable=_unusable(connection, carriers),
            changes=_changes(connection, carriers, since),
            worst=worst_discrepancies(connection, carriers, now, rows),
        )


def _by_carrier(
    connection: sa.Connection, carrier: sa.Column[str], gone_at: sa.Column[datetime], carriers: Sequence[str]
) -> Mapping[str, int]:
    query = sa.select(carrier, sa.func.count()).where(carrier.in_(carriers), gone_at.is_(None)).group_by(carrier)
    return {row[0]: row[1] for row in connection.execute(query)}


def _piles(connection: sa.Connection, carriers: Sequence[str], now: datetime) -> Sequence[Pile]:
    muted = sa.case((is_muted(now), sa.true()), else_=sa.false())
    keys = (_found.carrier, _found.kind, _found.severity, muted)
    query = (
        sa.select(*keys, sa.func.count())
        .where(_found.carrier.in_(carriers), _found.resolved_at.is_(None))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [Pile(row[0], row[1], row[2], bool(row[3]), row[4]) for row in connection.execute(query)]


def _open(carriers: Sequence[str], now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(_found.carrier.in_(carriers), _found.resolved_at.is_(None), ~is_muted(now))


def _flows(connection: sa.Connection, carriers: Sequence[str], since: datetime, now: datetime) -> Mapping[str, Flow]:
    opened = _grouped(connection, _found.carrier, sa.and_(_open(carriers, now), _found.first_seen_at >= since))
    resolved = _grouped(connection, _found.carrier, _resolved_since(carriers, since))
    return {name: Flow(opened.get(name, 0), resolved.get(name, 0)) for name in {*opened, *resolved}}


def _nights(connection: sa.Connection, carriers: Sequence[str], since: datetime, now: datetime) -> Sequence[Night]:
    dialect = connection.dialect.name
    opened_in = sa.and_(_open(carriers, now), _found.first_seen_at >= since)
    opened = _grouped(connection, _day(dialect, _found.first_seen_at), opened_in)
    resolved = _grouped(connection, _day(dialect, _found.resolved_at), _resolved_since(carriers, since))
    days = sorted({*opened, *resolved})
    return [Night(date.fromisoformat(day), opened.get(day, 0), resolved.get(day, 0)) for day in days]


def _resolved_since(carriers: Sequence[str], since: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(_found.carrier.in_(carriers), _found.resolved_at >= since)


def _grouped(connection: sa.Connection, key: sa.ColumnElement[str], which: sa.ColumnElement[bool]) -> Mapping[str, int]:
    query = sa.select(key, sa.func.count()).where(which).group_by(key)
    return {row[0]: row[1] for row in connection.execute(query)}


def _day(dialect_name: str, at: sa.Column[datetime]) -> sa.ColumnElement[str]:
    """Return the SQL of the day of a time in UTC, as `2026-03-02`."""
    if dialect_name == "sqlite":
        return sa.func.substr(sa.cast(at, sa.Text()), 1, 10)
    return sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD")


def _pairs(connection: sa.Connection, carriers: Sequence[str], now: datetime) -> Sequence[Pair]:
    is_wordy = _found.field.in_(_WORDY)
    ours, theirs = (sa.case((is_wordy, value), else_=sa.null()) for value in (_found.ours, _found.theirs))
    keys = (_found.kind, _found.field, ours, theirs)
    grouped = (
        sa.select(*(key.label(f"k{place}") for place, key in enumerate(keys)), sa.func.count().label("found"))
        .where(_open(carriers, now))
        .group_by(*keys)
        .subquery()
    )
    order = (grouped.c.found.desc(), *(grouped.c[f"k{place}"] for place in range(len(keys))))
    return [Pair(*row) for row in connection.execute(sa.select(grouped).order_by(*order).limit(_LINES))]


def _hotspots(connection: sa.Connection, carriers: Sequence[str], now: datetime) -> Iterator[Hotspot]:
    plan = told_column("rate_plan")
    yield from _largest(connection, "plan", (plan, with_names()), _sims.rate_plan, _open(carriers, now))
    in_range = sa.func.substr(_found.iccid, 1, _RANGE_DIGITS)
    has_iccid = sa.and_(_open(carriers, now), ~_found.iccid.startswith("sim_id:"))
    same = sa.func.substr(_sims.iccid, 1, _RANGE_DIGITS)
    yield from _largest(connection, "ICCID range", (in_range, sim_discrepancies), same, has_iccid)


def _largest(
    connection: sa.Connection,
    group: str,
    counted: tuple[sa.ColumnElement[Any], sa.FromClause],
    of_sims: sa.ColumnElement[Any],
    which: sa.ColumnElement[bool],
) -> Iterator[Hotspot]:
    """Yield the groups with most discrepancies; `counted` is what they have in common, and where that is found."""
    value, source = counted
    number = sa.func.count().label("number")
    query = (
        sa.select(_found.carrier, value.label("value"), number)
        .select_from(source)
        .where(which, value.is_not(None))
        .group_by(_found.carrier, value)
        .order_by(number.desc(), _found.carrier, value)
        .limit(_LINES)
    )
    rows = connection.execute(query).all()
    sizes = _sizes(connection, of_sims, {row[0] for row in rows}, {row[1] for row in rows})
    for carrier, name, count in rows:
        yield Hotspot(carrier, group, name, count, sizes.get((carrier, name), 0))


def _sizes(
    connection: sa.Connection, value: sa.ColumnElement[Any], carriers: set[str], names: set[str]
) -> Mapping[tuple[str, str], int]:
    if not names:
        return {}
    query = (
        sa.select(_sims.carrier, value, sa.func.count())
        .where(_sims.carrier.in_(sorted(carriers)), _sims.vanished_at.is_(None), value.in_(sorted(names)))
        .group_by(_sims.carrier, value)
    )
    return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def _unread(connection: sa.Connection, carriers: Sequence[str]) -> Reasons:
    records = quarantined_records.c
    which = sa.and_(records.carrier.in_(carriers), records.resolved_at.is_(None))
    return _reasons(connection, records.carrier, records.reason, which)


def _unusable(connection: sa.Connection, carriers: Sequence[str]) -> Reasons:
    """Count findings of our list by source and reason: of these carriers, and of rows that name no carrier."""
    rows = inventory_findings.c
    which = sa.or_(rows.carrier.in_(carriers), rows.carrier.is_(None))
    return _reasons(connection, rows.source, rows.reason, which)


def _reasons(
    connection: sa.Connection, of: sa.Column[str], reason: sa.Column[str], which: sa.ColumnElement[bool]
) -> Reasons:
    number = sa.func.count()
    total = connection.execute(sa.select(number).select_from(of.table).where(which)).scalar_one()
    query = sa.select(of, reason, number).where(which).group_by(of, reason).order_by(number.desc(), of, reason)
    return Reasons(total, [ReasonCount(*row) for row in connection.execute(query.limit(_LINES))])


def _changes(connection: sa.Connection, carriers: Sequence[str], since: datetime) -> Sequence[FieldCount]:
    changed = sim_changes.c
    query = (
        sa.select(changed.carrier, changed.field, sa.func.count())
        .where(changed.carrier.in_(carriers), changed.changed_at >= since)
        .group_by(changed.carrier, changed.field)
        .order_by(changed.carrier, changed.field)
    )
    return [FieldCount(*row) for row in connection.execute(query)]
