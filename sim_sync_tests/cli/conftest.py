"""A desk for every test, and simulated carriers in this process where one is to be reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.cli.command_line import CommandLine


@pytest.fixture
def command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A folder with two carriers that nobody answers for, and an empty warehouse."""
    return CommandLine(tmp_path, monkeypatch, capsys)


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    """A Super SIM carrier with 45 SIMs."""
    with SimulatorServer((MountOptions(sims=45),)) as server:
        yield server
