"""One row a reconciliation in `reconciliations`: what was open after it, what it opened and resolved, and its cost.

All of it is counted in `sim_discrepancies`, so a reconciliation that is done again comes to the same row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind, Prices, Severity, from_units
from sim_sync.warehouse.discrepancies import is_muted, units_in
from sim_sync.warehouse.tables import reconciliations, sim_discrepancies

_kept, _rows = sim_discrepancies.c, reconciliations.c


class Counted(NamedTuple):
    """How many discrepancies of a kind and a severity there are after a comparison, and what the open ones cost.

    `open` are those that nobody has acknowledged, `muted` those that somebody has, `new` and `seen_again` are parts of
    both together. `units` are ten-thousandths.
    """

    kind: str
    severity: str
    open: int
    muted: int
    new: int
    seen_again: int
    resolved: int
    units: int


def count_kept(
    connection: sa.Connection, carrier: str, *, number: int, as_of: datetime, now: datetime
) -> Sequence[Counted]:
    """Count a carrier's discrepancies after its comparison of this number."""
    is_open, muted = _kept.resolved_at.is_(None), is_muted(now)
    is_new = _kept.first_comparison_number == number

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    counts = (
        count(is_open & ~muted),
        count(is_open & muted),
        count(is_open & is_new),
        count(is_open & ~is_new & (_kept.last_comparison_number == number)),
        count(_kept.resolved_at.is_not(None)),
        sa.func.coalesce(sa.func.sum(sa.case((is_open & ~muted, units_in(_kept.monthly_cost)))), 0),
    )
    query = (
        sa.select(_kept.kind, _kept.severity, *counts)
        .where(_kept.carrier == carrier, sa.or_(is_open, _kept.resolved_at == as_of))
        .group_by(_kept.kind, _kept.severity)
    )
    return [Counted(kind, severity, *map(int, told)) for kind, severity, *told in connection.execute(query)]


def write_trend(
    connection: sa.Connection,
    carrier: str,
    counted: Sequence[Counted],
    prices: Prices | None,
    *,
    as_of: datetime,
    number: int,
    session_id: str | None = None,
) -> None:
    """Write the row of a reconciliation, or bring it up to date; without a session, only the latter."""
    values = _row(counted, prices)
    values |= {"comparison_number": number}
    key = sa.and_(_rows.carrier == carrier, _rows.reconciled_at == as_of)
    if session_id is not None:
        values["session_id"] = session_id
    updated = connection.execute(reconciliations.update().where(key).values(**values)).rowcount
    if not updated and session_id is not None:
        connection.execute(reconciliations.insert().values(carrier=carrier, reconciled_at=as_of, **values))


def _row(counted: Sequence[Counted], prices: Prices | None) -> dict[str, Any]:
    kinds, severities = Counter[str](), Counter[str]()
    for one in counted:
        kinds[one.kind] += one.open
        severities[one.severity] += one.open
    units = sum(one.units for one in counted)
    return {
        "open": sum(one.open for one in counted),
        "new": sum(one.new for one in counted),
        "resolved": sum(one.resolved for one in counted),
        "muted": sum(one.muted for one in counted),
        **{kind.value: kinds[kind.value] for kind in Kind},
        **{severity.value: severities[severity.value] for severity in Severity},
        "monthly_cost": None if prices is None else from_units(units),
        "currency": None if prices is None else prices.currency,
        "counts": _by_kind_and_severity(counted),
    }


def _by_kind_and_severity(counted: Sequence[Counted]) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for one in sorted(counted):
        told = {"open": one.open, "new": one.new, "resolved": one.resolved, "muted": one.muted}
        counts.setdefault(one.kind, {})[one.severity] = told
    return counts
