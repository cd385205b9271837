"""The tables of the in-memory warehouse: immutable rows in dicts, what a page writes into them, and how they look.

No rule of a session is decided in here; see `core.session_events`.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from sim_sync.core import session_events
from sim_sync.core.held_sweep import CERTIFIED, GroupCount, ShownSweep, SweepHistory, UnseenSim, sweep_digest
from sim_sync.core.lookups import AskedSim, LookedUp, LookupOutcome, LookupPlan, counts_of, with_lookups
from sim_sync.core.pages import (
    Cursor,
    KnownSim,
    Page,
    PageDiff,
    cursor_digest,
    diff_page,
    iccids_to_look_up,
    other_forms,
    settle_ids,
)
from sim_sync.core.session import Session, SessionRecord, State, SweepState, may_come_again
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepDecision, SweepPolicy, WalkFacts, decide_sweep, facts_of


@dataclass(frozen=True, slots=True)
class SimRow:
    """A SIM and what its walks have found: `last_seen_session` wrote the row, `seen_in` was the last to see it."""

    sim: Sim
    first_seen_at: datetime
    last_changed_at: datetime
    last_seen_session: str
    seen_in: str
    first_session_number: int
    absent_since: datetime | None = None
    vanished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What one session changed in one field."""

    old_value: str | None
    new_value: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One record that could not be read."""

    id: int
    carrier: str
    reason: str
    payload: str
    quarantined_at: datetime


@dataclass
class Tables:
    """Everything stored. A copy shares the rows, which never change."""

    sims: dict[tuple[str, str], SimRow] = field(default_factory=dict)
    changes: dict[tuple[str, str, str, str], ChangeRow] = field(default_factory=dict)
    records: dict[str, SessionRecord] = field(default_factory=dict)
    walk_cursors: dict[str, frozenset[str]] = field(default_factory=dict)
    quarantined: dict[tuple[str, int, int], QuarantineRow] = field(default_factory=dict)
    lookups: dict[tuple[str, str], LookupOutcome] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """Return a draft that can be changed without changing this."""
        return Tables(**{table.name: dict(getattr(self, table.name)) for table in fields(self)})

    def put(self, record: SessionRecord) -> Session:
        """Write a session's rows and return it."""
        self.records[record.session.session_id] = record
        return record.session

    def records_of(self, carrier: str) -> list[SessionRecord]:
        """Return a carrier's sessions in the order of their opening."""
        return [record for record in self.records.values() if record.session.carrier == carrier]

    def open_record_of(self, carrier: str) -> SessionRecord | None:
        """Return the carrier's session that is not final."""
        return next((record for record in self.records_of(carrier) if record.session.is_open), None)

    def latest_record_of(self, carrier: str) -> SessionRecord | None:
        """Return the carrier's open or else newest session."""
        return self.open_record_of(carrier) or next(reversed(self.records_of(carrier)), None)

    def use_cursor(self, session_id: str, cursor: Cursor) -> bool:
        """Write down a cursor of the session's walk; False where the walk has used it before."""
        used, digest = self.walk_cursors.get(session_id, frozenset()), cursor_digest(cursor)
        self.walk_cursors[session_id] = used | {digest}
        return digest not in used

    # --- what a page and the end of a walk write -------------------------------------------------------------------

    def write_sims(self, record: SessionRecord, page: Page, now: datetime) -> PageDiff:
        """Bring the page's SIMs into the table and return what that changed."""
        session = record.session
        ids = {sim.sim_id for sim in page.sims}
        known = {row.sim.sim_id: row for row in self._known_where(session.carrier, lambda sim: sim.sim_id in ids)}
        iccids = set(iccids_to_look_up(page.sims, known))
        found = self._known_where(session.carrier, lambda sim: sim.iccid in iccids) if iccids else []
        repeats = may_come_again(record, page)
        settled = settle_ids(page.sims, known, found, session.session_id, may_come_again=repeats)
        diff = diff_page(settled.sims, settled.known, now, session.session_id)
        for sim, last_changed_at in diff.upserts:
            stored = self.sims.get((session.carrier, sim.sim_id))
            first_seen_at = now if stored is None else stored.first_seen_at
            number = session.session_number if stored is None else stored.first_session_number
            row = SimRow(sim, first_seen_at, last_changed_at, session.session_id, session.session_id, number)
            self.sims[session.carrier, sim.sim_id] = row
        for sim_id in diff.unchanged:
            row = self.sims[session.carrier, sim_id]
            if row.absent_since is not None:  # a row that is as it should be is not written
                row = replace(row, last_seen_session=session.session_id, absent_since=None, vanished_at=None)
            self.sims[session.carrier, sim_id] = replace(row, seen_in=session.session_id)
        return diff

    def _known_where(self, carrier: str, is_wanted: Callable[[Sim], bool]) -> list[KnownSim]:
        return [
            KnownSim(row.sim, row.last_changed_at, row.seen_in, row.vanished_at is not None)
            for (owner, _), row in self.sims.items()
            if owner == carrier and is_wanted(row.sim)
        ]

    def write_changes(self, session: Session, diff: PageDiff, now: datetime) -> None:
        """Append the page's field changes to the history."""
        for change in diff.changes:
            key = (session.carrier, change.sim_id, session.session_id, change.field)
            # A second change within one walk: from what it was before the walk to what it is now.
            earlier = self.changes.get(key)
            old_value = change.old_value if earlier is None else earlier.old_value
            self.changes[key] = ChangeRow(old_value, change.new_value, now)

    def write_quarantined(self, session: Session, page: Page, now: datetime) -> None:
        """Keep the records that could not be read."""
        for rejected in page.rejected:
            key = (session.session_id, session.pages_done + 1, rejected.position)
            row = QuarantineRow(len(self.quarantined) + 1, session.carrier, rejected.reason, rejected.payload, now)
            self.quarantined.setdefault(key, row)

    def sweep(
        self, record: SessionRecord, policy: SweepPolicy, config_hash: str, now: datetime
    ) -> tuple[SweepDecision, int]:
        """Decide what becomes of the SIMs that the session did not see, and mark them; count those that it saw."""
        facts, unseen = self._facts(record, config_hash)
        decision = decide_sweep(facts, policy)
        # What was seen and not written is told for those that are not seen any more.
        unseen = {key: replace(row, last_seen_session=row.seen_in) for key, row in unseen.items()}
        self.sims.update(unseen)
        answers = self._answers(record.session.session_id)
        if decision.state is SweepState.DONE:
            self.mark(unseen, now, {sim_id for sim_id, answer in answers.items() if answer is LookupOutcome.NOT_FOUND})
        counts = counts_of(record, Counter(answer.value for answer in answers.values()))
        return with_lookups(decision, counts, policy.lookup_limit), facts.sims_seen

    def _facts(self, record: SessionRecord, config_hash: str) -> tuple[WalkFacts, dict[tuple[str, str], SimRow]]:
        session = record.session
        there = {key: row for key, row in self.sims.items() if key[0] == session.carrier and row.vanished_at is None}
        unseen = {key: row for key, row in there.items() if row.seen_in != session.session_id}
        named = {row.sim.iccid for key, row in there.items() if key not in unseen and row.sim.iccid == row.sim.sim_id}

        def is_there(row: SimRow) -> bool:
            """Return whether the walk has seen the other form of the ICCID that is the SIM's id."""
            iccid = row.sim.iccid
            return iccid is not None and iccid == row.sim.sim_id and not named.isdisjoint(other_forms(iccid))

        found = sum(answer is LookupOutcome.FOUND for answer in self._answers(session.session_id).values())
        facts = facts_of(
            record,
            sims_seen=len(there) - len(unseen) - found,
            # SIMs that this walk added are not "known" yet: the guard compares with what was there before.
            sims_known=sum(row.first_session_number < session.session_number for row in there.values()),
            newly_missing=sum(row.absent_since is None and not is_there(row) for row in unseen.values()),
            unseen=len(unseen),
            config_hash=config_hash,
        )
        return facts, unseen

    def mark(self, unseen: Mapping[tuple[str, str], SimRow], now: datetime, not_there: Collection[str] = ()) -> None:
        """Mark SIMs as absent, and those that were absent before, or are known not to be there, as vanished."""
        for key, row in unseen.items():
            is_gone = row.absent_since is not None or row.sim.sim_id in not_there
            marked = replace(row, absent_since=row.absent_since or now)
            self.sims[key] = replace(marked, vanished_at=now) if is_gone else marked

    # --- lookups -----------------------------------------------------------------------------------------------------

    def plan_lookups(self, record: SessionRecord, policy: SweepPolicy, config_hash: str, now: datetime) -> LookupPlan:
        """Return whom the session has still to ask for, and write down how many those are."""
        session = record.session
        facts, unseen = self._facts(record, config_hash)
        may_ask = session.state is State.RUNNING and decide_sweep(facts, policy).state is SweepState.DONE
        if not (may_ask and unseen):
            return LookupPlan(session)
        answers = self._answers(session.session_id)
        rows = [row for row in unseen.values() if row.sim.sim_id not in answers]
        rows.sort(key=lambda row: (row.absent_since is None, row.sim.sim_id))
        missed = rows[: max(policy.lookup_limit - session.lookups_done, 0)]
        session = self.put(session_events.lookups_planned(record, len(missed), len(rows) - len(missed), now))
        seen = [row for row in self.sims.values() if row.seen_in == session.session_id]
        witness = next((_asked(row) for row in seen if row.sim.sim_id not in answers), None)
        return LookupPlan(session, [_asked(row) for row in missed], witness)

    def write_answer(self, record: SessionRecord, asked: AskedSim, looked_up: LookedUp, now: datetime) -> PageDiff:
        """Write an answer down, and the SIM where it is the one that was asked for."""
        answer, diff = looked_up.outcome, PageDiff()
        if looked_up.sim is not None:
            draft, page = self.copy(), Page(sims=[looked_up.sim], next_cursor=None, records=1)
            diff = draft.write_sims(record, page, now)
            if draft.sims[record.session.carrier, asked.sim_id].seen_in == record.session.session_id:
                self.sims = draft.sims
                self.write_changes(record.session, diff, now)
            else:
                answer, diff = LookupOutcome.UNCLEAR, PageDiff()
        self.lookups[record.session.session_id, asked.sim_id] = answer
        return diff

    def _answers(self, session_id: str) -> Mapping[str, LookupOutcome]:
        return {sim_id: answer for (owner, sim_id), answer in self.lookups.items() if owner == session_id}

    def forget_answers(self, session_id: str) -> None:
        """Forget the answers of a session that is over."""
        self.lookups = {key: answer for key, answer in self.lookups.items() if key[0] != session_id}

    # --- a held sweep ------------------------------------------------------------------------------------------------

    def sweep_history(self, carrier: str) -> SweepHistory:
        """Return the carrier's last two certified walks."""
        certified = [
            record.session
            for record in self.records_of(carrier)
            if record.session.state is State.COMPLETED and record.session.sweep_state in CERTIFIED
        ]
        return SweepHistory(*reversed(certified[-2:]))

    def not_seen(self, record: SessionRecord) -> dict[tuple[str, str], SimRow]:
        """Return the SIMs that are there and that neither the session nor a later one has seen."""
        carrier, number = record.session.carrier, record.session.session_number
        return {
            key: row
            for key, row in sorted(self.sims.items())
            if key[0] == carrier
            and row.vanished_at is None
            and self.records[row.seen_in].session.session_number < number
        }

    def held_sweep(self, record: SessionRecord, most: int) -> ShownSweep:
        """Return what approving the session's sweep would mark, its lists capped."""
        sims = [
            UnseenSim._make(
                (*(getattr(row.sim, name) for name in UnseenSim._fields[:-1]), row.absent_since is not None)
            )
            for row in self.not_seen(record).values()
        ]
        vanished = sum(sim.vanishes for sim in sims)
        return ShownSweep(
            session=record.session,
            digest=sweep_digest(record.session.session_id, ((sim.sim_id, sim.vanishes) for sim in sims)),
            absent=len(sims) - vanished,
            vanished=vanished,
            by_status=_groups((sim.status for sim in sims), most),
            by_rate_plan=_groups((sim.rate_plan for sim in sims), most),
            by_account=_groups((sim.account for sim in sims), most),
            listed=sims[:most],
        )

    # --- how they look -----------------------------------------------------------------------------------------------

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table as a reader of the warehouse sees it: JSON parsed, times aware and in UTC."""
        match table:
            case "carrier_sims":
                return [_sim_columns(carrier, row) for (carrier, _), row in self.sims.items()]
            case "sim_changes":
                return [
                    {"carrier": carrier, "sim_id": sim_id, "session_id": session_id, "field": name} | asdict(row)
                    for (carrier, sim_id, session_id, name), row in self.changes.items()
                ]
            case "sync_sessions":
                return [_session_columns(record.session) for record in self.records.values()]
            case "session_internals":
                return [_internals_columns(key, record) for key, record in self.records.items()]
            case "quarantined_records":
                return [_quarantine_columns(key, row) for key, row in self.quarantined.items()]
            case _:
                raise KeyError(f"the in-memory warehouse has no table {table}")


def _asked(row: SimRow) -> AskedSim:
    return AskedSim(row.sim.sim_id, row.sim.iccid, row.sim.iccid_raw)


def _groups(values: Iterable[str | None], most: int) -> list[GroupCount]:
    counts = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0] is None, one[0] or ""))
    return [GroupCount(*one) for one in counts[:most]]


def _sim_columns(carrier: str, row: SimRow) -> dict[str, Any]:
    sim = row.sim._asdict()
    return {
        "carrier": carrier,
        **sim,
        "attributes": json.loads(row.sim.attributes),
        "quality_flags": json.loads(row.sim.quality_flags),
        "first_seen_at": row.first_seen_at,
        "last_changed_at": row.last_changed_at,
        "last_seen_session": row.last_seen_session,
        "first_session_number": row.first_session_number,
        "absent_since": row.absent_since,
        "vanished_at": row.vanished_at,
    }


def _session_columns(session: Session) -> dict[str, Any]:
    columns = asdict(session)
    return columns | {"state": session.state.value, "sweep_state": session.sweep_state.value}


def _internals_columns(session_id: str, record: SessionRecord) -> dict[str, Any]:
    columns = asdict(record.internals)
    return columns | {"session_id": session_id, "recent_page_seconds": list(columns["recent_page_seconds"])}


def _quarantine_columns(key: tuple[str, int, int], row: QuarantineRow) -> dict[str, Any]:
    session_id, page_number, position = key
    return asdict(row) | {
        "session_id": session_id,
        "page_number": page_number,
        "position": position,
        "payload": json.loads(row.payload),
        "resolved_at": None,
        "resolution": None,
    }
