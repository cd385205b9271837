"""The rows of `sim_discrepancies` as people list, count and acknowledge them, and what they cost a month."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import UNITS, Prices, from_units, in_units
from sim_sync.core.errors import InputError
from sim_sync.core.identifiers import NotAnIdentifier, normal_iccid
from sim_sync.core.storable import storable_text
from sim_sync.warehouse.engine import read_clock, reading, transaction
from sim_sync.warehouse.severity import SEVERITIES
from sim_sync.warehouse.tables import carrier_internals, carrier_sims, inventory_sims, sim_discrepancies
from sim_sync.warehouse.temporary import analyzed, temporary_table

# What a finding costs a month, in set-based SQL: the price of a SIM that is on the bill without our knowing.
#
# Amounts are whole ten-thousandths here, so that sums are exact in both databases.


#: The prices of a comparison, by plan.
plan_prices = temporary_table("plan_prices", "plan", key=("plan",), numbers=("units",))


def create_prices(connection: sa.Connection, prices: Prices | None) -> None:
    """Create and fill `plan_prices`; the caller drops it."""
    plan_prices.create(connection)
    if prices is not None and prices.plans:
        rows = [{"plan": plan, "units": in_units(amount)} for plan, amount in prices.plans.items()]
        connection.execute(plan_prices.insert(), rows)
    analyzed(connection, plan_prices)


def billed_plan(
    prices: Prices | None,
    *,
    theirs: sa.ColumnElement[Any],
    ours: sa.ColumnElement[Any],
    plan: sa.ColumnElement[Any],
    untold_is_known: bool,
) -> sa.ColumnElement[Any]:
    """Return the plan of a SIM that is paid for although our list does not have it in use; NULL for any other SIM.

    Args:
        prices: which statuses are on the bill.
        theirs: its status at the carrier.
        ours: its status on our list.
        plan: its plan; NULL where nobody tells.
        untold_is_known: whether a SIM is known of whose status our list does not tell.
    """
    if prices is None:
        return sa.cast(sa.null(), sa.Text())
    billed = [status.value for status in prices.billed]
    told = sa.func.nullif(ours, "unknown")
    is_ours = sa.or_(told.in_(billed), told.is_(None)) if untold_is_known else sa.func.coalesce(told, "").in_(billed)
    return sa.case((sa.and_(theirs.in_(billed), ~is_ours), sa.func.coalesce(plan, "")))


def units_of(prices: Prices | None, plan: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return the price of a billed plan beside an outer join of `plan_prices`: 0 for NULL, NULL where nobody knows."""
    if prices is None:
        return sa.cast(sa.null(), sa.BigInteger())
    default = None if prices.default is None else in_units(prices.default)
    price = sa.func.coalesce(plan_prices.c.units, sa.literal(default, sa.BigInteger()))
    return sa.case((plan.is_(None), 0), else_=price)


def amount_of(connection: sa.Connection, units: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """Return so many ten-thousandths as an amount."""
    if connection.dialect.name == "postgresql":
        return sa.cast(units, sa.Numeric(16, 4)) / UNITS
    return units / sa.literal_column(f"{UNITS}.0")


def units_in(amount: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a stored amount in ten-thousandths, to be added up."""
    return sa.cast(sa.func.round(sa.type_coerce(amount, sa.Numeric()) * UNITS), sa.BigInteger())


# The rows of `sim_discrepancies` as people list, count and acknowledge them.


# Discrepancies that somebody has acknowledged: known exceptions that do not hide news.
#
# A muted one is left out of lists and counts until its date. It comes back at once when it changes: a comparison that
# finds another value, or finds it again after it was resolved, takes the mute away.


_kept = sim_discrepancies.c
#: What a discrepancy that nobody has acknowledged has in these columns.
UNMUTED: Mapping[str, None] = dict.fromkeys(("muted_at", "muted_until", "muted_by", "muted_reason"))


def is_muted(now: datetime) -> sa.ColumnElement[bool]:
    """Return whether a discrepancy is acknowledged at this time."""
    return sa.and_(_kept.muted_at.is_not(None), sa.or_(_kept.muted_until.is_(None), _kept.muted_until > now))


def unmuted_if(changed: sa.ColumnElement[bool]) -> dict[str, sa.ColumnElement[Any]]:
    """Return the values of an update that takes the mute away where a condition holds."""
    return {name: sa.case((changed, sa.null()), else_=_kept[name]) for name in UNMUTED}


def acknowledge(
    engine: sa.Engine,
    carriers: Sequence[str],
    iccids: Sequence[str],
    *,
    by: str,
    until: datetime | None = None,
    reason: str | None = None,
) -> int:
    """Acknowledge all open discrepancies of these SIMs, and return how many that were.

    Args:
        engine: the warehouse.
        carriers: of which carriers.
        iccids: in any form that has one normal form, or as the list of discrepancies names them.
        by: who does.
        until: when they come back at the latest; None is "when they change".
        reason: why.

    Raises:
        InputError: one has no open discrepancy, or `until` has passed; nothing was written.
    """
    with transaction(engine, "acknowledging discrepancies") as connection:
        now = read_clock(connection)
        if until is not None and until <= now:
            raise InputError(f"expected a date to come after --until, found {until:%Y-%m-%d %H:%M} UTC, which is over")
        values = {
            "muted_at": now,
            "muted_until": until,
            "muted_by": storable_text(by),
            "muted_reason": None if reason is None else storable_text(reason),
        }
        is_open = sa.and_(_kept.carrier.in_(carriers), _kept.resolved_at.is_(None))
        update = sim_discrepancies.update().where(is_open).values(**values)
        return _update_each(connection, update, iccids, "open discrepancy", "discrepancies")


def take_acknowledgement_back(engine: sa.Engine, carriers: Sequence[str], iccids: Sequence[str]) -> int:
    """Let the acknowledged discrepancies of these SIMs count again, and return how many that were.

    Args:
        engine: the warehouse.
        carriers: of which carriers.
        iccids: as `acknowledge` takes them.

    Raises:
        InputError: one has no acknowledged discrepancy; nothing was written.
    """
    with transaction(engine, "taking acknowledgements back") as connection:
        is_theirs = sa.and_(_kept.carrier.in_(carriers), _kept.resolved_at.is_(None), _kept.muted_at.is_not(None))
        update = sim_discrepancies.update().where(is_theirs).values(**UNMUTED)
        return _update_each(connection, update, iccids, "acknowledged discrepancy", "discrepancies --all")


def _update_each(connection: sa.Connection, update: sa.Update, iccids: Sequence[str], what: str, listed_by: str) -> int:
    counts = {
        iccid: connection.execute(update.where(_kept.iccid.in_(_names(iccid)))).rowcount
        for iccid in dict.fromkeys(iccids)
    }
    if unknown := [iccid for iccid, count in counts.items() if not count]:
        names = ", ".join(unknown)
        raise InputError(f"no {what} of {names}; `sim-sync {listed_by}` lists them. Nothing was written")
    return sum(counts.values())


def _names(iccid: str) -> list[str]:
    try:
        return [iccid, normal_iccid(iccid)]
    except NotAnIdentifier:
        return [iccid]


# The rows of `sim_discrepancies` as people list them: filtered, counted, with what names the SIM beside. Read only.


_FETCHED_AT_ONCE = 1000
#: How a SIM without an ICCID is named.
BY_ID = "sim_id:"
_found, _ours, _noted = sim_discrepancies.c, inventory_sims.c, carrier_internals.c
_theirs = carrier_sims.alias("theirs")
_WORST_FIRST = sa.case({word: place for place, word in enumerate(SEVERITIES)}, value=_found.severity)


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
    resolved_by: str | None
    advice: str | None
    monthly_cost: Decimal | None


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
    """How many discrepancies of one kind and severity were found; what the open ones cost a month, if it is known."""

    kind: str
    severity: str
    found: int
    monthly_cost: Decimal = Decimal(0)
    without_price: int = 0


def discrepancies(engine: sa.Engine, wanted: Wanted) -> Iterator[DiscrepancyRow]:
    """Yield discrepancies, by carrier and the worst first."""
    with reading(engine, "listing discrepancies") as connection:
        query = (
            sa.select(*(_column(name) for name in DiscrepancyRow._fields))
            .select_from(_with_names())
            .where(_is_wanted(wanted, read_clock(connection)))
            .order_by(_found.carrier, _WORST_FIRST, _found.kind, _found.iccid, _found.field)
        )
        for row in connection.execution_options(yield_per=_FETCHED_AT_ONCE).execute(query):
            yield DiscrepancyRow(*row)


def worst_discrepancies(
    connection: sa.Connection, carriers: Sequence[str], now: datetime, most: int
) -> list[DiscrepancyRow]:
    """Return at most so many open discrepancies of all of these carriers that nobody has acknowledged, the worst first.

    What names their SIMs is looked up for these alone.
    """
    key = [_found[name] for name in ("carrier", "iccid", "kind", "field")]
    order = (_WORST_FIRST, _found.carrier, _found.kind, _found.iccid, _found.field)
    chosen = sa.select(*key).where(_is_wanted(Wanted(carriers=carriers), now)).order_by(*order).limit(most).subquery()
    same = sa.and_(*(column == chosen.c[column.name] for column in key))
    query = (
        sa.select(*(_column(name) for name in DiscrepancyRow._fields))
        .select_from(_with_names())
        .join(chosen, same)
        .order_by(*order)
    )
    return [DiscrepancyRow(*row) for row in connection.execute(query)]


def count_discrepancies(engine: sa.Engine, wanted: Wanted) -> list[KindCount]:
    """Count discrepancies by kind and severity; none is left out."""
    with reading(engine, "counting discrepancies") as connection:
        query = (
            sa.select(_found.kind, _found.severity, sa.func.count(), _units(), _without_price())
            .where(_is_wanted(wanted, read_clock(connection)))
            .group_by(_found.kind, _found.severity)
            .order_by(_found.kind, _found.severity)
        )
        return [
            KindCount(kind, severity, found, from_units(int(units)), int(without_price))
            for kind, severity, found, units, without_price in connection.execute(query)
        ]


class Advice(NamedTuple):
    """What to do about so many discrepancies of a carrier, of one kind and field."""

    carrier: str
    kind: str
    field: str
    advice: str
    found: int


def advices(engine: sa.Engine, wanted: Wanted) -> list[Advice]:
    """Return what to do about discrepancies, by carrier and the most frequent first."""
    told = (_found.carrier, _found.kind, _found.field, _found.advice)
    with reading(engine, "counting what to do about discrepancies") as connection:
        query = (
            sa.select(*told, sa.func.count())
            .where(_is_wanted(wanted, read_clock(connection)), _found.advice.is_not(None))
            .group_by(*told)
            .order_by(_found.carrier, sa.func.count().desc(), *told[1:])
        )
        return [Advice(*row) for row in connection.execute(query)]


def _units() -> sa.ColumnElement[Any]:
    """Return what the open ones cost, in ten-thousandths."""
    return sa.func.coalesce(sa.func.sum(sa.case((_found.resolved_at.is_(None), units_in(_found.monthly_cost)))), 0)


def _without_price() -> sa.ColumnElement[Any]:
    return sa.func.count(sa.case((sa.and_(_found.resolved_at.is_(None), _found.monthly_cost.is_(None)), 1)))


def read_open_costs(connection: sa.Connection, carriers: Sequence[str], now: datetime) -> Mapping[str, Decimal]:
    """Return what a carrier's open discrepancies cost that nobody has acknowledged, where any of them is priced."""
    query = (
        sa.select(_found.carrier, _units())
        .where(_found.carrier.in_(carriers), ~is_muted(now), _found.monthly_cost.is_not(None))
        .group_by(_found.carrier)
    )
    return {carrier: from_units(int(units)) for carrier, units in connection.execute(query)}


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
    of_id = sa.func.substr(_found.iccid, len(BY_ID) + 1)
    sim_id = sa.case((_found.iccid.startswith(BY_ID), of_id), else_=of_iccid)
    mine = sa.and_(_ours.carrier == _found.carrier, _ours.iccid == _found.iccid, _ours.removed_at.is_(None))
    told = sa.and_(_theirs.c.carrier == _found.carrier, _theirs.c.sim_id == sim_id)
    return sim_discrepancies.outerjoin(inventory_sims, mine).outerjoin(_theirs, told)
