"""Which SIM of our list is which SIM of the carrier, and what keeps SIMs from being compared, in set-based SQL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS
from sim_sync.core.inventory import BY_EID
from sim_sync.core.pages import WITHOUT_CHECK_DIGIT
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG, Lifecycle
from sim_sync.core.text import counted
from sim_sync.warehouse.bad_identifiers import GeneralFinding, name_of_sim
from sim_sync.warehouse.discrepancies import BY_ID
from sim_sync.warehouse.shared_sims import Placement, in_scope, is_placed, stem_of
from sim_sync.warehouse.tables import carrier_sims, inventory_sims
from sim_sync.warehouse.temporary import analyzed, temporary_table

# Which SIM of our list is which SIM of the carrier, in set-based SQL. Nothing is matched by guess.
#
# First the same normal form on both sides. Then, among those left over on both sides, a 19-digit form is the 20-digit
# form with the same first 19 digits (the 20th is a check digit that some carriers leave out, ITU-T E.118), if no
# other pairing is possible for either of the two. Then, among those left over again, by EID (see below).
#
# The stored tables are read once each, into temporary ones that hold what is compared; only those are joined.


#: Our SIMs: on the list now.
ours = temporary_table("our_sims", "iccid", *COMPARABLE_FIELDS, key=("iccid",))
#: The carrier's SIMs that are there, one for each ICCID. `pending` is `true` or `false`.
there = temporary_table("sims_there", "iccid", "pending", *COMPARABLE_FIELDS, key=("iccid",))
#: ICCIDs that the carrier has under several ids.
twins = temporary_table("twins_there", "iccid", key=("iccid",))
#: Our ICCID, and the one under which the carrier has the same SIM.
pairs = temporary_table("sim_pairs", "iccid", "their_iccid", key=("iccid",))
sa.Index("ix_sim_pairs_their_iccid", pairs.c.their_iccid)
_our_left = temporary_table("our_left_over", "stem", "digits", "iccid", key=("stem", "digits"))
_their_left = temporary_table("their_left_over", "stem", "digits", "iccid", key=("stem", "digits"))

#: The carrier's SIMs that are profiles of an eUICC which a row of ours names, `iccid`, and none of its profiles.
profiles = temporary_table("profiles_of_euiccs", "their_iccid", "iccid", "standing", key=("their_iccid",))
sa.Index("ix_profiles_of_euiccs_iccid", profiles.c.iccid)
#: Such rows of ours whose eUICC the carrier has, be it only with profiles that other rows name.
euiccs_there = temporary_table("euiccs_there", "iccid", key=("iccid",))
_our_eids = temporary_table("our_left_eids", "eid", "iccid", key=("eid", "iccid"))
_their_eids = temporary_table("their_left_eids", "eid", "iccid", "standing", key=("eid", "iccid"))

_theirs = carrier_sims.c
_listed = inventory_sims.c


def theirs_of(carrier: str) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs: not vanished. One that is only absent still counts as there."""
    return sa.and_(_theirs.carrier == carrier, _theirs.vanished_at.is_(None))


def pending_word(pending: sa.ColumnElement[bool]) -> sa.ColumnElement[str]:
    """Return `true` or `false` as text: how a truth value is kept in a temporary table."""
    return sa.case((pending, sa.literal("true", sa.Text())), else_=sa.literal("false", sa.Text()))


def match_sims(connection: sa.Connection, carrier: str, *, by_eid: bool, only_shared: bool = False) -> None:
    """Create and fill `ours`, `there`, `twins`, `pairs`, `profiles`, `euiccs_there`; `forget_matches` drops them.

    `by_eid` matches by EID too: needless where our list names none. `only_shared` takes the SIMs alone whose findings
    are corrected (`shared_sims`).
    """
    for table in _TABLES:
        table.create(connection)
    _fill_ours(connection, carrier, only_shared=only_shared)
    _fill_there(connection, carrier, only_shared=only_shared)
    _pair_same_form(connection)
    if _have_both_forms(connection):
        _pair_other_form(connection)
    if by_eid:
        _pair_by_eid(connection, carrier)
    analyzed(connection, pairs)


def forget_matches(connection: sa.Connection) -> None:
    """Drop the temporary tables."""
    for table in _TABLES:
        table.drop(connection)


def our_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `ours` that the carrier does not have."""
    is_euicc_there = sa.exists().where(euiccs_there.c.iccid == ours.c.iccid)
    return sa.and_(~sa.exists().where(pairs.c.iccid == ours.c.iccid), ~is_euicc_there)


def their_unmatched() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `there` that our list does not have."""
    return is_not_ours(there.c.iccid)


def is_ours(name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether our list has a SIM of the carrier, by its name in `there`."""
    return sa.or_(*(sa.exists().where(table.c.their_iccid == name) for table in (pairs, profiles)))


def is_not_ours(name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether our list does not have it: written so that it is an anti-join."""
    return sa.and_(*(~sa.exists().where(table.c.their_iccid == name) for table in (pairs, profiles)))


def _fill_ours(connection: sa.Connection, carrier: str, *, only_shared: bool) -> None:
    columns = ("iccid", *COMPARABLE_FIELDS)
    chosen = sa.select(*(_listed[name] for name in columns)).where(_is_listed(carrier))
    if only_shared:
        chosen = chosen.where(_listed.iccid.in_(in_scope(carrier)))
    _fill(connection, ours, columns, chosen)


def _fill_there(connection: sa.Connection, carrier: str, *, only_shared: bool) -> None:
    is_there = sa.and_(theirs_of(carrier), _theirs.iccid.is_not(None))
    if only_shared:
        is_there = sa.and_(is_there, _theirs.iccid.in_(in_scope(carrier)))
    by_iccid = sa.select(_theirs.iccid).where(is_there).group_by(_theirs.iccid)
    _fill(connection, twins, ("iccid",), by_iccid.having(sa.func.count() > 1))
    told = [_theirs.iccid, pending_word(_theirs.pending).label("pending")]
    told.extend(_theirs[name] for name in COMPARABLE_FIELDS)
    columns = ("iccid", "pending", *COMPARABLE_FIELDS)
    is_twin = sa.exists().where(twins.c.iccid == _theirs.iccid)
    connection.execute(there.insert().from_select(columns, sa.select(*told).where(is_there, ~is_twin)))
    # Two SIMs with one ICCID, for example when the carrier has put it under a new id: one that the last walk saw goes
    # before one that it missed, then the one that came last is compared, and rows are not multiplied.
    order = [_theirs.absent_since.is_not(None), _theirs.first_session_number.desc(), _theirs.sim_id]
    place = sa.func.row_number().over(partition_by=_theirs.iccid, order_by=order)
    placed = sa.select(*told, place.label("place")).where(is_there, twins.c.iccid == _theirs.iccid).subquery()
    chosen = sa.select(*(placed.c[name] for name in columns)).where(placed.c.place == 1)
    _fill(connection, there, columns, chosen)
    connection.execute(there.delete().where(is_placed(carrier, there.c.iccid, Placement.LEFT)))


def _fill(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: sa.Select[Any]) -> None:
    connection.execute(table.insert().from_select(list(columns), rows))
    analyzed(connection, table)


def _pair_same_form(connection: sa.Connection) -> None:
    same = sa.select(ours.c.iccid, there.c.iccid.label("their_iccid")).where(there.c.iccid == ours.c.iccid)
    _fill(connection, pairs, ("iccid", "their_iccid"), same)


def _have_both_forms(connection: sa.Connection) -> bool:
    """Return whether one side has ICCIDs of 19 digits and the other one of 20: mostly they have one form."""
    forms = frozenset({WITHOUT_CHECK_DIGIT, WITHOUT_CHECK_DIGIT + 1})
    mine, told = (
        forms & {*connection.execute(sa.select(sa.func.length(table.c.iccid)).distinct()).scalars()}
        for table in (ours, there)
    )
    return any(forms - {digits} & told for digits in mine)


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
    stem = stem_of(rows.c.iccid)
    digits = sa.func.length(rows.c.iccid)
    alone = (
        sa.select(stem, sa.cast(digits, sa.Text()), sa.func.min(rows.c.iccid))
        .where(digits.in_([WITHOUT_CHECK_DIGIT, WITHOUT_CHECK_DIGIT + 1]))
        .group_by(stem, digits)
        .having(sa.func.count() == 1)
    )
    table.create(connection)
    _fill(connection, table, ("stem", "digits", "iccid"), alone)


# By EID: what of our list and of the carrier is left over, and names the same eUICC.
#
# A row of ours with an ICCID is the SIM that has its EID, if there is one such row and one such SIM: the profile was
# changed. A row without an ICCID stands for the eUICC with all its profiles that no other row names, and is compared
# with the one that is in use. A SIM whose ICCID another carrier's list has, or a row whose ICCID another carrier has,
# is not looked for: ICCIDs go before. An eUICC may have profiles of several carriers, so each carrier's are matched
# with its own rows.


#: Which of an eUICC's profiles is the one in use: the first in this order. No two are in use at the same time.
_STANDINGS = (
    *(Lifecycle.ACTIVE, Lifecycle.SUSPENDED, Lifecycle.TEST_READY, Lifecycle.ACTIVATION_READY, Lifecycle.INVENTORY),
    *(Lifecycle.UNKNOWN, Lifecycle.DEACTIVATED, Lifecycle.TERMINATED, Lifecycle.REPLACED),
)
#: An eUICC has room for some ten profiles: what more SIMs have than this is an example or a filler, and no EID.
_MOST_PROFILES = 100
_TABLES = (profiles, euiccs_there, pairs, twins, there, ours)


def names_eids(connection: sa.Connection, carrier: str) -> bool:
    """Return whether our list has a carrier's SIM with its EID."""
    named = sa.select(sa.literal(1)).where(_is_listed(carrier), _listed.eid.is_not(None)).limit(1)
    return connection.execute(named).first() is not None


def changed_profiles() -> sa.ColumnElement[bool]:
    """Return the condition of a row of `pairs` that has another ICCID on either side, and not another form of it."""
    mine, told = pairs.c.iccid, pairs.c.their_iccid
    is_other_form = sa.and_(stem_of(mine) == stem_of(told), sa.func.length(mine) != sa.func.length(told))
    return sa.and_(mine != told, ~is_other_form, ~mine.startswith(BY_EID), ~told.startswith(BY_ID))


def _is_listed(carrier: str) -> sa.ColumnElement[bool]:
    return sa.and_(_listed.carrier == carrier, _listed.removed_at.is_(None))


def _pair_by_eid(connection: sa.Connection, carrier: str) -> None:
    _add_nameless(connection, carrier)
    _note_euiccs(connection)
    _fill_left_eids(connection, carrier)
    _take_profiles(connection)
    _pair_changed_profiles(connection)
    _pair_euiccs(connection)
    for table in (_our_eids, _their_eids):
        table.drop(connection)
    connection.execute(there.delete().where(there.c.iccid.startswith(BY_ID), their_unmatched()))


def _add_nameless(connection: sa.Connection, carrier: str) -> None:
    """Take the carrier's SIMs without an ICCID whose EIDs our list has, under their ids."""
    named = sa.select(ours.c.eid).where(ours.c.eid.is_not(None)).distinct().subquery()
    columns = ("iccid", "pending", *COMPARABLE_FIELDS)
    told = (name_of_sim(), pending_word(_theirs.pending), *(_theirs[name] for name in COMPARABLE_FIELDS))
    rows = sa.select(*told).where(theirs_of(carrier), _theirs.iccid.is_(None), _theirs.eid == named.c.eid)
    _fill(connection, there, columns, rows)


def _note_euiccs(connection: sa.Connection) -> None:
    eids = sa.select(there.c.eid).where(there.c.eid.is_not(None))
    here = sa.select(ours.c.iccid).where(ours.c.iccid.startswith(BY_EID), ours.c.eid.in_(eids))
    _fill(connection, euiccs_there, ("iccid",), here)


def _fill_left_eids(connection: sa.Connection, carrier: str) -> None:
    for table in (_our_eids, _their_eids):
        table.create(connection)
    is_left = ~sa.exists().where(pairs.c.iccid == ours.c.iccid)
    moved = is_placed(carrier, ours.c.iccid, Placement.MOVED)
    mine = sa.select(ours.c.eid, ours.c.iccid).where(ours.c.eid.is_not(None), is_left, ~moved)
    _fill(connection, _our_eids, ("eid", "iccid"), mine)
    left = sa.select(_our_eids.c.eid)
    crowded = sa.union(*(_crowded(table.c.eid, left) for table in (ours, there)))
    connection.execute(_our_eids.delete().where(_our_eids.c.eid.in_(crowded)))
    place = {status.value: f"{place}" for place, status in enumerate(_STANDINGS)}
    standing = sa.case(place, value=there.c.status, else_=f"{len(place)}")
    elsewhere = is_placed(carrier, there.c.iccid, Placement.WRONG_CARRIER, Placement.DUPLICATE_ICCID)
    told = sa.select(there.c.eid, there.c.iccid, standing).where(
        there.c.eid.is_not(None), their_unmatched(), ~elsewhere
    )
    _fill(connection, _their_eids, ("eid", "iccid", "standing"), told)


def _crowded(eid: sa.ColumnElement[str], some: sa.Select[Any]) -> sa.Select[Any]:
    """Return the query for those of some EIDs that more SIMs have than can be profiles of one eUICC."""
    return sa.select(eid).where(eid.in_(some)).group_by(eid).having(sa.func.count() > _MOST_PROFILES)


def _take_profiles(connection: sa.Connection) -> None:
    rows = sa.select(_their_eids.c.iccid, _our_eids.c.iccid, _their_eids.c.standing).where(
        _our_eids.c.iccid.startswith(BY_EID), _their_eids.c.eid == _our_eids.c.eid
    )
    _fill(connection, profiles, ("their_iccid", "iccid", "standing"), rows)


def _pair_changed_profiles(connection: sa.Connection) -> None:
    mine, told = (_alone(table) for table in (_our_eids, _their_eids))
    rows = sa.select(mine.c.iccid, told.c.iccid).where(mine.c.eid == told.c.eid, ~mine.c.iccid.startswith(BY_EID))
    connection.execute(pairs.insert().from_select(["iccid", "their_iccid"], rows))


def _alone(table: sa.Table) -> sa.Subquery:
    only = sa.func.min(table.c.iccid).label("iccid")
    return sa.select(table.c.eid, only).group_by(table.c.eid).having(sa.func.count() == 1).subquery()


def _pair_euiccs(connection: sa.Connection) -> None:
    """Pair a row for an eUICC with its profile in use; where several may be, only their status is compared."""
    first = sa.func.min(profiles.c.standing).label("standing")
    best = sa.select(profiles.c.iccid, first).group_by(profiles.c.iccid).subquery()
    in_use = (
        sa.select(profiles.c.iccid, sa.func.min(profiles.c.their_iccid).label("their_iccid"))
        .where(profiles.c.iccid == best.c.iccid, profiles.c.standing == best.c.standing)
        .group_by(profiles.c.iccid)
    )
    several = in_use.having(sa.func.count() > 1).subquery()
    is_several = sa.exists().where(several.c.iccid == ours.c.iccid)
    untold = {name: sa.null() for name in COMPARABLE_FIELDS if name not in {"status", "eid"}}
    connection.execute(ours.update().where(ours.c.iccid.startswith(BY_EID), is_several).values(untold))
    connection.execute(pairs.insert().from_select(["iccid", "their_iccid"], in_use))


# Status words without a place in the lifecycle: one finding a word, however many SIMs have it.
#
# A SIM whose status is `unknown` has no status mismatch: nobody knows what its word means. To report each of them
# would bury what really differs, and naming the word once mends them all.


#: A carrier that writes another text for each SIM has no status words: the rarest are one finding together.
MOST_WORDS = 20
#: Such a finding is about a word and not about a SIM: this is before the word, in the place of an ICCID.
_WORD = "word:"
_OTHER_WORDS = "words:others"

_sims = carrier_sims.c


def counted_by_carrier_and_word() -> sa.Select[Any]:
    """Return the query for the carriers' unlisted words, with the number of present SIMs; all words are asked for."""
    flagged = sa.cast(_sims.quality_flags, sa.Text()).like(f'%"{UNKNOWN_STATUS_FLAG}"%')
    # Not a parameter: PostgreSQL would take the one in GROUP BY for another expression.
    word = sa.func.coalesce(_sims.carrier_status, sa.literal_column("''"))
    is_unlisted = sa.and_(_sims.status == Lifecycle.UNKNOWN.value, _sims.vanished_at.is_(None), flagged)
    return sa.select(_sims.carrier, word, sa.func.count()).where(is_unlisted).group_by(_sims.carrier, word)


def unlisted_words(connection: sa.Connection, carrier: str) -> list[GeneralFinding]:
    """Return a finding for each status word that cannot be compared; `ours` is filled by then."""
    query = counted_by_carrier_and_word().where(_sims.carrier == carrier)
    counts = {str(word): int(count) for _carrier, word, count in connection.execute(query)}
    theirs = [GeneralFinding("carrier_status", name, theirs=told) for name, told in _by_word(counts)]
    is_unknown = ours.c.status == Lifecycle.UNKNOWN.value
    count = connection.execute(sa.select(sa.func.count()).select_from(ours).where(is_unknown)).scalar_one()
    if not count:
        return theirs
    told = f"{_sims_have(count)} a status word that our list's `statuses` do not name"
    return [*theirs, GeneralFinding("status", f"{_WORD}{Lifecycle.UNKNOWN.value}", ours=told)]


def word_is_used(carrier: str, name: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether a SIM of the carrier has the word that a finding is about, listed or not."""
    word = sa.func.substr(name, len(_WORD) + 1)
    told = sa.and_(_sims.carrier == carrier, _sims.vanished_at.is_(None), _sims.carrier_status.is_not(None))
    return word.in_(sa.select(_sims.carrier_status).where(told).distinct())


def _by_word(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield a name and a sentence for each word, the commonest first, and for the rest of them together."""
    words = sorted(counts, key=lambda word: (-counts[word], word))
    kept = words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1]
    for word in kept:
        yield f"{_WORD}{word}", f"{_sims_have(counts[word])} the unlisted word {word}"
    if rest := words[len(kept) :]:
        others = counted(len(rest), "more unlisted word", "more unlisted words")
        yield _OTHER_WORDS, f"{_sims_have(sum(counts[word] for word in rest))} one of {others}"


def _sims_have(count: int) -> str:
    return counted(count, "SIM has", "SIMs have")
