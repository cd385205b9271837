"""What the cells of our list mean: columns, carriers, ICCIDs, status words, and rows that cannot be used."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError
from sim_sync.core.sims import Lifecycle
from sim_sync.inventory import Inventory, InventorySim, parse_sheet

ICCID = "89883030000080139311"
OTHER = "8988303000008013932"
COLUMNS = {"iccid": "ICCID", "carrier": "Carrier", "status": "State"}


class GivenSheet(NamedTuple):
    """A sheet as the test wrote it down."""

    columns: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str]]]
    where: str = "our.csv"


def parsed(
    *rows: Sequence[str],
    header: Sequence[str] = ("ICCID", "Carrier", "State"),
    columns: Mapping[str, str] = COLUMNS,
    carriers: Sequence[str] = ("acme", "other"),
    **options: Any,
) -> Inventory:
    sheet = GivenSheet(header, list(enumerate(rows, start=2)))
    return parse_sheet(sheet, columns=columns, statuses=options.pop("statuses", {}), carriers=carriers, **options)


def refusal(*rows: Sequence[str], **options: Any) -> str:
    with pytest.raises(InventoryError) as refused:
        parsed(*rows, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_row_becomes_a_sim_with_all_that_it_says() -> None:
    columns = {
        name: name.upper() for name in ("iccid", "carrier", "imsi", "msisdn", "imei", "status", "rate_plan", "label")
    }
    inventory = parsed(
        [f" {ICCID} ", "acme", "295", "+49", "35", "active", "iot", "truck 7", "NA", ""],
        header=[*columns.values(), "Site", "Empty"],
        columns=columns,
    )
    assert inventory.rows == [
        InventorySim("acme", ICCID, ICCID, "295", "+49", "35", "active", "iot", "truck 7", '{"Site":"NA"}')
    ]
    assert (inventory.findings, inventory.unknown_carriers, inventory.unknown_status_words) == ([], {}, {})


def test_an_empty_cell_means_that_the_list_does_not_say() -> None:
    assert parsed([ICCID, "acme", "  "]).rows == [InventorySim("acme", ICCID, ICCID)]


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (ICCID, ICCID),
        ("8988 3030 0000 8013 9311", ICCID),
        ("8988-3030.0000-8013-9311", ICCID),
        ("8988303000008013931F", "8988303000008013931"),
        ("8988303000008013931", "8988303000008013931"),
        ("00000000000000000000", "00000000000000000000"),
    ],
)
def test_an_iccid_is_brought_to_its_normal_form_and_kept_as_it_came(raw: str, normal: str) -> None:
    (row,) = parsed([raw, "acme", ""]).rows
    assert (row.iccid, row.iccid_raw) == (normal, raw)


@pytest.mark.parametrize(
    "raw",
    [
        "8.98831E+19",
        "8,98831E+19",
        "8.98831e19",
        "89883030000080139311.0",
        "89883030000080100000,00",
        "898830300000801.0",
    ],
)
def test_an_iccid_that_a_spreadsheet_has_rounded_is_never_taken_for_one(raw: str) -> None:
    inventory = parsed([raw, "acme", ""], [OTHER, "acme", ""])
    (finding,) = inventory.findings
    assert finding.line == 2
    assert finding.reason.startswith(
        f"ICCID {raw!r} was rounded by a spreadsheet, its last digits are lost: format the"
    )


#: Digits, but not those of ASCII.
WIDE = "".join(chr(0xFF10 + int(digit)) for digit in ICCID)


@pytest.mark.parametrize("raw", ["123", "8988303000008013931X", "89883030000080139311234", "ICCID", WIDE])
def test_what_is_no_iccid_is_a_finding(raw: str) -> None:
    inventory = parsed([raw, "acme", ""], [OTHER, "acme", ""])
    assert inventory.findings == [(2, f"ICCID {raw!r}: expected an ICCID of 18 to 22 digits")]
    assert len(inventory.rows) == 1


def test_a_row_without_an_iccid_is_a_finding_and_a_row_without_anything_is_none() -> None:
    inventory = parsed(["", "acme", "active"], ["", " ", ""], [], [ICCID, "acme", ""])
    assert inventory.findings == [(2, "the row has no ICCID")]


def test_of_an_iccid_that_stands_twice_the_first_row_counts_and_the_second_is_told() -> None:
    inventory = parsed([ICCID, "acme", "active"], [f"{ICCID} ", "acme", "suspended"], [ICCID, "other", "active"])
    assert [(row.carrier, row.status) for row in inventory.rows] == [("acme", "active"), ("other", "active")]
    assert inventory.findings == [(3, f"ICCID {ICCID} stands in line 2 already, and that one counts")]


def test_rows_of_carriers_that_are_not_configured_are_counted() -> None:
    inventory = parsed([ICCID, "acme", ""], [OTHER, "ACME", ""], [ICCID, "elsewhere", ""], [OTHER, "elsewhere", ""])
    assert [row.carrier for row in inventory.rows] == ["acme"]
    assert inventory.unknown_carriers == {"ACME": 1, "elsewhere": 2}


def test_a_row_without_a_carrier_is_a_finding() -> None:
    assert parsed([ICCID, "", ""], [OTHER, "acme", ""]).findings == [(2, "the row names no carrier")]


def test_one_carriers_rows_can_be_asked_for() -> None:
    rows = [[ICCID, "acme", ""], [OTHER, "other", ""]]
    assert [row.carrier for row in parsed(*rows, only="other").rows] == ["other"]
    assert parsed(*rows[:1], only="other").rows == [], "its part may be empty where others' is not"


def test_a_list_without_a_carrier_column_is_that_of_the_only_carrier() -> None:
    inventory = parsed([ICCID], header=["ICCID"], columns={"iccid": "ICCID"}, carriers=["acme"])
    assert [row.carrier for row in inventory.rows] == ["acme"]
    told = refusal([ICCID], header=["ICCID"], columns={"iccid": "ICCID"})
    assert "no column mapped to `carrier`, and 2 carriers are configured" in told


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("LIVE", "active"),
        ("live", "active"),
        ("Stopped", "suspended"),
        ("ACTIVE", "active"),
        ("test-ready", "test_ready"),
    ],
)
def test_status_words_are_the_companys_in_any_case_and_those_of_the_lifecycle(word: str, status: str) -> None:
    statuses = {"LIVE": Lifecycle.ACTIVE, "STOPPED": Lifecycle.SUSPENDED}
    inventory = parsed([ICCID, "acme", word], statuses=statuses)
    assert [row.status for row in inventory.rows] == [status]
    assert inventory.unknown_status_words == {}


def test_a_status_word_that_nobody_listed_is_unknown_and_counted() -> None:
    inventory = parsed([ICCID, "acme", "ON"], [OTHER, "acme", "ON"], [ICCID, "other", "on"])
    assert [row.status for row in inventory.rows] == ["unknown"] * 3
    assert inventory.unknown_status_words == {"ON": 2, "on": 1}


def test_a_column_that_is_not_there_is_told_with_the_nearest_one() -> None:
    told = refusal([ICCID, "acme", ""], header=["Iccid", "Carrier", "State"])
    assert "the inventory our.csv lacks the column 'ICCID' (our iccid; did you mean 'Iccid'?)" in told
    assert "Columns found: 'Iccid', 'Carrier', 'State'" in told


def test_all_columns_that_are_not_there_are_told_at_once() -> None:
    told = refusal([ICCID], header=["x"])
    assert all(name in told for name in ("'ICCID' (our iccid)", "'Carrier' (our carrier)", "'State' (our status)"))


def test_a_column_that_stands_twice_is_told() -> None:
    assert "more than one column called 'ICCID': rename one" in refusal(
        [ICCID, "acme", "", ""], header=["ICCID", "Carrier", "State", "ICCID"]
    )


def test_a_mapping_without_the_iccid_or_to_names_that_are_not_ours_is_told() -> None:
    assert "add `iccid: <column>`" in refusal([], columns={"carrier": "Carrier"})
    assert "found colour" in refusal([], columns={"iccid": "ICCID", "colour": "Colour"})


def test_columns_without_a_meaning_are_kept_by_their_name_or_their_place() -> None:
    header = ["ICCID", "Carrier", "State", "Site", "Site", ""]
    (row,) = parsed([ICCID, "acme", "", "A", "B", "C"], header=header).rows
    assert row.attributes == '{"Site":"A","column 5":"B","column 6":"C"}'


def test_a_list_without_a_row_that_can_be_used_is_refused_with_examples() -> None:
    told = refusal(["1", "acme", ""], ["2", "acme", ""], ["", "acme", ""], ["4", "acme", ""])
    assert "has no row that could be used (4 could not). line 2: ICCID '1': expected an ICCID" in told
    assert "line 4: the row has no ICCID" in told
    assert "line 5" not in told
    assert told.endswith("nothing was written.")


def test_a_list_of_other_carriers_only_is_refused() -> None:
    told = refusal([ICCID, "x", ""], [OTHER, "y", ""])
    assert "has no row of a configured carrier: expected 'acme', 'other' in its carrier column, found 'x', 'y'" in told


def test_a_list_without_rows_is_refused() -> None:
    assert "the inventory our.csv has a header, but no row" in refusal()


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([ICCID, OTHER, "", "123", "8.98E+19", "x\0"]),
            st.sampled_from(["acme", "other", "", "strange"]),
            st.sampled_from(["", "active", "odd"]),
            st.sampled_from(["", "extra"]),
        ),
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_every_row_is_used_found_or_counted_and_none_twice(rows: list[tuple[str, ...]]) -> None:
    filled = [row for row in rows if any(row)]
    try:
        inventory = parsed(*rows)
    except InventoryError:
        return
    told = len(inventory.rows) + len(inventory.findings) + sum(inventory.unknown_carriers.values())
    assert told == len(filled)
    keys = [(row.carrier, row.iccid) for row in inventory.rows]
    assert len(keys) == len(set(keys))
