"""`SIM_SYNC_LOG_FORMAT=json` on real commands: what is on standard error is JSON, line by line."""

import json
from typing import Any

import pytest

from sim_sync.simulator.faults import ErrorStatus, Trigger
from sim_sync.simulator.server import SimulatorServer
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message


def lines(err: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.splitlines()]


def test_an_error_of_a_command_is_one_object(command_line: CommandLine) -> None:
    said = command_line.run("status", "--carrier", "acne", SIM_SYNC_LOG_FORMAT="json")
    assert (said.code, said.out) == (2, "")
    (line,) = lines(said.err)
    assert (line["level"], line["logger"]) == ("ERROR", "sim_sync.cli")
    assert "'acne'" in line["message"]


def test_a_format_that_does_not_exist_is_refused(command_line: CommandLine) -> None:
    said = command_line.run("status", SIM_SYNC_LOG_FORMAT="yaml")
    assert_one_message(said, 2, "SIM_SYNC_LOG_FORMAT", "text or json", "'yaml'")


def test_without_the_variable_nothing_is_json(command_line: CommandLine) -> None:
    assert_one_message(command_line.run("status", "--carrier", "acne"), 2, "'acne'")


@pytest.mark.slow
def test_a_run_logs_objects_with_carrier_session_and_page_and_no_secret(
    command_line: CommandLine, simulator: SimulatorServer
) -> None:
    (mount,) = simulator.mounts.values()
    mount.faults.arm(ErrorStatus(status=429), Trigger(nth=2))
    account = an_account(next(iter(simulator.base_urls.values())))
    command_line.write_carriers(acme=account)
    said = command_line.run("backfill", "acme", SIM_SYNC_LOG_FORMAT="json")
    assert said.code == 0, said
    found = lines(said.err)
    (session,) = command_line.warehouse.sessions.latest_sessions(["acme"])
    retried = next(line for line in found if line["logger"] == "sim_sync.carriers")
    assert (retried["carrier"], retried["session"], retried["page"]) == ("acme", session.session_id, 2)
    of_run = [line for line in found if line["logger"] == "sim_sync.run"]
    assert {line["run"] for line in of_run} == {session.owner}
    assert of_run[0]["message"] == f"acme: new session {session.session_id}"
    assert not [secret for secret in account["auth"].values() if secret in said.err]
