"""What a replay of quarantined records may write: decided as the walk would have, had it been able to read them.

A record is as old as its walk. It never overwrites what a later walk has seen, and a complete walk after it that did
not see its SIM has missed it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sim_sync.core.pages import PageDiff
from sim_sync.core.session import FINAL_STATES, SessionRecord
from sim_sync.core.sims import Sim

#: How the reason of a record begins that was read, and that the database did not take. It is kept in our own form, so
#: no mapping of the carrier's records can read it.
REFUSED_BY_DATABASE = "the database does not take this record"
REPLAYED = "replayed"


class Reread(NamedTuple):
    """What a stored record is to today's mapping: its SIMs, and why it, or a part of it, still is none."""

    sims: Sequence[Sim]
    reason: str | None = None


class StoredSim(NamedTuple):
    """What a replay has to know of a stored SIM. `seen_in` is the number of the session that saw it last."""

    seen_in: int
    is_present: bool
    carrier_updated_at: datetime | None = None


def is_outdated(sim: Sim, stored: StoredSim | None, session_number: int, sweeps_since: int) -> bool:
    """Return whether the warehouse has newer knowledge of a SIM than a record of that session.

    Args:
        sim: what the record says.
        stored: what is stored of it; None where it is new.
        session_number: the session that met the record.
        sweeps_since: how many later walks have marked what they did not see; an unmarked SIM was seen by all of them.
    """
    if stored is None or stored.seen_in < session_number:
        return stored is not None and stored.is_present and sweeps_since > 0
    if stored.seen_in > session_number:
        return True
    # The same walk has also read another record of it: the carrier's own clock says which one is newer.
    times = (sim.carrier_updated_at, stored.carrier_updated_at)
    return times[0] is not None and times[1] is not None and times[0] < times[1]


class Missed(NamedTuple):
    """When complete walks after a record missed its SIM: the first, and the one that confirmed it."""

    absent_since: datetime | None = None
    vanished_at: datetime | None = None


def missed_by(sweeps: Sequence[datetime]) -> Missed:
    """Return what later sweeps make of a SIM that none of their walks saw. `sweeps` are their times, oldest first."""
    first, second = [*sweeps[:2], None, None][:2]
    return Missed(first, second)


def records_replayed(record: SessionRecord, diff: PageDiff, *, sims: int, readable: int) -> SessionRecord:
    """Return the session of replayed records: an open one is judged at its end by what it could not read, and less is.

    Its time of change stays: nobody has walked meanwhile. A final session stays what it was.

    Args:
        record: the session, locked.
        diff: what its records changed.
        sims: how many SIMs they hold.
        readable: how many of the records need no quarantine any more.
    """
    session, internals = record.session, record.internals
    if session.state in FINAL_STATES:
        return record
    # After a start over, nobody knows which records of the walk before it have been counted again.
    counted = 0 if internals.walk_restarts else readable
    session = replace(
        session,
        records_added=session.records_added + diff.added,
        records_changed=session.records_changed + diff.changed,
        records_quarantined=max(session.records_quarantined - counted, 0),
    )
    return SessionRecord(session, replace(internals, sims_listed=internals.sims_listed + sims))
