"""What the cells of our list mean: columns, carriers, ICCIDs, status words, and rows that cannot be used."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_sync.core.errors import InventoryError
from sim_sync.core.inventory import InventorySim
from sim_sync.core.sims import Lifecycle
from sim_sync.core.storable import canonical_json
from sim_sync.inventory.parsing import attribute_writer
from sim_sync_tests.inventory.lists import COLUMNS, ICCID, OTHER, parsed

IMSI = "295050910000001"
IMEI = "352099001761481"


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
        [f" {ICCID} ", "acme", IMSI, "+4915123450001", IMEI, "active", "iot", "truck 7", "NA", ""],
        header=[*columns.values(), "Site", "Empty"],
        columns=columns,
    )
    assert inventory.rows == [
        InventorySim(
            "acme", ICCID, ICCID, IMSI, "+4915123450001", IMEI, None, "active", "iot", "truck 7", '{"Site":"NA"}', 2
        )
    ]
    assert (inventory.findings, inventory.tally.unknown_carriers, inventory.tally.unknown_status_words) == ([], {}, {})


def test_an_empty_cell_means_that_the_list_does_not_say() -> None:
    assert parsed([ICCID, "acme", "  "]).sims == [InventorySim("acme", ICCID, ICCID)]


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
    assert finding.row_number == 2
    assert finding.reason.startswith(f"ICCID {raw!r} was rounded by a spreadsheet, its last digits are lost: export it")


#: Digits, but not those of ASCII.
WIDE = "".join(chr(0xFF10 + int(digit)) for digit in ICCID)


@pytest.mark.parametrize("raw", ["123", "8988303000008013931X", "89883030000080139311234", "ICCID", WIDE])
def test_what_is_no_iccid_is_a_finding(raw: str) -> None:
    inventory = parsed([raw, "acme", ""], [OTHER, "acme", ""])
    assert inventory.reasons == [(2, f"ICCID {raw!r}: expected an ICCID of 18 to 22 digits")]
    assert len(inventory.rows) == 1


def test_a_row_without_an_iccid_is_a_finding_and_a_row_without_anything_is_none() -> None:
    inventory = parsed(["", "acme", "active"], ["", " ", ""], [], [ICCID, "acme", ""])
    assert inventory.reasons == [(2, "the row has no ICCID")]


EID = "89049032123451234512345678901235"
WITH_EID = {"iccid": "ICCID", "eid": "EID", "carrier": "Carrier"}
EID_HEADER = ["ICCID", "EID", "Carrier"]


def test_a_row_without_an_iccid_is_named_by_its_eid() -> None:
    rows = [["", EID, "acme"], ["-", f"{EID[:16]} {EID[16:]}", "acme"], [ICCID, EID, "acme"], [OTHER, "", "acme"]]
    read = parsed(*rows, header=EID_HEADER, columns=WITH_EID)
    assert [(row.iccid, row.iccid_raw, row.eid) for row in read.rows] == [
        (f"eid:{EID}", None, EID),
        (f"eid:{EID}", None, EID),
        (ICCID, ICCID, EID),
        (OTHER, OTHER, None),
    ]
    by_eid = {name: WITH_EID[name] for name in ("eid", "carrier")}
    (row,) = parsed([EID, "acme"], ["", "acme"], header=["EID", "Carrier"], columns=by_eid).rows
    assert row.iccid == f"eid:{EID}"


@pytest.mark.parametrize(
    "raw",
    [
        *("8.90490321234512E+31", "89049032123451200000000000000000", str(int(float(EID))), EID[:-1], f"{EID[:-1]}X"),
        *("0" * 32, "9" * 32, f"{'0' * 31}1"),
    ],
)
def test_a_bad_eid_is_left_out_and_costs_a_row_that_has_nothing_else(raw: str) -> None:
    read = parsed([ICCID, raw, "acme"], ["", raw, "acme"], [OTHER, EID, "acme"], header=EID_HEADER, columns=WITH_EID)
    assert [(row.iccid, row.eid) for row in read.rows] == [(ICCID, None), (OTHER, EID)]
    assert read.places == [(2, "EID"), (3, "EID")]
    assert read.reasons[1] == (3, f"the row has no ICCID, and {raw!r} is no EID: expected the 32 digits of an eUICC")


@pytest.mark.parametrize("iccid", ["", "-"])
@pytest.mark.parametrize("eid", ["\ufffd" + EID[1:], EID + "\0"])
def test_an_euicc_whose_eid_is_unreadable_is_a_sim_of_ours_of_which_nobody_can_say_which(iccid: str, eid: str) -> None:
    read = parsed([iccid, eid, "acme"], [OTHER, EID, "acme"], header=EID_HEADER, columns=WITH_EID)
    assert [(finding.column, finding.hides_sim) for finding in read.findings] == [("EID", True)]


@pytest.mark.parametrize(("iccid", "eid"), [("", "8.9049E+31"), ("-", "8.9049E+31"), ("-", EID[:-1])])
def test_an_euicc_whose_eid_was_rounded_or_cut_is_one_too(iccid: str, eid: str) -> None:
    read = parsed([iccid, eid, "acme"], [OTHER, EID, "acme"], header=EID_HEADER, columns=WITH_EID)
    assert [finding.hides_sim for finding in read.findings] == [True]


def test_a_list_that_names_neither_iccids_nor_eids_is_refused() -> None:
    assert "add `iccid: <column>`, or `eid: <column>`" in refusal([ICCID, "acme", ""], columns={"carrier": "Carrier"})


def test_rows_of_carriers_that_are_not_configured_are_counted() -> None:
    inventory = parsed([ICCID, "acme", ""], [OTHER, "ACME", ""], [ICCID, "elsewhere", ""], [OTHER, "elsewhere", ""])
    assert [row.carrier for row in inventory.rows] == ["acme"]
    assert inventory.tally.unknown_carriers == {"ACME": 1, "elsewhere": 2}


def test_a_row_without_a_carrier_is_a_finding() -> None:
    assert parsed([ICCID, "", ""], [OTHER, "acme", ""]).reasons == [(2, "the row names no carrier")]


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
    assert inventory.tally.unknown_status_words == {}


def test_a_status_word_that_nobody_listed_is_unknown_and_counted() -> None:
    inventory = parsed([ICCID, "acme", "ON"], [OTHER, "acme", "ON"], [ICCID, "other", "on"])
    assert [row.status for row in inventory.rows] == ["unknown"] * 3
    assert inventory.tally.unknown_status_words == {"ON": 2, "on": 1}


def test_a_column_that_is_not_there_is_told_with_the_nearest_one() -> None:
    told = refusal([ICCID, "acme", ""], header=["ICC-ID", "Carrier", "State"])
    assert "the inventory our.csv lacks the column 'ICCID' (our iccid; did you mean 'ICC-ID'?)" in told
    assert "Columns found: 'ICC-ID', 'Carrier', 'State'" in told


@pytest.mark.parametrize("name", ["Iccid", " ICCID ", "ICCID\u00a0", "\ufeffICCID", "\u200bICCID"])
def test_a_column_is_found_in_other_case_and_with_blanks_that_nobody_sees(name: str) -> None:
    assert [row.iccid for row in parsed([ICCID, "acme", ""], header=[name, "Carrier", "State"]).rows] == [ICCID]


def test_a_column_is_found_whose_name_goes_over_two_lines() -> None:
    columns = {"iccid": "SIM  number", "carrier": "Carrier"}
    assert parsed([ICCID, "acme"], header=["SIM\nnumber", "Carrier"], columns=columns).sims


def test_the_very_name_comes_before_the_same_one_in_other_case() -> None:
    inventory = parsed([OTHER, "acme", "", ICCID], header=["iccid", "Carrier", "State", "ICCID"])
    assert [row.iccid for row in inventory.rows] == [ICCID]


def test_all_columns_that_are_not_there_are_told_at_once() -> None:
    told = refusal([ICCID], header=["x"])
    assert all(name in told for name in ("'ICCID' (our iccid)", "'Carrier' (our carrier)", "'State' (our status)"))


TWICE = ["ICCID", "Carrier", "State", "ICCID", "State"]


def test_a_column_that_appears_twice_is_one_column_where_both_agree() -> None:
    rows = [[ICCID, "acme", "active", ICCID, "active"], [OTHER, "acme", "", OTHER, "suspended"]]
    inventory = parsed(*rows, header=TWICE)
    assert [(row.iccid, row.status) for row in inventory.rows] == [(ICCID, "active"), (OTHER, "suspended")]
    assert inventory.findings == []


def test_where_a_column_that_appears_twice_contradicts_itself_the_value_is_left_out_and_told() -> None:
    rows = [[ICCID, "acme", "active", ICCID, "suspended"], [ICCID, "acme", "", OTHER, ""], [OTHER, "acme", "", "", ""]]
    inventory = parsed(*rows, header=TWICE)
    assert [(row.iccid, row.status) for row in inventory.rows] == [(ICCID, None), (OTHER, None)]
    assert inventory.reasons == [
        (2, "the list has 2 columns called 'State', and they differ here: rename one"),
        (3, "the list has 2 columns called 'ICCID', and they differ here: rename one"),
    ]


def test_a_mapping_without_the_iccid_or_to_names_that_are_not_ours_is_told() -> None:
    assert "add `iccid: <column>`" in refusal([], columns={"carrier": "Carrier"})
    assert "found colour" in refusal([], columns={"iccid": "ICCID", "colour": "Colour"})


def test_columns_without_a_meaning_are_kept_by_their_name_or_their_place() -> None:
    header = ["ICCID", "Carrier", "State", "Site", "Site", ""]
    (row,) = parsed([ICCID, "acme", "", "A", "B", "C"], header=header).rows
    assert row.attributes == '{"Site":"A","column 5":"B","column 6":"C"}'


def test_columns_that_name_a_secret_are_not_kept() -> None:
    header = ["ICCID", "Carrier", "State", "PIN1", "Puk 2", "Ki", "OPc", "ADM-1", "Note", "PIN status"]
    cells = [ICCID, "acme", "", "0000", "12345678", "A0" * 16, "B1" * 16, "C2" * 8, "at the gate", "off"]
    inventory = parsed(cells, [*cells[:4], "\0", *cells[5:]], header=header)
    assert inventory.rows[0].attributes == '{"Note":"at the gate","PIN status":"off"}'
    assert "12345678" not in repr(inventory)


def test_a_list_without_a_row_that_can_be_used_is_refused_with_examples() -> None:
    told = refusal(["1", "acme", ""], ["2", "acme", ""], ["", "acme", ""], ["4", "acme", ""])
    assert "has no row that could be used (4 could not). line 2, column 'ICCID': ICCID '1': expected an ICCID" in told
    assert "line 3, column 'ICCID': ICCID '2'" in told
    assert "line 4, column 'ICCID': the row has no ICCID" not in told
    assert told.endswith("the one before it stays.")


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("imsi", "2.6201E+14"),
        ("imsi", "2,6201E+14"),
        ("imsi", "1010123456789"),  # 001010123456789, the test network's
        ("imsi", "2026-03-02"),
        ("imei", "3.52E+14"),
        ("imei", "#N/A"),
        ("msisdn", "4.91512E+12"),
        ("msisdn", "02.03.2026"),
        ("msisdn", "2026-03-02 00:00:00"),
        ("msisdn", "########"),
        ("msisdn", "4915x"),
        ("msisdn", "7700900123"),  # 07700900123, in Britain
        ("rate_plan", "1.00E+05"),
        ("rate_plan", "1,0E+05"),
        ("rate_plan", "2-Jan"),
        ("rate_plan", "02. Jan"),
        ("rate_plan", "Mär-26"),
        ("rate_plan", "1/2/2026"),
        ("rate_plan", "#NAME?"),
        ("rate_plan", "#WERT!"),
        ("status", "#REF!"),
        ("label", "#DIV/0!"),
    ],
)
def test_a_value_that_a_spreadsheet_has_changed_is_left_out_and_told_with_its_place(column: str, cell: str) -> None:
    inventory = parsed([ICCID, "acme", cell], columns={"iccid": "ICCID", "carrier": "Carrier", column: "State"})
    (sim,) = inventory.rows
    assert (sim.iccid, getattr(sim, column)) == (ICCID, None)
    assert (inventory.places, inventory.findings[0].uses_row) == ([(2, "State")], True)
    assert repr(cell) in inventory.findings[0].reason
    assert (inventory.tally.sims, inventory.tally.unusable_rows, inventory.tally.values_left_out) == (1, 0, 1)


@pytest.mark.parametrize(
    "plan", ["1E5", "NA", "None", "null", "nan", "N/A", "TRUE", "0012", "1-2", "10", "IoT 2026-03"]
)
def test_a_plan_is_called_what_it_is_called(plan: str) -> None:
    inventory = parsed([ICCID, "acme", plan], columns={"iccid": "ICCID", "carrier": "Carrier", "rate_plan": "State"})
    assert ([row.rate_plan for row in inventory.rows], inventory.findings) == ([plan], [])


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("4915123450001", "+4915123450001"),
        ("'+4915123450001", "+4915123450001"),
        ("004915123450001", "+4915123450001"),
        ("+49015123450001", "+4915123450001"),
        ("883200012345678", "+883200012345678"),
        ("423663920123456", "+423663920123456"),
        ("33700012345678", "+33700012345678"),
        ("+7700900123", "+7700900123"),
        ("01512345001", "01512345001"),
    ],
)
def test_a_number_is_no_shorter_than_it_was_typed_and_may_be_longer_than_peoples(cell: str, number: str) -> None:
    inventory = parsed([ICCID, "acme", cell], columns={"iccid": "ICCID", "carrier": "Carrier", "msisdn": "State"})
    assert ([row.msisdn for row in inventory.rows], inventory.findings) == ([number], [])


@pytest.mark.parametrize("cell", ["-", "n/a", "NA", "None", "null", "NULL", "?"])
@pytest.mark.parametrize("column", ["imsi", "msisdn", "imei"])
def test_a_word_for_no_number_is_no_number_and_no_finding(column: str, cell: str) -> None:
    inventory = parsed([ICCID, "acme", cell], columns={"iccid": "ICCID", "carrier": "Carrier", column: "State"})
    assert ([getattr(row, column) for row in inventory.rows], inventory.findings) == ([None], [])


@pytest.mark.parametrize("marked", [f'="{ICCID}"', f"'{ICCID}", f"\ufeff{ICCID}", f"\u202d{ICCID}\u202c"])
def test_marks_that_make_a_number_text_are_no_part_of_it(marked: str) -> None:
    assert [row.iccid for row in parsed([marked, "acme", ""]).rows] == [ICCID]


def test_a_cell_that_cannot_be_read_costs_its_value_and_without_the_iccid_or_the_carrier_the_row() -> None:
    rows = [[ICCID, "acme", "act\0ive"], [f"{OTHER}\ufffd", "acme", ""], [ICCID, "ac\0me", ""], [OTHER, "acme", ""]]
    inventory = parsed(*rows)
    assert [(row.iccid, row.status) for row in inventory.rows] == [(ICCID, None), (OTHER, None)]
    assert inventory.places == [(2, "State"), (3, "ICCID"), (4, "Carrier")]
    assert "could not be read: export the list as UTF-8" in inventory.findings[1].reason
    assert all("\\u0000" not in finding.payload for finding in inventory.findings)


def test_a_row_that_lacks_cells_of_ours_is_used_and_told() -> None:
    inventory = parsed([ICCID, "acme"], [OTHER], [OTHER, "acme", "active"])
    assert [(row.iccid, row.status) for row in inventory.rows] == [(ICCID, None), (OTHER, "active")]
    assert inventory.reasons == [
        (2, "the row has 2 cells, the header 3: what is not there counts as not said"),
        (3, "the row names no carrier"),
    ]


def test_a_finding_keeps_what_stood_in_our_columns_and_nothing_of_the_others() -> None:
    inventory = parsed(
        ["123", "acme", "", "1234"], [OTHER, "acme", "", ""], header=["ICCID", "Carrier", "State", "PIN"]
    )
    assert [finding.payload for finding in inventory.findings] == ['{"Carrier":"acme","ICCID":"123"}']


def test_a_cell_of_another_sims_rows_is_cut_short_in_messages() -> None:
    swallowed = "12345\n" + "\n".join(f"{ICCID},acme,active" for _ in range(100))
    (finding,) = parsed([swallowed, "acme", ""], [OTHER, "acme", ""]).findings
    assert len(finding.reason) < 120
    assert ICCID not in finding.reason


def test_words_are_counted_apart_up_to_a_hundred_and_together_from_there() -> None:
    rows = [[f"{number:020d}", "acme", f"word {number}"] for number in range(150)]
    words = parsed(*rows).tally.unknown_status_words
    assert (len(words), words["word 0"], words["(others)"]) == (101, 1, 50)


def test_a_list_of_other_carriers_only_is_refused() -> None:
    told = refusal([ICCID, "x", ""], [OTHER, "y", ""])
    assert "has no row of a configured carrier: expected 'acme', 'other' in its carrier column, found 'x', 'y'" in told


def test_a_row_of_a_carrier_that_is_not_configured_is_a_finding_and_no_other_carriers_row_is() -> None:
    read = parsed([ICCID, "acme", ""], [OTHER, "other", ""], [OTHER, "Acmee", ""], [OTHER, "", ""], only="acme")
    assert [sim.iccid for sim in read.rows] == [ICCID]
    told = "carrier 'Acmee' is not configured for this list: expected acme, other (did you mean acme?). "
    told += "Correct the row, or add the carrier to carriers.yaml"
    assert read.reasons == [(4, told), (5, "the row names no carrier")]
    assert [finding.carrier for finding in read.findings] == [None, None]
    assert read.findings[0].payload == f'{{"Carrier":"Acmee","ICCID":"{OTHER}"}}'


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
def test_every_row_is_used_found_or_counted(rows: list[tuple[str, ...]]) -> None:
    filled = [row for row in rows if any(row)]
    try:
        inventory = parsed(*rows)
    except InventoryError:
        return
    assert len(inventory.rows) + len({finding.row_number for finding in inventory.findings}) == len(filled)


@pytest.mark.parametrize(
    ("cell", "stored"),
    [
        ('{"puk": "12345678", "n": 8988307000000000013}', '{"n":8988307000000000013}'),
        ('[{"a": {"Ki": "0F"}, "b": 1.50}]', '[{"a":{},"b":"1.50"}]'),
        ('{"b": 1}', '{"b": 1}'),
        ("{no JSON", "{no JSON"),
        ("[" * 2_000, "[" * 2_000),
    ],
)
def test_a_cell_that_is_json_loses_the_secrets_in_it(cell: str, stored: str) -> None:
    (sim,) = parsed([ICCID, "acme", "", cell], header=("ICCID", "Carrier", "State", "More")).sims
    assert sim.attributes == canonical_json({"More": stored})


def test_a_column_of_secrets_is_not_taken_for_one_of_ours() -> None:
    with pytest.raises(InventoryError, match=r"name 'PUK1': PINs, PUKs and keys of cards are never stored"):
        parsed(
            [ICCID, "acme", "", "1"], header=("ICCID", "Carrier", "State", "PUK1"), columns={**COLUMNS, "label": "PUK1"}
        )


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4, unique_by=lambda pair: pair[0]))
def test_attributes_are_the_one_json_text_of_what_is_filled(columns: list[tuple[str, str]]) -> None:
    write = attribute_writer([(name, at) for at, (name, _) in enumerate(columns)])
    assert write([cell for _, cell in columns]) == canonical_json({name: cell for name, cell in columns if cell})
