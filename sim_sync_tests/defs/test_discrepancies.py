"""What the asset `sim_discrepancies` tells of a reconciliation, in the order in which people look at it."""

import base64

from sim_sync.defs.assets import essentials
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.tables import sim_discrepancies
from sim_sync_tests.defs.stage import ACME, DagsterHarness, GivenList, metadata_of
from sim_sync_tests.fakes.hostile_texts import CONTROLS, MARKUPS
from sim_sync_tests.inventory.lists import ICCID
from sim_sync_tests.inventory.lists import OTHER as NEW


def test_plain_entries_come_first_then_the_tables_then_the_plot(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active"), (NEW, ACME, "active")])
    found = metadata_of(stage.run(), "sim_discrepancies")
    names = list(found)
    assert names[:6] == ["in_short", "open", "high", "medium", "low", "acknowledged"]
    assert names[-3:] == ["by_kind", "most_frequent", "trend"]
    assert found["in_short"].startswith("12 discrepancies are open at 1 carrier: 12 high.")
    assert (found["open"], found["high"], found["unknown_to_us_open"], found["missing_at_carrier_new"]) == (
        12,
        12,
        10,
        2,
    )


def test_the_table_of_kinds_adds_up_to_what_is_open(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active")])
    found = metadata_of(stage.run(), "sim_discrepancies")
    rows = [record.data for record in found["by_kind"].records]
    assert rows == [
        {"kind": "missing_at_carrier", "severity": "high", "open": 1},
        {"kind": "unknown_to_us", "severity": "high", "open": 10},
    ]
    assert sum(row["open"] for row in rows) == found["open"]


def test_the_plot_is_a_picture_that_loads_nothing(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active")])
    markdown = metadata_of(stage.run(), "sim_discrepancies")["trend"]
    start = "![](data:image/svg+xml;base64,"
    assert markdown.startswith("Discrepancies that appeared and were resolved, a day\n")
    drawing = base64.b64decode(markdown.split(start)[1].split(")")[0]).decode()
    assert drawing.startswith("<svg ")
    assert "<script" not in drawing
    assert [word for word in ("href", "url(", "@import") if word in drawing] == []


def test_words_of_others_are_plain_texts(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([(ICCID, ACME, "active")])
    stage.run()
    hostile = [*CONTROLS, *MARKUPS]
    with transaction(stage.warehouse.engine, "filling") as connection:
        first = connection.execute(sim_discrepancies.select()).mappings().first()
        assert first is not None
        for place, text in enumerate(hostile):
            row = {
                **first,
                "iccid": str(place),
                "kind": "mismatch",
                "field": "rate_plan",
                "theirs": text.replace("\0", ""),
            }
            connection.execute(sim_discrepancies.insert().values(**row))
    _, last = essentials(stage.warehouse, ACME)
    cells = [str(record.data["theirs"]) for record in last["most_frequent"].records]
    assert any("\\x1b" in cell or "<" in cell for cell in cells)
    assert all(cell.isprintable() for cell in cells)
