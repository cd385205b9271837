"""`.env` of the working folder: every command reads it, as Dagster does, and the environment wins."""

import os
from pathlib import Path

import pytest

from sim_sync.core.errors import ConfigError
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync.simulator.server import SimulatorServer
from sim_sync.terminal.workdir import add_dotenv, conflict_lines
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message
from sim_sync_tests.cli.test_workdir import project

__all__ = ["project"]


@pytest.fixture
def secretive(command_line: CommandLine, simulator: SimulatorServer) -> CommandLine:
    """A carrier whose password is in a variable that nobody has exported."""
    account = an_account(simulator.url)
    account["auth"] = {**account["auth"], "password": {"env": "ACME_PASSWORD"}}
    command_line.write_carriers(acme=account)
    return command_line


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_command_reads_the_file(secretive: CommandLine) -> None:
    assert_one_message(secretive.type_in("check"), 2, "ACME_PASSWORD")
    write(secretive.folder, f"ACME_PASSWORD={SIMULATED_CREDENTIALS['password']}\n")
    assert secretive.run("check").code == 0


@pytest.mark.slow
def test_a_backfill_has_the_secret_in_dagster_too(secretive: CommandLine) -> None:
    write(secretive.folder, f"export ACME_PASSWORD='{SIMULATED_CREDENTIALS['password']}'\n")
    said = secretive.run("backfill", "acme")
    assert (said.code, said.err) == (0, "")


def test_where_the_config_and_the_warehouse_are_may_stand_there_too(command_line: CommandLine) -> None:
    (command_line.folder / "carriers.yaml").rename(command_line.folder / "ours.yaml")
    write(command_line.folder, "SIM_SYNC_CONFIG=ours.yaml\nSIM_SYNC_WAREHOUSE_URL=sqlite:///elsewhere.db\n")
    assert command_line.run("status").code == 0
    assert (command_line.folder / "elsewhere.db").exists()


def test_the_environment_wins(command_line: CommandLine) -> None:
    write(command_line.folder, "SIM_SYNC_WAREHOUSE_URL=sqlite:///file.db\n")
    assert command_line.run("status", SIM_SYNC_WAREHOUSE_URL="sqlite:///environment.db").code == 0
    assert not (command_line.folder / "file.db").exists()
    assert (command_line.folder / "environment.db").exists()


def test_an_empty_variable_of_the_environment_is_one_too(tmp_path: Path) -> None:
    environ = {"A": ""}
    add_dotenv(environ, write(tmp_path, "A=1\nB=2\nC\n"))
    assert environ == {"A": "", "B": "2"}


def test_check_says_where_dagster_will_see_another_value_without_telling_either(secretive: CommandLine) -> None:
    write(secretive.folder, "ACME_PASSWORD=another-secret-word\n")
    said = secretive.run("check", ACME_PASSWORD=SIMULATED_CREDENTIALS["password"])
    assert said.code == 0
    (line,) = (line for line in said.out.splitlines() if line.startswith("ACME_PASSWORD"))
    assert "sim-sync takes that of the environment, Dagster's own commands that of the file" in line
    assert "another-secret-word" not in said.out + said.err


def test_the_same_value_twice_is_no_conflict(tmp_path: Path) -> None:
    path = write(tmp_path, "A=1\nB=2\n")
    assert conflict_lines({"A": "1"}, path) == []


@pytest.mark.parametrize("content", [b"PASSWORD=\xff\xfea-secret-word", b"PASSWORD=a-secret-word\x00x"])
def test_a_file_that_cannot_be_read_is_one_sentence_without_its_content(
    command_line: CommandLine, content: bytes
) -> None:
    write(command_line.folder, content)
    said = command_line.run("status")
    assert_one_message(said, 2, ".env", "lines NAME=VALUE in UTF-8")
    assert "a-secret-word" not in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_this_user_may_not_read_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, "A=1")
    path.chmod(0)
    with pytest.raises(ConfigError, match="that this user may read"):
        add_dotenv({}, path)


def test_a_virtual_environment_of_that_name_is_left_alone(command_line: CommandLine) -> None:
    (command_line.folder / ".env").mkdir()
    assert command_line.run("status").code == 0


def test_a_demonstration_is_not_led_elsewhere(project: CommandLine) -> None:
    write(project.folder, "SIM_SYNC_WAREHOUSE_URL=postgresql://prod/sims\nOTHER=1\n")
    assert_one_message(project.run("demo"), 2, ".env sets SIM_SYNC_WAREHOUSE_URL", "rename that file")
