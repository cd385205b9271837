"""Which SIM of our list is which SIM of the carrier, by ICCID, in set-based SQL. Nothing is matched by guess.

First the same normal form on both sides. Then, among those left over on both sides, a 19-digit form is the 20-digit
form with the same first 19 digits (the 20th is a check digit that some carriers leave out, ITU-T E.118), if no other
pairing is possible for either of the two.
"""

import sqlalchemy as sa

from sim_sync.warehouse.tables import carrier_sims, inventory_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

#: The carrier's SIMs that are there, one for each ICCID.
there = temporary_table("sims_there", "iccid", "sim_id", key=("iccid",))
#: Our ICCID, and the carrier's SIM that it is, with the ICCID under which the carrier has it.
pairs = temporary_table("sim_pairs", "iccid", "sim_id", "their_iccid", key=("iccid",))
# Who is left over is asked from both sides; without this, SQLite reads all pairs for each SIM of the carrier.
sa.Index("ix_sim_pairs_their_iccid", pairs.c.their_iccid)
_our_left = temporary_table("our_left_over", "stem", "digits", "iccid", "sim_id", key=("stem", "digits"))
_their_left = temporary_table("their_left_over", "stem", "digits", "iccid", "sim_id", key=("stem", "digits"))

_ours = inventory_sims.c
_theirs = carrier_sims.c

_STEM_DIGITS = 19


def ours_of(carrier: str) -> sa.ColumnElement[bool]:
    """Return the condition of our SIMs: on the list now."""
    return sa.and_(_ours.carrier == carrier, _ours.removed_at.is_(None))


def theirs_of(carrier: str) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs: not vanished. One that is only absent still counts as there."""
    return sa.and_(_theirs.carrier == carrier, _theirs.vanished_at.is_(None))


def match_sims(connection: sa.Connection, carrier: str) -> None:
    """Create and fill `there` and `pairs` for a carrier; `forget_matches` drops them."""
    there.create(connection)
    pairs.create(connection)
    _fill_there(connection, carrier)
    _pair_same_form(connection, carrier)
    _pair_other_form(connection, carrier)
    analyzed(connection, pairs)


def forget_matches(connection: sa.Connection) -> None:
    """Drop the temporary tables."""
    pairs.drop(connection)
    there.drop(connection)


def _fill_there(connection: sa.Connection, carrier: str) -> None:
    # Two SIMs with one ICCID, for example when the carrier has put it under a new id: the one that changed last is
    # compared, and rows are not multiplied.
    place = sa.func.row_number().over(
        partition_by=_theirs.iccid, order_by=[_theirs.last_changed_at.desc(), _theirs.sim_id]
    )
    placed = (
        sa.select(_theirs.iccid, _theirs.sim_id, place.label("place"))
        .where(theirs_of(carrier), _theirs.iccid.is_not(None))
        .subquery()
    )
    chosen = sa.select(placed.c.iccid, placed.c.sim_id).where(placed.c.place == 1)
    connection.execute(there.insert().from_select(["iccid", "sim_id"], chosen))
    analyzed(connection, there)


def _pair_same_form(connection: sa.Connection, carrier: str) -> None:
    same = sa.select(_ours.iccid, there.c.sim_id, there.c.iccid.label("their_iccid")).where(
        ours_of(carrier), there.c.iccid == _ours.iccid
    )
    connection.execute(pairs.insert().from_select(["iccid", "sim_id", "their_iccid"], same))
    analyzed(connection, pairs)


def _pair_other_form(connection: sa.Connection, carrier: str) -> None:
    our_left = sa.select(_ours.iccid, sa.null().label("sim_id")).where(
        ours_of(carrier), ~sa.exists().where(pairs.c.iccid == _ours.iccid)
    )
    their_left = sa.select(there.c.iccid, there.c.sim_id).where(
        ~sa.exists().where(pairs.c.their_iccid == there.c.iccid)
    )
    # Tables, not subqueries: PostgreSQL has to know how many are left to join them in a good way.
    _fill_left_over(connection, _our_left, our_left)
    _fill_left_over(connection, _their_left, their_left)
    # 19 digits here and 20 there, or the other way round.
    other_form = sa.and_(_our_left.c.stem == _their_left.c.stem, _our_left.c.digits != _their_left.c.digits)
    found = sa.select(_our_left.c.iccid, _their_left.c.sim_id, _their_left.c.iccid.label("their_iccid"))
    connection.execute(pairs.insert().from_select(["iccid", "sim_id", "their_iccid"], found.where(other_form)))
    _our_left.drop(connection)
    _their_left.drop(connection)


def _fill_left_over(connection: sa.Connection, table: sa.Table, unmatched: sa.Select[tuple[str, str]]) -> None:
    """Create a table of the stems of unmatched ICCIDs, each with the only ICCID of 19 or of 20 digits that has it."""
    rows = unmatched.subquery()
    stem = sa.func.substr(rows.c.iccid, 1, _STEM_DIGITS)
    digits = sa.func.length(rows.c.iccid)
    alone = (
        sa.select(stem, sa.cast(digits, sa.Text()), sa.func.min(rows.c.iccid), sa.func.min(rows.c.sim_id))
        .where(digits.in_([_STEM_DIGITS, _STEM_DIGITS + 1]))
        .group_by(stem, digits)
        .having(sa.func.count() == 1)
    )
    table.create(connection)
    connection.execute(table.insert().from_select(["stem", "digits", "iccid", "sim_id"], alone))
    analyzed(connection, table)
