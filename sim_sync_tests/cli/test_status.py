import json
import re
import signal
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sim_sync.core.pages import Effort
from sim_sync.core.session import Event, Release
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.tables import sync_sessions
from sim_sync.worker.processes import this_process
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message
from sim_sync_tests.cli.terminal import shown_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim

#: One SIM of four is too many to be missing at once.
STRICT = SweepPolicy(max_vanished_percent=5, min_vanished_count=0)


def test_a_carrier_that_was_never_synced_is_told_with_the_command_that_starts_it(command_line: CommandLine) -> None:
    said = command_line.type_in("status")
    assert said.code == 0
    _header, *rows = said.out.splitlines()
    assert [row.split(maxsplit=3) for row in rows] == [
        ["acme", "never", "synced", "sim-sync backfill acme"],
        ["zeta", "never", "synced", "sim-sync backfill zeta"],
    ]


def test_a_running_session_is_one_row(command_line: CommandLine) -> None:
    command_line.open_session(pages=2)
    said = command_line.type_in("status")
    header, never, row = said.out.splitlines()
    columns = ["carrier", "state", "pages", "%", "records", "retries", "waited", "ends in", "what to do"]
    assert header.split() == " ".join(columns).split()
    assert row.split() == ["acme", "running", "2/5", "40.0", "4", "0", "0:00", "nothing"]
    assert never.startswith("zeta    never synced")


def test_one_carrier_alone_can_be_asked_for(command_line: CommandLine) -> None:
    command_line.open_session("acme", pages=1)
    command_line.open_session("zeta", pages=1)
    assert "acme" not in command_line.type_in("status", "--carrier", "zeta").out


def test_an_unknown_carrier_is_refused_with_the_known_ones(command_line: CommandLine) -> None:
    assert_one_message(command_line.type_in("status", "--carrier", "acne"), 2, "'acne'", "acme, zeta")


def test_json_is_one_document_of_the_columns_with_percent_and_eta(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=4)
    said = command_line.type_in("status", "--json")
    assert (said.code, said.err) == (0, "")
    told, never = said.document
    assert set(never) == set(told)
    assert set(told) == {column.name for column in sync_sessions.columns} | {
        "percent",
        "eta_seconds",
        "eta_low_seconds",
        "eta_high_seconds",
        "duration_seconds",
        "pages_per_minute",
        "pages_expected_is_estimate",
        "complete_as_of",
        "unresolved",
    }
    assert told["session_id"] == session.session_id
    assert told["cursor"] == {"page": 4}
    assert (told["state"], told["pages_done"], told["pages_expected"], told["percent"]) == ("running", 4, 5, 80.0)
    assert 0 <= told["eta_low_seconds"] <= told["eta_seconds"] <= told["eta_high_seconds"]
    assert told["started_at"].endswith("+00:00")


def test_json_of_a_new_warehouse_has_every_carrier_without_a_session(command_line: CommandLine) -> None:
    """The tables are made on the way, and not a word of that is printed."""
    said = command_line.run("status", "--json", PYTHONWARNINGS="default")
    assert said.code == 0
    for name, told in zip(("acme", "zeta"), json.loads(said.out), strict=True):
        assert set(told) >= {column.name for column in sync_sessions.columns} | {"percent", "eta_seconds"}
        assert {key: value for key, value in told.items() if value} == {
            "carrier": name,
            "unresolved": ["never walked to its end"],
        }


def test_json_of_an_old_warehouse_is_one_document(command_line: CommandLine) -> None:
    (command_line.folder / ".sim_sync").mkdir()
    (command_line.folder / ".sim_sync" / "warehouse.db").touch()
    assert [told["state"] for told in command_line.type_in("status", "--json").document] == [None, None]


def test_json_cannot_be_watched(command_line: CommandLine) -> None:
    assert_one_message(command_line.type_in("status", "--json", "--watch"), 2, "--watch")


def test_the_newest_session_of_a_carrier_is_the_one_that_is_told(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=1)
    store = command_line.warehouse.sessions
    assert session.cursor is not None
    session = store.commit_page(session.claim, session.cursor, a_page([a_sim(7)]))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    newest = command_line.open_session(owner="run-2")
    told, _zeta = command_line.type_in("status", "--json").document
    assert told["session_id"] == newest.session_id


def test_a_completed_session_tells_its_end_and_its_sweep(command_line: CommandLine) -> None:
    session = command_line.open_session()
    store = command_line.warehouse.sessions
    assert session.cursor is not None
    session = store.commit_page(session.claim, session.cursor, a_page([a_sim(1)]))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    out = command_line.type_in("status").out
    assert "acme: finished " in out
    assert "sweep done" in out


def test_a_held_sweep_is_not_forgotten_when_the_next_session_opens_and_fails(command_line: CommandLine) -> None:
    command_line.walk(*(a_sim(number) for number in range(4)), policy=STRICT)
    held = command_line.walk(a_sim(0), policy=STRICT)
    line = f"acme: complete as of {held.finished_at:%Y-%m-%d %H:%M:%S} UTC; sweep held: 3 of 4 known SIMs"
    assert "complete as of" not in command_line.type_in("status").out  # the completed session tells it itself

    session = command_line.open_session(owner="run-2")
    assert line in command_line.type_in("status").out
    command_line.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401 for the account"))
    out = command_line.type_in("status").out
    assert line in out
    assert "HTTP 401 for the account" in out

    told, _zeta = command_line.type_in("status", "--json").document
    assert held.finished_at is not None
    assert told["complete_as_of"] == held.finished_at.isoformat()
    sweep, failure = told["unresolved"]
    assert sweep.startswith("last complete walk: sweep held: 3 of 4 known SIMs")
    assert failure == "failed after page 0: HTTP 401 for the account"


def test_records_in_quarantine_are_told(command_line: CommandLine) -> None:
    command_line.walk(a_sim(1), rejected=2, policy=STRICT)
    assert (
        "acme: 2 records could not be read; `sim-sync quarantine list` shows them" in command_line.type_in("status").out
    )


def test_a_carrier_without_a_completed_walk_for_too_long_is_told(command_line: CommandLine) -> None:
    command_line.write_carriers(acme=an_account("http://127.0.0.1:9", max_age_hours=0.000001))
    command_line.walk(a_sim(1), policy=STRICT)
    assert "0 h ago; max_age_hours is 1e-06" in command_line.type_in("status").out
    (told,) = command_line.type_in("status", "--carrier", "acme", "--json").document
    assert len(told["unresolved"]) == 1


def test_every_stopped_state_says_what_it_waits_for(command_line: CommandLine) -> None:
    store = command_line.warehouse.sessions
    session = command_line.open_session("acme", pages=1)
    store.release(
        session.claim, Release(Event.WAIT_TOO_LONG, error="throttled: HTTP 429, Retry-After 7200", wait_seconds=7200)
    )
    session = command_line.open_session("zeta", pages=1)
    store.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401 for the account"))
    out = command_line.type_in("status").out
    assert re.search(r"acme: throttled, tries again at [-0-9 ]*\d\d:\d\d:\d\d UTC \(in 2 h\); ", out)
    assert "tries now: HTTP 429, Retry-After 7200" in out
    assert "zeta: HTTP 401 for the account" in out

    command_line.type_in("pause", "acme")
    assert "acme: paused after page 1; `sim-sync resume acme` continues it" in command_line.type_in("status").out


@pytest.mark.parametrize("state", ["paused", "parked", "interrupted", "failed", "first pages"])
def test_no_end_is_told_while_nobody_works_or_too_little_is_known(command_line: CommandLine, state: str) -> None:
    session = command_line.open_session(pages=2 if state == "first pages" else 4)
    events = {"parked": Event.WAIT_TOO_LONG, "interrupted": Event.STOPPED_BY_MACHINE, "failed": Event.GAVE_UP}
    if state in events:
        command_line.warehouse.sessions.release(session.claim, Release(events[state], wait_seconds=60))
    if state == "paused":
        command_line.type_in("pause", "acme")
    (told,) = command_line.type_in("status", "--carrier", "acme", "--json").document
    assert {told[f"eta_{what}"] for what in ("at", "seconds", "low_seconds", "high_seconds")} == {None}


def test_without_a_terminal_every_row_is_one_line(command_line: CommandLine) -> None:
    name = "a-carrier-with-a-rather-long-name-of-sixty-letters-and-more-1"
    command_line.write_config({"carriers": {name: {"type": "twilio_super_sim"}}})
    command_line.open_session(name, pages=1)
    rows = [line for line in command_line.type_in("status").out.splitlines() if line.startswith(name)]
    assert len(rows) == 1
    assert "running" in rows[0]


def test_in_a_terminal_of_80_columns_no_line_is_longer(command_line: CommandLine) -> None:
    command_line.open_session("acme", pages=2)
    command_line.open_session("zeta", pages=1)
    shown = shown_in_terminal(command_line, "status", columns=80)
    assert "running" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_waits_are_told_apart_from_the_pace(command_line: CommandLine) -> None:
    session = command_line.open_session(pages=4)
    assert session.cursor is not None
    page = a_page([a_sim(9)], {"page": 5}, records_total=10, effort=Effort(retries=3, throttled_seconds=240))
    command_line.warehouse.sessions.commit_page(session.claim, session.cursor, page)
    with command_line.warehouse.engine.begin() as connection:
        connection.execute(sync_sessions.update().values(started_at=session.started_at - timedelta(minutes=31)))
    out = command_line.type_in("status").out
    assert re.search(
        r"^acme: [\d.]+ pages a minute; throttled 4:00 of 31:0\d; 3 retries; ends about [\d:]+ UTC, between ",
        out,
        re.MULTILINE,
    )
    (told,) = command_line.type_in("status", "--carrier", "acme", "--json").document
    assert told["pages_per_minute"] > 0
    assert 1860 <= told["duration_seconds"] < 2000
    assert told["pages_expected_is_estimate"] is False


def test_a_total_that_the_carrier_does_not_tell_is_an_estimate_and_called_so(command_line: CommandLine) -> None:
    command_line.walk(*(a_sim(number) for number in range(4)), policy=STRICT)
    session = command_line.open_session(owner="run-2")
    assert session.cursor is not None
    page = a_page([a_sim(0)], {"page": 1})
    session = command_line.warehouse.sessions.commit_page(session.claim, session.cursor, page)
    assert session.pages_expected == 4
    line = "acme: the pages expected are an estimate from the last walk or our own list"
    assert line in command_line.type_in("status").out.splitlines()
    (told,) = command_line.type_in("status", "--carrier", "acme", "--json").document
    assert told["pages_expected_is_estimate"] is True


def test_watching_ends_with_control_c_and_without_a_traceback(command_line: CommandLine) -> None:
    command_line.open_session(pages=1)
    with command_line.start("status", "--watch") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


#: What takes long to import, and is not needed to look at a warehouse that is up to date.
_NOT_NEEDED = (
    *("dagster", "pandas", "alembic", "rich", "httpx2", "msgspec", "psutil", "tenacity"),
    *("sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "psycopg"),
    *("sim_sync.config.carrier", "sim_sync.config.alerts", "sim_sync.carriers.connector", "sim_sync.worker"),
    *("sim_sync.warehouse.store", "sim_sync.warehouse.opening", "sim_sync.warehouse.matching"),
    *(f"sim_sync.core.{name}" for name in ("sync", "opening", "session_events", "sweep", "lookups", "report")),
)


def test_a_warehouse_that_is_up_to_date_is_shown_without_what_takes_long_to_import(command_line: CommandLine) -> None:
    command_line.open_session(pages=1)
    program = f"""
import atexit, os, sys
atexit.register(lambda: print(sorted(sys.modules.keys() & set({_NOT_NEEDED!r}))))
from sim_sync.cli import main
main(["status"])
"""
    said = command_line.python("-c", program)
    assert (said.code, said.err) == (0, "")
    assert "running" in said.out
    assert said.out.splitlines()[-1] == "[]"


def test_a_run_whose_process_is_gone_from_this_host_is_not_said_to_work_until_its_lease_runs_out(
    command_line: CommandLine,
) -> None:
    """The columns of `--json` stay those of the table, and a process of another host is presumed alive."""
    gone = replace(this_process(), pid=2**22 - 7, started="0")
    store = command_line.warehouse.sessions
    store.open_session(a_request("run-dead", carrier="acme", process=gone, lease_seconds=600))
    store.open_session(
        a_request("run-far", carrier="zeta", process=replace(gone, host="elsewhere#1#2"), lease_seconds=600)
    )
    said = command_line.type_in("status")
    assert "acme: its run run-dead is silent; the sensor or `sim-sync backfill acme` takes over" in said.out
    assert "run-far is silent" not in said.out
    (acme,) = command_line.type_in("status", "--carrier", "acme", "--json").document
    assert datetime.fromisoformat(acme["lease_expires_at"]) > store.now()
