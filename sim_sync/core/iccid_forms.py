"""Which stored SIM a SIM is that is named by its ICCID, when the carrier has begun to send the ICCID in its other form.

An ICCID travels with its check digit or without (ITU-T E.118). Where it is the id, another form would be another SIM:
the whole fleet would seem gone, and a new one there. So a SIM that is unknown under its own id is looked up under its
other forms, and keeps the id that it is stored under. Two forms that stand in one list are two SIMs.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sim_sync.core.diff import KnownSim
from sim_sync.core.identifiers import NotAnIdentifier, normal_iccid
from sim_sync.core.pages import Page, canonical_json
from sim_sync.core.session import SessionRecord
from sim_sync.core.sims import Sim

#: The quality flag of a SIM whose ICCID the carrier lists in its other form too, as a SIM beside it.
BOTH_FORMS_FLAG = "iccid_both_forms"

DIGITS = "0123456789"
WITHOUT_CHECK_DIGIT, _WITH_CHECK_DIGIT = 19, 20


def other_forms(iccid: str) -> list[str]:
    """Return the ICCIDs that may name the same SIM: 20 digits without the last one, or 19 digits with one more.

    Any digit may be the check digit: published examples of four vendors have a wrong one.
    """
    match len(iccid):
        case 19:
            return [iccid + digit for digit in DIGITS]
        case 20:
            return [iccid[:-1]]
        case _:
            return []


def are_forms_of_one(iccid: str, other: str) -> bool:
    """Return whether two ICCIDs differ by a check digit at the end and by nothing else."""
    shorter, longer = sorted((iccid, other), key=len)
    sizes = (len(shorter), len(longer))
    return sizes == (WITHOUT_CHECK_DIGIT, _WITH_CHECK_DIGIT) and longer.startswith(shorter)


def is_named_by_iccid(sim: Sim) -> bool:
    """Return whether a SIM's id is its ICCID, in whatever form, and no id of the carrier's own."""
    iccid, name = sim.iccid, sim.sim_id
    if iccid is None or name == iccid:
        return iccid is not None
    if len(name) < WITHOUT_CHECK_DIGIT or name[:2] != iccid[:2]:  # nearly all ids of a carrier's own
        return False
    try:
        name = normal_iccid(name)
    except NotAnIdentifier:
        return False
    return name == iccid or are_forms_of_one(name, iccid)


def may_come_again(record: SessionRecord, page: Page) -> bool:
    """Return whether a page may hold SIMs that its walk has seen, though the carrier lists each of them once."""
    return page.is_reread or record.internals.walk_restarts > 0


def iccids_to_look_up(sims: Iterable[Sim], known: Mapping[str, KnownSim]) -> list[str]:
    """Return the ICCIDs under which the SIMs of a page may be stored, where their own ids do not settle it."""
    found: list[str] = []
    for sim in sims:
        old = known.get(sim.sim_id)
        if sim.iccid is not None and (is_named_by_iccid(sim) if old is None else _is_flagged(old.sim)):
            found += (sim.iccid, *other_forms(sim.iccid))
    return found


class Settled(NamedTuple):
    """The SIMs of a page under the ids that they are stored under, and what is stored under those."""

    sims: list[Sim]
    known: dict[str, KnownSim]


def settle_ids(
    sims: Sequence[Sim],
    known: Mapping[str, KnownSim],
    found: Iterable[KnownSim],
    session_id: str | None = None,
    *,
    may_come_again: bool = False,
) -> Settled:
    """Return the SIMs of a page under their stored ids, and beside them a stored one that had another's id.

    Args:
        sims: the page's SIMs, as read.
        known: what is stored under their ids.
        found: what is stored under `iccids_to_look_up`.
        session_id: the walk; what it has seen in one form is there, and the other form is another SIM.
        may_come_again: the walk visits pages again, so what it has seen in one form may come in the other.
    """
    page = _Page(sims, known, found, None if may_come_again else session_id)
    rows = page.rows_of_new_ids()
    settled = [
        sim._replace(sim_id=rows[sim.sim_id].sim.sim_id) if sim.sim_id in rows else page.flagged(sim) for sim in sims
    ]
    taken = {row.sim.sim_id: row for row in rows.values()}
    return Settled([*settled, *page.parted()], {**known, **taken})


class _Page:
    """The SIMs of a page beside all that is stored of them. `session_id` is None where nothing is seen for good."""

    def __init__(
        self, sims: Sequence[Sim], known: Mapping[str, KnownSim], found: Iterable[KnownSim], session_id: str | None
    ) -> None:
        self._sims = {sim.sim_id: sim for sim in sims}
        self._iccids = {sim.iccid for sim in sims}
        self._known = known
        self._session_id = session_id
        self._found: dict[str | None, list[KnownSim]] = {}
        for row in found:
            if is_named_by_iccid(row.sim):
                self._found.setdefault(row.sim.iccid, []).append(row)

    def rows_of_new_ids(self) -> dict[str, KnownSim]:
        """Return the stored SIM that each new id of the page is another form of, where just one can be meant."""
        if not self._found:
            return {}
        meant = {sim_id: row for sim_id, sim in self._sims.items() if (row := self._row_of(sim)) is not None}
        claims = Counter(row.sim.sim_id for row in meant.values())
        return {sim_id: row for sim_id, row in meant.items() if claims[row.sim.sim_id] == 1}

    def flagged(self, sim: Sim) -> Sim:
        """Return a SIM with the flag that its other form is listed beside it, if that is so."""
        old = self._known.get(sim.sim_id)
        if old is None:
            is_beside = self._is_beside_another(sim)
        else:
            is_beside = _is_flagged(old.sim) and any(not row.is_vanished for row in self._others(sim))
        return _with_flag(sim) if is_beside else sim

    def parted(self) -> list[Sim]:
        """Return the SIMs that this walk took for another form of a page's SIM, under ids of their own."""
        parted = [old for sim in self._sims.values() for old in self._taken_by_another(sim)]
        return [_with_flag(old._replace(sim_id=str(old.iccid))) for old in parted]

    def _row_of(self, sim: Sim) -> KnownSim | None:
        if sim.sim_id in self._known or not is_named_by_iccid(sim):
            return None
        free = [row for row in (*self._found.get(sim.iccid, ()), *self._others(sim)) if not self._is_taken(row, sim)]
        there = [row for row in free if not row.is_vanished] or free
        return there[0] if len(there) == 1 else None

    def _others(self, sim: Sim) -> list[KnownSim]:
        if not self._found:
            return []
        return [row for form in other_forms(sim.iccid or "") for row in self._found.get(form, ())]

    def _is_taken(self, row: KnownSim, sim: Sim) -> bool:
        """Return whether a stored SIM is another one of the same list."""
        return row.sim.sim_id in self._sims or (self._is_seen(row) and row.sim.iccid != sim.iccid)

    def _is_seen(self, row: KnownSim) -> bool:
        return row.last_seen_session == self._session_id

    def _is_beside_another(self, sim: Sim) -> bool:
        if not is_named_by_iccid(sim):
            return False
        iccid = sim.iccid or ""
        if len(iccid) == _WITH_CHECK_DIGIT and iccid[:-1] in self._iccids:
            return True
        return any(self._is_taken(row, sim) for row in self._others(sim))

    def _taken_by_another(self, sim: Sim) -> Iterator[Sim]:
        """Yield what is stored under a SIM's id, where this walk has put another form there."""
        old = self._known.get(sim.sim_id)
        if old is None or not self._is_seen(old) or old.sim.iccid in {None, sim.iccid} or not is_named_by_iccid(sim):
            return
        if are_forms_of_one(old.sim.iccid or "", sim.iccid or "") and old.sim.iccid not in self._sims:
            yield old.sim


def _is_flagged(sim: Sim) -> bool:
    return BOTH_FORMS_FLAG in sim.quality_flags


def _with_flag(sim: Sim) -> Sim:
    flags = {*json.loads(sim.quality_flags), BOTH_FORMS_FLAG}
    return sim._replace(quality_flags=canonical_json(sorted(flags)))
