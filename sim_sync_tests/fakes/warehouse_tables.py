"""The tables of the in-memory warehouse, as immutable rows in dicts, and how they look to someone who reads them.

No rule of a session is decided in here; see `warehouse`.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sim_sync.core.opening import Process
from sim_sync.core.session import Session, State
from sim_sync.core.sims import Sim


@dataclass(frozen=True, slots=True, kw_only=True)
class SimRow:
    """A SIM and what its walks have found about it."""

    sim: Sim
    first_seen_at: datetime
    last_changed_at: datetime
    last_seen_session: str
    absent_since: datetime | None = None
    vanished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What one session changed in one field."""

    old_value: str | None
    new_value: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineRow:
    """One record that could not be read."""

    id: int
    carrier: str
    reason: str
    payload: str
    quarantined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Internals:
    """The store's own notes about a session, which are nobody else's business."""

    process: Process
    lease_seconds: float
    pace_seconds: float | None = None
    carrier_total: int | None = None
    walk_restarts: int = 0
    #: The cursor whose page was committed last: how a lost acknowledgement is told from a stranger's page.
    last_cursor_digest: str | None = None
    #: Distinct SIMs of a completed walk: what the next one expects.
    sims_seen: int | None = None


@dataclass
class Tables:
    """Everything stored. A copy shares the rows, which never change."""

    sims: dict[tuple[str, str], SimRow] = field(default_factory=dict)
    changes: dict[tuple[str, str, str, str], ChangeRow] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    internals: dict[str, Internals] = field(default_factory=dict)
    walk_cursors: dict[str, frozenset[str]] = field(default_factory=dict)
    quarantined: dict[tuple[str, int, int], QuarantineRow] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """Return a draft that can be changed without changing this."""
        return Tables(**{table.name: dict(getattr(self, table.name)) for table in fields(self)})

    def put(self, session: Session) -> Session:
        """Write a session's row and return it."""
        self.sessions[session.session_id] = session
        return session

    def sims_of(self, carrier: str) -> list[tuple[tuple[str, str], SimRow]]:
        """Return a carrier's SIMs with their keys."""
        return [(key, row) for key, row in self.sims.items() if key[0] == carrier]

    def open_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's session that is not final."""
        return next((one for one in self.sessions.values() if one.carrier == carrier and one.is_open), None)

    def latest_session_of(self, carrier: str) -> Session | None:
        """Return the carrier's open or else newest session; sessions stand in the order of their opening."""
        newest = [one for one in self.sessions.values() if one.carrier == carrier]
        return self.open_session_of(carrier) or (newest[-1] if newest else None)

    def last_completed_of(self, carrier: str) -> Session | None:
        """Return the carrier's last completed session."""
        completed = [one for one in self.sessions.values() if one.carrier == carrier and one.state is State.COMPLETED]
        return completed[-1] if completed else None

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
                return [_session_columns(session) for session in self.sessions.values()]
            case "session_internals":
                return [_internal_columns(session_id, row) for session_id, row in self.internals.items()]
            case "quarantined_records":
                return [_quarantine_columns(key, row) for key, row in self.quarantined.items()]
            case _:
                raise KeyError(f"the in-memory warehouse has no table {table}")


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
        "absent_since": row.absent_since,
        "vanished_at": row.vanished_at,
    }


def _session_columns(session: Session) -> dict[str, Any]:
    columns = asdict(session)
    return columns | {"state": session.state.value, "sweep_state": session.sweep_state.value}


def _internal_columns(session_id: str, row: Internals) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "owner_host": row.process.host,
        "owner_pid": row.process.pid,
        "owner_started": row.process.started,
        "lease_seconds": row.lease_seconds,
        "carrier_total": row.carrier_total,
        "pace_seconds": row.pace_seconds,
        "walk_restarts": row.walk_restarts,
        "sims_seen": row.sims_seen,
    }


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
