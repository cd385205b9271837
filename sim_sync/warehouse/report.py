"""The figures of a report, counted by the database in one reading: no row of a SIM is fetched but the worst few."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import can_concentrate
from sim_sync.core.inventory import BY_EID
from sim_sync.core.report import (
    SEVERITIES,
    FieldCount,
    Flow,
    Hotspot,
    Night,
    Pair,
    Pile,
    ReasonCount,
    Reasons,
    ReportFigures,
    Standing,
    Todo,
)
from sim_sync.warehouse.discrepancies import BY_ID, is_muted, units_in, worst_discrepancies
from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.tables import (
    carrier_sims,
    inventory_findings,
    inventory_sims,
    quarantined_records,
    reconciliations,
    sim_changes,
    sim_discrepancies,
)

#: So many lines has a list of groups; the rest is told as a number.
_LINES = 10
#: Among so many discrepancies of a carrier, groups are looked for whatever share of its SIMs differs.
_FEW = 20_000
#: The issuer's digits of an ICCID and the first of a batch: SIMs that were bought together.
_RANGE_DIGITS = 10
#: Fields whose values are words. Those of other fields name single SIMs, and are counted together.
_WORDY = ("", "status", "rate_plan")
#: What SIMs may have in common.
_PLAN, _RANGE = "plan", "ICCID range"
_GROUPS = (_PLAN, _RANGE)

_found, _sims, _listed, _reconciled = sim_discrepancies.c, carrier_sims.c, inventory_sims.c, reconciliations.c


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
        counted = _counted(connection, carriers, since, now)
        resolved = _resolved(connection, carriers, since)
        sims = _numbers(connection, _sims.carrier, _sims.vanished_at, carriers)
        return ReportFigures(
            since=since,
            as_of=now,
            sims=sims,
            listed=_numbers(connection, _listed.carrier, _listed.removed_at, carriers),
            piles=_piles(counted),
            flows=_flows(counted, resolved),
            nights=_nights(counted, resolved),
            standings=_standings(connection, carriers, since),
            pairs=_pairs(counted),
            todos=_todos(counted),
            hotspots=_hotspots(connection, _groupable(counted, sims), now),
            unread=_unread(connection, carriers),
            unusable=_unusable(connection, carriers),
            changes=_changes(connection, carriers, since),
            worst=worst_discrepancies(connection, carriers, now, rows),
        )


def brief_figures(engine: sa.Engine, carriers: Sequence[str], since: datetime) -> ReportFigures:
    """Count what is open, what a period opened and resolved, and what stood after each night; nothing else."""
    with reading(engine, "counting what differs") as connection:
        now = read_clock(connection)
        counted = _counted(connection, carriers, since, now)
        resolved = _resolved(connection, carriers, since)
        return ReportFigures(
            since=since,
            as_of=now,
            piles=_piles(counted),
            flows=_flows(counted, resolved),
            nights=_nights(counted, resolved),
            standings=_standings(connection, carriers, since),
            pairs=_pairs(counted),
        )


def _numbers(
    connection: sa.Connection, carrier: sa.Column[str], gone_at: sa.Column[datetime], carriers: Sequence[str]
) -> Mapping[str, int]:
    """Count the SIMs that are there, of a table with these two columns, by carrier."""
    query = sa.select(carrier, sa.func.count()).where(carrier.in_(carriers), gone_at.is_(None)).group_by(carrier)
    return {row[0]: row[1] for row in connection.execute(query)}


class _Counted(NamedTuple):
    """Open discrepancies that have all of this in common. `day` is when they opened, None before the period."""

    carrier: str
    kind: str
    severity: str
    field: str
    advice: str | None
    ours: str | None
    theirs: str | None
    is_muted: int
    day: str | None
    found: int
    cost: int | None


def _counted(connection: sa.Connection, carriers: Sequence[str], since: datetime, now: datetime) -> Sequence[_Counted]:
    """Count what is open in one pass: all that is told of it is added up from this."""
    is_wordy = _found.field.in_(_WORDY)
    day = _day(connection.dialect.name, _found.first_seen_at)
    keys: Mapping[str, sa.ColumnElement[Any]] = {
        "carrier": _found.carrier,
        "kind": _found.kind,
        "severity": _found.severity,
        "field": _found.field,
        "advice": _found.advice,
        "ours": sa.case((is_wordy, _found.ours), else_=sa.null()),
        "theirs": sa.case((is_wordy, _found.theirs), else_=sa.null()),
        "is_muted": sa.case((is_muted(now), 1), else_=0),
        "day": sa.case((_found.first_seen_at >= since, day), else_=sa.null()),
    }
    named = sa.select(*(key.label(name) for name, key in keys.items()), units_in(_found.monthly_cost).label("cost"))
    rows = named.where(_found.carrier.in_(carriers), _found.resolved_at.is_(None)).subquery()
    columns = [rows.c[name] for name in keys]
    query = sa.select(*columns, sa.func.count(), sa.func.sum(rows.c.cost)).group_by(*columns)
    return [_Counted._make(row) for row in connection.execute(query)]


def _standings(connection: sa.Connection, carriers: Sequence[str], since: datetime) -> Sequence[Standing]:
    """Return the last reconciliation of each carrier and day of the period, and the last one before it."""
    day = _day(connection.dialect.name, _reconciled.reconciled_at)
    within = sa.case((_reconciled.reconciled_at >= since, day), else_=sa.literal("", sa.Text()))
    newest_first = _reconciled.comparison_number.desc()
    place = sa.func.row_number().over(partition_by=(_reconciled.carrier, within), order_by=newest_first)
    counts = (_reconciled[name] for name in ("high", "medium", "low"))
    rows = (
        sa.select(_reconciled.carrier, day.label("day"), *counts, units_in(_reconciled.monthly_cost).label("cost"))
        .add_columns(_reconciled.currency, _reconciled.comparison_number, place.label("place"))
        .where(_reconciled.carrier.in_(carriers))
        .subquery()
    )
    query = sa.select(rows).where(rows.c.place == 1).order_by(rows.c.day, rows.c.carrier, rows.c.comparison_number)
    found = connection.execute(query)
    return [
        Standing(row[0], date.fromisoformat(row[1]), row[2], row[3], row[4], _whole(row[5]), row[6]) for row in found
    ]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


class _Resolved(NamedTuple):
    """Discrepancies that one day has resolved; `opened` is the day when they opened, None before the period."""

    carrier: str
    day: str
    opened: str | None
    found: int


def _resolved(connection: sa.Connection, carriers: Sequence[str], since: datetime) -> Sequence[_Resolved]:
    dialect = connection.dialect.name
    opened = sa.case((_found.first_seen_at >= since, _day(dialect, _found.first_seen_at)), else_=sa.null())
    query = sa.select(_found.carrier, _day(dialect, _found.resolved_at).label("day"), opened.label("opened"))
    rows = query.where(_found.carrier.in_(carriers), _found.resolved_at >= since).subquery()
    columns = (rows.c.carrier, rows.c.day, rows.c.opened)
    grouped = sa.select(*columns, sa.func.count()).group_by(*columns)
    return [_Resolved._make(row) for row in connection.execute(grouped)]


def _piles(counted: Sequence[_Counted]) -> Sequence[Pile]:
    found, costs = Counter[tuple[str, str, str, bool]](), dict[tuple[str, str, str, bool], int]()
    for one in counted:
        key = (one.carrier, one.kind, one.severity, bool(one.is_muted))
        found[key] += one.found
        if one.cost is not None:
            costs[key] = costs.get(key, 0) + int(one.cost)
    return [Pile(*key, found[key], costs.get(key)) for key in sorted(found)]


def _flows(counted: Sequence[_Counted], resolved: Sequence[_Resolved]) -> Mapping[str, Flow]:
    opened, gone = Counter[str](), Counter[str]()
    for one in counted:
        opened[one.carrier] += one.found if one.day is not None and not one.is_muted else 0
    for other in resolved:
        gone[other.carrier] += other.found
    return {name: Flow(opened[name], gone[name]) for name in sorted({*opened, *gone}) if opened[name] or gone[name]}


def _nights(counted: Sequence[_Counted], resolved: Sequence[_Resolved]) -> Sequence[Night]:
    """Return what each day opened, also what was resolved since, and what it resolved."""
    opened, gone = Counter[str](), Counter[str]()
    for one in counted:
        if one.day is not None and not one.is_muted:
            opened[one.day] += one.found
    for other in resolved:
        gone[other.day] += other.found
        if other.opened is not None:
            opened[other.opened] += other.found
    return [Night(date.fromisoformat(day), opened[day], gone[day]) for day in sorted({*opened, *gone})]


def _pairs(counted: Sequence[_Counted]) -> Sequence[Pair]:
    found = Counter[tuple[str, str, str | None, str | None]]()
    for one in counted:
        if not one.is_muted:
            found[one.kind, one.field, one.ours, one.theirs] += one.found
    most = sorted(found, key=lambda key: (-found[key], [word or "" for word in key]))
    return [Pair(*key, found[key]) for key in most[:_LINES]]


def _todos(counted: Sequence[_Counted]) -> Sequence[Todo]:
    """Return what to do, for the worst first, then for what costs most."""
    found, costs = Counter[tuple[str, str]](), dict[tuple[str, str], int]()
    for one in counted:
        if one.advice is None or one.is_muted:
            continue
        key = (one.advice, one.severity)
        found[key] += one.found
        if one.cost is not None:
            costs[key] = costs.get(key, 0) + int(one.cost)
    todos = [Todo(*key, count, costs.get(key)) for key, count in found.items()]
    return sorted(todos, key=_urgency)[:_LINES]


def _urgency(todo: Todo) -> tuple[int, int, int, str]:
    worst_first = SEVERITIES.index(todo.severity) if todo.severity in SEVERITIES else len(SEVERITIES)
    return worst_first, -(todo.cost or 0), -todo.found, todo.advice


def _day(dialect_name: str, at: sa.Column[datetime]) -> sa.ColumnElement[str]:
    """Return the SQL of the day of a time in UTC, as `2026-03-02`."""
    if dialect_name == "sqlite":
        return sa.func.substr(sa.cast(at, sa.Text()), 1, 10)
    return sa.func.to_char(sa.func.timezone("UTC", at), "YYYY-MM-DD")


def _groupable(counted: Sequence[_Counted], sims: Mapping[str, int]) -> Sequence[str]:
    """Return the carriers at which a group can stand out: where most of many SIMs differ, none does."""
    found = Counter[str]()
    for one in counted:
        found[one.carrier] += 0 if one.is_muted else one.found
    return [name for name, count in found.items() if count <= _FEW or can_concentrate(count, sims.get(name, 0))]


def _hotspots(connection: sa.Connection, carriers: Sequence[str], now: datetime) -> Sequence[Hotspot]:
    """Return the groups of these carriers' SIMs with most discrepancies, beside their sizes."""
    found = [(group, *row) for group in _GROUPS for row in _largest(connection, group, carriers, now)]
    sizes = _sizes(connection, [(group, carrier, value) for group, carrier, value, _ in found])
    return [
        Hotspot(carrier, group, value, count, size)
        for (group, carrier, value, count), size in zip(found, sizes, strict=True)
    ]


def _largest(
    connection: sa.Connection, group: str, carriers: Sequence[str], now: datetime
) -> Sequence[tuple[str, str, int]]:
    value = _plan() if group == _PLAN else sa.func.substr(_found.iccid, 1, _RANGE_DIGITS)
    is_open = sa.and_(_found.carrier.in_(carriers), _found.resolved_at.is_(None), ~is_muted(now))
    query = sa.select(_found.carrier, value.label("value")).where(is_open)
    if group == _RANGE:
        query = query.where(~_found.iccid.startswith(BY_ID), ~_found.iccid.startswith(BY_EID))
    rows, number = query.subquery(), sa.func.count().label("number")
    grouped = (
        sa.select(rows.c.carrier, rows.c.value, number)
        .where(rows.c.value.is_not(None))
        .group_by(rows.c.carrier, rows.c.value)
        .order_by(number.desc(), rows.c.carrier, rows.c.value)
        .limit(_LINES)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(grouped)]


def _plan() -> sa.ColumnElement[str | None]:
    """Return the SQL of a discrepancy's plan: ours, or else the carrier's, which is then looked up only."""
    same = sa.and_(_listed.carrier == _found.carrier, _listed.iccid == _found.iccid, _listed.removed_at.is_(None))
    ours = sa.select(sa.func.nullif(_listed.rate_plan, "")).where(same).scalar_subquery()
    of_carrier = sa.select(sa.func.min(_sims.rate_plan)).where(_sims.carrier == _found.carrier)
    theirs = of_carrier.where(_sims.iccid == _found.iccid).scalar_subquery()
    by_id = of_carrier.where(_sims.sim_id == sa.func.substr(_found.iccid, len(BY_ID) + 1)).scalar_subquery()
    return sa.case((_found.iccid.startswith(BY_ID), by_id), else_=sa.func.coalesce(ours, theirs))


def _sizes(connection: sa.Connection, groups: Sequence[tuple[str, str, str]]) -> Sequence[int]:
    """Count the SIMs of each group in one pass that sorts nothing."""
    if not groups:
        return []
    values = {_PLAN: _sims.rate_plan, _RANGE: sa.func.substr(_sims.iccid, 1, _RANGE_DIGITS)}
    is_in = [sa.and_(_sims.carrier == carrier, values[group] == value) for group, carrier, value in groups]
    sums = [sa.func.coalesce(sa.func.sum(sa.case((one, 1), else_=0)), 0) for one in is_in]
    query = sa.select(*sums).select_from(carrier_sims).where(_sims.vanished_at.is_(None))
    return [int(size) for size in connection.execute(query).one()]


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
