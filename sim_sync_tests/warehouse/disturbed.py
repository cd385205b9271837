"""A whole sync over a scripted carrier while its warehouse fails, and what it comes to in the end."""

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from sim_sync.core.ports import SessionStore, Waiter
from sim_sync.core.session import Session, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import StepRules, walk
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.scratch import outcome_digests
from sim_sync.warehouse.store import SqlSessionStore, WarehouseRetry
from sim_sync_tests.fakes.carrier import Record, ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.fleet import a_request, a_sim
from sim_sync_tests.fakes.stopping import never_stop
from sim_sync_tests.fakes.waiter import RecordingWaiter

#: What makes a SIM fill most of a page of a SQLite file.
_LONG = '{"note":"' + "x" * 3000 + '"}'
#: Thirty large SIMs and an unreadable record, four to a page of the carrier.
RECORDS: list[Record] = [*(a_sim(number, attributes=_LONG) for number in range(30)), Unreadable()]


def a_carrier() -> ScriptedCarrier:
    """Return a carrier that gives `RECORDS`."""
    return ScriptedCarrier(pages=paged(RECORDS, 4), tells_totals=True)


def sync(
    store: SessionStore, *, waiter: Waiter | None = None, owner: str = "run-1", gone_owners: tuple[str, ...] = ()
) -> Session:
    """Open, walk and close, as a run does; without a waiter, nothing is tried again."""
    carrier = a_carrier()
    retry = (
        WarehouseRetry(RecordingWaiter(), attempts=1) if waiter is None else WarehouseRetry(waiter, chance=lambda: 0.0)
    )
    request = a_request(owner, first_cursor=carrier.first_cursor(), gone_owners=gone_owners)
    opened = retry(store.open_session, request)
    assert opened.refusal is None
    rules = StepRules(should_stop=never_stop, on_checkpoint=lambda _session: None, retried=retry)
    assert walk(opened.session, carrier, store, rules) is None
    closed = retry(store.close_session, opened.session.claim, SweepPolicy(), carrier.config_hash)
    assert closed.state is State.COMPLETED
    return closed


def undisturbed(url: str) -> Mapping[str, str]:
    """Return the outcome of a sync whose warehouse never failed, in an empty warehouse at this URL."""
    engine = open_engine(url)
    try:
        migrate(engine)
        sync(SqlSessionStore(engine, clock=SettableClock().now))
        return outcome_digests(engine)
    finally:
        engine.dispose()


def outcome(engine: sa.Engine) -> Mapping[str, str]:
    """Return what a sync has come to."""
    return outcome_digests(engine)


class Healing(RecordingWaiter):
    """A waiter that waits for nothing, and puts the warehouse right at the wait with this number, from 1."""

    def __init__(self, heal: Callable[[], object], *, at_wait: int = 1) -> None:
        super().__init__()
        self._heal = heal
        self._at_wait = at_wait

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if len(self.waits) == self._at_wait:
            self._heal()
