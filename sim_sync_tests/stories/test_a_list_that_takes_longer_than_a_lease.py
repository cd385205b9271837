"""Our list is a query that takes many leases to answer: its run lives, and everybody can see that it does.

The list is in PostgreSQL, the warehouse in SQLite; that leases are renewed in both alike is the contract of the stores.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from sim_sync.core.session import State
from sim_sync.warehouse.engine import open_engine
from sim_sync_tests.stories.place import CARRIER, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LEASE_SECONDS = 2
#: The query waits for this lock, and so takes as long as the story wants.
QUERY = """
SELECT '89000000000000000000' AS "ICCID", 'acme-eu' AS "Carrier", 'LIVE' AS "State"
FROM (SELECT pg_advisory_lock_shared(7)) AS released
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@contextmanager
def held_up(url: str) -> Iterator[tuple[Callable[[], bool | None], Callable[[], object]]]:
    """Hold up every reading of our list; yield how to see that one waits, and how to let all continue."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(7)"))

            def is_waiting() -> bool | None:
                return connection.execute(sa.text(WAITING)).scalar_one() > 0 or None

            yield is_waiting, lambda: connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))
    finally:
        engine.dispose()


def test_a_run_that_reads_our_list_for_many_leases_is_alone_and_never_called_dead(
    sqlite_place: Workspace, postgres_url: str
) -> None:
    place = sqlite_place
    # A plain home: nothing of Dagster's keeps a second run from its carrier.
    place.write_dagster_yaml({"telemetry": {"enabled": False}})
    place.inventory = {"type": "sql", "url": postgres_url, "query": QUERY}
    place.write_config(lease_seconds=LEASE_SECONDS)
    left = place.leave_interrupted()

    with held_up(postgres_url) as (is_waiting, release), place.daemon():
        place.wait_for(is_waiting, "our list to be read")
        at_work = place.session()
        assert at_work is not None
        assert (at_work.session_id, at_work.state, at_work.fence) == (left.session_id, State.RUNNING, left.fence + 1)
        ticks = place.wait_for_looks(2)
        still = place.session()
        told = place.sim_sync("status").stdout
        (run,) = place.runs()
        release()
        completed = place.wait_for_state(State.COMPLETED)
        place.wait_for_run(run.run_id, dg.DagsterRunStatus.SUCCESS)

    alone = f"session {at_work.session_id} is left alone: run {run.run_id} is at work on it"
    assert [tick.skip_reason for tick in ticks] == [f"{CARRIER}: {alone}"] * len(ticks)
    assert still is not None
    assert (still.state, still.owner, still.fence) == (State.RUNNING, run.run_id, at_work.fence)
    assert at_work.lease_expires_at is not None
    assert still.lease_expires_at is not None
    assert still.lease_expires_at - at_work.lease_expires_at > timedelta(seconds=3 * LEASE_SECONDS)
    assert run.status is dg.DagsterRunStatus.STARTED
    assert "running" in told
    assert not any(word in told for word in ("silent", "lost", "interrupted", "ran out"))
    assert len(place.runs()) == 1
    assert (completed.session_id, completed.fence, completed.pages_done) == (at_work.session_id, at_work.fence, 10)
    assert (place.page_requests(), len(place.rows("inventory_sims", "iccid"))) == (10, 1)
