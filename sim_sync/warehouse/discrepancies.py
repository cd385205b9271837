"""The rows of `sim_discrepancies` as people list them: filtered, counted, with what names the SIM beside. Read only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.warehouse.engine import read_clock, reading
from sim_sync.warehouse.muting import is_muted
from sim_sync.warehouse.severity import SEVERITIES
from sim_sync.warehouse.tables import carrier_internals, carrier_sims, inventory_sims, sim_discrepancies

_FETCHED_AT_ONCE = 1000
#: How a SIM without an ICCID is named.
_BY_ID = "sim_id:"
_found, _ours, _noted = sim_discrepancies.c, inventory_sims.c, carrier_internals.c
_theirs = carrier_sims.alias("theirs")


class DiscrepancyRow(NamedTuple):
    """One row of `sim_discrepancies`, with how our list, or else the carrier, names the SIM.

    Open while `resolved_at` is None. It is acknowledged where `muted_at` is not None, until `muted_until`.
    """

    carrier: str
    iccid: str
    kind: str
    field: str
    ours: str | None
    theirs: str | None
    severity: str
    first_seen_at: datetime
    last_seen_at: datetime
    times_seen: int
    resolved_at: datetime | None
    label: str | None
    msisdn: str | None
    rate_plan: str | None
    muted_until: datetime | None
    muted_by: str | None
    muted_reason: str | None
    muted_at: datetime | None


_NAMING = ("label", "msisdn", "rate_plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which discrepancies are listed; None means all.

    `only_new` are those that the newest comparison of their carrier has opened. `include_hidden` adds those that are
    resolved, and those that are acknowledged.
    """

    carriers: Sequence[str]
    kinds: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    only_new: bool = False
    include_hidden: bool = False


class KindCount(NamedTuple):
    """How many discrepancies of one kind and severity were found."""

    kind: str
    severity: str
    found: int


def discrepancies(engine: sa.Engine, wanted: Wanted) -> Iterator[DiscrepancyRow]:
    """Yield discrepancies, by carrier and the worst first."""
    worst_first = sa.case({word: place for place, word in enumerate(SEVERITIES)}, value=_found.severity)
    with reading(engine, "listing discrepancies") as connection:
        query = (
            sa.select(*(_column(name) for name in DiscrepancyRow._fields))
            .select_from(_with_names())
            .where(_is_wanted(wanted, read_clock(connection)))
            .order_by(_found.carrier, worst_first, _found.kind, _found.iccid, _found.field)
        )
        for row in connection.execution_options(yield_per=_FETCHED_AT_ONCE).execute(query):
            yield DiscrepancyRow(*row)


def count_discrepancies(engine: sa.Engine, wanted: Wanted) -> list[KindCount]:
    """Count discrepancies by kind and severity; none is left out."""
    with reading(engine, "counting discrepancies") as connection:
        query = (
            sa.select(_found.kind, _found.severity, sa.func.count())
            .where(_is_wanted(wanted, read_clock(connection)))
            .group_by(_found.kind, _found.severity)
            .order_by(_found.kind, _found.severity)
        )
        return [KindCount(*row) for row in connection.execute(query)]


def count_muted(engine: sa.Engine, wanted: Wanted) -> int:
    """Count the open discrepancies that are not listed, because they are acknowledged."""
    with reading(engine, "counting acknowledged discrepancies") as connection:
        hidden = sa.and_(_filters(wanted), _found.resolved_at.is_(None), is_muted(read_clock(connection)))
        return connection.execute(sa.select(sa.func.count()).select_from(sim_discrepancies).where(hidden)).scalar_one()


def _is_wanted(wanted: Wanted, now: datetime) -> sa.ColumnElement[bool]:
    if wanted.include_hidden:
        return _filters(wanted)
    return sa.and_(_filters(wanted), _found.resolved_at.is_(None), ~is_muted(now))


def _filters(wanted: Wanted) -> sa.ColumnElement[bool]:
    conditions: list[sa.ColumnElement[bool]] = [_found.carrier.in_(wanted.carriers)]
    if wanted.kinds is not None:
        conditions.append(_found.kind.in_(wanted.kinds))
    if wanted.severities is not None:
        conditions.append(_found.severity.in_(wanted.severities))
    if wanted.only_new:
        newest = sa.select(_noted.comparison_number).where(_noted.carrier == _found.carrier).scalar_subquery()
        conditions.append(_found.first_comparison_number == newest)
    return sa.and_(*conditions)


def _column(name: str) -> sa.ColumnElement[Any]:
    if name in _NAMING:
        return sa.func.coalesce(sa.func.nullif(_ours[name], ""), _theirs.c[name]).label(name)
    return _found[name]


def _with_names() -> sa.FromClause:
    """Return discrepancies beside our SIM and the carrier's, where there is one; each is looked up by its key."""
    same = carrier_sims.alias("same")
    # Of the bare column, both databases would look for the least along the primary key, past all of the other SIMs.
    of_iccid = (
        sa.select(sa.func.min(same.c.sim_id.concat("")))
        .where(same.c.iccid == _found.iccid, same.c.carrier == _found.carrier)
        .scalar_subquery()
    )
    of_id = sa.func.substr(_found.iccid, len(_BY_ID) + 1)
    sim_id = sa.case((_found.iccid.startswith(_BY_ID), of_id), else_=of_iccid)
    mine = sa.and_(_ours.carrier == _found.carrier, _ours.iccid == _found.iccid, _ours.removed_at.is_(None))
    told = sa.and_(_theirs.c.carrier == _found.carrier, _theirs.c.sim_id == sim_id)
    return sim_discrepancies.outerjoin(inventory_sims, mine).outerjoin(_theirs, told)
