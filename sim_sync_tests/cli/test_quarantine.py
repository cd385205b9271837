import json
from typing import Any

import pytest

from sim_sync.core.pages import QuarantinedRecord
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.cli.terminal import shown_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim

ICCID = "89883070000004567898"


def a_rest_account(**fields: str) -> dict[str, Any]:
    return {
        "type": "rest",
        "base_url": "http://127.0.0.1:9",
        "auth": {"type": "bearer", "token": "a-token-of-this-account"},
        "list": {
            "path": "/sims",
            "records": "data",
            "pagination": {"type": "page_number", "page_param": "page", "total_pages": "pages"},
        },
        "fields": fields,
        "statuses": {"LIVE": "active"},
    }


@pytest.fixture
def unread(command_line: CommandLine) -> CommandLine:
    """Two records of acme that the mapping of that night could not read; its walk is still open."""
    command_line.write_carriers(
        acme=a_rest_account(sim_id="key", iccid="iccid", status="state"), zeta=a_rest_account(sim_id="id")
    )
    quarantine(command_line, {"id": "a", "iccid": ICCID, "state": "LIVE"}, {"iccid": "\x1b[2J"})
    return command_line


def quarantine(command_line: CommandLine, *records: Any, carrier: str = "acme") -> None:
    session = command_line.open_session(carrier)
    assert session.cursor is not None
    rejected = [
        QuarantinedRecord(place + 1, "expected an id in `sim_id`, found none", json.dumps(record, sort_keys=True))
        for place, record in enumerate(records)
    ]
    page = a_page([a_sim(1)], {"page": 1}, rejected=rejected)
    command_line.warehouse.sessions.commit_page(session.claim, session.cursor, page)


def repaired(command_line: CommandLine) -> CommandLine:
    """Put the mapping right."""
    command_line.write_carriers(
        acme=a_rest_account(sim_id="id", iccid="iccid", status="state"), zeta=a_rest_account(sim_id="id")
    )
    return command_line


def test_the_list_has_a_row_a_record_and_counts_them(unread: CommandLine) -> None:
    said = unread.type_in("quarantine", "list")
    header, first, _second, count = said.out.splitlines()
    assert header.split() == ["id", "carrier", "page", "position", "since", "reason"]
    assert first.split()[:4] == ["1", "acme", "1", "1"]
    assert first.endswith("expected an id in `sim_id`, found none")
    assert (said.code, count) == (0, "2 records in quarantine")


def test_an_empty_list_says_so(command_line: CommandLine) -> None:
    assert command_line.type_in("quarantine", "list").out == "0 records in quarantine\n"
    assert command_line.type_in("quarantine", "list", "--json").document == []


def test_json_has_the_columns_of_the_table(unread: CommandLine) -> None:
    said = unread.type_in("quarantine", "list", "--json")
    first, second = said.document
    assert (said.code, said.err) == (0, "")
    assert list(first) == [
        *("id", "carrier", "session_id", "page_number", "position", "reason", "payload"),
        *("quarantined_at", "resolved_at", "resolution"),
    ]
    assert first["payload"] == {"id": "a", "iccid": ICCID, "state": "LIVE"}
    assert second["quarantined_at"].endswith("+00:00")


def test_one_carrier_alone_can_be_listed(unread: CommandLine) -> None:
    quarantine(unread, {"id": None}, carrier="zeta")
    assert [row["id"] for row in unread.type_in("quarantine", "list", "--carrier", "zeta", "--json").document] == [3]
    assert_one_message(unread.type_in("quarantine", "list", "--carrier", "acne"), 2, "'acne'")


def test_one_record_is_shown_with_what_the_carrier_sent(unread: CommandLine) -> None:
    said = unread.type_in("quarantine", "show", "1")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert "reason: expected an id in `sim_id`, found none" in lines
    assert json.loads("\n".join(lines[lines.index("payload:") + 1 :])) == {"id": "a", "iccid": ICCID, "state": "LIVE"}
    assert unread.type_in("quarantine", "show", "1", "--json").document["id"] == 1


def test_what_a_carrier_sent_reaches_no_terminal_as_it_is(unread: CommandLine) -> None:
    for command in (["show", "2"], ["list"], ["replay"], ["list", "--json"]):
        assert "\x1b" not in unread.type_in("quarantine", *command).out


def test_the_list_fits_a_terminal_of_80_columns(unread: CommandLine) -> None:
    assert max(map(len, shown_in_terminal(unread, "quarantine", "list", columns=80).splitlines())) <= 80


def test_a_replay_with_the_mapping_put_right_puts_the_sim_in(unread: CommandLine) -> None:
    said = repaired(unread).type_in("quarantine", "replay")
    assert said.code == 1  # the second record has no id at all
    *stay, total = said.out.splitlines()
    assert stay == ["2: stays in quarantine: expected an id in `sim_id`, found none"]
    assert total == "1 record put in, 0 not needed, 1 left in quarantine"
    (row,) = unread.type_in("quarantine", "list", "--json").document
    assert row["id"] == 2
    resolved = unread.type_in("quarantine", "list", "--all").out.splitlines()[1]
    assert resolved.endswith(": replayed")


def test_a_replay_that_leaves_nothing_is_done(unread: CommandLine) -> None:
    said = repaired(unread).type_in("quarantine", "replay", "1", "--carrier", "acme")
    assert (said.code, said.out) == (0, "1 record put in, 0 not needed, 0 left in quarantine\n")
    said = unread.type_in("quarantine", "replay", "1")
    assert (said.code, said.out.splitlines()[-1]) == (0, "0 records put in, 0 not needed, 0 left in quarantine")
    assert said.out.splitlines()[0].endswith("already: replayed")


def test_a_replay_with_the_old_mapping_leaves_all(unread: CommandLine) -> None:
    said = unread.type_in("quarantine", "replay", "--carrier", "acme")
    assert (said.code, said.out.splitlines()[-1]) == (1, "0 records put in, 0 not needed, 2 left in quarantine")


def test_a_record_of_another_carrier_is_refused(unread: CommandLine) -> None:
    said = repaired(unread).type_in("quarantine", "replay", "1", "--carrier", "zeta")
    assert_one_message(said, 2, "not of carrier zeta: 1")


def test_records_of_a_carrier_that_is_not_configured_stay(unread: CommandLine) -> None:
    unread.write_carriers(zeta=a_rest_account(sim_id="id"))
    said = unread.type_in("quarantine", "replay")
    assert said.code == 1
    assert "carrier acme is not in carriers.yaml" in said.out
    assert len(unread.type_in("quarantine", "list", "--json").document) == 2


def test_a_carrier_whose_part_has_problems_replays_nothing(unread: CommandLine) -> None:
    unread.write_carriers(acme=a_rest_account(name="id"))
    assert_one_message(unread.type_in("quarantine", "replay"), 2, "carriers.acme")
    assert len(unread.type_in("quarantine", "list", "--json").document) == 2


def test_a_dropped_record_is_listed_with_its_reason(unread: CommandLine) -> None:
    said = unread.type_in("quarantine", "drop", "2", "--reason", "a test device")
    assert (said.code, said.out) == (0, "1 record dropped\n")
    rows = {row["id"]: row["resolution"] for row in unread.type_in("quarantine", "list", "--all", "--json").document}
    assert rows == {1: None, 2: "dropped: a test device"}
    said = unread.type_in("quarantine", "drop", "2", "--reason", "another")
    assert (said.code, said.out.splitlines()[-1]) == (0, "0 records dropped")
    assert said.out.splitlines()[0].endswith("already: dropped: a test device")


def test_a_drop_wants_a_reason(unread: CommandLine) -> None:
    for arguments in (["1"], ["1", "--reason", " "]):
        said = unread.type_in("quarantine", "drop", *arguments)
        assert (said.code, said.out) == (2, "")
        assert "--reason" in said.err
    assert len(unread.type_in("quarantine", "list", "--json").document) == 2


@pytest.mark.parametrize("command", [["show", "9"], ["replay", "9"], ["drop", "9", "--reason", "x"]])
def test_an_unknown_record_is_refused(unread: CommandLine, command: list[str]) -> None:
    assert_one_message(unread.type_in("quarantine", *command), 2, "no quarantined record 9")


def test_status_counts_what_is_open(unread: CommandLine) -> None:
    (row, _) = unread.type_in("status", "--json").document
    assert "2 records could not be read; `sim-sync quarantine list` shows them" in row["unresolved"]
    unread.type_in("quarantine", "drop", "1", "2", "--reason", "known")
    (row, _) = unread.type_in("status", "--json").document
    assert not [text for text in row["unresolved"] if "could not be read" in text]
