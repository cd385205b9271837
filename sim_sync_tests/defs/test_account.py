"""What the materialization of a completed session tells of all its runs, and what the assets tell of their tables."""

import base64
import struct
import zlib
from datetime import UTC, datetime

import dagster as dg
import pytest

from sim_sync.defs.account import bars_png, plot_markdown, speeds_over_time, table_metadata
from sim_sync.warehouse.tables import metadata
from sim_sync_tests.defs.stage import LEASE_SECONDS, DagsterHarness, metadata_of

KINDS = {"text", "datetime", "boolean", "biginteger", "json", "numeric"}
START = datetime(2026, 3, 2, 2, tzinfo=UTC)
BEGIN = START.timestamp()


def test_the_materialization_tells_the_whole_session_across_its_runs(stage: DagsterHarness) -> None:
    first = stage.run(max_pages=2)
    second = stage.run()
    told = metadata_of(second, "carrier_sims")
    assert told["resumes"] == 1
    assert told["pages_fetched_twice"] == "at most those in flight at 1 resume"
    assert str(told["took"]).endswith("throttled 0:00 of it")
    for run in (first, second):
        assert f"(/runs/{run.run_id})" in str(told["runs"])
    assert (told["dagster/partition_row_count"], told["dagster/row_count"]) == (10, 10)


def test_the_runs_of_a_session_are_linked_both_ways(stage: DagsterHarness) -> None:
    first, second = stage.run(max_pages=2).run_id, stage.run().run_id
    runs = {run_id: stage.instance.get_run_by_id(run_id) for run_id in (first, second)}
    tags = {run_id: {} if run is None else run.tags for run_id, run in runs.items()}
    assert tags[first]["sim_sync/next_run"] == second
    assert tags[second]["sim_sync/previous_run"] == first
    assert "sim_sync/previous_run" not in tags[first]
    assert "sim_sync/next_run" not in tags[second]


def test_a_retry_that_begins_in_the_middle_of_a_run_that_died_is_linked_with_it(stage: DagsterHarness) -> None:
    died = stage.stored_run(dg.DagsterRunStatus.FAILURE)
    opened = stage.opened_by(died.run_id)
    stage.instance.add_run_tags(died.run_id, {"sim_sync/session": opened.session_id})
    stage.clock.advance(LEASE_SECONDS + 1)

    job = stage.definitions.resolve_job_def("reconcile_carrier")
    retry = job.execute_in_process(
        partition_key=opened.carrier,
        instance=stage.instance,
        resources=stage.resources,
        # As Dagster's own retry from the failure: with the tags of the run that died, and without the step that opened.
        tags={"sim_sync/session": opened.session_id},
        op_selection=["carrier_sims.sync_pages"],
    )
    assert (stage.session.session_id, stage.session.owner, stage.session.fence) == (opened.session_id, retry.run_id, 2)
    tags = [getattr(stage.instance.get_run_by_id(run_id), "tags", {}) for run_id in (died.run_id, retry.run_id)]
    assert (tags[0]["sim_sync/next_run"], tags[1]["sim_sync/previous_run"]) == (retry.run_id, died.run_id)


def test_a_session_that_was_never_interrupted_has_fetched_no_page_twice(stage: DagsterHarness) -> None:
    told = metadata_of(stage.run(), "carrier_sims")
    assert (told["resumes"], told["pages_fetched_twice"]) == (0, "none")


@pytest.mark.parametrize("table", ["carrier_sims", "inventory_sims", "sim_discrepancies"])
def test_an_asset_has_the_name_and_the_columns_of_its_table(table: str) -> None:
    told = table_metadata(table)
    assert told["dagster/table_name"] == table
    schema = told["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [column.name for column in metadata.tables[table].columns]
    assert {column.type for column in schema.columns} <= KINDS


def test_every_asset_says_what_it_is_who_is_asked_and_of_which_version() -> None:
    from sim_sync import __version__
    from sim_sync.defs.assets import build_carrier_sims, build_sim_discrepancies, build_sim_inventory
    from sim_sync.defs.jobs import Names

    partitions, names = dg.StaticPartitionsDefinition(["acme"]), Names()
    for build in (build_sim_inventory, build_carrier_sims, build_sim_discrepancies):
        (spec,) = build(partitions, names).specs
        assert spec.description
        assert spec.owners == ["team:sim_operations"]
        assert spec.code_version == __version__
        assert spec.kinds


def test_speeds_are_pages_a_minute_in_equal_parts_of_the_time() -> None:
    points = [(BEGIN, 0), (BEGIN + 60, 60), (BEGIN + 120, 60), (BEGIN + 240, 120)]
    assert speeds_over_time(points, buckets=4) == pytest.approx([60, 0, 30, 30])


def test_a_walk_that_started_again_has_no_negative_speed() -> None:
    assert min(speeds_over_time([(BEGIN, 0), (BEGIN + 60, 100), (BEGIN + 120, 10)])) >= 0


def test_the_plot_is_an_image_that_any_reader_of_png_takes() -> None:
    image = bars_png([1.0, 2.0, 0.0])
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", image[16:24])
    length = struct.unpack(">I", image[image.index(b"IDAT") - 4 : image.index(b"IDAT")])[0]
    pixels = zlib.decompress(image[image.index(b"IDAT") + 4 :][:length])
    assert len(pixels) == height * (width + 1)


def test_the_plot_tells_its_scale_and_nothing_where_nothing_is_known() -> None:
    plot = plot_markdown([(BEGIN + 60, 120)], START)
    assert plot.startswith("![pages a minute](data:image/png;base64,")
    assert base64.b64decode(plot.split("base64,")[1].split(")")[0]).startswith(b"\x89PNG")
    assert plot.endswith("pages a minute, from 0 to 120, left to right")
    assert plot_markdown([], START) == ""
