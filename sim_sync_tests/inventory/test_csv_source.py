"""Our list from a CSV file: every cell as text, line numbers of the file, one clear message where it cannot be read."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.inventory import CsvInventorySettings, CsvList, open_csv
from sim_sync_tests.inventory.lists import COLUMNS, HEADER, ICCID, OTHER, gathered, read_csv, written


def settings_of(path: Path, **fields: Any) -> CsvInventorySettings:
    return CsvInventorySettings(path=path, **({"columns": COLUMNS} | fields))


def cells(folder: Path, content: str | bytes, **fields: Any) -> list[tuple[int, list[str]]]:
    with open_csv(settings_of(written(folder, content), **fields)) as sheet:
        return [(line, list(row)) for line, row, _ in sheet.rows]


def refusal(folder: Path, content: str | bytes, **fields: Any) -> str:
    with pytest.raises(InventoryError) as refused:
        read_csv(folder, content, **fields)
    told = str(refused.value)
    assert "\n" not in told
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize(
    "cell",
    ["NA", "null", "None", "nan", "NaN", "N/A", "-", "000123", "1e5", "TRUE", "2026-03-02", ICCID, "8.9883E+19", "1,5"],
)
def test_a_cell_is_the_text_that_stands_there(tmp_path: Path, cell: str) -> None:
    assert cells(tmp_path, f'{HEADER}{ICCID},acme,"{cell}",\n') == [(2, [ICCID, "acme", cell, ""])]


def test_the_columns_are_those_of_the_header(tmp_path: Path) -> None:
    with open_csv(settings_of(written(tmp_path, " ICCID , Carrier,1,\n"))) as sheet:
        assert list(sheet.columns) == ["ICCID", "Carrier", "1", ""]
        assert sheet.where == str(tmp_path / "inventory.csv")


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, b"\xef\xbb\xbf" + f"{HEADER}{ICCID},acme,active,\n".encode())
    assert [row.iccid for row in inventory.rows] == [ICCID]


def test_a_quoted_cell_may_go_over_lines_and_the_numbers_stay_those_of_the_file(tmp_path: Path) -> None:
    content = f'"ICCID\nnew",Carrier,State,Note\n{ICCID},acme,"over\ntwo, ""three""\nlines",x\n\n{ICCID},acme,b,\n'
    assert cells(tmp_path, content) == [
        (3, [ICCID, "acme", 'over\ntwo, "three"\nlines', "x"]),
        (6, []),
        (7, [ICCID, "acme", "b", ""]),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_lines_may_end_in_every_way(tmp_path: Path, ending: str, last: str) -> None:
    content = f"{HEADER}{ICCID},acme,a,{last}".replace("\n", ending)
    assert cells(tmp_path, content) == [(2, [ICCID, "acme", "a", ""])]


def test_rows_have_the_cells_that_stand_there(tmp_path: Path) -> None:
    found = cells(tmp_path, f"{HEADER}{ICCID}\n{ICCID},acme,a,b,c,d\n")
    assert [row for _, row in found] == [[ICCID], [ICCID, "acme", "a", "b", "c", "d"]]


def test_a_row_with_a_cell_too_many_is_a_finding_and_the_others_count(tmp_path: Path) -> None:
    content = f"{HEADER}{ICCID},acme,active,a, b\n898830300000801393,acme,active,\n"
    inventory = read_csv(tmp_path, content)
    assert [row.iccid for row in inventory.rows] == ["898830300000801393"]
    assert inventory.reasons == [(2, "the row has more cells than the header: quote cells that contain the delimiter")]


def test_other_delimiters_and_encodings_are_read_as_told(tmp_path: Path) -> None:
    content = f"ICCID;Carrier;State;Note\n{ICCID};acme;aktiv;Zürich, 5 €\n".encode("cp1252")
    assert cells(tmp_path, content, delimiter=";", encoding="cp1252") == [(2, [ICCID, "acme", "aktiv", "Zürich, 5 €"])]


def test_a_file_of_many_rows_is_read_over_the_borders_of_its_chunks(tmp_path: Path) -> None:
    count = 45_000
    lines = "".join(f"{number:020d},acme,active,\n" for number in range(count))
    inventory = read_csv(tmp_path, HEADER + lines)
    assert len(inventory.rows) == count
    assert (inventory.rows[0].iccid, inventory.rows[-1].iccid) == (f"{0:020d}", f"{count - 1:020d}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as refused:
        CsvList(settings_of(tmp_path / "nowhere.csv"), ["acme"]).digest()
    assert str(refused.value) == (
        f"the inventory {tmp_path}/nowhere.csv cannot be read (No such file or directory): expected a CSV file that "
        "this user may read. Correct the inventory's `path`, or bring the file there; nothing was written."
    )


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"cannot be read \(Is a directory\)"):
        CsvList(settings_of(tmp_path), ["acme"]).digest()


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "\ufeff"])
def test_an_empty_file_is_told(tmp_path: Path, content: str) -> None:
    assert "is empty: expected a header line and one row a SIM" in refusal(tmp_path, content)


def test_a_header_without_a_row_is_no_empty_list(tmp_path: Path) -> None:
    assert "has a header, but no row: expected our SIMs, one a row. Was the export cut off?" in refusal(
        tmp_path, HEADER
    )
    assert "has a header, but no row" in refusal(tmp_path, HEADER + "\n,,,\n  \n")


def test_a_cell_of_another_encoding_is_left_out_and_told_and_the_rows_count(tmp_path: Path) -> None:
    lines = "".join(f"{number:020d},acme,active,x\n" for number in range(30_000))
    content = HEADER.encode() + lines.encode() + f"{ICCID},acme,gek\xfcndigt,Z\xfcrich\n".encode("cp1252")
    inventory = read_csv(tmp_path, content)
    assert (len(inventory.rows), inventory.rows[-1].status, inventory.rows[-1].attributes) == (30_001, None, "{}")
    assert inventory.places == [(30_002, "State"), (30_002, "Note")]
    assert "export the list as UTF-8, or set the inventory's `encoding`" in inventory.findings[0].reason


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding_whatever_the_config_says(tmp_path: Path, encoding: str) -> None:
    content = f"ICCID\tCarrier\tState\n{ICCID}\tacme\tactive\n".encode(encoding)
    for told in ("utf-8-sig", "cp1252"):
        assert [row.status for row in read_csv(tmp_path, content, encoding=told).rows] == ["active"]


def test_a_byte_order_mark_in_the_middle_of_joined_files_is_no_part_of_a_value(tmp_path: Path) -> None:
    content = (
        f"{HEADER}{ICCID},acme,active,\n\ufeff{HEADER}{OTHER},acme,active,\n\ufeff898830300000801393,acme,active,\n"
    )
    inventory = read_csv(tmp_path, content)
    assert [row.iccid for row in inventory.rows] == [ICCID, OTHER, "898830300000801393"]
    assert inventory.tally.unknown_carriers == {"Carrier": 1}


@pytest.mark.parametrize("encoding", ["klingon", "", "base64", "hex"])
def test_an_encoding_that_does_not_exist_is_told(tmp_path: Path, encoding: str) -> None:
    assert f"`encoding` is {encoding!r}: expected utf-8, cp1252" in refusal(tmp_path, HEADER, encoding=encoding)


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
def test_the_header_says_what_separates_cells(tmp_path: Path, delimiter: str) -> None:
    content = f"ICCID,Carrier,State,Note\n{ICCID},acme,active,x\n".replace(",", delimiter)
    assert [(row.status, row.attributes) for row in read_csv(tmp_path, content).rows] == [("active", '{"Note":"x"}')]


@pytest.mark.parametrize("start", ["\n\n", ",,,\n", "sep=,\n", "\ufeff\n  \n", "SEP=,\r\n"])
def test_lines_before_the_header_that_say_nothing_are_passed_over(tmp_path: Path, start: str) -> None:
    inventory = read_csv(tmp_path, f"{start}{HEADER}{ICCID},acme,active,\n{ICCID},,,\n")
    assert [row.status for row in inventory.rows] == ["active"]
    assert inventory.reasons == [(start.count("\n") + 3, "the row names no carrier")], "lines count as in the file"


def test_a_spreadsheets_own_word_about_the_separator_counts(tmp_path: Path) -> None:
    assert cells(tmp_path, f"sep=;\nICCID;Carrier;State\n{ICCID};acme;a,b\n") == [(3, [ICCID, "acme", "a,b"])]


def test_a_separator_at_the_end_of_every_line_is_no_cell(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, f"ICCID,Carrier,State,\n{ICCID},acme,active,\n{OTHER},acme,active,,\n")
    assert ([row.attributes for row in inventory.rows], inventory.findings) == (["{}", "{}"], [])


def test_another_delimiter_than_told_is_guessed_at(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"ICCID;Carrier;State\n{ICCID};acme;active\n", delimiter=",")
    assert "lacks the columns 'ICCID' (our iccid)" in told
    assert "looks as if cells were separated by ';': set the inventory's `delimiter`" in told


@pytest.mark.parametrize(
    "content",
    [
        f"Carrier,ICCID,State\nacme,{OTHER},active\nacme,{ICCID[:18]}",
        f"Carrier,State,ICCID\nacme,active,{OTHER}\nacme,active,{ICCID[:18]}",
    ],
)
def test_a_file_that_ends_in_the_middle_of_a_row_makes_no_sim_of_half_a_number(tmp_path: Path, content: str) -> None:
    inventory = read_csv(tmp_path, content)
    assert [row.iccid for row in inventory.rows] == [OTHER]
    assert inventory.reasons == [(3, "the file ends in the middle of this row: was the export cut off?")]


@pytest.mark.parametrize("last", [ICCID, OTHER])
def test_a_last_row_without_a_line_end_counts_if_its_number_is_no_shorter_than_others(
    tmp_path: Path, last: str
) -> None:
    inventory = read_csv(tmp_path, f"Carrier,State,ICCID\nacme,active,8988303000008013940\nacme,active,{last}")
    assert (len(inventory.rows), inventory.findings) == (2, [])


def test_a_line_without_an_end_costs_itself(tmp_path: Path) -> None:
    inventory = read_csv(tmp_path, f"{HEADER}{'x' * 300_000}\n{ICCID},acme,active,\n")
    assert [(row.iccid, row.row_number) for row in inventory.rows] == [(ICCID, 3)]
    assert "longer than any row of SIM data" in inventory.findings[0].reason


def test_zero_bytes_make_a_finding_and_no_broken_row(tmp_path: Path) -> None:
    content = f"{HEADER}{ICCID},acme,act\0ive,\n898830300000801393,acme,active,\n"
    inventory = read_csv(tmp_path, content)
    assert [(row.iccid, row.status) for row in inventory.rows] == [(ICCID, None), ("898830300000801393", "active")]
    assert inventory.reasons == [(2, "a cell contains a NUL character: the list is damaged here")]


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "pipe"])
def test_a_device_or_a_pipe_is_no_list(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InventoryError, match="is not a file: expected a CSV file, not a pipe or a device"):
        CsvList(settings_of(tmp_path / name), ["acme"]).digest()


def test_a_path_that_can_be_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read"):
        CsvList(settings_of(tmp_path / "a\0b"), ["acme"]).digest()


def test_a_file_that_is_written_while_it_is_read_is_no_list_and_is_tried_again(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "".join(f"{number:020d},acme,active,\n" for number in range(100)))
    with CsvList(settings_of(path), ["acme"]).opened() as reading:
        entries = iter(reading)
        next(entries)
        with path.open("a") as file:
            file.write(f"{ICCID},acme,active,\n")
        with pytest.raises(InventoryUnavailable, match="was written while it was read"):
            list(entries)


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,active,\n")
    with CsvList(settings_of(path), ["acme"]).opened() as reading:
        (tmp_path / "new.csv").write_text(f"{HEADER}{OTHER},acme,active,\n")
        (tmp_path / "new.csv").rename(path)
        assert [sim.iccid for sim in gathered(reading).rows] == [ICCID]


def test_a_digest_is_that_of_what_was_read_and_of_what_it_means(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,active,\n")
    first = CsvList(settings_of(path), ["acme"])
    with first.opened() as reading:
        list(reading)
        assert reading.digest() == first.digest()
    others = [
        CsvList(settings_of(path), ["acme", "other"]),
        CsvList(settings_of(path, columns={"iccid": "ICCID", "carrier": "Carrier"}), ["acme"]),
        CsvList(settings_of(path, encoding="cp1252"), ["acme"]),
    ]
    path.write_text(path.read_text())
    assert first.digest() not in {other.digest() for other in others}
    before = first.digest()
    path.write_text(f"{HEADER}{ICCID},acme,suspended,\n")
    with first.opened() as reading:
        list(reading)
        assert reading.digest() == first.digest() != before


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)


@given(rows=st.lists(st.lists(_CELL, min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_python_writes_is_read_back_cell_by_cell(tmp_path: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["a", "b", "c"], *rows])
    found = cells(tmp_path, text.getvalue())
    assert [row for _, row in found] == [list(row) for row in rows]
    lines = [2 + sum(1 + "".join(row).count("\n") for row in rows[:place]) for place in range(len(rows))]
    assert [line for line, _ in found] == lines
