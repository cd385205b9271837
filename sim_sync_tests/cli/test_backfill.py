import csv
import os
import re
import signal
from collections.abc import Iterator

import pytest

from sim_sync.cli.backfill import judge
from sim_sync.core.opening import Trigger as OpenTrigger
from sim_sync.core.session import Event, Release, State
from sim_sync.core.sweep import SweepPolicy
from sim_sync.defs.launch import EndedRun
from sim_sync.simulator.control import SimulatorControl
from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync.simulator.server import SimulatorServer
from sim_sync.warehouse.knowledge import present_sims
from sim_sync_tests.cli.command_line import PATIENCE_SECONDS, CommandLine, an_account
from sim_sync_tests.cli.waiting import wait_for_pages
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim

pytestmark = pytest.mark.slow


@pytest.fixture
def slow_simulator() -> Iterator[SimulatorServer]:
    """A carrier of 20 pages that takes its time."""
    with SimulatorServer((MountOptions(sims=200, latency_ms=150.0),)) as server:
        yield server


def test_a_walk_to_the_end_exits_with_0_and_says_how_it_went(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    said = command_line.run("backfill", "acme")
    assert (said.code, said.err) == (0, "")
    last = said.out.splitlines()[-1]
    assert last.startswith("acme: completed, page 5/5 (100.0 %), 45 records, 0 retries")
    assert "sweep done" in last
    assert present_sims(command_line.warehouse.engine, "acme") == 45


#: What a walk of one carrier without a list of ours has no use for.
_NOT_NEEDED = (
    *(f"sim_sync.{name}" for name in ("alerts", "config.alerts", "demo", "export", "report", "selftest")),
    *("sim_sync.simulator", "sim_sync.carriers.rest", "sim_sync.carriers.vendors.telnyx"),
    *("pandas", "numpy", "pyarrow", "deltalake", "openpyxl", "pygal", "prometheus_client", "psycopg", "cryptography"),
)


def test_a_run_loads_nothing_that_its_walk_has_no_use_for(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    program = f"""
import atexit, sys
atexit.register(lambda: print(sorted(sys.modules.keys() & set({_NOT_NEEDED!r}))))
from sim_sync.cli import main
main(["backfill", "acme"])
"""
    said = command_line.python("-c", program)
    assert (said.code, said.out.splitlines()[-1]) == (0, "[]")


def test_a_page_budget_exits_with_3_and_the_next_one_continues(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    first = command_line.run("backfill", "acme", "--max-pages", "2")
    assert (first.code, first.err) == (3, "")
    assert "acme: interrupted, page 2/" in first.out
    second = command_line.run("backfill", "acme")
    assert second.code == 0
    assert len(simulator.log.entries()) == 5  # none twice


def test_restart_walks_from_the_first_page_and_gives_the_old_session_up(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    command_line.run("backfill", "acme", "--max-pages", "2")
    old = command_line.warehouse.sessions.open_session_of("acme")
    assert old is not None
    said = command_line.run("restart", "acme")
    assert said.code == 0
    assert command_line.warehouse.sessions.session(old.session_id).state is State.SUPERSEDED
    assert len(simulator.log.entries()) == 2 + 5


def test_a_carrier_that_is_down_is_parked_and_exits_with_3(command_line: CommandLine) -> None:
    command_line.write_carriers(acme=an_account("http://127.0.0.1:9"))
    said = command_line.run("backfill", "acme")
    assert said.code == 3
    assert "Traceback" not in said.out + said.err
    assert "acme: parked" in said.out
    assert "127.0.0.1:9" in said.out


def test_a_parked_session_that_is_not_due_is_left_alone_and_the_line_says_until_when(command_line: CommandLine) -> None:
    command_line.write_carriers(acme=an_account("http://127.0.0.1:9"))
    release = Release(Event.WAIT_TOO_LONG, error="throttled: HTTP 429", wait_seconds=7200)
    parked = command_line.warehouse.sessions.release(command_line.open_session().claim, release)
    said = command_line.run("backfill", "acme")
    assert (said.code, len(said.out.splitlines())) == (3, 1), said
    left_alone, told_time = "acme: parked, left alone: throttled, tries again at ", f"{parked.not_before:%H:%M:%S} UTC"
    assert re.match(rf"{left_alone}(\d{{4}}-\d\d-\d\d )?{told_time}", said.out)  # with its date behind midnight
    assert "`sim-sync resume acme` tries now" in said.out
    assert command_line.warehouse.sessions.open_session_of("acme") == parked


def test_a_backfill_is_judged_by_the_session_that_it_opened_and_not_by_the_next_one(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    sessions = command_line.warehouse.sessions
    own = command_line.open_session(owner="run-1")
    assert own.cursor is not None
    sessions.commit_page(own.claim, own.cursor, a_page([a_sim(0)], None))
    sessions.close_session(own.claim, SweepPolicy(), own.config_hash)
    command_line.open_session(owner="run-2")

    ended = EndedRun("run-1", True, [], False, own.session_id, left_alone=None, was_interrupted=False)

    assert judge(command_line.warehouse, "acme", ended) == 0
    assert capsys.readouterr().out.startswith("acme: completed, page 1/1")


def test_a_backfill_whose_session_was_taken_over_names_the_other_run_and_shows_none_of_its_progress(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    own = command_line.open_session(owner="run-1", pages=3)
    command_line.warehouse.sessions.open_session(
        a_request("run-2", OpenTrigger.OPERATOR, config_hash=own.config_hash, gone_owners=["run-1"])
    )

    ended = EndedRun("run-1", False, ["fenced"], False, own.session_id, left_alone=None, was_interrupted=False)

    assert judge(command_line.warehouse, "acme", ended) == 3
    assert capsys.readouterr().out == "acme: running, in other hands: run run-2 took it over\n"


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        ("run-1", "acme: interrupted after page 0; `sim-sync backfill acme` continues\n"),
        ("run-2", "acme: interrupted before a session was opened\n"),
    ],
)
def test_a_run_that_is_ended_right_after_it_has_opened_its_session_does_not_say_that_there_is_none(
    command_line: CommandLine, capsys: pytest.CaptureFixture[str], owner: str, told: str
) -> None:
    command_line.open_session(owner=owner)
    ended = EndedRun("run-1", False, [], False, None, left_alone=None, was_interrupted=True)
    assert judge(command_line.warehouse, "acme", ended) == 3
    assert capsys.readouterr().out == told


def test_a_wrong_password_exits_with_1_and_one_message(command_line: CommandLine, simulator: SimulatorServer) -> None:
    account = an_account(simulator.url)
    command_line.write_carriers(acme={**account, "auth": {**account["auth"], "password": "not-the-password"}})
    said = command_line.run("backfill", "acme")
    assert said.code == 1
    assert "Traceback" not in said.out + said.err
    assert said.err.count("sim-sync: ") == 1
    assert "HTTP 401" in said.err
    assert "not-the-password" not in said.out + said.err


def test_a_paused_session_is_left_alone_until_somebody_resumes_it(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    command_line.run("backfill", "acme", "--max-pages", "2")
    command_line.type_in("pause", "acme")
    said = command_line.run("backfill", "acme")
    assert said.code == 3
    assert said.out == "acme: left alone: paused after page 2; `sim-sync resume acme` continues it\n"
    command_line.type_in("resume", "acme")
    assert command_line.run("backfill", "acme").code == 0


def test_an_unreadable_inventory_exits_with_2_and_names_the_file_and_the_walk_is_kept(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    said = command_line.run("backfill", "acme")
    assert said.code == 2
    assert "Traceback" not in said.out + said.err
    assert said.err.count("sim-sync: ") == 1
    assert "ours.csv" in said.err
    assert present_sims(command_line.warehouse.engine, "acme") == 45


def test_what_differs_is_found_by_the_same_command(command_line: CommandLine, simulator: SimulatorServer) -> None:
    columns = {"iccid": "ICCID", "carrier": "Carrier"}
    inventory = {"type": "csv", "path": "ours.csv", "columns": columns}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    with (command_line.folder / "ours.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["ICCID", "Carrier"], ["8988303999999999999", "acme"]])
    assert command_line.run("backfill", "acme").code == 0
    kinds = [row["kind"] for row in command_line.type_in("discrepancies", "--json").document]
    assert sorted(kinds) == ["missing_at_carrier"] + ["unknown_to_us"] * 45


def test_several_carriers_run_side_by_side_and_the_worst_one_decides(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    account = an_account(simulator.url)
    wrong = {**account, "auth": {**account["auth"], "password": "not-the-password"}}
    command_line.write_carriers(acme=account, zeta=wrong, omega=an_account("http://127.0.0.1:9"))
    said = command_line.run("backfill", "--all")
    assert said.code == 1
    assert said.out.splitlines()[-3:] == ["acme: exit code 0", "zeta: exit code 1", "omega: exit code 3"]


def test_a_carrier_named_twice_is_walked_once(command_line: CommandLine, simulator: SimulatorServer) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    assert command_line.run("backfill", "acme", "acme").code == 0
    assert len(simulator.log.entries()) == 5


def test_a_throttle_is_ridden_out_and_counted(command_line: CommandLine, simulator: SimulatorServer) -> None:
    mount = next(iter(simulator.mounts.values()))
    mount.faults.arm(ErrorStatus(status=429), Trigger(nth=2))
    command_line.write_carriers(acme=an_account(simulator.url))
    said = command_line.run("backfill", "acme")
    assert said.code == 0
    assert "1 retry" in said.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_page_in_hand_and_exits_with_3(
    command_line: CommandLine, slow_simulator: SimulatorServer, number: signal.Signals
) -> None:
    command_line.write_carriers(acme=an_account(slow_simulator.url))
    with command_line.start("backfill", "acme") as process:
        wait_for_pages(command_line, 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3
    assert "Traceback" not in out + err
    session = command_line.warehouse.sessions.open_session_of("acme")
    assert session is not None
    assert session.state is State.INTERRUPTED
    assert command_line.run("backfill", "acme").code == 0
    assert len(slow_simulator.log.entries()) == 20  # none twice


def test_ctrl_c_reaches_all_of_the_terminals_processes_and_leaves_one_clean_line(
    command_line: CommandLine, slow_simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(slow_simulator.url))
    with command_line.start("backfill", "acme", in_a_group=True) as process:
        wait_for_pages(command_line, 2)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    session = command_line.warehouse.sessions.open_session_of("acme")
    assert session is not None
    assert (process.returncode, err) == (3, "")
    assert out.splitlines()[-1] == (
        f"acme: interrupted after page {session.pages_done}; `sim-sync backfill acme` continues"
    )
    assert (session.state, out.count("interrupted")) == (State.INTERRUPTED, 1)


def test_a_session_at_work_in_another_live_run_is_left_alone_with_3(
    command_line: CommandLine, slow_simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(slow_simulator.url))
    with command_line.start("backfill", "acme") as process:
        wait_for_pages(command_line, 1)
        SimulatorControl(slow_simulator.url).set_latency(2000)  # the other one is certain to find it at work
        said = command_line.run("backfill", "acme")
        SimulatorControl(slow_simulator.url).set_latency(0)
        process.communicate(timeout=PATIENCE_SECONDS)
    assert said.code == 3
    owner = command_line.warehouse.sessions.latest_sessions(["acme"])[0].owner
    assert said.out.splitlines()[-1] == (
        f"acme: running, left alone: at work in run {owner}, which has just given a sign of life"
    )
    assert "page" not in said.out, "the progress of another run is not its own"
    assert process.returncode == 0


def test_a_quiet_backfill_says_nothing_but_how_it_ended(
    command_line: CommandLine, slow_simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(slow_simulator.url, rate_limit={"requests_per_second": 3}))
    said = command_line.run("backfill", "acme", "--quiet")
    assert (said.code, said.err) == (0, "")
    (line,) = said.out.splitlines()
    assert line.startswith("acme: completed, page 20/20")


def test_a_list_that_became_much_shorter_exits_with_3_and_waits_for_a_person_while_the_last_one_counts(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    ours = command_line.folder / "ours.csv"

    def write(sims: int) -> None:
        ours.write_text("ICCID\n" + "".join(f"89883070000000{number:05d}\n" for number in range(sims)))

    write(10)
    assert command_line.run("backfill", "acme").code == 0
    write(4)
    held = command_line.run("backfill", "acme")
    assert (held.code, held.err) == (3, "")
    assert held.out.splitlines()[-1].startswith(
        "acme: our inventory has 4 SIMs of carrier acme any more, and 10 are known"
    )
    missing = ("discrepancies", "--kind", "missing_at_carrier", "--json")
    assert len(command_line.run(*missing).document) == 10
    shown = command_line.type_in("inventory", "show", "acme", "--json").document
    assert (shown["would"]["removed"], shown["would"]["rows"], shown["problem"]) == (6, 4, None)
    assert shown["refused_at"] > shown["loaded_at"]
    assert "newer ones are not taken since" in command_line.type_in("inventory", "show", "acme").out
    taken = command_line.type_in("inventory", "accept", "acme")
    assert (taken.code, "4 SIMs, 0 added, 0 changed, 6 removed" in taken.out) == (0, True)
    assert command_line.run("backfill", "acme").code == 0
    assert len(command_line.run(*missing).document) == 4


def test_a_dry_run_tells_what_would_be_done_and_leaves_no_file_behind(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    command_line.write_carriers(acme=an_account(simulator.url))
    said = command_line.run("backfill", "acme", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(
        "acme: dry run over acme, nothing written: 5 pages (the whole list), 45 records; 45 would be"
    )
    assert not (command_line.folder / ".sim_sync" / "warehouse.db").exists()


def test_a_dry_run_as_json_is_one_document_and_the_warehouse_stays_what_it_is(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    inventory = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID"}}
    command_line.write_config({"inventory": inventory, "carriers": {"acme": an_account(simulator.url)}})
    (command_line.folder / "ours.csv").write_text("ICCID\n8988307000000000013\n")
    assert command_line.run("backfill", "acme").code == 0
    (command_line.folder / "ours.csv").write_text("ICCID\n8988307000000000021\n")
    file = command_line.folder / ".sim_sync" / "warehouse.db"
    before = file.read_bytes()
    said = command_line.run("backfill", "--all", "--dry-run", "--json")
    (told,) = said.document
    assert (said.code, file.read_bytes() == before) == (0, True)
    assert (told["carrier"], told["whole"], told["added"], told["changed"], told["absent"]) == ("acme", True, 0, 0, 0)
    assert (told["opened"], told["resolved"]) == (1, 1)
    assert told["examples"]["opened"][0]["iccid"] == "8988307000000000021"
    short = command_line.run("backfill", "acme", "--dry-run", "--max-pages", "1")
    assert (short.code, "1 page (not the whole list)" in short.out) == (3, True)
