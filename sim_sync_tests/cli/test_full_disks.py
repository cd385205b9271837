"""A full disk: every command says so in one sentence, with what to do, and everything continues when there is room."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sim_sync.core.session import State
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.warehouse.sqlite_files import QUEUE_SUFFIX
from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, CommandLine, an_account, assert_one_message
from sim_sync_tests.cli.waiting import wait_for_pages
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.small_disk import SmallDisk

WHAT_TO_DO = "make room there, then everything continues by itself"


def sentence(*folders: Path) -> str:
    return f"no space is left on the file system of {' and '.join(map(str, folders))}: {WHAT_TO_DO}"


@pytest.fixture
def disk(command_line: CommandLine, small_disk: SmallDisk) -> SmallDisk:
    """A disk for the warehouse alone."""
    command_line.set(SIM_SYNC_WAREHOUSE_URL=f"sqlite:///{small_disk.folder}/warehouse.db")
    return small_disk


@pytest.fixture
def crowded(small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A desk whose warehouse, Dagster home and own files are on the disk, as they are together by default."""
    return CommandLine(small_disk.folder, monkeypatch, capsys)


def leave_files(folder: Path, *suffixes: str) -> None:
    """Leave the warehouse as a killed process does, with these of its files: its last change is in the log, if any."""
    path = folder / "warehouse.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE sync_sessions SET pages_done = 7, lease_expires_at = NULL")
        connection.commit()
        left = {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in suffixes}
    for suffix, content in left.items():
        path.with_name(path.name + suffix).write_bytes(content)
    assert {file.name for file in folder.glob("warehouse.db*")} == {
        path.name + suffix for suffix in ("", QUEUE_SUFFIX, *suffixes)
    }


@pytest.mark.parametrize(
    "suffixes",
    [
        pytest.param((), id="no log"),
        pytest.param(("", "-wal"), id="a log, and a restart of the machine"),
        pytest.param(("", "-wal", "-shm"), id="a log and its index"),
    ],
)
def test_status_can_be_read_on_a_full_disk_and_says_that_it_is_full_and_nothing_of_a_silent_run(
    crowded: CommandLine, small_disk: SmallDisk, suffixes: tuple[str, ...]
) -> None:
    folder = small_disk.folder / ".sim_sync"
    warehouse = crowded.warehouse
    warehouse.sessions.open_session(a_request(carrier="acme"))
    warehouse.close()
    leave_files(folder, *suffixes)
    small_disk.fill()

    said = crowded.type_in("status")

    told = sentence(folder, small_disk.folder / "dagster_home")
    assert said.code == 0
    assert "acme    running      7/" in said.out
    assert told in said.out
    assert "is silent" not in said.out
    acme = crowded.type_in("status", "--json").document[0]
    assert (acme["pages_done"], acme["unresolved"][0]) == (7, told)


@pytest.mark.parametrize("command", [("sessions",), ("discrepancies",), ("changes",), ("quarantine", "list")])
def test_what_only_reads_can_be_read_on_a_full_disk(
    crowded: CommandLine, small_disk: SmallDisk, command: tuple[str, ...]
) -> None:
    warehouse = crowded.warehouse
    warehouse.sessions.open_session(a_request(carrier="acme"))
    warehouse.close()
    small_disk.fill()
    said = crowded.type_in(*command)
    assert (said.code, WHAT_TO_DO in said.err) == (0, False), said


def test_a_full_disk_without_a_warehouse_yet(command_line: CommandLine, disk: SmallDisk) -> None:
    disk.fill()
    for command in (("status",), ("backfill", "acme"), ("discrepancies",)):
        assert_one_message(command_line.type_in(*command), 1, sentence(disk.folder))
    checked = command_line.type_in("check", "--json").document["warehouse"]
    assert (checked["exit_code"], sentence(disk.folder) in checked["told"]) == (1, True)


def test_what_has_to_write_says_it_in_one_sentence(crowded: CommandLine, small_disk: SmallDisk) -> None:
    crowded.open_session()
    small_disk.fill()
    folders = (small_disk.folder / ".sim_sync", small_disk.folder / "dagster_home")
    assert_one_message(crowded.type_in("pause", "acme"), 1, sentence(folders[0]))
    for command in (("backfill", "acme"), ("backfill", "--all")):
        assert_one_message(crowded.type_in(*command), 1, sentence(*folders))


def test_check_says_it_once(crowded: CommandLine, small_disk: SmallDisk) -> None:
    crowded.open_session()
    small_disk.fill()
    said = crowded.type_in("check", "acme")
    assert said.code == 1
    assert said.out.count(WHAT_TO_DO) == 1
    assert "warehouse  FAILED" in said.out


def test_a_full_home_of_dagster_is_said_by_status_check_and_backfill(
    command_line: CommandLine, small_disk: SmallDisk
) -> None:
    home = small_disk.folder / "home"
    home.mkdir()
    command_line.set(DAGSTER_HOME=str(home))
    small_disk.fill()
    assert sentence(home) in command_line.type_in("status").out
    assert_one_message(command_line.type_in("backfill", "acme"), 1, sentence(home))
    checked = command_line.type_in("check", "acme", "--json").document
    assert (checked["warehouse"]["ok"], checked["folders"]["ok"]) == (True, False)
    assert checked["folders"]["told"] == sentence(home)


def test_a_disk_that_fills_up_in_mid_walk_ends_it_with_one_sentence_and_the_same_command_continues_when_there_is_room(
    crowded: CommandLine, small_disk: SmallDisk
) -> None:
    with SimulatorServer((MountOptions(sims=500, latency_ms=200),)) as simulator:
        crowded.write_carriers(acme=an_account(simulator.url))
        with crowded.start("backfill", "acme") as process:
            wait_for_pages(crowded, 2)
            small_disk.fill()
            out, err = process.communicate(timeout=2 * PATIENCE_SECONDS)
        assert (process.returncode, err.count("Traceback")) == (1, 0), (out, err)
        assert sentence(small_disk.folder / "dagster_home") in err.splitlines()[-1]
        small_disk.make_room()
        said = crowded.run("backfill", "acme")
    assert (said.code, said.err) == (0, "")
    (session,) = crowded.warehouse.sessions.latest_sessions(["acme"])
    assert (session.state, session.records_seen) == (State.COMPLETED, 500)


def test_a_warehouse_that_is_full_for_a_while_costs_nothing_but_time(
    command_line: CommandLine, disk: SmallDisk
) -> None:
    with SimulatorServer((MountOptions(sims=500, latency_ms=200),)) as simulator:
        command_line.write_carriers(acme=an_account(simulator.url))
        with command_line.start("backfill", "acme") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()  # it is at work
            disk.fill()
            first = process.stderr.readline()
            disk.make_room()
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert sentence(disk.folder) in first
    assert (process.returncode, err) == (0, ""), out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is always full")
def test_an_output_without_room_is_one_sentence(command_line: CommandLine) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "sim_sync", "status"]
        told = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    assert (told.returncode, told.stderr) == (1, f"sim-sync: {sentence(Path('the output'))}\n")
