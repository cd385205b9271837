"""Where the changes of a carrier's SIMs concentrate, counted in SQL. What is worth a sentence is in `core.drift`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sim_sync.core.drift import MIN_CHANGES, MIN_SHARE, Concentration, explained
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims, sim_changes

_changes, _sims = sim_changes.c, carrier_sims.c
#: What SIMs may have in common. The first digits of an ICCID are its issuer, then a batch, then a smaller one.
_GROUPS: Sequence[tuple[str, str, sa.ColumnElement[str | None]]] = (
    ("plan", "rate_plan", _sims.rate_plan),
    ("account", "account", _sims.account),
    ("status", "carrier_status", _sims.carrier_status),
    *(("ICCID range", "iccid", sa.func.substr(_sims.iccid, 1, digits)) for digits in (7, 10, 13, 16)),
)
#: A field, and the carrier's own word for it: they change together, and neither explains where the other has changed.
_SAME = {"status": "carrier_status"}


def explain_drift(
    engine: sa.Engine,
    carrier: str,
    *,
    session_id: str | None = None,
    since: datetime | None = None,
    field: str | None = None,
) -> Sequence[str]:
    """Return a sentence for each field whose changes concentrate on one group of the carrier's SIMs.

    Args:
        engine: the warehouse.
        carrier: its name.
        session_id: only changes that this session found; None means all.
        since: only changes from this moment on; None means all.
        field: only changes of this field; None means all.
    """
    which = [_changes.carrier == carrier]
    which += [] if session_id is None else [_changes.session_id == session_id]
    which += [] if field is None else [_changes.field == field]
    which += [] if since is None else [_changes.changed_at >= since]
    with reading(engine, f"counting the changes of carrier {carrier}") as connection:
        totals = _by_field(connection, which)
        return explained(_concentrations(connection, carrier, which, totals)) if totals else ()


def changes_by_field(engine: sa.Engine, carrier: str, session_id: str) -> Mapping[str, int]:
    """Count the changes that a session found, by field."""
    which = (_changes.carrier == carrier, _changes.session_id == session_id)
    query = sa.select(_changes.field, sa.func.count()).where(*which).group_by(_changes.field).order_by(_changes.field)
    with reading(engine, f"counting the changes of carrier {carrier}") as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def _by_field(connection: sa.Connection, which: Sequence[sa.ColumnElement[bool]]) -> Mapping[str, int]:
    """Count the SIMs of which each field changed, of those that changed on enough of them."""
    sims = sa.func.count(_changes.sim_id.distinct())
    query = sa.select(_changes.field, sims).where(*which).group_by(_changes.field).having(sims >= MIN_CHANGES)
    found = {row[0]: row[1] for row in connection.execute(query)}
    return {field: count for field, count in found.items() if field not in _SAME.values() or _SAME.keys() - found}


def _concentrations(
    connection: sa.Connection, carrier: str, which: Sequence[sa.ColumnElement[bool]], totals: Mapping[str, int]
) -> Iterator[Concentration]:
    all_sims = connection.execute(sa.select(sa.func.count()).where(*_of(carrier))).scalar_one()
    for group, column, value in _GROUPS:
        fields = {field: total for field, total in totals.items() if column not in {field, _SAME.get(field)}}
        found = _largest(connection, which, value, fields)
        sizes = _sizes(connection, carrier, value, sorted({name for one in found.values() for name in one}))
        for field, counts in found.items():
            for name, count in counts.items():
                yield Concentration(field, group, name, count, fields[field], sizes.get(name, all_sims), all_sims)


def _largest(
    connection: sa.Connection,
    which: Sequence[sa.ColumnElement[bool]],
    value: sa.ColumnElement[Any],
    fields: Mapping[str, int],
) -> Mapping[str, Mapping[str, int]]:
    """Return the groups that have a large share of a field's changes, by field."""
    sims = sa.func.count(_changes.sim_id.distinct())
    same = sa.and_(_sims.carrier == _changes.carrier, _sims.sim_id == _changes.sim_id)
    query = (
        sa.select(_changes.field, value, sims)
        .select_from(sim_changes.join(carrier_sims, same))
        .where(*which, _changes.field.in_(fields), value.is_not(None))
        .group_by(_changes.field, value)
        .having(sims >= MIN_CHANGES * MIN_SHARE)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for field, name, count in connection.execute(query):
        if count >= MIN_SHARE * fields[field]:
            found[field][name] = count
    return found


def _sizes(
    connection: sa.Connection, carrier: str, value: sa.ColumnElement[Any], names: Sequence[str]
) -> Mapping[str, int]:
    if not names:
        return {}
    query = sa.select(value, sa.func.count()).where(*_of(carrier), value.in_(names)).group_by(value)
    return {row[0]: row[1] for row in connection.execute(query)}


def _of(carrier: str) -> Sequence[sa.ColumnElement[bool]]:
    return (_sims.carrier == carrier, _sims.vanished_at.is_(None))
