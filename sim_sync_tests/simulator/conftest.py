"""Simulators for tests: in this process, where a separate one is not the point."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer

# A deadline is a timed assertion, and a busy machine fails it.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

Start = Callable[..., SimulatorServer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server over some mounts; it is stopped after the test."""
    with ExitStack() as stack:
        yield lambda *mounts: stack.enter_context(SimulatorServer(mounts or (MountOptions(),)))


@pytest.fixture
def server(start: Start) -> SimulatorServer:
    """One Super SIM carrier with 120 SIMs at the root."""
    return start(MountOptions(sims=120, seed=5))


@pytest.fixture
def control(server: SimulatorServer) -> SimulatorControl:
    return SimulatorControl(server.url)
