"""What differs now between our list and what the carrier says, into the temporary table `found`. Nothing is kept here.

The fields, and when both sides can be said to tell one, are defined here; which SIM is which is in `matching`.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.sims import Lifecycle
from sim_sync.warehouse.kinds import Kind
from sim_sync.warehouse.matching import forget_matches, match_sims, ours_of, pairs, theirs_of, there
from sim_sync.warehouse.severity import Facts, severity_of
from sim_sync.warehouse.tables import carrier_sims, inventory_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

#: What differs now.
found = temporary_table(
    "found_discrepancies", "kind", "field", "iccid", "ours", "theirs", "severity", key=("kind", "field", "iccid")
)
#: The pairs that tell at least one field differently.
_differing = temporary_table("differing_sims", "iccid", "sim_id", key=("iccid",))

_ours = inventory_sims.c
_theirs = carrier_sims.c


def find_differences(connection: sa.Connection, carrier: str, fields: Sequence[str]) -> None:
    """Create and fill `found` for a carrier; the caller drops it."""
    found.create(connection)
    match_sims(connection, carrier)
    _find(connection, Kind.MISSING_AT_CARRIER, _missing(carrier))
    _find(connection, Kind.UNKNOWN_TO_US, _unknown(carrier))
    if fields:
        _find_mismatches(connection, carrier, fields)
    forget_matches(connection)
    analyzed(connection, found)


def _find(connection: sa.Connection, kind: Kind, query: sa.Select[Any], field: str = "") -> None:
    """Write what a query found: ICCID, our value, theirs, severity."""
    rows = query.subquery()
    columns = ["kind", "field", "iccid", "ours", "theirs", "severity"]
    said = sa.select(sa.literal(kind.value, sa.Text()), sa.literal(field, sa.Text()), *rows.c)
    connection.execute(found.insert().from_select(columns, said))


def _missing(carrier: str) -> sa.Select[Any]:
    facts = Facts(ours=_ours.status, theirs=sa.null(), pending=sa.false())
    severity = severity_of(Kind.MISSING_AT_CARRIER, facts)
    return sa.select(_ours.iccid, _ours.status.label("ours"), _nothing("theirs"), severity.label("severity")).where(
        ours_of(carrier), ~sa.exists().where(pairs.c.iccid == _ours.iccid)
    )


def _unknown(carrier: str) -> sa.Select[Any]:
    """Return the carrier's SIMs that are nobody's pair, those without an ICCID under their `sim_id`."""
    facts = Facts(ours=sa.null(), theirs=_theirs.status, pending=_theirs.pending)
    severity = severity_of(Kind.UNKNOWN_TO_US, facts).label("severity")
    unpaired = sa.select(there.c.sim_id).where(~sa.exists().where(pairs.c.their_iccid == there.c.iccid))
    name = sa.func.coalesce(_theirs.iccid, sa.literal("sim_id:", sa.Text()) + _theirs.sim_id)
    return sa.select(name.label("iccid"), _nothing("ours"), _theirs.status.label("theirs"), severity).where(
        theirs_of(carrier), sa.or_(_theirs.iccid.is_(None), _theirs.sim_id.in_(unpaired))
    )


def _find_mismatches(connection: sa.Connection, carrier: str, fields: Sequence[str]) -> None:
    # One pass over all pairs, then one a field over the few that differ at all.
    _differing.create(connection)
    differs = sa.or_(*(_differ(name) for name in fields))
    both = sa.select(_ours.iccid, _theirs.sim_id).where(_paired(carrier, pairs), differs)
    connection.execute(_differing.insert().from_select(["iccid", "sim_id"], both))
    analyzed(connection, _differing)
    facts = Facts(ours=_ours.status, theirs=_theirs.status, pending=_theirs.pending)
    for name in dict.fromkeys(fields):
        severity = severity_of(Kind.MISMATCH, facts, field=name)
        telling = sa.select(_ours.iccid, _ours[name].label("ours"), _theirs[name].label("theirs"), severity.label("s"))
        _find(connection, Kind.MISMATCH, telling.where(_paired(carrier, _differing), _differ(name)), name)
    _differing.drop(connection)


def _paired(carrier: str, matches: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        _ours.carrier == carrier,
        _ours.iccid == matches.c.iccid,
        _theirs.carrier == carrier,
        _theirs.sim_id == matches.c.sim_id,
    )


def _differ(name: str) -> sa.ColumnElement[bool]:
    """Return whether both sides tell a field, and differently. A side that is NULL or empty does not tell."""
    return sa.func.nullif(_compared(name, _ours[name]), "") != sa.func.nullif(_compared(name, _told_by(name)), "")


def _told_by(name: str) -> sa.ColumnElement[Any]:
    """Return what the carrier tells: a change in flight with an unclear status is no status."""
    if name != "status":
        return _theirs[name]
    in_flight = sa.and_(_theirs.status == Lifecycle.UNKNOWN.value, _theirs.pending)
    return sa.case((in_flight, sa.null()), else_=_theirs.status)


def _compared(name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the form in which a value is compared: an MSISDN by its digits in international form, all else as it is.

    `+49 151 2345`, `0049151-2345` and `491512345` are one number (ITU-T E.164: the prefix is no part of it).
    """
    if name != "msisdn":
        return value
    for mark in ("+", " ", "-", "(", ")", "/", "."):
        value = sa.func.replace(value, mark, "")
    return sa.case((sa.func.substr(value, 1, 2) == "00", sa.func.substr(value, 3)), else_=value)


def _nothing(name: str) -> sa.Label[Any]:
    return sa.cast(sa.null(), sa.Text()).label(name)
