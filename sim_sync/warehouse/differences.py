"""What differs now between our list and the carrier, into the temporary table `found`. Nothing is kept here."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.pages import DIGITS, WITHOUT_CHECK_DIGIT
from sim_sync.core.sims import Lifecycle
from sim_sync.warehouse.matching import (
    Facts,
    forget_matches,
    match_sims,
    our_unmatched,
    ours,
    pairs,
    severity_of,
    their_unmatched,
    theirs_of,
    there,
    unlisted_words,
)
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies
from sim_sync.warehouse.temporary import analyzed, temporary_table

# What differs now between our list and what the carrier says, into the temporary table `found`. Nothing is kept here.
#
# The fields, and when both sides can be said to tell one, are defined here; which SIM is which is in `matching`.


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


# The other forms of an ICCID (`core.pages`) in SQL, as values that an index looks up.


def other_forms_of(iccid: sa.ColumnElement[Any]) -> Sequence[sa.ColumnElement[Any]]:
    """Return the other forms of an ICCID; NULL where it has none."""
    digits = sa.func.length(iccid)
    longer = [sa.case((digits == WITHOUT_CHECK_DIGIT, iccid + digit)) for digit in DIGITS]
    shorter = sa.case((digits == WITHOUT_CHECK_DIGIT + 1, sa.func.substr(iccid, 1, WITHOUT_CHECK_DIGIT)))
    return [*longer, shorter]


# Open discrepancies under an ICCID whose form the carrier has changed: they stay the same, under the new form.
#
# A SIM that our list does not have is named by the carrier's ICCID. Without this, the finding would be resolved on
# the night on which the carrier begins to send the check digit, and another one opened: a new finding about an old
# thing.


_kept, _sims = sim_discrepancies.c, carrier_sims.c
_others = sim_discrepancies.alias("others")
_KIND = Kind.UNKNOWN_TO_US.value


def follow_iccid_forms(connection: sa.Connection, carrier: str) -> None:
    """Bring open findings about SIMs that we do not know to the form in which `found` has their ICCIDs.

    Only where one finding and one SIM can be meant.
    """
    mine = sa.and_(_kept.carrier == carrier, _kept.kind == _KIND)
    same = sa.exists().where(found.c.kind == _KIND, found.c.field == _kept.field, found.c.iccid == _kept.iccid)
    if not _has_new(connection, carrier):
        return
    other = sa.select(sa.func.min(found.c.iccid)).where(_is_other_form(carrier)).scalar_subquery()
    how_many = sa.select(sa.func.count()).select_from(found).where(_is_other_form(carrier)).scalar_subquery()
    stem = sa.func.substr(_kept.iccid, 1, WITHOUT_CHECK_DIGIT)
    has_twin = sa.exists().where(
        _others.c.carrier == carrier,
        _others.c.kind == _KIND,
        _others.c.iccid.between(stem, stem + "9"),
        _others.c.iccid != _kept.iccid,
    )
    renamed = sim_discrepancies.update().where(mine, _kept.resolved_at.is_(None), ~same, how_many == 1, ~has_twin)
    connection.execute(renamed.values(iccid=other))


def _has_new(connection: sa.Connection, carrier: str) -> bool:
    """Return whether there is a finding under an ICCID that was never found before: without one, none was renamed."""
    known = sa.exists().where(
        _kept.carrier == carrier, _kept.kind == _KIND, _kept.field == found.c.field, _kept.iccid == found.c.iccid
    )
    new = sa.select(found.c.iccid).where(found.c.kind == _KIND, ~known).limit(1)
    return connection.execute(new).first() is not None


def _is_other_form(carrier: str) -> sa.ColumnElement[bool]:
    """Return whether a row of `found` is the other form of the ICCID of a kept one, looked up by its key.

    One of the two is the id of the SIM: those that have ids of their carrier's own are told apart by these.
    """
    is_its_id = sa.exists().where(
        _sims.carrier == carrier, _sims.iccid == found.c.iccid, _sims.sim_id.in_([_kept.iccid, found.c.iccid])
    )
    return sa.and_(
        found.c.kind == _KIND, found.c.field == _kept.field, found.c.iccid.in_(other_forms_of(_kept.iccid)), is_its_id
    )
