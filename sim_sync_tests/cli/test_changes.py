import csv
import io

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from sim_sync_tests.cli.command_line import CommandLine, assert_one_message
from sim_sync_tests.fakes.fleet import a_sim


@pytest.fixture
def changed(command_line: CommandLine) -> CommandLine:
    """Of acme's two SIMs one is suspended in the second night, under a label that is a formula."""
    command_line.walk(a_sim(1), a_sim(2))
    command_line.walk(a_sim(1), a_sim(2, status="suspended", label="=1+1\x1b[2J"))
    return command_line


def test_the_newest_changes_come_first_in_a_table(changed: CommandLine) -> None:
    said = changed.type_in("changes")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0].split() == ["UTC", "carrier", "SIM", "what", "was", "is"]
    assert [line.split()[3:] for line in lines[1:3]] == [
        ["8988303000000000002", "label", r"=1+1\x1b[2J"],
        ["8988303000000000002", "status", "active", "suspended"],
    ]
    assert lines[-1] == "4 changes"
    assert "\x1b" not in said.out


def test_json_is_one_document_and_an_empty_one_too(changed: CommandLine) -> None:
    rows = changed.type_in("changes", "--json").document
    assert [(row["field"], row["new_value"]) for row in rows] == [
        ("label", "=1+1\x1b[2J"),
        ("status", "suspended"),
        ("presence", "present"),
        ("presence", "present"),
    ]
    assert changed.type_in("changes", "--format", "json").document == rows
    assert changed.type_in("changes", "--carrier", "zeta", "--json").document == []


def test_csv_is_safe_to_open_in_a_spreadsheet_program(changed: CommandLine) -> None:
    rows = list(csv.DictReader(io.StringIO(changed.type_in("changes", "--format", "csv").out)))
    assert rows[0]["new_value"] == r"'=1+1\x1b[2J"
    assert rows[0]["iccid"] == "'8988303000000000002"
    assert len(rows) == 4


def test_changes_go_to_a_file_in_every_format_of_a_list(changed: CommandLine) -> None:
    """A sheet and a Parquet file have the rows of the CSV, as texts; what needs a file says so without one."""
    rows = changed.type_in("changes", "--json").document
    for form in ("csv", "json", "xlsx", "parquet"):
        said = changed.type_in("changes", "--format", form, "--output", f"changes.{form}")
        assert (said.code, said.out, said.err) == (0, "", "")
    found = pq.read_table(changed.folder / "changes.parquet").to_pylist()
    assert [(row["field"], row["iccid"], row["new_value"]) for row in found] == [
        (row["field"], row["iccid"], row["new_value"]) for row in rows
    ]
    sheet = load_workbook(changed.folder / "changes.xlsx").worksheets[0]
    assert [cells[6].value for cells in sheet.iter_rows(min_row=2)][:2] == [r"=1+1\x1b[2J", "suspended"]
    assert {cell.data_type for cells in sheet.iter_rows() for cell in cells} <= {"s", "n"}
    assert_one_message(changed.type_in("changes", "--format", "xlsx"), 2, "--output FILE")


def test_a_field_and_a_time_narrow_the_list(changed: CommandLine) -> None:
    assert [row["field"] for row in changed.type_in("changes", "--field", "status", "--json").document] == ["status"]
    assert len(changed.type_in("changes", "--since", "1h", "--json").document) == 4
    assert changed.type_in("changes", "--since", "2999-01-01", "--json").document == []
    assert changed.type_in("changes", "--since", "2999-01-01").out == "0 changes\n"


def test_who_decided_on_a_sweep_is_told(command_line: CommandLine) -> None:
    command_line.walk(*(a_sim(number) for number in range(100)))
    command_line.walk(a_sim(0))
    command_line.type_in("sweep", "reject", "acme", "--by", "ann", "--reason", "cut off")
    (row,) = command_line.type_in("changes", "--field", "sweep_state", "--json").document
    told = ("sim_id", "old_value", "new_value", "sweep_decided_by", "sweep_decision_reason")
    assert [row[name] for name in told] == [None, "held", "rejected", "ann", "cut off"]
    assert "rejected by ann: cut off" in command_line.type_in("changes").out


def test_a_long_list_is_cut_in_the_table_alone(command_line: CommandLine) -> None:
    command_line.walk(*(a_sim(number) for number in range(300)))
    lines = command_line.type_in("changes").out.splitlines()
    assert len(lines) == 202
    assert lines[-1] == "300 changes; the table shows the newest 200, --format csv shows all"
    assert len(command_line.type_in("changes", "--json").document) == 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--field", "colour"), ("'colour'", "status", "presence", "sweep_state")),
        (("--since", "yesterday"), ("'yesterday'", "24h")),
        (("--carrier", "acne"), ("'acne'", "acme, zeta")),
    ],
)
def test_what_cannot_be_listed_is_refused_with_what_can(
    command_line: CommandLine, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_one_message(command_line.type_in("changes", *arguments), 2, *words)


def test_where_the_changes_concentrate_is_said_below_the_table(command_line: CommandLine) -> None:
    fleet = [a_sim(number, rate_plan="X" if number < 30 else "Y") for number in range(600)]
    command_line.walk(*fleet)
    command_line.walk(*(sim._replace(status="suspended") if sim.rate_plan == "X" else sim for sim in fleet))
    sentence = "acme: 100 % of the status changes are on plan X, which has 5 % of the SIMs"
    assert command_line.type_in("changes", "--since", "1h").out.splitlines()[-1] == sentence
    assert sentence not in command_line.type_in("changes", "--field", "presence").out
