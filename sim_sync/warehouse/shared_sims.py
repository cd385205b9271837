"""SIMs that more than one carrier has, or that our list has at another carrier than the one that has them.

A comparison of one carrier looks here for what the others have of the same SIMs, and corrects what the last comparisons
of the others found about these: whichever carrier is compared last, all of them come to the same.

A SIM is at home where our list has it, among the carriers that have it. One that only another carrier has is
`wrong_carrier` there. One that is somewhere beside its home is `duplicate_iccid` there. An absent SIM that another
carrier has now is no longer counted where it was.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.inventory import BY_EID
from sim_sync.core.pages import WITHOUT_CHECK_DIGIT
from sim_sync.warehouse.bad_identifiers import name_of_sim
from sim_sync.warehouse.tables import carrier_sims, inventory_sims, sim_discrepancies
from sim_sync.warehouse.temporary import analyzed, temporary_table

#: The kinds that are about two carriers.
CROSS_KINDS = (Kind.WRONG_CARRIER.value, Kind.DUPLICATE_ICCID.value)


class Placement(StrEnum):
    """What becomes of a SIM at a carrier, because of another carrier."""

    WRONG_CARRIER = Kind.WRONG_CARRIER.value
    DUPLICATE_ICCID = Kind.DUPLICATE_ICCID.value
    #: Our list has it here, and it is `wrong_carrier` elsewhere: it is not missing.
    MOVED = "moved"
    #: The last walk missed it, and another carrier has it: it is gone.
    LEFT = "left"


#: What becomes of SIMs at the carriers; `our_status` is what our list says of them.
placements = temporary_table(
    "placements", "carrier", "iccid", "placement", "ours", "theirs", "our_status", key=("carrier", "placement", "iccid")
)
#: The SIMs of the other carriers whose findings are corrected.
scope = temporary_table("sims_in_scope", "carrier", "iccid", key=("carrier", "iccid"))

_stems = temporary_table("own_stems", "stem", key=("stem",))
_both = temporary_table("stems_of_both", "stem", key=("stem",))
_shared = temporary_table(
    *("shared_sims", "side", "carrier", "iccid", "stem", "status", "is_here", "sim"), key=("side", "carrier", "iccid")
)
_places = temporary_table(
    *("places_of_sims", "sim", "carrier", "here", "absent", "listed", "our_status"), key=("sim", "carrier")
)
_homes = temporary_table("homes_of_sims", "sim", "home", "listed_at", "is_at_home", key=("sim",))
_eids = temporary_table("eids_in_scope", "carrier", "eid", key=("carrier", "eid"))
_TABLES = (scope, placements, _stems, _both, _shared, _places, _homes, _eids)

_sims, _listed, _kept = carrier_sims.c, inventory_sims.c, sim_discrepancies.c
_OURS, _THEIRS = "ours", "theirs"


def place_shared(connection: sa.Connection, carrier: str, others: Mapping[str, bool]) -> Sequence[str]:
    """Create `placements` and `scope`, filled with what a carrier shares with the others; return the others in it.

    `others` are the other carriers, and whether each was compared before: one that was not is known by our list only.
    """
    for table in _TABLES:
        table.create(connection)
    if not others:
        return []
    _find_shared(connection, carrier, others)
    _name_sims(connection)
    _find_homes(connection)
    _place(connection)
    return _fill_scope(connection, [other for other, was_compared in others.items() if was_compared])


def forget_shared(connection: sa.Connection) -> None:
    """Drop the temporary tables."""
    for table in _TABLES:
        table.drop(connection)


def is_placed(carrier: str, iccid: sa.ColumnElement[str], *words: Placement) -> sa.ColumnElement[bool]:
    """Return whether one of these is said of an ICCID of a carrier."""
    said = placements.c
    return sa.exists().where(
        said.carrier == carrier, said.placement.in_([word.value for word in words]), said.iccid == iccid
    )


def in_scope(carrier: str) -> sa.Select[tuple[str]]:
    """Return the query for the ICCIDs of a carrier whose findings are corrected."""
    return sa.select(scope.c.iccid).where(scope.c.carrier == carrier)


def stem_of(iccid: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return an ICCID without its check digit: what its two forms have in common."""
    return sa.func.substr(iccid, 1, WITHOUT_CHECK_DIGIT)


def _find_shared(connection: sa.Connection, carrier: str, others: Mapping[str, bool]) -> None:
    own: sa.CompoundSelect[Any] = sa.union(
        sa.select(stem_of(_listed.iccid)).where(_listed.carrier == carrier, _listed.removed_at.is_(None)),
        sa.select(stem_of(_sims.iccid)).where(_is_there([carrier])),
        _open_stems([carrier, *others]),
    )
    connection.execute(_stems.insert().from_select(["stem"], own))
    analyzed(connection, _stems)
    compared = [other for other, was_compared in others.items() if was_compared]
    _take_listed(connection, list(others), _stems)
    _take_there(connection, compared, _stems)
    both = sa.union(sa.select(_shared.c.stem), _open_stems([carrier, *others]))
    connection.execute(_both.insert().from_select(["stem"], both))
    analyzed(connection, _both)
    _take_listed(connection, [carrier], _both)
    _take_there(connection, [carrier], _both)
    analyzed(connection, _shared)


def _open_stems(carriers: Sequence[str]) -> sa.Select[Any]:
    return sa.select(stem_of(_kept.iccid)).where(_is_open_cross(carriers))


def _is_open_cross(carriers: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(_kept.carrier.in_(carriers), _kept.resolved_at.is_(None), _kept.kind.in_(CROSS_KINDS))


def _is_there(carriers: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(_sims.carrier.in_(carriers), _sims.vanished_at.is_(None), _sims.iccid.is_not(None))


def _take_listed(connection: sa.Connection, carriers: Sequence[str], stems: sa.Table) -> None:
    rows = sa.select(
        sa.literal(_OURS, sa.Text()), _listed.carrier, _listed.iccid, stem_of(_listed.iccid), _listed.status
    ).where(
        *(_listed.carrier.in_(carriers), _listed.removed_at.is_(None), ~_listed.iccid.startswith(BY_EID)),
        stems.c.stem == stem_of(_listed.iccid),
    )
    connection.execute(_shared.insert().from_select(["side", "carrier", "iccid", "stem", "status"], rows))


def _take_there(connection: sa.Connection, carriers: Sequence[str], stems: sa.Table) -> None:
    is_here = sa.case((_sims.absent_since.is_(None), sa.literal("true", sa.Text())), else_="false")
    rows = (
        sa.select(
            *(sa.literal(_THEIRS, sa.Text()), _sims.carrier, _sims.iccid, stem_of(_sims.iccid), sa.func.max(is_here))
        )
        .where(_is_there(carriers), stems.c.stem == stem_of(_sims.iccid))
        .group_by(_sims.carrier, _sims.iccid)
    )
    connection.execute(_shared.insert().from_select(["side", "carrier", "iccid", "stem", "is_here"], rows))


def _name_sims(connection: sa.Connection) -> None:
    """Give the two forms of an ICCID one name, unless two 20-digit forms could be meant by the shorter one."""
    digits = sa.func.length(_shared.c.iccid)
    longer = (
        sa.select(_shared.c.stem)
        .where(digits == WITHOUT_CHECK_DIGIT + 1)
        .group_by(_shared.c.stem)
        .having(sa.func.count(sa.distinct(_shared.c.iccid)) > 1)
    )
    has_forms = digits.between(WITHOUT_CHECK_DIGIT, WITHOUT_CHECK_DIGIT + 1)
    name = sa.case((has_forms, _shared.c.stem), else_=_shared.c.iccid)
    connection.execute(_shared.update().values(sim=name))
    connection.execute(_shared.update().where(_shared.c.stem.in_(longer)).values(sim=_shared.c.iccid))


def _find_homes(connection: sa.Connection) -> None:
    row = _shared.c

    def told(value: sa.ColumnElement[str], condition: sa.ColumnElement[bool]) -> sa.ColumnElement[str]:
        return sa.func.max(sa.case((condition, value)))

    theirs, is_here = row.side == _THEIRS, row.is_here == "true"
    places = sa.select(
        row.sim,
        row.carrier,
        told(row.iccid, sa.and_(theirs, is_here)),
        told(row.iccid, sa.and_(theirs, ~is_here)),
        told(row.iccid, row.side == _OURS),
        told(row.status, row.side == _OURS),
    ).group_by(row.sim, row.carrier)
    connection.execute(_places.insert().from_select(list(_places.c.keys()), places))
    analyzed(connection, _places)
    # One that is absent everywhere counts where it was, as any other absent SIM does.
    seen = _places.alias("seen")
    is_seen = sa.exists().where(seen.c.sim == _places.c.sim, seen.c.here.is_not(None))
    connection.execute(_places.update().where(~is_seen).values(here=_places.c.absent, absent=None))
    place = _places.c
    here, listed = place.here.is_not(None), place.listed.is_not(None)
    at_home = sa.func.min(sa.case((sa.and_(here, listed), place.carrier)))
    homes = (
        sa.select(
            place.sim,
            sa.func.coalesce(at_home, sa.func.min(sa.case((here, place.carrier)))),
            sa.func.min(sa.case((listed, place.carrier))),
            sa.case((at_home.is_not(None), sa.literal("true", sa.Text())), else_="false"),
        )
        .group_by(place.sim)
        .having(sa.func.count(place.here) > 0, sa.func.count() > 1)
    )
    connection.execute(_homes.insert().from_select(list(_homes.c.keys()), homes))
    analyzed(connection, _homes)


def _place(connection: sa.Connection) -> None:
    place, home = _places.c, _homes.c
    list_row = _places.alias("list_row")
    listed = sa.and_(list_row.c.sim == home.sim, list_row.c.carrier == home.listed_at)
    is_wrong = sa.and_(home.listed_at.is_not(None), home.is_at_home == "false")
    both = home.home + sa.literal(", ", sa.Text()) + place.carrier
    nothing = sa.cast(sa.null(), sa.Text())
    is_home = place.carrier == home.home
    found = {
        Placement.WRONG_CARRIER: (place.here, home.listed_at, home.home, list_row.c.our_status, is_home & is_wrong),
        Placement.DUPLICATE_ICCID: (place.here, home.listed_at, both, place.our_status, ~is_home),
        Placement.MOVED: (place.listed, nothing, nothing, nothing, place.here.is_(None) & is_wrong),
        Placement.LEFT: (place.absent, nothing, nothing, nothing, place.here.is_(None)),
    }
    joined = _places.join(_homes, home.sim == place.sim).outerjoin(list_row, listed)
    for word, (iccid, ours, theirs, our_status, condition) in found.items():
        rows = (
            sa.select(place.carrier, iccid, sa.literal(word.value, sa.Text()), ours, theirs, our_status)
            .select_from(joined)
            .where(condition, iccid.is_not(None))
        )
        connection.execute(placements.insert().from_select(list(placements.c.keys()), rows))
    analyzed(connection, placements)


def _fill_scope(connection: sa.Connection, others: Sequence[str]) -> Sequence[str]:
    rows = sa.union(
        sa.select(_shared.c.carrier, _shared.c.iccid).where(_shared.c.carrier.in_(others)),
        sa.select(_kept.carrier, _kept.iccid).where(_is_open_cross(others)),
    )
    connection.execute(scope.insert().from_select(["carrier", "iccid"], rows))
    _add_euiccs(connection, others)
    analyzed(connection, scope)
    return list(connection.execute(sa.select(scope.c.carrier).distinct().order_by(scope.c.carrier)).scalars())


def _add_euiccs(connection: sa.Connection, others: Sequence[str]) -> None:
    """Add the rows and SIMs with the EIDs of those in scope: whether these are left over decides about the others."""
    named = sa.and_(_listed.carrier.in_(others), _listed.eid.is_not(None), _listed.removed_at.is_(None))
    if connection.execute(sa.select(sa.literal(1)).where(named).limit(1)).first() is None:
        return
    told = sa.and_(_sims.carrier.in_(others), _sims.eid.is_not(None), _sims.vanished_at.is_(None))
    sides = ((_listed, named, _listed.iccid), (_sims, told, name_of_sim()))
    eids = sa.union(
        *(
            sa.select(row.carrier, row.eid).where(condition, scope.c.carrier == row.carrier, scope.c.iccid == row.iccid)
            for row, condition, _ in sides
        )
    )
    connection.execute(_eids.insert().from_select(["carrier", "eid"], eids))
    analyzed(connection, _eids)
    is_in = sa.exists().where
    more = sa.union(
        *(
            sa.select(row.carrier, name).where(
                *(condition, _eids.c.carrier == row.carrier, _eids.c.eid == row.eid),
                ~is_in(scope.c.carrier == row.carrier, scope.c.iccid == name),
            )
            for row, condition, name in sides
        )
    )
    connection.execute(scope.insert().from_select(["carrier", "iccid"], more))
