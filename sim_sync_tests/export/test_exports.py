"""What is exported is what other programs read back, to the last digit; a failure leaves the last export as it was."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable
from pydantic import ValidationError

from sim_sync.config.export import Export, Target
from sim_sync.core.errors import ExportRefused, ExportUnavailable, WarehouseUnavailable
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Sim
from sim_sync.core.storable import canonical_json
from sim_sync.core.sweep import SweepPolicy
from sim_sync.export import export_carrier, look_at_places
from sim_sync.export.parquet import ParquetFiles
from sim_sync.export.places import as_our_errors
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.exported import ExportedRows, exported_rows
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.tables import metadata, sim_discrepancies
from sim_sync_tests.fakes.fleet import a_page, a_request, a_sim
from sim_sync_tests.fakes.small_disk import SmallDisk
from sim_sync_tests.warehouse.databases import disposed, rows_of

LONG, SHORT, ZEROS = "89883070000000000139", "8988307000000000013", "0018830700000000000"
ODD = 'with "quotes", a comma,\na line and ünïcode €'
MILLENNIUM = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)
FLEET = (
    a_sim(1, iccid=LONG, iccid_raw=f"{LONG}F", imsi="001010000000001", label="", rate_plan="NA"),
    a_sim(2, iccid=SHORT, iccid_raw=SHORT, imsi="000000000000001", label=ODD, rate_plan="null", pending=True),
    a_sim(
        3,
        iccid=ZEROS,
        iccid_raw=ZEROS,
        imsi=None,
        label=" t ",
        account="007",
        activated_at=datetime(1999, 12, 31, tzinfo=UTC),
    ),
)
EXPORT = {"parquet": {"path": "lake/parquet"}, "delta": {"path": "lake/delta"}}


class Lake:
    """A warehouse, and the folder that it is exported to."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse, self.folder = warehouse, folder

    def night(self, carrier: str, *sims: Sim) -> None:
        """Walk over these SIMs of a carrier, whose list has another one."""
        store = self.warehouse.sessions
        session = store.open_session(a_request(carrier=carrier)).session
        assert session.cursor is not None
        session = store.commit_page(session.claim, session.cursor, a_page(sims))
        store.close_session(session.claim, SweepPolicy(max_vanished_percent=100.0), session.config_hash)
        listed = InventorySim(carrier, "89440000000000000001", "89440000000000000001", status="active")
        load_inventory(self.warehouse.engine, carrier, [listed])
        reconcile(self.warehouse.engine, carrier, ("status",))

    def export(self, carrier: str, *, run: str = "run-1", section: Mapping[str, Any] = EXPORT) -> Mapping[str, int]:
        """Export a carrier, and return how many rows of each table went to each place."""
        export = Export.model_validate(section)
        done = export_carrier(self.warehouse, export, self.folder, carrier, run)
        return {f"{Path(one.place).name}/{one.table}": one.rows for one in done}

    def parquet(self, table: str) -> list[dict[str, Any]]:
        """Return what DuckDB reads of a table's Parquet files."""
        return read(duckdb.read_parquet(f"{self.folder}/lake/parquet/{table}/*.parquet"))

    def delta(self, table: str) -> list[dict[str, Any]]:
        """Return what DuckDB reads of the newest version of a Delta table."""
        return read(duckdb.from_arrow(DeltaTable(str(self.folder / "lake" / "delta" / table)).to_pyarrow_table()))

    def files(self) -> list[str]:
        """Return all files beside the Delta tables."""
        folder = self.folder / "lake" / "parquet"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(relation: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    return [dict(zip(relation.columns, map(comparable, row), strict=True)) for row in relation.fetchall()]


def comparable(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def told(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


@pytest.fixture
def lake(warehouse_url: str, tmp_path: Path) -> Iterator[Lake]:
    """Each database in turn, empty."""
    warehouse = open_warehouse(warehouse_url)
    yield Lake(warehouse, tmp_path)
    warehouse.close()


@pytest.fixture
def small_lake(sqlite_url: str, tmp_path: Path) -> Iterator[Lake]:
    """SQLite with a night of one carrier, exported."""
    warehouse = open_warehouse(sqlite_url)
    lake = Lake(warehouse, tmp_path)
    lake.night("a", *FLEET)
    lake.export("a")
    yield lake
    warehouse.close()


def stored(lake: Lake, table: str) -> list[dict[str, Any]]:
    """Return the rows of the warehouse, JSON as the text that is stored."""
    columns = [
        sa.cast(column, sa.Text()).label(column.name) if isinstance(column.type, sa.JSON) else column
        for column in metadata.tables[table].columns
    ]
    with lake.warehouse.engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(*columns)).mappings()]


def test_duckdb_reads_every_digit_of_both_forms(lake: Lake) -> None:
    lake.night("a", a_sim(1, iccid=LONG, iccid_raw=LONG, rate_plan="P1"))
    lake.night("a", *FLEET)
    with lake.warehouse.engine.begin() as connection:
        connection.execute(sim_discrepancies.update().values(monthly_cost=Decimal("1234567.0001")))
    assert lake.export("a") == {
        f"{form}/{table}": rows
        for form in ("parquet", "delta")
        for table, rows in (("carrier_sims", 3), ("sim_discrepancies", 4), ("sim_changes", 5))
    }
    for table in ("carrier_sims", "sim_discrepancies"):
        expected = told(stored(lake, table))
        assert told(lake.parquet(table)) == expected
        assert told(lake.delta(table)) == expected
    changed = {(row["sim_id"], row["field"], row["old_value"], row["new_value"]) for row in lake.parquet("sim_changes")}
    assert changed == {
        (a_sim(1).sim_id, "imsi", a_sim(1).imsi, "001010000000001"),
        (a_sim(1).sim_id, "label", None, ""),
        (a_sim(1).sim_id, "rate_plan", "P1", "NA"),
        (a_sim(2).sim_id, "presence", None, "present"),
        (a_sim(3).sim_id, "presence", None, "present"),
    }
    assert told(lake.delta("sim_changes")) == told(lake.parquet("sim_changes"))
    assert {row["iccid"] for row in lake.parquet("carrier_sims")} == {LONG, SHORT, ZEROS}


def test_a_carrier_is_replaced_and_the_others_stay(lake: Lake) -> None:
    lake.night("a", *FLEET)
    lake.night("b.2", *FLEET)
    lake.export("a")
    lake.export("b.2")
    lake.night("a", a_sim(1, iccid=LONG, iccid_raw=LONG, eid="89049032000000000000000000000001"))
    lake.export("a", run="run-2")
    for rows in (lake.parquet("carrier_sims"), lake.delta("carrier_sims")):
        assert told(rows) == told(stored(lake, "carrier_sims"))
    lake.export("never-walked")
    assert {row["carrier"] for row in lake.parquet("carrier_sims")} == {"a", "b.2"}


def test_more_rows_than_are_read_at_once_are_all_there(lake: Lake) -> None:
    lake.night("a", *(a_sim(number) for number in range(10_500)))
    assert lake.export("a", section={"parquet": EXPORT["parquet"]})["parquet/carrier_sims"] == 10_500
    assert len({row["iccid"] for row in lake.parquet("carrier_sims")}) == 10_500


def test_a_storage_that_is_slow_between_two_tables_outlives_the_limit_of_other_transactions(
    postgres_url: str,
) -> None:
    open_warehouse(postgres_url).close()
    with (
        disposed(open_engine(postgres_url, frozen_seconds=0.05)) as impatient,
        disposed(open_engine(postgres_url)) as patient,
        exported_rows(impatient, "a") as tables,
        patient.connect() as other,
    ):
        for rows in tables:
            assert list(rows.batches()) == []
            other.exec_driver_sql("SELECT pg_sleep(0.3)")


def test_an_export_sees_one_state_and_the_server_warns_of_nothing(lake: Lake) -> None:
    warnings: list[str] = []

    def note(remark: Any) -> None:
        if remark.severity_nonlocalized == "WARNING":
            warnings.append(remark.message_primary)

    if lake.warehouse.engine.dialect.name == "postgresql":
        sa.event.listen(lake.warehouse.engine, "connect", lambda connection, _: connection.add_notice_handler(note))
    lake.night("a", a_sim(1))
    lake.warehouse.engine.dispose()
    with exported_rows(lake.warehouse.engine, "a") as tables:
        lake.night("a", a_sim(1), a_sim(2))
        assert [sum(batch.num_rows for batch in tables[0].batches()) for _ in range(2)] == [1, 1]
    assert warnings == []


def read_and_then(rows: ExportedRows, happens: Callable[[], object]) -> None:
    """Begin to read a table, let something happen, and read the rest."""
    batches = rows.batches()
    next(batches)
    happens()
    list(batches)


def test_a_place_that_fails_in_the_middle_of_a_table_ends_the_reading_of_it(lake: Lake) -> None:
    lake.night("a", *(a_sim(number, label="x" * 4_000) for number in range(3_000)))

    def fail() -> None:
        raise ExportUnavailable("the place is full")

    with pytest.raises(ExportUnavailable), exported_rows(lake.warehouse.engine, "a") as tables:
        read_and_then(tables[0], fail)
    assert lake.export("a", section={"parquet": EXPORT["parquet"]})["parquet/carrier_sims"] == 3_000


def test_a_database_that_ends_in_the_middle_of_a_table_may_do_later(postgres_url: str, tmp_path: Path) -> None:
    lake = Lake(open_warehouse(postgres_url), tmp_path)
    lake.night("a", *(a_sim(number, label=f"{number}" * 1_000) for number in range(10_000, 15_000)))

    def cut() -> None:
        with lake.warehouse.engine.connect() as other:
            other.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE left(query, 4) = 'COPY'"
            )

    def read_and_cut(rows: ExportedRows) -> None:
        with pytest.raises(WarehouseUnavailable, match="while exporting carrier_sims"):
            read_and_then(rows, cut)

    with (
        disposed(lake.warehouse.engine) as engine,
        pytest.raises(WarehouseUnavailable, match="the connection is lost"),
        exported_rows(engine, "a") as tables,
    ):
        read_and_cut(tables[0])


def test_a_text_of_many_megabytes_is_exported_too(lake: Lake) -> None:
    long = "x" * 9_000_000
    lake.night("a", a_sim(1), a_sim(2, attributes=canonical_json({"long": long})), a_sim(3))
    assert lake.export("a", section={"parquet": EXPORT["parquet"]})["parquet/carrier_sims"] == 3
    assert told(lake.parquet("carrier_sims")) == told(stored(lake, "carrier_sims"))


def test_an_export_that_fails_in_the_middle_leaves_the_last_one(small_lake: Lake) -> None:
    before, files = small_lake.parquet("carrier_sims"), small_lake.files()
    small_lake.night("a", a_sim(9))
    (small_lake.folder / "a_file").write_text("in the way", encoding="utf-8")
    broken = {"parquet": EXPORT["parquet"], "delta": {"path": "a_file/delta"}}
    with pytest.raises(
        ExportRefused, match=r"export of carrier a to .*a_file/delta: .*; the last export is still there$"
    ):
        small_lake.export("a", run="run-2", section=broken)
    assert (small_lake.parquet("carrier_sims"), small_lake.files()) == (before, files)


def test_what_a_killed_run_has_left_is_read_by_nobody_and_removed_by_the_next(small_lake: Lake) -> None:
    before, files = small_lake.parquet("carrier_sims"), small_lake.files()
    folder = small_lake.folder / "lake" / "parquet"
    killed = ParquetFiles(Target(path=str(folder)), small_lake.folder, "a", "killed")
    with exported_rows(small_lake.warehouse.engine, "a") as tables:
        killed.write(tables[0])  # and then no more
    assert small_lake.files() == sorted([*files, "carrier_sims/a.parquet.part-killed"])
    assert small_lake.parquet("carrier_sims") == before
    small_lake.export("a", run="run-2")
    assert small_lake.files() == files


#: Where an export dies: while it reads its first table, between two tables, and between two replacements.
DEATHS = {
    "in the first table": ("carrier_sims", 20),
    "between two tables": ("sim_discrepancies", 0),
    "between two files": ("os.rename", 0),
}


def export_and_die(url: str, folder: Path, form: str, death: str) -> None:
    """Export in this process, which kills itself in the middle."""
    warehouse = open_warehouse(url)
    where, steps = DEATHS[death]
    renamed: list[str] = []

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count_down() -> int:
        nonlocal steps
        steps -= 1
        if steps == 0:
            die()
        return 0

    def watch_files(event: str, arguments: tuple[Any, ...]) -> None:
        if event == where and ".part-" in str(arguments[0]):
            renamed.append(str(arguments[0]))
            if len(renamed) == 2:
                die()

    def watch_statements(connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        if f"FROM {where}" in statement and ".iccid" in statement:
            if steps and connection.connection.driver_connection is not None:
                connection.connection.driver_connection.set_progress_handler(count_down, 10)
            else:
                die()

    sys.addaudithook(watch_files)
    sa.event.listen(warehouse.engine, "before_cursor_execute", watch_statements)
    export_carrier(warehouse, Export.model_validate({form: EXPORT[form]}), folder, "a", "killed")


@pytest.mark.parametrize(
    ("form", "death"), [*product(EXPORT, list(DEATHS)[:2]), ("parquet", "between two files")], ids=str
)
def test_an_export_that_is_killed_leaves_whole_tables_and_the_next_one_heals(
    small_lake: Lake, form: str, death: str
) -> None:
    """Each table is of the night before or of this one, and there is nothing else that a reader could take."""
    tables = ("carrier_sims", "sim_discrepancies", "sim_changes")
    read_back = small_lake.parquet if form == "parquet" else small_lake.delta
    before = {table: told(read_back(table)) for table in tables}
    files = small_lake.files()
    small_lake.night("a", *(a_sim(number) for number in range(400)))
    url = small_lake.warehouse.engine.url.render_as_string()
    process = multiprocessing.get_context("spawn").Process(
        target=export_and_die, args=(url, small_lake.folder, form, death)
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    left = {table: told(read_back(table)) for table in tables}
    is_done = death == "between two files" or (form, death) == ("delta", "between two tables")
    assert len(left["carrier_sims"]) == (400 if is_done else 3)
    assert left == before | ({"carrier_sims": left["carrier_sims"]} if is_done else {})
    small_lake.export("a", run="run-2")
    assert {table: len(read_back(table)) for table in tables} == {
        table: len(rows_of(small_lake.warehouse.engine, table)) for table in tables[:2]
    } | {"sim_changes": len(read_back("sim_changes"))}
    assert small_lake.files() == files


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_an_export_to_a_full_disk_is_one_sentence_and_leaves_the_last_one(
    small_lake: Lake, small_disk: SmallDisk, form: str
) -> None:
    section = {form: {"path": str(small_disk.folder / "lake" / form)}}
    small_lake.export("a", section=section)
    on_disk = Lake(small_lake.warehouse, small_disk.folder)
    read_back = on_disk.parquet if form == "parquet" else on_disk.delta
    before = told(read_back("carrier_sims"))
    small_lake.night("a", *(a_sim(number, label=f"{number}" * 300) for number in range(100, 400)))
    small_disk.fill()
    with pytest.raises(ExportUnavailable, match=r"[Nn]o space left on device.*the last export is still there") as full:
        small_lake.export("a", run="run-2", section=section)
    assert "\n" not in str(full.value)
    assert told(read_back("carrier_sims")) == before
    (problem,) = look_at_places(Export.model_validate(section), small_lake.folder).values()
    assert "make room there" in str(problem)
    small_disk.make_room()
    small_lake.export("a", run="run-3", section=section)
    assert len(read_back("carrier_sims")) == 303
    assert not list(small_disk.folder.rglob("*.part-*"))


def test_what_delta_has_taken_before_it_fails_is_told(small_lake: Lake) -> None:
    in_the_way = small_lake.folder / "other" / "sim_discrepancies"
    in_the_way.parent.mkdir()
    in_the_way.touch()
    with pytest.raises(ExportRefused, match="carrier_sims of this export is there, the rest is the last"):
        small_lake.export("a", section={"delta": {"path": "other"}})


@pytest.mark.parametrize("name", ["a[b]c", "*", "?", "a::b", "file::x", "{a,b}", "%20", "a b"])
def test_a_folder_is_taken_as_it_is_written(small_lake: Lake, name: str) -> None:
    place = small_lake.folder / name / "carrier_sims"
    place.mkdir(parents=True)
    (place / "a.parquet.part-dead").touch()
    small_lake.export("a", section={"parquet": {"path": name}})
    assert [file.name for file in place.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("odd", ["[", "]", "|", "^", "\\", "%", "\n"])
def test_a_path_that_delta_takes_for_another_one_is_refused_before_anything_is_written(
    small_lake: Lake, odd: str
) -> None:
    with pytest.raises(ExportRefused, match=r"Delta takes no path with .* in it; choose another folder") as refused:
        small_lake.export("a", section={"delta": {"path": f"x{odd}y"}})
    assert "\n" not in str(refused.value)
    assert not list(small_lake.folder.glob("x*"))


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_a_path_that_cannot_be_is_one_sentence(small_lake: Lake, form: str) -> None:
    (small_lake.folder / "a_file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ExportRefused) as refused:
        small_lake.export("a", section={form: {"path": "a_file/below"}})
    assert "\n" not in str(refused.value)
    assert str(small_lake.folder / "a_file") in str(refused.value)


def test_no_secret_is_in_a_message() -> None:
    secret = "5ecret-of-the-bucket"
    target = Target.model_validate({"path": "s3://b/c", "storage": {"key": secret, "more": {"token": secret}}})
    for error, wanted in (
        (PermissionError(13, f"key {secret}"), ExportRefused),
        (OSError(f"{secret}?"), ExportUnavailable),
    ):
        with (
            pytest.raises(wanted, match=r"writing failed: .*\*\*\*") as failed,
            as_our_errors(target, "writing failed"),
        ):
            raise error
        assert secret not in str(failed.value)
    assert secret not in repr(Export.model_validate({"parquet": target.model_dump()}))


@pytest.mark.parametrize("place", ["s3://bucket/lake", "gs://bucket", "az://container/lake"])
def test_a_bucket_without_its_driver_is_one_sentence(small_lake: Lake, place: str) -> None:
    with pytest.raises(ExportRefused, match=f"export of carrier a to {place}: opening it failed: .*nstall") as refused:
        small_lake.export("a", section={"parquet": {"path": place}})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"parquet": {"path": ""}},
        {"parquet": {"path": "http://host/lake"}},
        {"delta": {"path": "s3://key:secret@bucket/lake"}},
        {"delta": {"path": "s3://bucket/lake?token=secret"}},
        {"delta": {"path": "lake", "keep_days": 0}},
    ],
)
def test_a_section_that_cannot_be_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Export.model_validate(section)


def test_a_storage_behind_fsspec_is_written_like_a_folder(small_lake: Lake) -> None:
    import fsspec

    files = ParquetFiles(Target.model_construct(path="memory://bucket/lake"), small_lake.folder, "a", "run-1")
    with exported_rows(small_lake.warehouse.engine, "a") as tables:
        counts = [files.write(rows) for rows in tables]
    files.switch()
    names = fsspec.filesystem("memory").find("/bucket/lake")
    assert [Path(name).relative_to("/bucket/lake").as_posix() for name in names] == [
        f"{table}/a.parquet" for table in ("carrier_sims", "sim_changes", "sim_discrepancies")
    ]
    assert counts[0] == len(rows_of(small_lake.warehouse.engine, "carrier_sims")) == 3


def test_a_folder_that_an_export_makes_is_its_owners(small_lake: Lake) -> None:
    for form in ("parquet", "delta"):
        assert (small_lake.folder / "lake" / form).stat().st_mode & 0o777 == 0o700
