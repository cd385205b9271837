"""Discrepancies that somebody has acknowledged: known exceptions that do not hide news.

A muted one is left out of lists and counts until its date. It comes back at once when it changes: a comparison that
finds another value, or finds it again after it was resolved, takes the mute away.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sim_sync.core.errors import InputError
from sim_sync.core.identifiers import NotAnIdentifier, normal_iccid
from sim_sync.core.storable import storable_text
from sim_sync.warehouse.engine import read_clock, transaction
from sim_sync.warehouse.tables import sim_discrepancies

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
        counts = {
            iccid: connection.execute(update.where(_kept.iccid.in_(_names(iccid)))).rowcount
            for iccid in dict.fromkeys(iccids)
        }
        if unknown := [iccid for iccid, count in counts.items() if not count]:
            names = ", ".join(unknown)
            raise InputError(
                f"no open discrepancy of {names}; `sim-sync discrepancies` lists them. Nothing was written"
            )
    return sum(counts.values())


def _names(iccid: str) -> list[str]:
    try:
        return [iccid, normal_iccid(iccid)]
    except NotAnIdentifier:
        return [iccid]
