"""The sensor of a code location with 500 carriers: what a tick asks, tells and remembers does not grow with them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from sim_sync.core.resuming import ResumeRequest
from sim_sync.core.session import Event, Release, Session, State
from sim_sync.defs.assets import build_carrier_sims, build_sim_discrepancies, build_sim_inventory
from sim_sync.defs.jobs import CARRIER_TAG, RUN_KEY_TAG, Names, build_reconcile_carrier, carrier_partitions
from sim_sync.defs.resources import kept_run_resource
from sim_sync.defs.sensors import build_resume_interrupted_syncs, cursor_from_memory, memory_from_cursor
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.run_leases import SqlRunLeases
from sim_sync.warehouse.sessions import insert_record, lock_session
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import run_leases
from sim_sync_tests.defs.stage import ELSEWHERE, LEASE_SECONDS, FakeCarrierConfig, FakeConfig
from sim_sync_tests.fakes.carrier import ScriptedCarrier
from sim_sync_tests.fakes.clock import START, SettableClock
from sim_sync_tests.fakes.fleet import CARRIER, a_request

CARRIERS = [f"carrier-with-quite-a-long-name-{number:03}" for number in range(500)]
ASSETS = (build_sim_inventory, build_carrier_sims, build_sim_discrepancies)
#: Without that for the time, which is the test's here.
MOST_QUERIES = 11
MOST_TOLD, MOST_REMEMBERED = 4_000, 64_000
#: What a database is told at the start of a transaction or a connection is no question.
NO_QUESTIONS = ("BEGIN", "PRAGMA journal_mode", "PRAGMA foreign_keys")

STARTED, FAILURE, CANCELED = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED


class Fleet:
    """A warehouse with an open session of each carrier, and an instance with their runs."""

    def __init__(self, instance: dg.DagsterInstance, engine: sa.Engine) -> None:
        self.instance, self.engine, self.clock = instance, engine, SettableClock()
        sessions = SqlSessionStore(engine, clock=self.clock.now)
        self.warehouse = Warehouse(engine, sessions, SqlRunLeases(engine, clock=self.clock.now))
        self.cursor: str | None = None
        script = ScriptedCarrier(pages=[])
        self.config = config = FakeConfig({name: FakeCarrierConfig(script) for name in CARRIERS})
        names = Names()
        partitions = carrier_partitions(CARRIERS)
        job = build_reconcile_carrier(partitions, names)
        eyes: Any = (config, self.warehouse)
        self.sensor = build_resume_interrupted_syncs(job, CARRIERS, lambda: eyes, names, wait=self.pass_time)
        self.definitions = dg.Definitions(
            assets=[build(partitions, names) for build in ASSETS],
            jobs=[job],
            resources={"sync_config": config, "warehouse": self.warehouse, "kept_run": kept_run_resource()},
        )

    def pass_time(self, seconds: float) -> None:
        """Advance the warehouse's clock."""
        self.clock.advance(seconds)

    def open_sessions(self, event: Event | None = None) -> dict[str, Session]:
        """Open a session of each carrier as one that was really opened, and released where an event says how."""
        claim = self.warehouse.sessions.open_session(a_request("owner", process=ELSEWHERE)).session.claim
        if event is not None:
            self.warehouse.sessions.release(claim, Release(event))
        opened = {}
        with transaction(self.engine, "filling the warehouse") as connection:
            locked = lock_session(connection, claim.session_id)
            assert locked is not None
            for name in CARRIERS:
                session_id = locked.record.session.session_id.replace(CARRIER, name)
                owner = f"owner-of-{name}" if locked.record.session.owner else None
                opened[name] = replace(locked.record.session, carrier=name, session_id=session_id, owner=owner)
                insert_record(connection, replace(locked.record, session=opened[name]))
        return opened

    def store_runs(self, status: dg.DagsterRunStatus, *, keys: dict[str, str] | None = None) -> None:
        """Put a run of each carrier into the instance: the owner of its session, or the one that was asked for."""
        for name in CARRIERS:
            tags = {CARRIER_TAG: name} | ({RUN_KEY_TAG: keys[name]} if keys else {})
            run_id = f"asked-of-{name}" if keys else f"owner-of-{name}"
            self.instance.run_storage.add_run(
                dg.DagsterRun(job_name="reconcile_carrier", run_id=run_id, status=status, tags=tags)
            )

    def renew_leases(self) -> None:
        """Let every owner say that it lives."""
        until = self.clock.now() + timedelta(seconds=LEASE_SECONDS)
        rows = [
            {"run_id": f"owner-of-{name}", "host": "h", "pid": 1, "started": "1", "lease_expires_at": until}
            for name in CARRIERS
        ]
        with transaction(self.engine, "filling the warehouse") as connection:
            connection.execute(run_leases.insert(), rows)

    def tick(self) -> tuple[int, str]:
        """Let the sensor look; return how many runs it asks for, and why it skips."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, definitions=self.definitions
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return len(data.run_requests or []), data.skip_message or ""


@pytest.fixture
def fleet(engine: sa.Engine, tmp_path: Path) -> Iterator[Fleet]:
    """Each database in turn."""
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield Fleet(instance, engine)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Write down what is asked of every database of this process: the warehouse's, and Dagster's."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(NO_QUESTIONS):
            seen.append(statement[:60])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def is_short(fleet: Fleet, told: str, capfd: pytest.CaptureFixture[str]) -> bool:
    """Return whether a tick has told and remembered little enough. What it logs is printed, too."""
    remembered = (fleet.cursor or "").encode()
    logged = capfd.readouterr().err
    return (
        len(json.dumps(told)) + len(json.dumps(logged)) < MOST_TOLD
        and len(remembered) < MOST_REMEMBERED
        and ("more carriers" in told + logged)
    )


def test_a_tick_with_500_at_work_asks_a_handful_of_questions(fleet: Fleet, capfd: pytest.CaptureFixture[str]) -> None:
    fleet.open_sessions()
    fleet.store_runs(STARTED)
    fleet.renew_leases()

    with statements() as seen:
        asked, told = fleet.tick()

    assert (asked, "at work" in told) == (0, True)
    assert len(seen) <= MOST_QUERIES, seen
    assert is_short(fleet, told, capfd)


def test_a_tick_that_asks_for_500_runs_and_the_one_after_it_ask_a_handful_of_questions(
    fleet: Fleet, capfd: pytest.CaptureFixture[str]
) -> None:
    fleet.open_sessions(Event.STOPPED_BY_MACHINE)

    with statements() as first:
        assert fleet.tick() == (500, "")
    assert len(first) <= MOST_QUERIES, first
    assert is_short(fleet, "", capfd)

    with statements() as second:
        asked, told = fleet.tick()
    assert asked == 0
    assert len(second) <= MOST_QUERIES, second
    assert is_short(fleet, told, capfd)


def test_of_carriers_without_an_open_session_a_tick_reads_no_configuration(fleet: Fleet) -> None:
    fleet.tick()
    assert fleet.config.read == []
    fleet.warehouse.sessions.open_session(a_request("owner", process=ELSEWHERE, carrier=CARRIERS[7]))
    fleet.tick()
    assert fleet.config.read == [CARRIERS[7]]


def test_how_500_runs_died_is_asked_once(fleet: Fleet) -> None:
    sessions = fleet.open_sessions(Event.STOPPED_BY_MACHINE)
    fleet.tick()
    memory = memory_from_cursor(fleet.cursor)
    fleet.store_runs(FAILURE, keys={name: memory[name].run_key for name in sessions})
    fleet.tick()

    with statements() as seen:
        asked, told = fleet.tick()

    assert (asked, "the last run ended before it opened the session: it left no word" in told) == (0, True)
    assert len(seen) <= MOST_QUERIES, seen


def test_a_termination_is_found_among_500(fleet: Fleet) -> None:
    fleet.open_sessions()
    fleet.store_runs(STARTED)
    fleet.renew_leases()
    ended = fleet.instance.get_run_by_id(f"owner-of-{CARRIERS[321]}")
    assert ended is not None
    fleet.instance.report_run_canceling(ended)
    fleet.instance.report_run_canceled(ended)

    _, told = fleet.tick()

    assert told.startswith(f"{CARRIERS[321]}: session "), "what is moved is told first"
    assert f"a person terminated run owner-of-{CARRIERS[321]}" in told
    states = [session.state for session in fleet.warehouse.sessions.latest_sessions(CARRIERS)]
    assert (states.count(State.PAUSED), states.count(State.RUNNING)) == (1, 499)


# --- what it remembers -----------------------------------------------------------------------------------------


def test_what_was_asked_about_a_session_that_is_over_is_forgotten(fleet: Fleet) -> None:
    first, *_ = sessions = list(fleet.open_sessions(Event.STOPPED_BY_MACHINE).values())
    over = ResumeRequest("another-session-1", 1, 0, 0, START)
    taken = ResumeRequest(first.session_id, first.fence - 1, 0, 0, START)
    away = ResumeRequest("of-a-carrier-that-is-not-here-1", 1, 0, 7, START)
    fleet.cursor = cursor_from_memory({CARRIERS[1]: over, CARRIERS[0]: taken, "of-a-carrier-that-is-not-here": away})

    fleet.tick()

    memory = memory_from_cursor(fleet.cursor)
    assert memory.pop("of-a-carrier-that-is-not-here") == away, "its run keys must not be used twice"
    assert {asked.session_id for asked in memory.values()} == {session.session_id for session in sessions}


def test_the_memory_of_an_earlier_version_is_read() -> None:
    asked = {"session_id": "acme-1", "fence": 3, "pages_done": 7, "attempt": 2, "asked_at": START.isoformat()}

    memory = memory_from_cursor(json.dumps({"carriers": {"acme": asked}}))

    assert memory == {"acme": ResumeRequest("acme-1", 3, 7, 2, START)}
