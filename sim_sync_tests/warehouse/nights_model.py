"""What nights on a fleet and a list come to, worked out in plain Python: no SQL, and none of the program's own rules.

Written from the documentation: absent, vanished and back; missing, unknown and mismatched; opened, seen again and
resolved.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim

FIELDS = ("status", "msisdn", "imsi", "rate_plan")
KINDS = ("missing_at_carrier", "unknown_to_us", "wrong_carrier", "mismatch", "duplicate_iccid", "quality")
Key = tuple[str, str, str]


@dataclass
class Discrepancy:
    """One row of `sim_discrepancies`, but for its severity."""

    ours: str | None
    theirs: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    times_seen: int = 1
    resolved_at: datetime | None = None


@dataclass
class ModelOfNights:
    """Everything that is known after the nights so far."""

    fleet: dict[str, Sim] = field(default_factory=dict)
    absent_since: dict[str, datetime] = field(default_factory=dict)
    vanished_at: dict[str, datetime] = field(default_factory=dict)
    list: dict[str, InventorySim] = field(default_factory=dict)
    discrepancies: dict[Key, Discrepancy] = field(default_factory=dict)

    def walk(self, sims: Sequence[Sim], finished_at: datetime) -> str:
        """Take a complete walk, and return what became of its sweep. The fleet is too small for the share to count."""
        seen = {sim.sim_id: sim for sim in sims}
        for sim_id, sim in seen.items():
            self.fleet[sim_id] = sim
            self.absent_since.pop(sim_id, None)
            self.vanished_at.pop(sim_id, None)
        there = [sim_id for sim_id in self.fleet if sim_id not in self.vanished_at]
        if not seen and there:
            return "held"
        for sim_id in there:
            if sim_id not in seen and sim_id in self.absent_since:
                self.vanished_at[sim_id] = finished_at
            elif sim_id not in seen:
                self.absent_since[sim_id] = finished_at
        return "done"

    def load(self, rows: Iterable[InventorySim]) -> None:
        """Take our list as it is now."""
        self.list = {row.iccid: row for row in rows}

    def compare(self, as_of: datetime) -> None:
        """Bring the discrepancies to what differs as of this moment."""
        now = self._differing()
        for key, kept in self.discrepancies.items():
            if key not in now and kept.resolved_at is None:
                kept.resolved_at = as_of
        for key, (ours, theirs) in now.items():
            known = self.discrepancies.get(key)
            if known is None or known.resolved_at is not None:
                self.discrepancies[key] = Discrepancy(ours, theirs, as_of, as_of)
            else:
                known.times_seen += 1
                known.ours, known.theirs, known.last_seen_at = ours, theirs, as_of

    def counts(self, as_of: datetime) -> Mapping[str, Mapping[str, int]]:
        """Return what the comparison as of this moment did, by kind."""

        def count(kind: str, test: Callable[[Discrepancy], bool]) -> int:
            return sum(key[0] == kind and test(one) for key, one in self.discrepancies.items())

        return {
            kind: {
                "opened": count(kind, lambda one: one.first_seen_at == as_of),
                "seen_again": count(kind, lambda one: one.last_seen_at == as_of > one.first_seen_at),
                "resolved": count(kind, lambda one: one.resolved_at == as_of),
                "open": count(kind, lambda one: one.resolved_at is None),
            }
            for kind in KINDS
        }

    def _differing(self) -> Mapping[Key, tuple[str | None, str | None]]:
        theirs = {
            sim.iccid: sim
            for sim_id, sim in self.fleet.items()
            if sim_id not in self.vanished_at and sim.iccid is not None
        }
        pairs = paired(set(self.list), set(theirs))
        found: dict[Key, tuple[str | None, str | None]] = {}
        for iccid, row in self.list.items():
            if iccid not in pairs:
                found["missing_at_carrier", "", iccid] = (row.status, None)
        for iccid, sim in theirs.items():
            if iccid not in pairs.values():
                found["unknown_to_us", "", iccid] = (None, sim.status)
        if unclear := sum(row.status == "unknown" for row in self.list.values()):
            told = f"{unclear} SIM{'' if unclear == 1 else 's'} ha{'s' if unclear == 1 else 've'}"
            told = f"{told} a status word that our list's `statuses` do not name"
            found["quality", "status", "word:unknown"] = (told, None)
        for our_iccid, their_iccid in pairs.items():
            for name in FIELDS:
                ours, told = getattr(self.list[our_iccid], name), getattr(theirs[their_iccid], name)
                if name == "status" and "unknown" in {ours, told}:
                    continue
                if ours and told and comparable(name, ours) != comparable(name, told):
                    found["mismatch", name, our_iccid] = (ours, told)
        return found


def paired(ours: set[str], theirs: set[str]) -> dict[str, str]:
    """Return which ICCID of ours is which of theirs: the same, or else the only possible 19- or 20-digit form."""
    pairs = {iccid: iccid for iccid in ours & theirs}
    our_left, their_left = ours - theirs, theirs - ours
    for iccid in our_left:
        candidates = [other for other in their_left if is_other_form(iccid, other)]
        if len(candidates) == 1 and [one for one in our_left if is_other_form(one, candidates[0])] == [iccid]:
            pairs[iccid] = candidates[0]
    return pairs


def is_other_form(one: str, other: str) -> bool:
    """Return whether one is the other without its last digit, 20 digits and 19."""
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return (len(longer), len(shorter)) == (20, 19) and longer.startswith(shorter)


def comparable(name: str, value: str) -> str:
    """Return what is compared of a value: of a number, its digits in international form."""
    if name != "msisdn":
        return value
    digits = "".join(mark for mark in value if mark.isdigit())
    return digits.removeprefix("00")
