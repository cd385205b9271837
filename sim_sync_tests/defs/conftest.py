"""A stage for each test of the Dagster edge."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from sim_sync.warehouse import Warehouse
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.run_leases import SqlRunLeases
from sim_sync.warehouse.store import SqlSessionStore
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.defs.stage import DagsterHarness
from sim_sync_tests.fakes.clock import SettableClock


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[DagsterHarness]:
    """An empty SQLite warehouse, an empty Dagster instance, and a carrier of five pages."""
    clock = SettableClock()
    engine = open_engine(f"sqlite:///{tmp_path / 'warehouse.db'}")
    metadata.create_all(engine)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        sessions, runs = SqlSessionStore(engine, clock=clock.now), SqlRunLeases(engine, clock=clock.now)
        yield DagsterHarness(instance, Warehouse(engine, sessions, runs), clock)
    engine.dispose()
