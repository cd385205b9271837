import csv
import io
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from sim_sync.cli.options import os_user
from sim_sync.core.discrepancies import CompanyRules, Prices
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.discrepancies import DiscrepancyRow
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync_tests.cli.command_line import CommandLine, an_account, assert_one_message
from sim_sync_tests.cli.terminal import shown_in_terminal
from sim_sync_tests.fakes.fleet import a_page, a_sim


def ours(number: int, status: str = "active") -> InventorySim:
    sim = a_sim(number)
    assert sim.iccid is not None
    return InventorySim(carrier="acme", iccid=sim.iccid, iccid_raw=sim.iccid, status=status)


def with_inventory() -> dict[str, Any]:
    """Return a configuration with an inventory; nobody reads the file."""
    account = an_account("http://127.0.0.1:9")
    ours = {"type": "csv", "path": "ours.csv", "columns": {"iccid": "ICCID", "carrier": "Carrier"}}
    return {"inventory": ours, "carriers": {"acme": account, "zeta": account}}


FLEET = [a_sim(number) for number in range(4)]


def compared(command_line: CommandLine, *rows: InventorySim, carrier: str = "acme") -> None:
    """Compare a walk over SIMs 0 to 3 with these rows of ours."""
    command_line.walk(*FLEET, carrier=carrier)
    load_inventory(command_line.warehouse.engine, carrier, [row._replace(carrier=carrier) for row in rows])
    reconcile(command_line.warehouse.engine, carrier, ("status",))


@pytest.fixture
def differing(command_line: CommandLine) -> CommandLine:
    """Ours lacks SIM 3, has SIM 9 beside, and tells SIM 2 as suspended; zeta was never synced."""
    command_line.write_config(with_inventory())
    compared(command_line, ours(0), ours(1), ours(2, "suspended"), ours(9))
    return command_line


def test_json_is_one_document_of_the_open_ones(differing: CommandLine) -> None:
    said = differing.type_in("discrepancies", "--carrier", "acme", "--format", "json")
    assert (said.code, said.err) == (0, "")
    assert {(row["kind"], row["iccid"], row["field"]) for row in said.document} == {
        ("missing_at_carrier", a_sim(9).iccid, ""),
        ("unknown_to_us", a_sim(3).iccid, ""),
        ("mismatch", a_sim(2).iccid, "status"),
    }
    assert all(tuple(row) == DiscrepancyRow._fields for row in said.document)
    mismatch = next(row for row in said.document if row["kind"] == "mismatch")
    assert (mismatch["ours"], mismatch["theirs"], mismatch["resolved_at"]) == ("suspended", "active", None)


def test_the_short_form_of_json_is_the_same(differing: CommandLine) -> None:
    long = differing.type_in("discrepancies", "--format", "json")
    assert differing.type_in("discrepancies", "--json").document == long.document


def test_csv_has_a_header_and_one_line_a_discrepancy(differing: CommandLine) -> None:
    said = differing.type_in("discrepancies", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert len(rows) == 3
    assert tuple(rows[0]) == DiscrepancyRow._fields
    assert {row["carrier"] for row in rows} == {"acme"}


def test_the_table_is_grouped_by_carrier_and_counted(differing: CommandLine) -> None:
    compared(differing, ours(0), ours(1), ours(2), carrier="zeta")
    lines = differing.type_in("discrepancies").out.splitlines()
    assert [line for line in lines if line.endswith(":")] == ["acme:", "zeta:"]
    assert lines[-1] == "4 discrepancies"
    assert sum("mismatch: status" in line for line in lines) == 1


def test_the_table_fits_a_terminal_of_80_columns(differing: CommandLine) -> None:
    shown = shown_in_terminal(differing, "discrepancies", columns=80)
    assert max(map(len, shown.splitlines())) <= 80
    for number in (2, 3, 9):
        assert f"{a_sim(number).iccid}" in shown  # an ICCID that is broken over two lines cannot be copied


def test_one_kind_alone_can_be_asked_for(differing: CommandLine) -> None:
    (row,) = differing.type_in("discrepancies", "--kind", "mismatch", "--json").document
    assert row["kind"] == "mismatch"


def test_an_unknown_kind_is_refused_with_the_known_ones(command_line: CommandLine) -> None:
    said = command_line.type_in("discrepancies", "--kind", "mishap")
    kinds = ("missing_at_carrier", "unknown_to_us", "wrong_carrier", "mismatch", "duplicate_iccid", "quality")
    assert_one_message(said, 2, "mishap", *kinds)


def test_one_carrier_alone_can_be_asked_for(differing: CommandLine) -> None:
    compared(differing, ours(0), ours(1), ours(2), carrier="zeta")
    rows = differing.type_in("discrepancies", "--carrier", "zeta", "--json").document
    assert [row["carrier"] for row in rows] == ["zeta"]


def test_an_unknown_carrier_is_refused(command_line: CommandLine) -> None:
    assert_one_message(command_line.type_in("discrepancies", "--carrier", "acne"), 2, "'acne'")


def test_resolved_ones_are_listed_only_when_asked_for(differing: CommandLine) -> None:
    load_inventory(differing.warehouse.engine, "acme", [ours(0), ours(1), ours(2), ours(3)])
    reconcile(differing.warehouse.engine, "acme", ("status",))
    assert differing.type_in("discrepancies", "--json").document == []
    rows = differing.type_in("discrepancies", "--all", "--json").document
    assert len(rows) == 3
    assert all(row["resolved_at"] for row in rows)


def test_none_is_told_only_of_what_was_compared(differing: CommandLine) -> None:
    load_inventory(differing.warehouse.engine, "acme", [ours(0), ours(1), ours(2), ours(3)])
    reconcile(differing.warehouse.engine, "acme", ("status",))
    assert differing.type_in("discrepancies", "--carrier", "acme").out == "0 discrepancies\n"
    assert differing.type_in("discrepancies").out.splitlines() == [
        "0 discrepancies",
        "zeta: not compared yet; `sim-sync backfill zeta` walks it and compares",
    ]


def test_before_any_comparison_nothing_is_counted(command_line: CommandLine) -> None:
    command_line.write_config(with_inventory())
    waiting = [
        f"{name}: not compared yet; `sim-sync backfill {name}` walks it and compares" for name in ("acme", "zeta")
    ]
    assert command_line.type_in("discrepancies").out.splitlines() == waiting
    said = command_line.type_in("discrepancies", "--json")
    assert (said.code, said.document) == (0, [])
    assert said.err.splitlines() == [f"sim-sync: {line}" for line in waiting]
    said = command_line.type_in("discrepancies", "--format", "csv")
    assert (said.out.count("\n"), said.err.splitlines()) == (1, [f"sim-sync: {line}" for line in waiting])


def test_without_an_inventory_nothing_is_counted_and_it_is_said_why(command_line: CommandLine) -> None:
    line = "nothing is compared: no inventory is configured (the key `inventory` of carriers.yaml)"
    assert command_line.type_in("discrepancies").out == f"{line}\n"
    said = command_line.type_in("discrepancies", "--json")
    assert (said.code, said.document, said.err) == (0, [], f"sim-sync: {line}\n")


def test_a_carrier_that_no_list_is_for_is_not_said_to_wait_for_its_comparison(differing: CommandLine) -> None:
    config = with_inventory()
    differing.write_config(config | {"inventory": [config["inventory"] | {"carriers": ["acme"]}]})
    line = "nothing is compared: no list is for it (the key `inventory` of carriers.yaml)"
    assert differing.type_in("discrepancies", "--carrier", "zeta").out == f"zeta: {line}\n"
    assert differing.type_in("discrepancies").out.splitlines()[-1] == f"zeta: {line}"
    differing.write_config(config | {"inventory": [config["inventory"] | {"carriers": ["zeta"]}]})
    differing.walk(*FLEET)
    assert differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()[-1] == f"acme: {line}"


def test_a_kind_of_which_there_is_none_is_counted(differing: CommandLine) -> None:
    assert differing.type_in("discrepancies", "--carrier", "acme", "--kind", "quality").out == "0 discrepancies\n"


def test_what_is_known_since_the_last_comparison_is_said_to_wait_for_the_next(differing: CommandLine) -> None:
    load_inventory(differing.warehouse.engine, "acme", [ours(0)], min_percent=0)
    last = differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()[-1]
    assert last.endswith("UTC; not compared yet: what our list says since")
    differing.walk(*FLEET)
    last = differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()[-1]
    assert last.endswith("UTC; not compared yet: its last complete walk and what our list says since")


def test_a_reader_that_has_seen_enough_meets_no_traceback(command_line: CommandLine) -> None:
    """As in `sim-sync discrepancies --format csv | head -1`, with more rows than a pipe holds."""
    command_line.write_config(with_inventory())
    load_inventory(command_line.warehouse.engine, "acme", [ours(number) for number in range(3000, 6000)])
    compared_without_reload(command_line)
    with command_line.start("discrepancies", "--carrier", "acme", "--format", "csv") as process:
        assert process.stdout is not None
        with subprocess.Popen(["head", "-1"], stdin=process.stdout, stdout=subprocess.PIPE, text=True) as head:
            process.stdout.close()
            assert head.stdout is not None
            first = head.stdout.read()
        assert process.stderr is not None
        err = process.stderr.read()
    assert first.startswith("carrier,iccid,kind")
    assert err == ""


def compared_without_reload(command_line: CommandLine) -> None:
    session = command_line.open_session()
    store = command_line.warehouse.sessions
    assert session.cursor is not None
    session = store.commit_page(session.claim, session.cursor, a_page([a_sim(1)]))
    store.close_session(session.claim, SweepPolicy(), session.config_hash)
    reconcile(command_line.warehouse.engine, "acme", ("status",))


def test_output_that_nobody_ever_reads_is_no_traceback(differing: CommandLine) -> None:
    """A short list is still in the buffer when the reader is gone: it is the interpreter's last flush that fails."""
    command = f"{sys.executable} -m sim_sync discrepancies --carrier acme --format csv | true"
    for _ in range(3):
        said = differing.python("-c", f"import subprocess; subprocess.run({command!r}, shell=True)")
        assert said.err == ""


def test_the_table_begins_with_how_many_there_are_of_each(differing: CommandLine) -> None:
    first = differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()[0]
    assert first == "2 high, 1 medium: 1 missing_at_carrier, 1 unknown_to_us, 1 mismatch"


def test_one_severity_alone_can_be_asked_for(differing: CommandLine) -> None:
    assert len(differing.type_in("discrepancies", "--severity", "high", "--json").document) == 2
    assert differing.type_in("discrepancies", "--severity", "low", "--json").document == []
    assert_one_message(differing.type_in("discrepancies", "--severity", "bad"), 2, "'bad'", "high", "medium", "low")


def test_new_ones_are_what_the_newest_comparison_has_opened(differing: CommandLine) -> None:
    assert len(differing.type_in("discrepancies", "--new", "--json").document) == 3
    load_inventory(differing.warehouse.engine, "acme", [ours(0), ours(1), ours(2, "suspended"), ours(9), ours(8)])
    reconcile(differing.warehouse.engine, "acme", ("status",))
    assert [row["iccid"] for row in differing.type_in("discrepancies", "--new", "--json").document] == [a_sim(8).iccid]
    assert differing.type_in("discrepancies", "--new").out.splitlines()[-2] == "1 discrepancy"


def test_a_file_has_what_standard_output_would_have(differing: CommandLine) -> None:
    for form in ("csv", "json"):
        said = differing.type_in("discrepancies", "--carrier", "acme", "--format", form, "--output", f"list.{form}")
        assert (said.code, said.out, said.err) == (0, "", "")
        printed = differing.type_in("discrepancies", "--carrier", "acme", "--format", form).out
        assert (differing.folder / f"list.{form}").read_bytes().decode() == printed


def test_an_acknowledged_sim_leaves_the_list_and_is_counted(differing: CommandLine) -> None:
    iccid = a_sim(9).iccid or ""
    said = differing.type_in(
        "discrepancies", "ack", iccid, "--until", "2100-01-31", "--reason", "a \x1b[2J test", "--by", "eve"
    )
    assert (said.code, said.err) == (0, "")
    assert said.out == "1 discrepancy acknowledged until 2100-01-31, or until they change\n"
    lines = differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()
    assert not [line for line in lines if iccid in line]
    assert lines[-2:] == ["2 discrepancies", "1 acknowledged and not shown; --all shows all"]
    (line,) = [line for line in differing.type_in("discrepancies", "--all").out.splitlines() if iccid in line]
    assert line.endswith(r"by eve until 2100-01-31: a \x1b[2J test")
    rows = {row["iccid"]: row for row in differing.type_in("discrepancies", "--all", "--json").document}
    assert (rows[iccid]["muted_until"], rows[iccid]["muted_by"]) == ("2100-01-31T00:00:00+00:00", "eve")


def test_who_acknowledges_is_the_user_unless_it_is_said(differing: CommandLine) -> None:
    said = differing.type_in("discrepancies", "ack", a_sim(9).iccid or "")
    assert said.out == "1 discrepancy acknowledged until they change\n"
    rows = {row["iccid"]: row for row in differing.type_in("discrepancies", "--all", "--json").document}
    assert rows[a_sim(9).iccid]["muted_by"] == os_user()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ack", "89883030000000000000"], "no open discrepancy of 89883030000000000000"),
        (["ack", "89883030000000000009", "--until", "tomorrow"], "'tomorrow'"),
        (["ack", "89883030000000000009", "--until", "2020-01-01"], "which is over"),
        (["ack", "89883030000000000009", "--carrier", "acne"], "'acne'"),
        (["--all", "ack", "89883030000000000009"], "after it"),
    ],
)
def test_an_acknowledgement_that_cannot_be_is_refused(differing: CommandLine, arguments: list[str], words: str) -> None:
    assert_one_message(differing.type_in("discrepancies", *arguments), 2, words)
    assert len(differing.type_in("discrepancies", "--json").document) == 3


def priced(command_line: CommandLine) -> None:
    """Configure prices, and compare again."""
    command_line.write_config(with_inventory() | {"reconcile": {"prices": {"currency": "EUR", "default": 0.90}}})
    prices = Prices(currency="EUR", plans={}, default=Decimal("0.90"))
    reconcile(command_line.warehouse.engine, "acme", ("status",), CompanyRules(prices=prices))


def test_the_table_says_what_to_do_and_what_it_costs(differing: CommandLine) -> None:
    priced(differing)
    lines = differing.type_in("discrepancies", "--carrier", "acme").out.splitlines()
    assert any("EUR/month" in line for line in lines)
    assert lines[-1] == "they cost 1.80 EUR a month"
    assert "1 unknown_to_us: Add it to our list, or cancel it at the carrier: it is in" in lines
    assert max(map(len, shown_in_terminal(differing, "discrepancies", columns=80).splitlines())) <= 80


def test_json_has_the_cost_as_a_number_and_csv_as_a_text_of_it(differing: CommandLine) -> None:
    priced(differing)
    costs = {row["kind"]: row["monthly_cost"] for row in differing.type_in("discrepancies", "--json").document}
    assert costs == {"mismatch": 0.9, "unknown_to_us": 0.9, "missing_at_carrier": 0}
    rows = csv.DictReader(io.StringIO(differing.type_in("discrepancies", "--format", "csv").out))
    assert {row["kind"]: row["monthly_cost"] for row in rows} == {
        "mismatch": "0.90",
        "unknown_to_us": "0.90",
        "missing_at_carrier": "0.00",
    }


def test_without_prices_nothing_is_said_of_costs(differing: CommandLine) -> None:
    said = differing.type_in("discrepancies")
    assert "month" not in said.out
    assert [row["monthly_cost"] for row in differing.type_in("discrepancies", "--json").document] == [None] * 3


def test_an_acknowledgement_is_taken_back(differing: CommandLine) -> None:
    iccid = str(a_sim(9).iccid)
    differing.type_in("discrepancies", "ack", iccid)
    assert len(differing.type_in("discrepancies", "--json").document) == 2
    said = differing.type_in("discrepancies", "unack", f"{iccid[:5]} {iccid[5:]}")
    assert (said.code, said.out) == (0, "1 discrepancy counts again\n")
    assert len(differing.type_in("discrepancies", "--json").document) == 3


def test_what_nobody_has_acknowledged_cannot_be_taken_back(differing: CommandLine) -> None:
    said = differing.type_in("discrepancies", "unack", str(a_sim(9).iccid))
    assert_one_message(said, 2, "no acknowledged discrepancy of", "Nothing was written")
