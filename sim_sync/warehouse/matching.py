"""Which SIM of our list is which SIM of the carrier, by ICCID, in set-based SQL. Nothing is matched by guess.

First the same normal form on both sides. Then, among those left over on both sides, a 19-digit form is the 20-digit
form with the same first 19 digits (the 20th is a check digit that some carriers leave out, ITU-T E.118), if no other
pairing is possible for either of the two.

The stored tables are read once each, into temporary ones that hold what is compared; only those are joined.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS
from sim_sync.warehouse.tables import carrier_sims, inventory_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

#: Our SIMs: on the list now.
ours = temporary_table("our_sims", "iccid", *COMPARABLE_FIELDS, key=("iccid",))
#: The carrier's SIMs that are there, one for each ICCID. `pending` is `true` or `false`.
there = temporary_table("sims_there", "iccid", "pending", *COMPARABLE_FIELDS, key=("iccid",))
#: Our ICCID, and the one under which the carrier has the same SIM.
pairs = temporary_table("sim_pairs", "iccid", "their_iccid", key=("iccid",))
sa.Index("ix_sim_pairs_their_iccid", pairs.c.their_iccid)
_our_left = temporary_table("our_left_over", "stem", "digits", "iccid", key=("stem", "digits"))
_their_left = temporary_table("their_left_over", "stem", "digits", "iccid", key=("stem", "digits"))

_theirs = carrier_sims.c

_STEM_DIGITS = 19


def theirs_of(carrier: str) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs: not vanished. One that is only absent still counts as there."""
    return sa.and_(_theirs.carrier == carrier, _theirs.vanished_at.is_(None))


def pending_word(pending: sa.ColumnElement[bool]) -> sa.ColumnElement[str]:
    """Return `true` or `false` as text: how a truth value is kept in a temporary table."""
    return sa.case((pending, sa.literal("true", sa.Text())), else_=sa.literal("false", sa.Text()))


def match_sims(connection: sa.Connection, carrier: str) -> None:
    """Create and fill `ours`, `there` and `pairs` for a carrier; `forget_matches` drops them."""
    for table in (ours, there, pairs):
        table.create(connection)
    _fill_ours(connection, carrier)
    _fill_there(connection, carrier)
    _pair_same_form(connection)
    _pair_other_form(connection)
    analyzed(connection, pairs)


def forget_matches(connection: sa.Connection) -> None:
    """Drop the temporary tables."""
    for table in (pairs, there, ours):
        table.drop(connection)


def our_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `ours` that is nobody's pair."""
    return ~sa.exists().where(pairs.c.iccid == ours.c.iccid)


def their_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `there` that is nobody's pair."""
    return ~sa.exists().where(pairs.c.their_iccid == there.c.iccid)


def _fill_ours(connection: sa.Connection, carrier: str) -> None:
    listed = inventory_sims.c
    columns = ("iccid", *COMPARABLE_FIELDS)
    chosen = sa.select(*(listed[name] for name in columns)).where(
        listed.carrier == carrier, listed.removed_at.is_(None)
    )
    _fill(connection, ours, columns, chosen)


def _fill_there(connection: sa.Connection, carrier: str) -> None:
    # Two SIMs with one ICCID, for example when the carrier has put it under a new id: one that the last walk saw goes
    # before one that it missed, then the one that came last is compared, and rows are not multiplied.
    order = [_theirs.absent_since.is_not(None), _theirs.first_session_number.desc(), _theirs.sim_id]
    place = sa.func.row_number().over(partition_by=_theirs.iccid, order_by=order)
    placed = (
        sa.select(
            _theirs.iccid,
            pending_word(_theirs.pending).label("pending"),
            *(_theirs[name] for name in COMPARABLE_FIELDS),
            place.label("place"),
        )
        .where(theirs_of(carrier), _theirs.iccid.is_not(None))
        .subquery()
    )
    columns = ("iccid", "pending", *COMPARABLE_FIELDS)
    chosen = sa.select(*(placed.c[name] for name in columns)).where(placed.c.place == 1)
    _fill(connection, there, columns, chosen)


def _fill(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: sa.Select[Any]) -> None:
    connection.execute(table.insert().from_select(list(columns), rows))
    analyzed(connection, table)


def _pair_same_form(connection: sa.Connection) -> None:
    same = sa.select(ours.c.iccid, there.c.iccid.label("their_iccid")).where(there.c.iccid == ours.c.iccid)
    _fill(connection, pairs, ("iccid", "their_iccid"), same)


def _pair_other_form(connection: sa.Connection) -> None:
    _fill_left_over(connection, _our_left, sa.select(ours.c.iccid).where(our_unmatched()))
    _fill_left_over(connection, _their_left, sa.select(there.c.iccid).where(their_unmatched()))
    # 19 digits here and 20 there, or the other way round.
    other_form = sa.and_(_our_left.c.stem == _their_left.c.stem, _our_left.c.digits != _their_left.c.digits)
    found = sa.select(_our_left.c.iccid, _their_left.c.iccid.label("their_iccid")).where(other_form)
    connection.execute(pairs.insert().from_select(["iccid", "their_iccid"], found))
    _our_left.drop(connection)
    _their_left.drop(connection)


def _fill_left_over(connection: sa.Connection, table: sa.Table, unmatched: sa.Select[tuple[str]]) -> None:
    """Create a table of the stems of unmatched ICCIDs, each with the only ICCID of 19 or of 20 digits that has it."""
    rows = unmatched.subquery()
    stem = sa.func.substr(rows.c.iccid, 1, _STEM_DIGITS)
    digits = sa.func.length(rows.c.iccid)
    alone = (
        sa.select(stem, sa.cast(digits, sa.Text()), sa.func.min(rows.c.iccid))
        .where(digits.in_([_STEM_DIGITS, _STEM_DIGITS + 1]))
        .group_by(stem, digits)
        .having(sa.func.count() == 1)
    )
    table.create(connection)
    _fill(connection, table, ("stem", "digits", "iccid"), alone)
