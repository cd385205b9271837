"""The same SIMs in every form in which a list arrives: all match, or exactly those that lost digits are refused."""

import csv
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sim_sync.core.errors import InventoryError, InventoryUnavailable
from sim_sync.core.inventory import EndOfList, Finding, InventorySim
from sim_sync.inventory import OurList, Terms
from sim_sync.inventory.parquet_file import PARQUET, open_parquet
from sim_sync.inventory.sql_source import SqlList
from sim_sync.inventory.typed_file import TypedFileList, TypedFileSettings, require_package
from sim_sync.inventory.workbook import XLSX, open_workbook
from sim_sync_tests.inventory.lists import ICCID, OTHER, gathered, read_csv

#: 19 and 20 digits in turn, none of them a number that a float is written as.
ICCIDS = [f"8988307{number * 7919 + 13:012d}" + ("9" if number % 2 else "") for number in range(1_000)]
TERMS = Terms({"iccid": "ICCID", "carrier": "Carrier", "status": "State", "imsi": "IMSI"}, ["acme"], {})


def came_to(our_list: OurList) -> tuple[list[InventorySim], list[Finding], str]:
    """Return the SIMs of a list, its findings, and why it is refused as a whole, if it is."""
    sims, findings = [], []
    try:
        with our_list.opened() as reading:
            for entry in reading:
                sims += [entry] if isinstance(entry, InventorySim) else []
                findings += [entry] if isinstance(entry, Finding) else []
                if isinstance(entry, EndOfList) and entry.refusal is not None:
                    return sims, findings, entry.refusal
    except InventoryError as refused:
        return sims, findings, str(refused)
    return sims, findings, ""


def workbook(path: Path, rows: Sequence[Sequence[Any]], title: str = "SIMs", before: int = 0) -> Path:
    """Write rows below a header on a sheet, behind as many other sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number in range(before):
        book.create_sheet(f"Other {number}").append(["nothing"])
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


def xlsx(path: Path, **settings: Any) -> TypedFileList:
    return TypedFileList(TypedFileSettings(path, **settings), TERMS, XLSX, open_workbook)


def parquet(path: Path) -> TypedFileList:
    return TypedFileList(TypedFileSettings(path), TERMS, PARQUET, open_parquet)


def parquet_of(folder: Path, kind: pa.DataType, values: Sequence[Any], **columns: pa.Array) -> TypedFileList:
    names = {"ICCID": pa.array(values, kind), "Carrier": pa.array(["acme"] * len(values)), **columns}
    names = {"State": pa.array(["active"] * len(values)), "IMSI": pa.nulls(len(values), pa.string())} | names
    pq.write_table(pa.table(names), folder / "list.parquet", row_group_size=300)
    return parquet(folder / "list.parquet")


def xlsx_of(folder: Path, cells: Sequence[Any]) -> TypedFileList:
    rows = [("ICCID", "Carrier", "State", "IMSI"), *((cell, "acme", "active", None) for cell in cells)]
    return xlsx(workbook(folder / "list.xlsx", rows))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_parquet_column_of_texts_matches_all(tmp_path: Path, kind: pa.DataType) -> None:
    sims, findings, _ = came_to(parquet_of(tmp_path, kind, ICCIDS))
    assert ([sim.iccid for sim in sims], findings) == (ICCIDS, [])


@pytest.mark.parametrize("kind", [pa.decimal128(20, 0), pa.decimal128(24, 2), pa.decimal256(40, 10)])
def test_a_parquet_column_of_decimals_matches_all(tmp_path: Path, kind: pa.DataType) -> None:
    sims, findings, _ = came_to(parquet_of(tmp_path, kind, [Decimal(iccid) for iccid in ICCIDS]))
    assert ([sim.iccid for sim in sims], findings) == (ICCIDS, [])


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_a_parquet_column_of_integers_matches_all_that_fit_in(tmp_path: Path, kind: pa.DataType) -> None:
    short = ICCIDS[::2]
    sims, findings, _ = came_to(parquet_of(tmp_path, kind, [int(iccid) for iccid in short]))
    assert ([sim.iccid for sim in sims], findings) == (short, [])


def test_xlsx_text_cells_match_all(tmp_path: Path) -> None:
    sims, findings, _ = came_to(xlsx_of(tmp_path, ICCIDS))
    assert ([sim.iccid for sim in sims], findings) == (ICCIDS, [])
    assert [sim.row_number for sim in sims[:2]] == [2, 3]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(xlsx_of, id="xlsx numbers"),
        pytest.param(lambda folder, numbers: xlsx_of(folder, list(map(float, numbers))), id="xlsx floats"),
        pytest.param(lambda folder, numbers: parquet_of(folder, pa.float64(), numbers), id="double"),
        pytest.param(lambda folder, numbers: parquet_of(folder, pa.float32(), numbers), id="float"),
    ],
)
def test_numbers_that_lost_their_digits_are_refused_row_by_row(
    tmp_path: Path, written: Callable[[Path, Sequence[float]], OurList]
) -> None:
    sims, findings, refused = came_to(written(tmp_path, [float(iccid) for iccid in ICCIDS]))
    assert (len(sims), len(findings)) == (0, 1_000)
    assert {(finding.kind.value, finding.column) for finding in findings} == {("rounded", "ICCID")}
    assert len({finding.row_number for finding in findings}) == 1_000
    assert "its last digits are lost: " in findings[0].reason
    assert "no row that could be used (1000 could not)" in refused


def test_among_text_cells_exactly_the_number_cells_are_refused(tmp_path: Path) -> None:
    cells: list[Any] = list(ICCIDS)
    for place in (3, 500, 999):
        cells[place] = int(cells[place])
    sims, findings, refused = came_to(xlsx_of(tmp_path, cells))
    assert (len(sims), refused) == (997, "")
    assert [finding.row_number for finding in findings] == [5, 502, 1001]
    assert "format the column as text" in findings[0].reason


def raw_number(path: Path, text: str) -> Path:
    """Write a workbook whose one SIM is a number cell with these very digits, as some programs write them."""
    workbook(path, [("ICCID", "Carrier"), (1, "acme")])
    with zipfile.ZipFile(path) as given:
        parts = {name: given.read(name) for name in given.namelist()}
    with zipfile.ZipFile(path, "w") as changed:
        for name, content in parts.items():
            changed.writestr(name, content.replace(b"<v>1</v>", f"<v>{text}</v>".encode()))
    return path


@pytest.mark.parametrize(
    ("digits", "is_lost"),
    [
        ("8988307000000000013", False),
        ("89883070000000000139", False),
        ("8988307000000000000", True),
        ("89883070000000008192", True),
        ("8.9883070000000008E+19", True),
    ],
)
def test_digits_in_a_number_cell_count_unless_a_float_would_be_written_so(
    tmp_path: Path, digits: str, is_lost: bool
) -> None:
    terms = Terms({"iccid": "ICCID", "carrier": "Carrier"}, ["acme"], {})
    our_list = TypedFileList(TypedFileSettings(raw_number(tmp_path / "n.xlsx", digits)), terms, XLSX, open_workbook)
    sims, findings, _ = came_to(our_list)
    assert [sim.iccid for sim in sims] == ([] if is_lost else [digits])
    assert len(findings) == is_lost


@pytest.mark.parametrize("imsi", [262011234567890, 262011234567890.0])
def test_a_number_that_a_float_holds_is_its_digits(tmp_path: Path, imsi: float) -> None:
    rows = [("ICCID", "Carrier", "State", "IMSI"), (ICCID, "acme", "active", imsi)]
    sims, findings, _ = came_to(xlsx(workbook(tmp_path / "list.xlsx", rows)))
    assert ([sim.imsi for sim in sims], findings) == (["262011234567890"], [])
    our_list = parquet_of(tmp_path, pa.string(), [ICCID], IMSI=pa.array([float(imsi)]))
    assert [sim.imsi for sim in came_to(our_list)[0]] == ["262011234567890"]


def test_a_float_of_32_bits_that_lost_digits_is_left_out(tmp_path: Path) -> None:
    our_list = parquet_of(tmp_path, pa.string(), [ICCID], IMSI=pa.array([262011234567890.0], pa.float32()))
    sims, findings, _ = came_to(our_list)
    assert [sim.imsi for sim in sims] == [None]
    assert [finding.column for finding in findings] == ["IMSI"]


def sql_of(url: str, column: str, values: Sequence[str], engine: sa.Engine) -> SqlList:
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE TABLE sims ("ICCID" {column}, "Carrier" text, "State" text, "IMSI" text)')
        rows = ", ".join(f"('{value}', 'acme', 'active', NULL)" for value in values)
        connection.exec_driver_sql(f"INSERT INTO sims VALUES {rows}")  # noqa: S608 - digits of our own
    return SqlList(url, "SELECT * FROM sims", TERMS)


@pytest.mark.parametrize(
    ("column", "refused"),
    [("text", 0), ("numeric", 0), ("numeric(24,2)", 0), ("double precision", 1000), ("real", 1000)],
)
def test_postgresql_columns_match_all_or_refuse_all(postgres_url: str, column: str, refused: int) -> None:
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
    sims, findings, _ = came_to(sql_of(postgres_url, column, ICCIDS, engine))
    assert (len(sims), len(findings)) == (1_000 - refused, refused)
    assert {sim.iccid for sim in sims} <= set(ICCIDS)


@pytest.mark.parametrize(("column", "refused"), [("text", 0), ("numeric", 500), ("real", 1000)])
def test_sqlite_columns_match_all_or_refuse_what_they_rounded(tmp_path: Path, column: str, refused: int) -> None:
    """A column of NUMERIC affinity keeps 19 digits as an integer and makes a float of 20."""
    url = f"sqlite:///{tmp_path / 'ours.db'}"
    sims, findings, _ = came_to(sql_of(url, column, ICCIDS, sa.create_engine(url, poolclass=sa.NullPool)))
    assert (len(sims), len(findings)) == (1_000 - refused, refused)
    assert {sim.iccid for sim in sims} <= set(ICCIDS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_file_matches_all_and_one_saved_by_a_spreadsheet_refuses_what_it_wrote_as_numbers(
    tmp_path: Path, delimiter: str
) -> None:
    cells = [iccid if number % 10 else f"{float(iccid):.5E}" for number, iccid in enumerate(ICCIDS)]
    for written, refused in ((ICCIDS, 0), (cells, 100)):
        with (tmp_path / "made.csv").open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([["ICCID"], *([cell] for cell in written)])
        read = read_csv(tmp_path, (tmp_path / "made.csv").read_bytes(), {"iccid": "ICCID"})
        assert (len(read.rows), len(read.findings)) == (1_000 - refused, refused)


# --- which sheet, which row -------------------------------------------------------------------------------------


HEADER = ("ICCID", "Carrier", "State", "IMSI")


@pytest.mark.parametrize("sheet", ["SIMs", "sims ", 3])
def test_a_sheet_is_named_or_numbered(tmp_path: Path, sheet: str | int) -> None:
    path = workbook(tmp_path / "list.xlsx", [HEADER, (ICCID, "acme", "active", None)], before=2)
    assert [sim.iccid for sim in came_to(xlsx(path, sheet=sheet))[0]] == [ICCID]


@pytest.mark.parametrize("sheet", ["Sims 2", 4])
def test_a_sheet_that_is_not_there_is_told_with_those_that_are(tmp_path: Path, sheet: str | int) -> None:
    path = workbook(tmp_path / "list.xlsx", [HEADER], before=1)
    refused = came_to(xlsx(path, sheet=sheet))[2]
    assert f"has no sheet {'number 4' if sheet == 4 else repr(sheet)}: it has 'Other 0', 'SIMs'" in refused


@pytest.mark.parametrize("header_row", [None, 4])
def test_the_header_is_the_first_row_that_is_not_empty_or_the_one_that_the_config_names(
    tmp_path: Path, header_row: int | None
) -> None:
    title: Sequence[Any] = () if header_row is None else ("Our SIMs, status of Monday",)
    rows = [(), title, (), HEADER, (), (ICCID, "acme", "active"), (None, "acme", "active", None)]
    sims, findings, _ = came_to(xlsx(workbook(tmp_path / "list.xlsx", rows), header_row=header_row))
    assert [(sim.iccid, sim.row_number) for sim in sims] == [(ICCID, 6)]
    assert [(finding.row_number, finding.reason) for finding in findings] == [(7, "the row has no ICCID")]


def test_a_header_row_that_is_empty_or_lacks_a_column_is_told(tmp_path: Path) -> None:
    path = workbook(tmp_path / "list.xlsx", [("ICCID", "Carrier", "Status", "IMSI"), (ICCID, "acme", "active", None)])
    assert "lacks the column 'State' (our status; did you mean 'Status'?)" in came_to(xlsx(path))[2]
    assert "sheet 'SIMs' has no header in row 7" in came_to(xlsx(path, header_row=7))[2]
    empty = workbook(tmp_path / "empty.xlsx", [])
    assert "sheet 'SIMs' is empty: expected a row with the names" in came_to(xlsx(empty))[2]


def test_cells_beside_and_below_the_table_are_no_part_of_it(tmp_path: Path) -> None:
    rows = [HEADER, (ICCID, "acme", "active", None, None, "a note of somebody"), (), (OTHER, "acme")]
    sims, findings, _ = came_to(xlsx(workbook(tmp_path / "list.xlsx", rows)))
    assert ([sim.iccid for sim in sims], findings) == ([ICCID, OTHER], [])


# --- other types, secrets, and what is no list ------------------------------------------------------------------


def test_values_of_every_type_are_told_as_text_and_secrets_are_not(tmp_path: Path) -> None:
    others: Mapping[str, pa.Array] = {
        "on": pa.array([True]),
        "since": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        "bytes": pa.array([b"\xff\x01"]),
        "more": pa.array([{"a": 1, "puk": "12345678"}]),
        "PIN1": pa.array(["4711"]),
        "price": pa.array([Decimal("1.50")]),
        "none": pa.nulls(1),
    }
    ((sim,), findings, _) = came_to(parquet_of(tmp_path, pa.string(), [ICCID], **others))
    assert findings == []
    assert sim.attributes == (
        '{"bytes":"ff01","more":"{\\"a\\":1}","on":"true","price":"1.50","since":"2023-11-14 22:13:20.123456789"}'
    )


def test_a_date_or_an_error_in_a_cell_is_told_as_what_a_spreadsheet_made_of_it(tmp_path: Path) -> None:
    from datetime import datetime

    terms = Terms({"iccid": "ICCID", "rate_plan": "Plan"}, ["acme"], {})
    rows = [("ICCID", "Plan"), (ICCID, datetime(2026, 3, 1)), (OTHER, "#N/A")]  # noqa: DTZ001 - as openpyxl has them
    path = workbook(tmp_path / "list.xlsx", rows)
    with TypedFileList(TypedFileSettings(path), terms, XLSX, open_workbook).opened() as reading:
        read = gathered(reading)
    assert [sim.rate_plan for sim in read.rows] == [None, None]
    assert [finding.row_number for finding in read.findings] == [2, 3]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\xd0\xcf\x11\xe0 an old .xls", b"ICCID\n89\n"])
@pytest.mark.parametrize("read", [xlsx, parquet])
def test_a_file_of_another_kind_is_one_clear_message(
    tmp_path: Path, read: Callable[[Path], TypedFileList], content: bytes
) -> None:
    (tmp_path / "list").write_bytes(content)
    refused = came_to(read(tmp_path / "list"))[2]
    assert "\n" not in refused
    assert "cannot be read (" in refused
    assert "Correct the inventory's `type` or `path`; nothing was written." in refused


@pytest.mark.parametrize("read", [xlsx, parquet])
def test_a_file_that_is_not_there_or_is_cut_off_is_told(tmp_path: Path, read: Callable[[Path], TypedFileList]) -> None:
    assert "cannot be read (No such file or directory)" in came_to(read(tmp_path / "nothing"))[2]
    assert "cannot be read (Is a directory)" in came_to(read(tmp_path))[2]
    xlsx_of(tmp_path, ICCIDS)
    parquet_of(tmp_path, pa.string(), ICCIDS)
    for name in ("list.xlsx", "list.parquet"):
        (tmp_path / "cut").write_bytes((tmp_path / name).read_bytes()[:-3_000])
        assert "cannot be read (" in came_to(read(tmp_path / "cut"))[2]


def test_the_digest_says_whether_a_list_is_the_same_and_is_taken_once(tmp_path: Path) -> None:
    our_list = xlsx_of(tmp_path, [ICCID])
    first = our_list.digest()
    assert xlsx(tmp_path / "list.xlsx").digest() == first != xlsx(tmp_path / "list.xlsx", header_row=1).digest()
    with our_list.opened() as reading:
        list(reading)
        assert reading.digest() == first
    xlsx_of(tmp_path, [ICCID, OTHER])
    with our_list.opened() as reading:
        assert reading.digest() is None
    assert our_list.digest() != first


def test_a_file_that_is_written_while_it_is_read_is_no_list(tmp_path: Path) -> None:
    our_list = parquet_of(tmp_path, pa.string(), ICCIDS)
    with pytest.raises(InventoryUnavailable, match="was written while it was read"), our_list.opened() as reading:  # noqa: PT012
        for number, _ in enumerate(reading):
            if number == 10:
                with (tmp_path / "list.parquet").open("ab") as file:
                    file.write(b"more")


def test_a_package_that_is_not_installed_is_told_with_what_to_install() -> None:
    def missing(_name: str) -> None:
        raise ImportError

    with pytest.raises(InventoryError) as refused:
        require_package(XLSX, "ours.xlsx", missing)
    assert str(refused.value) == (
        "the inventory ours.xlsx is an Excel workbook (.xlsx), and reading it needs openpyxl, which is not installed: "
        "pip install 'sim-sync[xlsx]'"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "few", "many"), [("parquet", 6_000, 200_000), ("xlsx", 2_000, 20_000)])
def test_a_long_file_is_read_without_holding_it(tmp_path: Path, kind: str, few: int, many: int) -> None:
    """In a process of its own, whose memory is measured."""
    for rows in (few, many):
        iccids = [f"8944500{number:012d}" for number in range(rows)]
        notes = [chr(97 + number % 26) * 200 for number in range(rows)]
        path = tmp_path / f"{rows}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.table({"ICCID": iccids, "Note": notes}), path, row_group_size=5_000)
        else:
            workbook(path, [("ICCID", "Note"), *zip(iccids, notes, strict=True)])
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from sim_sync.inventory import Terms\n"
        "from sim_sync.inventory.parquet_file import PARQUET, open_parquet\n"
        "from sim_sync.inventory.typed_file import TypedFileList, TypedFileSettings\n"
        "from sim_sync.inventory.workbook import XLSX, open_workbook\n"
        "form = {'parquet': (PARQUET, open_parquet), 'xlsx': (XLSX, open_workbook)}[sys.argv[2]]\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def count(rows):\n"
        "    settings = TypedFileSettings(Path(sys.argv[1], f'{rows}.{sys.argv[2]}'))\n"
        "    with TypedFileList(settings, Terms({'iccid': 'ICCID'}, ['acme'], {}), *form).opened() as reading:\n"
        "        return sum(1 for _ in reading) - 2\n"
        "count(int(sys.argv[3])); before = peak()\n"
        "print(count(int(sys.argv[4])), (peak() - before) // 1024)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path), kind, str(few), str(many)]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=250)
    rows_read, megabytes = map(int, answer.stdout.split())
    assert rows_read == many
    assert megabytes < 25
