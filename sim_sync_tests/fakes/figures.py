"""Figures of a carrier for what shows them; a test names only what it is about."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sim_sync.core.held_sweep import CERTIFIED, SweepHistory
from sim_sync.core.notes import CarrierOverview
from sim_sync.core.progress import CarrierFigures, Problem, Totals
from sim_sync.core.session import Session, State, SweepState
from sim_sync_tests.fakes.clock import START

HOUR = timedelta(hours=1)
#: Stands in the last error of every session: no figure may show it.
SECRET = "password=hunter2"


def a_session(state: State = State.COMPLETED, **fields: object) -> Session:
    """Return a walk of 90 minutes that ended at `START`."""
    values: dict[str, object] = {
        "session_id": "acme-1",
        "session_number": 1,
        "carrier": "acme",
        "state": state,
        "cursor": {"page": 7},
        "fence": 1,
        "config_hash": "hash-1",
        "pages_done": 7,
        "pages_expected": 9,
        "started_at": START - 1.5 * HOUR,
        "updated_at": START,
        "finished_at": START if state is State.COMPLETED else None,
        "last_error": f"HTTP 500: {SECRET} \x1b[2J",
        "last_error_at": START - HOUR,
        "sweep_state": SweepState.DONE,
    }
    return Session(**(values | fields))  # type: ignore[arg-type]


def figures(session: Session | None = None, **fields: object) -> CarrierFigures:
    """Return the figures of a carrier an hour after its last walk."""
    last = session if session is not None and session.state is State.COMPLETED else None
    sweeps = SweepHistory(last) if last is not None and last.sweep_state in CERTIFIED else SweepHistory()
    overview = CarrierOverview(carrier="acme", newest=session, last_completed=last, sweeps=sweeps, quarantined=3)
    values: dict[str, object] = {"overview": overview, "now": START + HOUR}
    return CarrierFigures(**(values | fields))  # type: ignore[arg-type]


def everything() -> CarrierFigures:
    """Return figures with a value for every metric."""
    overview = CarrierOverview(
        carrier="acme",
        newest=a_session(
            State.RUNNING, lease_expires_at=START + 2 * HOUR, eta_at=START + 2 * HOUR, last_error_at=START
        ),
        last_completed=a_session(),
        sweeps=SweepHistory(a_session()),
        quarantined=3,
    )
    return replace(
        figures(a_session(), discrepancies={Problem("mismatch", "high"): 2}, monthly_cost=Decimal("1.20")),
        overview=overview,
        totals=Totals(700, 7000, 50, 60, 8, 12.5, 2, 5, 1),
    )
