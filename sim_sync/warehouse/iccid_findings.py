"""Open discrepancies under an ICCID whose form the carrier has changed: they stay the same, under the new form.

A SIM that our list does not have is named by the carrier's ICCID. Without this, the finding would be resolved on the
night on which the carrier begins to send the check digit, and another one opened: a new finding about an old thing.
"""

import sqlalchemy as sa

from sim_sync.core.discrepancies import Kind
from sim_sync.core.iccid_forms import WITHOUT_CHECK_DIGIT
from sim_sync.warehouse.differences import found
from sim_sync.warehouse.other_forms import other_forms_of
from sim_sync.warehouse.tables import carrier_sims, sim_discrepancies

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
