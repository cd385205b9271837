"""What differs now between our list and what the carrier says, into the temporary table `found`. Nothing is kept here.

The fields, and when both sides can be said to tell one, are defined here; which SIM is which is in `matching`.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.sims import Lifecycle
from sim_sync.warehouse.matching import (
    forget_matches,
    match_sims,
    our_unmatched,
    ours,
    pairs,
    their_unmatched,
    theirs_of,
    there,
)
from sim_sync.warehouse.severity import Facts, severity_of
from sim_sync.warehouse.status_words import unlisted_words
from sim_sync.warehouse.tables import carrier_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

#: What differs now.
found = temporary_table(
    "found_discrepancies", "kind", "field", "iccid", "ours", "theirs", "severity", key=("kind", "field", "iccid")
)
#: The pairs that tell at least one field differently.
_differing = temporary_table("differing_sims", "iccid", "their_iccid", key=("iccid",))
sa.Index("ix_differing_sims_their_iccid", _differing.c.their_iccid)

_theirs = carrier_sims.c


def find_differences(connection: sa.Connection, carrier: str, fields: Sequence[str]) -> None:
    """Create and fill `found` for a carrier; the caller drops it."""
    found.create(connection)
    match_sims(connection, carrier)
    _find(connection, Kind.MISSING_AT_CARRIER, _missing())
    _find(connection, Kind.UNKNOWN_TO_US, _unknown())
    _find(connection, Kind.UNKNOWN_TO_US, _without_iccid(carrier))
    if fields:
        _find_mismatches(connection, fields)
    if "status" in fields and (words := unlisted_words(connection, carrier)):
        connection.execute(found.insert(), words)
    forget_matches(connection)
    analyzed(connection, found)


def _find(connection: sa.Connection, kind: Kind, query: sa.Select[Any], field: str = "") -> None:
    """Write what a query found: ICCID, our value, theirs, severity."""
    rows = query.subquery()
    columns = ["kind", "field", "iccid", "ours", "theirs", "severity"]
    said = sa.select(sa.literal(kind.value, sa.Text()), sa.literal(field, sa.Text()), *rows.c)
    connection.execute(found.insert().from_select(columns, said))


def _missing() -> sa.Select[Any]:
    facts = Facts(ours=ours.c.status, theirs=sa.null(), pending=sa.false())
    severity = severity_of(Kind.MISSING_AT_CARRIER, facts)
    return sa.select(ours.c.iccid, ours.c.status.label("ours"), _nothing("theirs"), severity.label("severity")).where(
        our_unmatched()
    )


def _unknown() -> sa.Select[Any]:
    facts = Facts(ours=sa.null(), theirs=there.c.status, pending=_is_pending())
    severity = severity_of(Kind.UNKNOWN_TO_US, facts).label("severity")
    return sa.select(there.c.iccid, _nothing("ours"), there.c.status.label("theirs"), severity).where(their_unmatched())


def _without_iccid(carrier: str) -> sa.Select[Any]:
    """Return the carrier's SIMs without an ICCID, under their `sim_id`: nobody can be their pair."""
    facts = Facts(ours=sa.null(), theirs=_theirs.status, pending=_theirs.pending)
    severity = severity_of(Kind.UNKNOWN_TO_US, facts).label("severity")
    name = sa.literal("sim_id:", sa.Text()) + _theirs.sim_id
    return sa.select(name.label("iccid"), _nothing("ours"), _theirs.status.label("theirs"), severity).where(
        theirs_of(carrier), _theirs.iccid.is_(None)
    )


def _find_mismatches(connection: sa.Connection, fields: Sequence[str]) -> None:
    # One pass over all pairs, then one a field over the few that differ at all.
    _differing.create(connection)
    differs = sa.or_(*(_differ(name) for name in fields))
    both = sa.select(pairs.c.iccid, pairs.c.their_iccid).where(_are_both_of(pairs), differs)
    connection.execute(_differing.insert().from_select(["iccid", "their_iccid"], both))
    analyzed(connection, _differing)
    facts = Facts(ours=ours.c.status, theirs=there.c.status, pending=_is_pending())
    for name in dict.fromkeys(fields):
        severity = severity_of(Kind.MISMATCH, facts, field=name)
        telling = sa.select(
            ours.c.iccid, ours.c[name].label("ours"), there.c[name].label("theirs"), severity.label("s")
        )
        _find(connection, Kind.MISMATCH, telling.where(_are_both_of(_differing), _differ(name)), name)
    _differing.drop(connection)


def _are_both_of(matches: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(ours.c.iccid == matches.c.iccid, there.c.iccid == matches.c.their_iccid)


def _is_pending() -> sa.ColumnElement[bool]:
    return there.c.pending == "true"


def _differ(name: str) -> sa.ColumnElement[bool]:
    """Return whether both sides tell a field, and differently. A side that is NULL or empty does not tell."""
    mine, told = (sa.func.nullif(_compared(name, side.c[name]), "") for side in (ours, there))
    return mine != told


def _compared(name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the form in which a value is compared: MSISDN and IMEI by what they name, all else as it is.

    A status that is `unknown` is not told: nobody knows what its word means.
    """
    match name:
        case "status":
            return sa.func.nullif(value, Lifecycle.UNKNOWN.value)
        case "msisdn":
            return _international_digits(value)
        case "imei":
            return _device(value)
        case _:
            return value


def _international_digits(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an MSISDN's digits in international form.

    `+49 151 2345`, `0049151-2345` and `491512345` are one number (ITU-T E.164: the prefix is no part of it).
    """
    for mark in ("+", " ", "-", "(", ")", "/", "."):
        value = sa.func.replace(value, mark, "")
    return sa.case((sa.func.substr(value, 1, 2) == "00", sa.func.substr(value, 3)), else_=value)


def _device(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return what an IMEI says of the device: its first 14 digits.

    A check digit or the two digits of the software version follow (3GPP TS 23.003, 6.2); networks tell the latter.
    """
    return sa.case((sa.func.length(value).between(14, 16), sa.func.substr(value, 1, 14)), else_=value)


def _nothing(name: str) -> sa.Label[Any]:
    return sa.cast(sa.null(), sa.Text()).label(name)
