"""Who ended a discrepancy: our list, the carrier, or nobody but the configuration. Told from what both sides say now.

Runs while the tables of `matching` are there; its expressions look at one row of `sim_discrepancies`.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from sim_sync.core.discrepancies import COMPARABLE_FIELDS, CompanyRules, Kind, Side
from sim_sync.warehouse.differences import compared_form
from sim_sync.warehouse.matching import ours, pairs, there, word_is_used
from sim_sync.warehouse.shared_sims import Placement, is_placed
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies

_kept = sim_discrepancies.c
_OURS, _THEIRS, _CONFIG = (sa.literal(side.value, sa.Text()) for side in (Side.OURS, Side.THEIRS, Side.CONFIG))
_BY_ID = "sim_id:"


def resolved_by(carrier: str, fields: Sequence[str], rules: CompanyRules) -> sa.ColumnElement[str]:
    """Return which side ended a discrepancy that is not found any more."""
    of_kind = {
        Kind.MISSING_AT_CARRIER: sa.case((~_is_ours(), _OURS), else_=_THEIRS),
        Kind.UNKNOWN_TO_US: _of_unknown(carrier),
        Kind.WRONG_CARRIER: _of_wrong_carrier(carrier, rules),
        Kind.DUPLICATE_ICCID: _of_duplicate(carrier, rules),
        Kind.MISMATCH: _of_mismatch(fields),
        Kind.QUALITY: _of_quality(carrier, fields),
    }
    return sa.case(*((_kept.kind == kind.value, side) for kind, side in of_kind.items()), else_=_CONFIG)


def _is_ours() -> sa.ColumnElement[bool]:
    return sa.exists().where(ours.c.iccid == _kept.iccid)


def _is_there() -> sa.ColumnElement[bool]:
    return sa.exists().where(there.c.iccid == _kept.iccid)


def _theirs_is_paired() -> sa.ColumnElement[bool]:
    return sa.exists().where(pairs.c.their_iccid == _kept.iccid)


def _has_id(carrier: str) -> sa.ColumnElement[bool]:
    """Return whether a SIM that is named by its id is there, still without an ICCID."""
    sims = carrier_sims.c
    return sa.exists().where(
        _kept.iccid.startswith(_BY_ID),
        sims.carrier == carrier,
        sims.sim_id == sa.func.substr(_kept.iccid, len(_BY_ID) + 1),
        sims.vanished_at.is_(None),
        sims.iccid.is_(None),
    )


def _of_unknown(carrier: str) -> sa.ColumnElement[str]:
    is_listed_elsewhere = is_placed(carrier, _kept.iccid, Placement.WRONG_CARRIER)
    return sa.case(
        (_theirs_is_paired(), _OURS),
        (is_listed_elsewhere, _OURS),
        (_has_id(carrier), _CONFIG),
        else_=_THEIRS,
    )


def _of_wrong_carrier(carrier: str, rules: CompanyRules) -> sa.ColumnElement[str]:
    """One that is there still has been found on our list, or is on it no more; a carrier may have left the config."""
    return sa.case(
        (_kept.ours.not_in([carrier, *rules.carriers]), _CONFIG),
        (is_placed(carrier, _kept.iccid, Placement.DUPLICATE_ICCID), _THEIRS),
        (_is_there(), _OURS),
        else_=_THEIRS,
    )


def _of_duplicate(carrier: str, rules: CompanyRules) -> sa.ColumnElement[str]:
    known = sorted({carrier, *rules.carriers})
    names_known = sa.or_(*(_kept.theirs.startswith(f"{name}, ", autoescape=True) for name in known))
    is_here = sa.and_(_is_there(), _kept.field == "", ~names_known)
    return sa.case((is_here, _CONFIG), else_=_THEIRS)


def _of_mismatch(fields: Sequence[str]) -> sa.ColumnElement[str]:
    is_paired = sa.exists().where(pairs.c.iccid == _kept.iccid)
    values = [(_kept.field == name, _who_changed(name)) for name in dict.fromkeys(fields)]
    no_longer_compared = sa.and_(_kept.field.in_(COMPARABLE_FIELDS), _kept.field.not_in(list(fields)))
    return sa.case((~_is_ours(), _OURS), (~is_paired, _THEIRS), (no_longer_compared, _CONFIG), *values, else_=_THEIRS)


def _who_changed(name: str) -> sa.ColumnElement[str]:
    mine = sa.select(compared_form(name, ours.c[name])).where(ours.c.iccid == _kept.iccid).scalar_subquery()
    told = (
        sa.select(compared_form(name, there.c[name]))
        .where(pairs.c.iccid == _kept.iccid, there.c.iccid == pairs.c.their_iccid)
        .scalar_subquery()
    )
    mine_was, told_was = compared_form(name, _kept.ours), compared_form(name, _kept.theirs)
    we_changed, they_changed = mine.is_distinct_from(mine_was), told.is_distinct_from(told_was)
    return sa.case(
        (sa.and_(we_changed, ~they_changed), _OURS),
        (sa.and_(we_changed, they_changed, mine.is_not_distinct_from(told_was)), _OURS),
        (they_changed, _THEIRS),
        else_=_CONFIG,
    )


def _of_quality(carrier: str, fields: Sequence[str]) -> sa.ColumnElement[str]:
    """A word that is still in use has been listed, or statuses are not compared any more."""
    is_of_status = _kept.field.in_(["status", "carrier_status"])
    cases = [] if "status" in fields else [(is_of_status, _CONFIG)]
    return sa.case(
        *cases,
        (_kept.field == "status", _OURS),
        (sa.and_(_kept.field == "carrier_status", word_is_used(carrier, _kept.iccid)), _CONFIG),
        else_=_THEIRS,
    )
