"""Places for stories, and the simulated carrier in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.stories.place import Workspace


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    """A carrier with 100 SIMs: ten pages of ten."""
    with running_simulator(MountOptions(sims=100)) as simulator:
        yield simulator


@pytest.fixture
def place(tmp_path: Path, simulator: RunningSimulator, migrated_url: str) -> Iterator[Workspace]:
    """A place on each database in turn."""
    place = Workspace(tmp_path, simulator, migrated_url)
    yield place
    place.warehouse.close()


@pytest.fixture
def sqlite_place(tmp_path: Path, simulator: RunningSimulator, migrated_sqlite_url: str) -> Iterator[Workspace]:
    """A place on SQLite."""
    place = Workspace(tmp_path, simulator, migrated_sqlite_url)
    yield place
    place.warehouse.close()
