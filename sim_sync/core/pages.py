"""A page as it is fetched, and what it changes: the comparison of its SIMs with what the warehouse holds of them.

A cursor is a small JSON object that only its connector understands. Everything before it is committed; it holds no
secret. `None` in its place means that the carrier itself said: this was the last page.

An ICCID travels with its check digit or without (ITU-T E.118). Where it is the id, another form would be another SIM:
the whole fleet would seem gone, and a new one there. So a SIM that is unknown under its own id is looked up under its
other forms, and keeps the id that it is stored under. Two forms that stand in one list are two SIMs.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar, overload

from sim_sync.core.identifiers import NotAnIdentifier, normal_iccid
from sim_sync.core.sims import PRESENCE, FieldChange, Sim, tracked_changes
from sim_sync.core.storable import canonical_json

# --- a page ----------------------------------------------------------------------------------------------------------

JsonValue: TypeAlias = "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
Cursor: TypeAlias = Mapping[str, JsonValue]


def cursor_digest(cursor: Cursor) -> str:
    """Return 16 hex digits that name a cursor, for comparing it with all the earlier ones of its walk."""
    return digest_of(cursor)


def digest_of(value: object) -> str:
    """Return 16 hex digits that name a JSON value, whatever characters are in it."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that cannot be a SIM; it goes to `quarantined_records` and the walk continues.

    `position` counts from 0 in its page; `payload` is the record as JSON text, its secrets removed.
    """

    position: int
    reason: str
    payload: str


class ReadRecords(NamedTuple):
    """What records are: the SIMs, those that can be none, and by the SIMs' ids the digests of records that have one."""

    sims: Sequence[Sim]
    rejected: Sequence[QuarantinedRecord] = ()
    digests: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True)
class Unread:
    """The records of a page before they are read, so that those need not be read that are as they were.

    `digests` are those of records that have one, by the ids that their SIMs have, each of which stands on the page only
    once. `read` reads all records but those of SIMs that it is given.
    """

    digests: Mapping[str, int]
    read: Callable[[Collection[str]], ReadRecords]
    _whole: ReadRecords | None = None

    @property
    def whole(self) -> ReadRecords:
        """All records, read once."""
        if self._whole is None:
            self._whole = self.read(())
        return self._whole


_T = TypeVar("_T")


class Later(Sequence[_T]):
    """A sequence that is made when somebody first looks at it."""

    def __init__(self, made: Callable[[], Sequence[_T]]) -> None:
        self._made = made

    @overload
    def __getitem__(self, place: int) -> _T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[_T]: ...
    def __getitem__(self, place: Any) -> Any:
        """Return what stands at a place."""
        return self._made()[place]

    def __len__(self) -> int:
        """Return how long it is."""
        return len(self._made())

    def __iter__(self) -> Iterator[_T]:
        """Go through it."""
        return iter(self._made())

    def __eq__(self, other: object) -> bool:
        """Compare it by what stands in it."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Effort:
    """What it cost to get one page: requests repeated, and seconds spent waiting because the carrier said so."""

    retries: int = 0
    throttled_seconds: float = 0.0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page as fetched.

    `records` counts what the carrier sent, whether or not it could be read; `records_total` and `pages_total` are the
    carrier's own totals for the whole list, where it gives them. `overlap` counts the SIMs that stood on the page
    before too, by the paging's design. `is_reread` marks a page that need not bring anything new. `gap` says why SIMs
    may have been passed over before this page, `end_doubt` why the end may be none. `moves_unseen`: nothing tells
    whether records that left have let others move up from page to page. `suspect` says what of our own configuration
    is likely to be wrong where pages repeat; None where only the carrier's address can be. `unread` are its records
    where they are only read as somebody looks at `sims` or `rejected`; `as_before` counts SIMs that are not among
    `sims`, because their records are what they were.
    """

    sims: Sequence[Sim]
    next_cursor: Cursor | None
    records: int
    rejected: Sequence[QuarantinedRecord] = ()
    records_total: int | None = None
    pages_total: int | None = None
    overlap: int = 0
    is_reread: bool = False
    gap: str | None = None
    end_doubt: str | None = None
    moves_unseen: bool = False
    suspect: str | None = None
    effort: Effort = field(default_factory=Effort)
    unread: Unread | None = field(default=None, compare=False, repr=False)
    as_before: int = 0

    @classmethod
    def of_unread(cls, unread: Unread, **told: Any) -> "Page":
        """Return a page whose records are read as somebody looks at them."""
        sims, rejected = Later(lambda: unread.whole.sims), Later(lambda: unread.whole.rejected)
        return cls(sims=sims, rejected=rejected, unread=unread, **told)

    def read(self) -> "Page":
        """Return the page with all its records read."""
        return replace(self, sims=list(self.sims), rejected=list(self.rejected), unread=None)

    @property
    def advice_on_repeats(self) -> str:
        """What to do where this page leads to one that was fetched before: first look at what is our own."""
        if self.suspect is None:
            return "Is `base_url` in carriers.yaml that of this API? If it is, report this to the carrier"
        return (
            f"Most likely {self.suspect}: compare that with the carrier's documentation. If it is right, report this "
            "to the carrier"
        )


# --- what it changes -------------------------------------------------------------------------------------------------


class KnownSim(NamedTuple):
    """A SIM as stored, when a tracked field of it last changed, which session saw it last, and whether it is gone.

    `number` is what the notes of a walk call it by; None where it has none yet. `digest` is that of its row, where
    this is complete and not marked as absent or vanished.
    """

    sim: Sim
    last_changed_at: datetime
    last_seen_session: str
    is_vanished: bool = False
    number: int | None = None
    digest: int | None = None


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
        if old is not None and old.is_vanished:
            diff.changes.append(FieldChange(sim.sim_id, PRESENCE, "vanished", "present"))
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


# --- which stored SIM a SIM is ---------------------------------------------------------------------------------------

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


def iccids_to_look_up(sims: Iterable[Sim], known: Mapping[str, KnownSim]) -> list[str]:
    """Return the ICCIDs under which the SIMs of a page may be stored, where their own ids do not settle it."""
    found: list[str] = []
    for sim in sims:
        old = known.get(sim.sim_id)
        if sim.iccid is not None and (is_named_by_iccid(sim) if old is None else _is_flagged(old.sim)):
            found += (sim.iccid, *other_forms(sim.iccid))
    return found


def may_be_other_forms(sims: Iterable[Sim], known: Mapping[str, KnownSim]) -> bool:
    """Return whether all SIMs of a page are needed to say which stored ones these are; see `settle_ids`."""
    for sim in sims:
        old = known.get(sim.sim_id)
        is_settled = old is not None and old.sim.iccid == sim.iccid and not _is_flagged(old.sim)
        if not is_settled and is_named_by_iccid(sim):
            return True
    return False


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
    if not page.may_hold_two_forms():
        return Settled([*sims, *page.parted()], dict(known))
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

    def may_hold_two_forms(self) -> bool:
        """Return whether any SIM of the page can be another form of one that is stored, or beside it in the page."""
        longer = (iccid for iccid in self._iccids if iccid is not None and len(iccid) == _WITH_CHECK_DIGIT)
        return bool(self._found) or any(iccid[:-1] in self._iccids for iccid in longer)

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
