"""What a page changes: the comparison of the SIMs of one page with what the warehouse already holds of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sim_sync.core.sims import FieldChange, Sim, tracked_changes


class KnownSim(NamedTuple):
    """A SIM as stored, when a tracked field of it last changed, which session saw it last, and whether it is gone."""

    sim: Sim
    last_changed_at: datetime
    last_seen_session: str
    is_vanished: bool = False


class Upsert(NamedTuple):
    """A SIM to write, with the `last_changed_at` it gets."""

    sim: Sim
    last_changed_at: datetime


@dataclass(slots=True)
class PageDiff:
    """The writes that a page needs. `unchanged` holds the ids of SIMs that were only seen again.

    `first_seen` counts the SIMs that the session had not seen before.
    """

    upserts: list[Upsert] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    changes: list[FieldChange] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    first_seen: int = 0


def diff_page(
    sims: Sequence[Sim], known: Mapping[str, KnownSim], now: datetime, session_id: str | None = None
) -> PageDiff:
    """Compare a page with the warehouse. Of a SIM that appears twice in the page, the later record counts."""
    diff = PageDiff()
    for sim in {sim.sim_id: sim for sim in sims}.values():
        old = known.get(sim.sim_id)
        diff.first_seen += old is None or old.last_seen_session != session_id
        if old is None:
            diff.added += 1
            diff.upserts.append(Upsert(sim, now))
        elif old.sim == sim:
            diff.unchanged.append(sim.sim_id)
        else:
            _note_difference(diff, old, sim, now)
    return diff


def _note_difference(diff: PageDiff, old: KnownSim, sim: Sim, now: datetime) -> None:
    changes = list(tracked_changes(old.sim, sim))
    diff.changes.extend(changes)
    diff.changed += bool(changes)
    diff.upserts.append(Upsert(sim, now if changes else old.last_changed_at))
