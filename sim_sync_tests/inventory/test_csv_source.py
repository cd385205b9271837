"""Our list from a CSV file: every cell as text, line numbers of the file, one clear message where it cannot be read."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError
from sim_sync.inventory import CsvInventorySettings, open_csv, read_inventory

ICCID = "89883030000080139311"
COLUMNS = {"iccid": "ICCID", "carrier": "Carrier", "status": "State"}
HEADER = "ICCID,Carrier,State,Note\n"


def settings_of(path: Path, **fields: Any) -> CsvInventorySettings:
    return CsvInventorySettings(path=path, columns=COLUMNS, **fields)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "inventory.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def cells(folder: Path, content: str | bytes, **fields: Any) -> list[tuple[int, list[str]]]:
    with open_csv(settings_of(written(folder, content), **fields)) as sheet:
        return [(line, list(row)) for line, row in sheet.rows]


def refusal(folder: Path, content: str | bytes, **fields: Any) -> str:
    with pytest.raises(InventoryError) as refused:
        read_inventory(settings_of(written(folder, content), **fields), ["acme"])
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
    inventory = read_inventory(
        settings_of(written(tmp_path, b"\xef\xbb\xbf" + f"{HEADER}{ICCID},acme,active,\n".encode())), ["acme"]
    )
    assert [row.iccid for row in inventory.rows] == [ICCID]


def test_a_quoted_cell_may_go_over_lines_and_the_numbers_stay_those_of_the_file(tmp_path: Path) -> None:
    content = f'"ICCID\nnew",Carrier,State,Note\n{ICCID},acme,"over\ntwo, ""three""\nlines",x\n\n{ICCID},acme,b,\n'
    assert cells(tmp_path, content) == [
        (3, [ICCID, "acme", 'over\ntwo, "three"\nlines', "x"]),
        (6, ["", "", "", ""]),
        (7, [ICCID, "acme", "b", ""]),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_lines_may_end_in_every_way(tmp_path: Path, ending: str, last: str) -> None:
    content = f"{HEADER}{ICCID},acme,a,{last}".replace("\n", ending)
    assert cells(tmp_path, content) == [(2, [ICCID, "acme", "a", ""])]


def test_short_rows_have_empty_cells_and_long_ones_keep_theirs(tmp_path: Path) -> None:
    found = cells(tmp_path, f"{HEADER}{ICCID}\n{ICCID},acme,a,b,c,d\n")
    assert [row[:6] for _, row in found] == [[ICCID, "", "", "", "", ""], [ICCID, "acme", "a", "b", "c", "d"]]


def test_a_row_with_a_cell_too_many_is_a_finding_and_the_others_count(tmp_path: Path) -> None:
    content = f"{HEADER}{ICCID},acme,active,a, b\n898830300000801393,acme,active,\n"
    inventory = read_inventory(settings_of(written(tmp_path, content)), ["acme"])
    assert [row.iccid for row in inventory.rows] == ["898830300000801393"]
    assert inventory.findings == [(2, "the row has more cells than the header: quote cells that contain the delimiter")]


def test_other_delimiters_and_encodings_are_read_as_told(tmp_path: Path) -> None:
    content = f"ICCID;Carrier;State;Note\n{ICCID};acme;aktiv;Zürich, 5 €\n".encode("cp1252")
    assert cells(tmp_path, content, delimiter=";", encoding="cp1252") == [(2, [ICCID, "acme", "aktiv", "Zürich, 5 €"])]


def test_a_file_of_many_rows_is_read_over_the_borders_of_its_chunks(tmp_path: Path) -> None:
    count = 45_000
    lines = "".join(f"{number:020d},acme,active,\n" for number in range(count))
    inventory = read_inventory(settings_of(written(tmp_path, HEADER + lines)), ["acme"])
    assert len(inventory.rows) == count
    assert (inventory.rows[0].iccid, inventory.rows[-1].iccid) == (f"{0:020d}", f"{count - 1:020d}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as refused:
        read_inventory(settings_of(tmp_path / "nowhere.csv"), ["acme"])
    assert str(refused.value) == (
        f"the inventory {tmp_path}/nowhere.csv cannot be read (No such file or directory): expected a CSV file that "
        "this user may read. Correct the inventory's `path`, or bring the file there; nothing was written."
    )


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"cannot be read \(Is a directory\)"):
        read_inventory(settings_of(tmp_path), ["acme"])


@pytest.mark.parametrize("content", ["", "\n", "\n\n\n", "\ufeff"])
def test_an_empty_file_is_told(tmp_path: Path, content: str) -> None:
    assert "is empty: expected a header line and one row a SIM" in refusal(tmp_path, content)


def test_a_header_without_a_row_is_no_empty_list(tmp_path: Path) -> None:
    assert "has a header, but no row: expected our SIMs, one a row. Was the export cut off?" in refusal(
        tmp_path, HEADER
    )
    assert "has a header, but no row" in refusal(tmp_path, HEADER + "\n,,,\n  \n")


def test_another_encoding_than_told_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"{HEADER}{ICCID},acme,active,Zürich\n".encode("cp1252"))
    assert "is not utf-8-sig" in told
    assert "set the inventory's `encoding`, for example to cp1252" in told


def test_another_encoding_far_down_the_file_is_told_too(tmp_path: Path) -> None:
    lines = "".join(f"{number:020d},acme,active,\n" for number in range(30_000)).encode()
    assert "is not utf-8-sig" in refusal(tmp_path, HEADER.encode() + lines + b"\xff,acme,active,\n")


def test_a_spreadsheet_saved_as_unicode_text_is_told(tmp_path: Path) -> None:
    assert "is not utf-8-sig" in refusal(tmp_path, f"{HEADER}{ICCID},acme,active,\n".encode("utf-16"))


@pytest.mark.parametrize("encoding", ["klingon", "", "base64", "hex"])
def test_an_encoding_that_does_not_exist_is_told(tmp_path: Path, encoding: str) -> None:
    assert f"`encoding` is {encoding!r}: expected utf-8, cp1252" in refusal(tmp_path, HEADER, encoding=encoding)


def test_a_quote_that_is_never_closed_is_told(tmp_path: Path) -> None:
    told = refusal(tmp_path, f'{HEADER}{ICCID},acme,active,"\n' + f"{ICCID},acme,active,\n" * 3)
    assert "is not the CSV that was expected (" in told
    assert "check its quotes and the inventory's `delimiter` (',')" in told


def test_another_delimiter_than_told_is_guessed_at(tmp_path: Path) -> None:
    told = refusal(tmp_path, f"ICCID;Carrier;State\n{ICCID};acme;active\n")
    assert "lacks the columns 'ICCID' (our iccid)" in told
    assert "looks as if cells were separated by ';': set the inventory's `delimiter`" in told


def test_zero_bytes_make_a_finding_and_no_broken_row(tmp_path: Path) -> None:
    content = f"{HEADER}{ICCID},acme,act\0ive,\n898830300000801393,acme,active,\n"
    inventory = read_inventory(settings_of(written(tmp_path, content)), ["acme"])
    assert [row.iccid for row in inventory.rows] == ["898830300000801393"]
    assert inventory.findings == [(2, "a cell contains a NUL character")]


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
