"""Quotes in the wrong place: each costs its own cell at most, and never the rows after it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync_tests.inventory.lists import HEADER, ICCID, Read, read_csv


def sim(number: int, note: str = "", *, state: str = "active") -> str:
    return f"8944500000{number:010d},acme,{state},{note}\n"


def notes(inventory: Read) -> dict[int, str]:
    """Return what the list says beside each SIM."""
    return {int(row.iccid[10:]): row.attributes.removeprefix('{"Note":"').removesuffix('"}') for row in inventory.rows}


def test_a_quote_that_opens_a_cell_and_is_never_closed_costs_that_cell(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, HEADER + sim(1) + sim(2, '"2 inch') + "".join(map(sim, range(3, 2000))))
    assert len(inventory.rows) == 1999
    assert inventory.places == [(3, "Note")]
    assert inventory.findings[0].reason.startswith(
        "a quote opens here and is not closed in this cell: double the quotes"
    )


def test_two_such_quotes_do_not_swallow_the_rows_between_them(tmp_path: Path) -> None:
    rows = [sim(1), sim(2, '"2 inch bracket'), sim(3), sim(4), sim(5, '"office'), sim(6)]
    inventory = read_csv(tmp_path, HEADER + "".join(rows))
    assert sorted(notes(inventory)) == [1, 2, 3, 4, 5, 6]
    assert inventory.places == [(3, "Note"), (6, "Note")]


def test_a_quote_at_the_start_and_one_at_the_end_of_a_later_cell_do_not_either(tmp_path: Path) -> None:
    """This is sound CSV: one cell over three lines. But two of them are SIMs."""
    inventory = read_csv(tmp_path, HEADER + sim(1, '"2 inch') + sim(2) + sim(3, '6 inch"') + sim(4))
    assert sorted(notes(inventory)) == [1, 2, 3, 4]
    assert inventory.places == [(2, "Note")]


def test_rows_that_a_spreadsheet_has_rounded_are_not_swallowed_unseen(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, f"{HEADER}{sim(1, chr(34) + 'x')}8.94E+19,acme,active,\n{sim(2, 'y' + chr(34))}")
    assert sorted(notes(inventory)) == [1, 2]
    assert [number for number, _ in inventory.places] == [2, 3]


@pytest.mark.parametrize("note", ['5" inch', 'a "b" c', '5"', "it's"])
def test_a_quote_inside_of_a_cell_that_none_opens_is_a_letter(tmp_path: Path, note: str) -> None:
    inventory = read_csv(tmp_path, HEADER + sim(1, note) + sim(2))
    assert (notes(inventory)[1].replace("\\", ""), inventory.findings) == (note, [])


def test_a_cell_may_go_over_several_lines_if_they_are_no_rows(tmp_path: Path) -> None:
    note = f'"replaces\n{ICCID}\n, see ""list"", page 2"'
    inventory = read_csv(tmp_path, HEADER + sim(1, note) + sim(2))
    assert (notes(inventory)[1], inventory.findings) == (f'replaces\\n{ICCID}\\n, see \\"list\\", page 2', [])


def test_a_quote_before_the_iccid_costs_the_row_and_names_it(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, HEADER + f'"{sim(1)}' + sim(2) + sim(3))
    assert sorted(notes(inventory)) == [2, 3]
    assert inventory.places == [(2, "ICCID")]
    assert (inventory.tally.unusable_rows, inventory.findings[0].hides_sim) == (1, True)


def test_quotes_that_leave_no_cells_that_fit_the_header_cost_the_row(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, HEADER + sim(1, '"a, "b", c"') + sim(2))
    assert sorted(notes(inventory)) == [2]
    assert inventory.findings[0].reason.startswith("its quotes make no cells that fit the header")


def test_a_quote_in_the_row_of_another_carrier_is_not_ours_to_tell(tmp_path: Path) -> None:
    content = HEADER + sim(1) + sim(2, '"x').replace("acme", "other") + sim(3)
    inventory = read_csv(tmp_path, content, carriers=("acme", "other"))
    assert len(inventory.rows) == 3
    assert [finding.carrier for finding in inventory.findings] == ["other"]


_NOTE = st.text(st.sampled_from('"a ,'), max_size=8)


@given(all_notes=st.lists(_NOTE, min_size=1, max_size=12))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_stands_in_one_column_no_other_row_is_lost(tmp_path: Path, all_notes: list[str]) -> None:
    """Cells with quotes and delimiters, unescaped as a careless export writes them."""
    inventory = read_csv(
        tmp_path, HEADER + sim(0) + "".join(sim(at, note) for at, note in enumerate(all_notes, start=1))
    )
    told = {number for number, _ in inventory.places}
    lost = {at + 2 for at in range(len(all_notes) + 1)} - {row.row_number for row in inventory.rows}
    assert lost <= told
    sound = {at: note for at, note in enumerate(all_notes, start=1) if not set(note) & set('",')}
    kept = notes(inventory)
    assert {at: kept[at] for at in sound} == {at: note.strip() or "{}" for at, note in sound.items()}
