"""What `make run` and `make dev` need before they start, and what they say where they cannot."""

import shutil
import socket
from pathlib import Path

import pytest

from sim_sync.core.errors import InputError
from sim_sync.terminal.workdir import SIMULATED_CARRIER, locked
from sim_sync_tests.cli.command_line import PROJECT, CommandLine, an_account, assert_one_message


@pytest.fixture
def project(command_line: CommandLine) -> CommandLine:
    """A desk in a copy of the project's folder."""
    for name in ("workspace.yaml", "dagster.yaml", "carriers.yaml"):
        shutil.copy(PROJECT / name, command_line.folder / name)
    return command_line


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_elsewhere_than_in_the_project_nothing_is_started(command_line: CommandLine, command: str) -> None:
    assert_one_message(
        command_line.type_in(command), 2, "no workspace.yaml and no dagster.yaml", "the folder of the project"
    )


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_only_one_works_in_a_folder_at_a_time(project: CommandLine, command: str) -> None:
    with locked(project.folder):
        assert_one_message(project.type_in(command), 2, "at work in this folder already")


def test_a_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with locked(tmp_path), pytest.raises(InputError, match="at work in this folder already"), locked(tmp_path):
        pass


def test_a_lock_file_left_by_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".sim_sync").mkdir()
    (tmp_path / ".sim_sync" / "lock").write_text("4711")
    with locked(tmp_path):
        pass


def test_a_demonstration_never_kills_syncs_of_real_carriers(project: CommandLine) -> None:
    project.write_carriers(
        **{SIMULATED_CARRIER: an_account("http://127.0.0.1:9"), "acme": an_account("https://x.example")}
    )
    assert_one_message(project.type_in("demo"), 2, "only simulated-eu, as shipped", "sim-sync backfill", "acme")


@pytest.mark.parametrize("whose", ["the UI", "the simulated carrier"])
def test_a_port_that_is_taken_is_one_message(project: CommandLine, whose: str) -> None:
    with socket.socket() as taken, socket.socket() as other:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other.bind(("127.0.0.1", 0))
        taken_port, free_port = taken.getsockname()[1], other.getsockname()[1]
        other.close()
        ui, simulator = (taken_port, free_port) if whose == "the UI" else (free_port, taken_port)
        project.set(SIM_SYNC_SIMULATOR_URL=f"http://127.0.0.1:{simulator}")
        said = project.type_in("dev", "--port", str(ui))
    assert_one_message(said, 2, f"127.0.0.1:{taken_port}, the port of {whose}", "end what listens there")
