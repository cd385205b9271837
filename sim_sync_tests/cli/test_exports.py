import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sim_sync.cli.exports import ListFormat, export, require_exportable, write_xlsx
from sim_sync.core.errors import InputError
from sim_sync_tests.cli.command_line import CommandLine, assert_one_message

PACKAGES = {"xlsx": "openpyxl", "parquet": "pyarrow"}
HEADER = ("iccid", "label", "count", "at", "gone")
AT = datetime(2026, 3, 1, tzinfo=UTC)
ICCID = "89883070000004567898"
ROWS = [(ICCID, "=1+1", 7, AT, None), ("00123", "a\x1b_x0041_", 0, AT, None), ("+49", "über", 12, AT, None)]
TEXTS = [
    [ICCID, "=1+1", "7", AT.isoformat(), None],
    ["00123", "a\x1b_x0041_", "0", AT.isoformat(), None],
    ["+49", "über", "12", AT.isoformat(), None],
]


def test_json_is_the_document_that_print_json_would_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = [dict(zip(HEADER, (*row[:3], AT.isoformat(), None), strict=True)) for row in ROWS]
    for rows, document in ((ROWS, expected), ([], [])):
        export("json", HEADER, rows, tmp_path / "list.json")
        export("json", HEADER, rows, None)
        text = (tmp_path / "list.json").read_text(encoding="utf-8")
        assert text == capsys.readouterr().out == json.dumps(document, indent=2) + "\n"


def test_csv_is_the_same_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export("csv", HEADER, ROWS, tmp_path / "list.csv")
    export("csv", HEADER, ROWS, None)
    text = (tmp_path / "list.csv").read_bytes().decode()
    assert text == capsys.readouterr().out
    assert [row["iccid"] for row in csv.DictReader(io.StringIO(text))] == [f"'{ICCID}", "'00123", "'+49"]


def test_excel_has_texts_alone_so_that_every_digit_stays(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    export("xlsx", HEADER, ROWS, tmp_path / "list.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").active
    cells = list(sheet.iter_rows())
    assert [[cell.value for cell in row] for row in cells[:2]] == [list(HEADER), TEXTS[0]]
    assert {cell.data_type for row in cells for cell in row if cell.value is not None} == {"s"}
    assert {cell.number_format for row in cells for cell in row if cell.value is not None} == {"@"}
    assert cells[2][1].value == r"a\x1b_x0041_"


def test_a_sheet_that_is_full_is_followed_by_another(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    write_xlsx(tmp_path / "list.xlsx", HEADER, TEXTS, sheet_rows=3)
    sheets = openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets
    assert [[row[0] for row in sheet.values] for sheet in sheets] == [["iccid", ICCID, "00123"], ["iccid", "+49"]]


@pytest.mark.parametrize("rows", [ROWS, []])
def test_parquet_has_text_columns_with_all_rows(tmp_path: Path, rows: list[Any]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export("parquet", HEADER, rows, tmp_path / "list.parquet")
    table = parquet.read_table(tmp_path / "list.parquet")
    assert table.column_names == list(HEADER)
    assert {str(column.type) for column in table.schema} == {"string"}
    assert [list(row.values()) for row in table.to_pylist()] == TEXTS[: len(rows)]


def test_more_rows_than_are_held_at_once_are_all_written(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export("parquet", ("n",), ((number,) for number in range(25_000)), tmp_path / "list.parquet")
    assert parquet.read_table(tmp_path / "list.parquet")["n"].to_pylist() == [str(number) for number in range(25_000)]


def failing() -> Iterator[tuple[Any, ...]]:
    yield ROWS[0]
    raise InputError("the database is away")


@pytest.mark.parametrize("form", ["csv", "json", "xlsx", "parquet"])
def test_a_list_that_fails_in_its_middle_leaves_the_file_as_it_was(tmp_path: Path, form: ListFormat) -> None:
    if form in PACKAGES:
        pytest.importorskip(PACKAGES[form])
    (tmp_path / "list").write_text("before", encoding="utf-8")
    with pytest.raises(InputError, match="away"):
        export(form, HEADER, failing(), tmp_path / "list")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("list", "before")]


@pytest.mark.parametrize(
    ("form", "output", "words"),
    [("table", Path("x"), "a table is for eyes"), ("xlsx", None, "add --output"), ("parquet", None, "add --output")],
)
def test_what_cannot_be_written_there_is_refused(form: ListFormat, output: Path | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        require_exportable(form, output)


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
def test_a_package_that_is_missing_is_named_with_what_brings_it(form: ListFormat) -> None:
    def load(package: str) -> None:
        raise ModuleNotFoundError(package)

    with pytest.raises(InputError, match=rf"{PACKAGES[form]}.*pip install 'sim-sync\[{form}\]'"):
        require_exportable(form, Path("x"), load=load)


def test_a_place_that_cannot_be_written_is_said(command_line: CommandLine) -> None:
    said = command_line.type_in("discrepancies", "--format", "csv", "--output", "no/such/folder/x.csv")
    assert_one_message(said, 2, "no/such/folder/x.csv", "No such file or directory")
    said = command_line.type_in("discrepancies", "--format", "csv", "--output", ".")
    assert_one_message(said, 2, "expected the name of a file")
