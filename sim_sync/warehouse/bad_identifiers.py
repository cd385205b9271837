"""SIMs whose identifiers are not what their standards say: findings of the kind `quality`, and counts for a check.

A wrong check digit is none of these: published examples of four vendors fail it, and nothing is kept from being
compared by it. Where very many SIMs of a carrier have the same trouble, it is one finding together.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.text import counted
from sim_sync.warehouse.discrepancies import BY_ID
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims

#: The flags of each identifier that keep it from naming anything.
BAD_FLAGS: Mapping[str, tuple[str, ...]] = {
    "iccid": ("iccid_malformed", "iccid_rounded"),
    "imsi": ("imsi_malformed", "imsi_length"),
    "imei": ("imei_malformed", "imei_length"),
    "eid": ("eid_malformed", "eid_length"),
    "msisdn": ("msisdn_malformed", "msisdn_length"),
}
#: More SIMs than this with a bad identifier of one sort are one finding.
MOST_SIMS = 100
#: What such a finding has in the place of an ICCID.
_FLAG = "flag:"

_sims = carrier_sims.c


class GeneralFinding(NamedTuple):
    """A finding of the kind `quality` that is about no single SIM: `name` stands in the place of an ICCID."""

    field: str
    name: str
    ours: str | None = None
    theirs: str | None = None


def has_bad(field: str) -> sa.ColumnElement[bool]:
    """Return whether a SIM that is there has a bad identifier of a sort."""
    flags = sa.cast(_sims.quality_flags, sa.Text())
    return sa.and_(_sims.vanished_at.is_(None), sa.or_(*(flags.like(f'%"{flag}"%') for flag in BAD_FLAGS[field])))


def name_of_sim() -> sa.ColumnElement[str]:
    """Return how a finding names a SIM: by its ICCID, or else by its id."""
    return sa.func.coalesce(_sims.iccid, sa.literal(BY_ID, sa.Text()) + _sims.sim_id)


def value_of(field: str) -> sa.ColumnElement[Any]:
    """Return an identifier as the carrier sent it, where that is kept."""
    return _sims.iccid_raw if field == "iccid" else _sims[field]


def count_bad(connection: sa.Connection, carrier: str) -> Mapping[str, int]:
    """Count a carrier's SIMs with a bad identifier, by its sort."""
    return _by_field(connection, [carrier]).get(carrier, {})


def finding_about_many(field: str, count: int) -> GeneralFinding:
    """Return one finding about many SIMs."""
    told = f"{counted(count, 'SIM has a', 'SIMs have a')} bad {field.upper()}"
    return GeneralFinding(field, f"{_FLAG}{field}", theirs=told)


def count_bad_identifiers(engine: sa.Engine, carriers: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Count the SIMs with a bad identifier by carrier and by sort; those without one are left out."""
    with reading(engine, "counting bad identifiers") as connection:
        return _by_field(connection, carriers)


def _by_field(connection: sa.Connection, carriers: Sequence[str]) -> dict[str, dict[str, int]]:
    # There are few different sets of flags, however many SIMs there are.
    flags = sa.cast(_sims.quality_flags, sa.Text())
    query = (
        sa.select(_sims.carrier, flags.label("flags"), sa.func.count())
        .where(_sims.carrier.in_(carriers), _sims.vanished_at.is_(None), flags != "[]")
        .group_by(_sims.carrier, sa.text("flags"))
    )
    counts: dict[str, Counter[str]] = {}
    for carrier, text, count in connection.execute(query):
        for field, bad in BAD_FLAGS.items():
            if any(f'"{flag}"' in text for flag in bad):
                counts.setdefault(carrier, Counter())[field] += count
    return {carrier: dict(sorted(found.items())) for carrier, found in sorted(counts.items())}
