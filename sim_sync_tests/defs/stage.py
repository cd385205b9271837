"""Our definitions in this process: a real SQLite warehouse, an ephemeral Dagster instance, a carrier by script."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, EventLogEntry

from sim_sync.carriers.settings import Retry
from sim_sync.config import Schedule
from sim_sync.config.carrier import RunBudget
from sim_sync.config.sections import Reconcile, Retention
from sim_sync.core.errors import ConfigError, Problem
from sim_sync.core.opening import Trigger
from sim_sync.core.ports import Waiter
from sim_sync.core.session import Process, Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import QuarantineLimit
from sim_sync.defs.assets import build_carrier_sims, build_sim_discrepancies, build_sim_inventory
from sim_sync.defs.checks import build_checks
from sim_sync.defs.jobs import (
    CARRIER_TAG,
    Names,
    build_nightly_reconciliation,
    build_reconcile_carrier,
    carrier_partitions,
)
from sim_sync.defs.resources import kept_run_resource
from sim_sync.defs.sensors import build_resume_interrupted_syncs
from sim_sync.inventory import Reading, Terms
from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.tables import metadata
from sim_sync.worker.processes import this_host, this_process
from sim_sync_tests.fakes.carrier import ScriptedCarrier, paged
from sim_sync_tests.fakes.clock import SettableClock
from sim_sync_tests.fakes.fleet import a_fleet, a_request
from sim_sync_tests.inventory.lists import GivenSheet
from sim_sync_tests.warehouse.databases import rows_of

ACME, OTHER = "acme", "other"
#: No process has this number on any host.
DEAD = Process(this_host(), 2**22 + 1, "1.00")
PATIENCE_SECONDS = 60.0
LEASE_SECONDS = 30.0
ELSEWHERE = Process("another-host#1", 1, "1.00")


@dataclass
class FakeCarrierConfig:
    """A `CarrierConfig` whose carrier is a script."""

    carrier: ScriptedCarrier
    retry: Retry = field(default_factory=lambda: Retry(base_seconds=10, ceiling_seconds=60, max_stalled_resumes=3))
    sweep: SweepPolicy = field(default_factory=SweepPolicy)
    quarantine: QuarantineLimit = field(default_factory=QuarantineLimit)
    run_budget: RunBudget = field(default_factory=RunBudget)
    max_session_age_hours: float = 24.0
    max_pages_per_walk: int = 1_000_000
    max_idle_pages: int = 50
    max_age_hours: float = 36.0
    lease_seconds: float = 30.0

    @property
    def name(self) -> str:
        return self.carrier.name

    def build(self, waiter: Waiter) -> ScriptedCarrier:
        return self.carrier


@dataclass
class GivenList:
    """Our list as the test wrote it down: ICCID, carrier and state, with a digest if it is to have one."""

    rows: Sequence[tuple[str, str, str]] = ()
    digest_text: str | None = None
    readings: int = 0
    where: str = "our.csv"

    def digest(self) -> str | None:
        return self.digest_text

    @contextmanager
    def opened(self, only: Collection[str] | None = None) -> Iterator[Reading]:
        self.readings += 1
        rows = [(at, row, None) for at, row in enumerate(self.rows, start=2)]
        terms = Terms({"iccid": "ICCID", "carrier": "Carrier", "status": "State"}, [ACME, OTHER], {})
        yield Reading(GivenSheet(["ICCID", "Carrier", "State"], rows), terms, only, self.digest)


@dataclass
class FakeConfig:
    """A `Config` over such carriers, without an inventory unless one is given."""

    carriers: dict[str, FakeCarrierConfig]
    inventory: GivenList | None = None
    reconcile: Reconcile = field(default_factory=Reconcile)
    broken: set[str] = field(default_factory=set)
    without_list: set[str] = field(default_factory=set)
    reading_inventory: Callable[[], object] = lambda: None
    #: Of which carriers the part was read.
    read: list[str] = field(default_factory=list)
    retention: Retention | None = None

    @property
    def carrier_names(self) -> list[str]:
        return list(self.carriers)

    def carrier(self, name: str) -> FakeCarrierConfig:
        self.read.append(name)
        if name in self.broken:
            raise ConfigError([Problem("carriers.yaml", f"carriers.{name}.type", "a known type", "'nothing'")])
        return self.carriers[name]

    def retry(self, name: str) -> Retry:
        return self.carrier(name).retry

    def max_age_hours(self, name: str) -> float:
        return self.carriers[name].max_age_hours

    def our_list(self, carrier: str | None = None) -> "GivenList | None":
        self.reading_inventory()
        return self.inventory

    def our_lists(self) -> "list[GivenList]":
        return [] if self.inventory is None else [self.inventory]

    def min_percent_of_last(self, carrier: str) -> float:
        return 50.0

    def has_list_of(self, carrier: str) -> bool:
        return self.inventory is not None and carrier not in self.without_list


class DagsterHarness:
    """What a test of the Dagster edge works with: runs of the job, and looks of the sensor."""

    def __init__(self, instance: dg.DagsterInstance, warehouse: Warehouse, clock: SettableClock) -> None:
        self.instance = instance
        self.warehouse = warehouse
        self.clock = clock
        self.carrier = ScriptedCarrier(pages=paged(a_fleet(10), 2), tells_totals=True)
        self.config = FakeConfig({ACME: FakeCarrierConfig(self.carrier), OTHER: FakeCarrierConfig(_other_carrier())})
        self.sensor_cursor: str | None = None
        #: What happens while a run waits for what becomes of another one.
        self.while_run_waits: Callable[[], object] = lambda: None
        #: What happens while the sensor waits before it looks again, and how long it has waited.
        self.while_waiting: Callable[[], object] = lambda: None
        self.waited: list[float] = []
        #: What the sensor looks with.
        self.open_context: Callable[[], tuple[Any, Warehouse]] = lambda: (self.config, self.warehouse)
        partitions = carrier_partitions([ACME, OTHER])
        names = Names()
        job = build_reconcile_carrier(partitions, names)
        self.sensor = build_resume_interrupted_syncs(job, [ACME, OTHER], self._open_eyes, names, wait=self._wait)
        self.schedule = build_nightly_reconciliation(job, [ACME, OTHER], Schedule(), names)
        self.definitions = dg.Definitions(
            assets=[
                build_sim_inventory(partitions, names),
                build_carrier_sims(partitions, names),
                build_sim_discrepancies(partitions, names),
            ],
            asset_checks=build_checks(names),
            jobs=[job],
            resources=self.resources,
        )

    @property
    def resources(self) -> dict[str, Any]:
        return {"sync_config": self.config, "warehouse": self.warehouse, "kept_run": kept_run_resource(self._run_waits)}

    def _run_waits(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.while_run_waits()

    def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.while_waiting()

    def _open_eyes(self) -> tuple[Any, Warehouse]:
        return self.open_context()

    # --- runs --------------------------------------------------------------------------------------------------

    def run(
        self, tags: Mapping[str, str] | None = None, *, carrier: str = ACME, **config: Any
    ) -> dg.ExecuteInProcessResult:
        """Run the job for a carrier to its end."""
        return self.definitions.resolve_job_def("reconcile_carrier").execute_in_process(
            partition_key=carrier,
            instance=self.instance,
            resources=self.resources,
            tags=dict(tags or {}),
            run_config={"ops": {"carrier_sims": {"ops": {"open_session": {"config": config}}}}},
            raise_on_error=False,
        )

    def run_that_cannot_start(self, run_key: str, error: Exception) -> None:
        """Run the job for the carrier in a process in which the configuration cannot be had."""

        def refuse(_context: dg.InitResourceContext) -> Any:
            raise error

        self.definitions.resolve_job_def("reconcile_carrier").execute_in_process(
            partition_key=ACME,
            instance=self.instance,
            resources=self.resources | {"sync_config": dg.ResourceDefinition(refuse)},
            tags={"dagster/run_key": run_key},
            raise_on_error=False,
        )

    def opened_by(
        self, owner: str, *, process: Process = ELSEWHERE, trigger: Trigger = Trigger.SENSOR, **wish: Any
    ) -> Session:
        """Let another run, which does nothing more, take the carrier's session; return the session."""
        wish = {"config_hash": self.carrier.config_hash} | wish
        return self.warehouse.sessions.open_session(a_request(owner, trigger, process=process, **wish)).session

    def stored_run(
        self,
        status: dg.DagsterRunStatus,
        *,
        process: Process | None = None,
        run_id: str | None = None,
        parent_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        assets: Sequence[str] | None = None,
    ) -> dg.DagsterRun:
        """Put a run of the carrier into the instance, as some other process has left it there."""
        own = {CARRIER_TAG: ACME, **(tags or {})}
        run = self.instance.create_run_for_job(
            self.definitions.resolve_job_def("reconcile_carrier"),
            run_id=run_id,
            status=status,
            tags=own,
            parent_run_id=parent_run_id,
            root_run_id=parent_run_id,
            asset_selection=None if assets is None else frozenset(map(dg.AssetKey, assets)),
        )
        if process is not None:
            self.warehouse.runs.renew(run.run_id, process, LEASE_SECONDS)
        return run

    def started_run(self, *, process: Process | None = None, seconds_ago: float = 0.0) -> dg.DagsterRun:
        """Put a run of the carrier into the instance that some process has started."""
        run = self.stored_run(dg.DagsterRunStatus.STARTING, process=process)
        event = DagsterEvent(DagsterEventType.RUN_START.value, run.job_name)
        entry = EventLogEntry(  # type: ignore[no-untyped-call]  # Dagster's
            error_info=None,
            level=logging.INFO,
            user_message="",
            run_id=run.run_id,
            timestamp=time.time() - seconds_ago,
            job_name=run.job_name,
            dagster_event=event,
        )
        self.instance.handle_new_event(entry)
        return run

    def status_of(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found.status

    # --- the sensor --------------------------------------------------------------------------------------------

    def look(self) -> tuple[list[dg.RunRequest], str | None]:
        """Let the sensor look once, remembering what it remembered; return its requests and why it skipped."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.sensor_cursor,
            definitions=self.definitions,
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.sensor_cursor = data.cursor if data.cursor is not None else self.sensor_cursor
        return list(data.run_requests or []), data.skip_message

    # --- tables ------------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The carrier's open or else newest session."""
        (session,) = self.warehouse.sessions.latest_sessions([ACME])
        return session

    def rows(self, table: str) -> list[dict[str, Any]]:
        assert table in metadata.tables
        return rows_of(self.warehouse.engine, table)

    @property
    def sim_ids(self) -> list[str]:
        return sorted(row["sim_id"] for row in self.rows("carrier_sims"))


def _other_carrier() -> ScriptedCarrier:
    return ScriptedCarrier(pages=paged([], 2), name=OTHER)


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """Return the names of the assets that a run has materialized."""
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Return what the only materialization of an asset tells in a run, in its order."""
    (found,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in found.metadata.items()}


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does; the test fails where it never comes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"


def alive() -> Process:
    """Return a process that lives as long as the test."""
    return this_process()
