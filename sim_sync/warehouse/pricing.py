"""What a finding costs a month, in set-based SQL: the price of a SIM that is on the bill without our knowing.

Amounts are whole ten-thousandths here, so that sums are exact in both databases.
"""

from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import UNITS, Prices, in_units
from sim_sync.warehouse.temporary import analyzed, temporary_table

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
