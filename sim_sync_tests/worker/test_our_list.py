"""Bringing our own list into the warehouse: read once, not at all where it is unchanged, and in little memory."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_sync.core.errors import InventoryError
from sim_sync.inventory import CsvInventorySettings, CsvList
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.worker.our_list import LoadReport, ToldFinding, load_our_list
from sim_sync_tests.inventory.lists import COLUMNS, HEADER, ICCID, OTHER, written
from sim_sync_tests.warehouse.databases import rows_of

CARRIERS = ["acme", "other"]


@pytest.fixture
def warehouse(migrated_url: str) -> Iterator[Warehouse]:
    """Each database in turn, with the tables of this version."""
    opened = open_warehouse(migrated_url)
    yield opened
    opened.close()


def our_list(path: Path, carriers: list[str] = CARRIERS) -> CsvList:
    return CsvList(CsvInventorySettings(path=path, columns=COLUMNS), carriers)


def labels(warehouse: Warehouse) -> dict[str, object]:
    return {f"{row['carrier']}/{row['iccid']}": row["status"] for row in rows_of(warehouse.engine, "inventory_sims")}


def test_a_list_is_loaded_and_what_of_it_cannot_be_used_is_told(warehouse: Warehouse, tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,odd,\n8.9E+19,acme,active,\n{OTHER},other,active,\n")
    report = load_our_list(our_list(path), warehouse, "acme")
    reason = "ICCID '8.9E+19' was rounded by a spreadsheet, its last digits are lost: format the column as text, and "
    assert report == LoadReport(
        rows=1,
        added=1,
        unusable_rows=1,
        unknown_status_words="odd (1)",
        findings=[ToldFinding(3, "ICCID", f"{reason}export the list again from where it is kept", 1, str(path))],
    )
    assert labels(warehouse) == {f"acme/{ICCID}": "unknown"}
    (finding,) = rows_of(warehouse.engine, "inventory_findings")
    assert (finding["source"], finding["row_number"], finding["column_name"]) == (str(path), 3, "ICCID")


def test_an_unchanged_list_is_neither_read_nor_written_and_tells_what_it_told(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,odd,\nx,acme,active,\n{OTHER},other,active,\n")
    first = load_our_list(our_list(path), warehouse, "acme")
    before = exact_digests(warehouse.engine)
    heard: list[int] = []
    again = load_our_list(our_list(path), warehouse, "acme", on_rows=heard.append)
    assert (exact_digests(warehouse.engine), heard) == (before, [])
    assert again.unchanged_since is not None
    assert (again.rows, again.added, again.findings, again.unknown_status_words) == (
        first.rows,
        0,
        first.findings,
        first.unknown_status_words,
    )


def test_an_unchanged_file_is_read_for_each_carrier_and_where_it_means_something_else(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,active,\n{OTHER},other,active,\n")
    assert load_our_list(our_list(path), warehouse, "acme").added == 1
    assert load_our_list(our_list(path), warehouse, "other").added == 1
    assert load_our_list(our_list(path, [*CARRIERS, "third"]), warehouse, "acme").unchanged_since is None


def test_a_changed_file_is_read_and_only_what_changed_is_written(warehouse: Warehouse, tmp_path: Path) -> None:
    load_our_list(our_list(written(tmp_path, f"{HEADER}{ICCID},acme,active,\n")), warehouse, "acme")
    path = written(tmp_path, f"{HEADER}{ICCID},acme,active,\n{OTHER},acme,suspended,\n")
    report = load_our_list(our_list(path), warehouse, "acme")
    assert (report.rows, report.added, report.changed, report.unchanged_since) == (2, 1, 0, None)


def test_a_list_that_comes_back_to_what_it_was_before_the_last_is_loaded(warehouse: Warehouse, tmp_path: Path) -> None:
    for state in ("active", "suspended", "active"):
        load_our_list(our_list(written(tmp_path, f"{HEADER}{ICCID},acme,{state},\n")), warehouse, "acme")
    assert labels(warehouse) == {f"acme/{ICCID}": "active"}


def test_a_list_that_is_refused_leaves_the_last_one_and_what_is_wrong_with_it(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    good = f"{HEADER}{ICCID},acme,active,\nx,acme,,\n"
    load_our_list(our_list(written(tmp_path, good)), warehouse, "acme")
    before = rows_of(warehouse.engine, "inventory_sims")
    with pytest.raises(InventoryError, match="no row that could be used"):
        load_our_list(our_list(written(tmp_path, f"{HEADER}{ICCID[:15]}E+19,acme,active,\n")), warehouse, "acme")
    assert rows_of(warehouse.engine, "inventory_sims") == before
    assert [row["row_number"] for row in rows_of(warehouse.engine, "inventory_findings")] == [2]
    report = load_our_list(our_list(written(tmp_path, good)), warehouse, "acme")
    assert (report.added, report.changed, report.unchanged_since) == (0, 0, None)
    assert [row["row_number"] for row in rows_of(warehouse.engine, "inventory_findings")] == [3]


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}{ICCID},acme,active,\nx,acme,,\n")
    before = exact_digests(warehouse.engine)
    report = load_our_list(our_list(path), warehouse, "acme", dry_run=True)
    assert (report.added, report.unusable_rows, exact_digests(warehouse.engine)) == (1, 1, before)


@pytest.mark.slow
def test_a_long_list_needs_no_more_memory_than_a_short_one(warehouse_url: str, tmp_path: Path) -> None:
    """In a process of its own, whose memory is measured."""
    for rows in (6_000, 90_000):
        lines = "".join(f"8944500{number:012d},acme,active,{'x' * 200}\n" for number in range(rows))
        (tmp_path / f"{rows}.csv").write_text(HEADER + lines)
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from sim_sync.inventory import CsvInventorySettings, CsvList\n"
        "from sim_sync.warehouse import open_warehouse\n"
        "from sim_sync.worker.our_list import load_our_list\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "columns = {'iccid': 'ICCID', 'carrier': 'Carrier', 'status': 'State'}\n"
        "warehouse = open_warehouse(sys.argv[1])\n"
        "def load(rows):\n"
        "    settings = CsvInventorySettings(path=Path(sys.argv[2], f'{rows}.csv'), columns=columns)\n"
        "    return load_our_list(CsvList(settings, ['acme']), warehouse, 'acme').rows\n"
        "load(6_000); before = peak()\n"
        "print(load(90_000), (peak() - before) * 1024 < 25_000_000)\n"
    )
    arguments = [sys.executable, "-c", program, warehouse_url, str(tmp_path)]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=250)
    assert answer.stdout == "90000 True\n"
