"""Looking through a whole list: what it has, and what of it cannot be used, repeated ICCIDs included."""

from sim_sync.inventory import Reading, Terms, survey
from sim_sync_tests.inventory.lists import COLUMNS, ICCID, OTHER, GivenSheet


def test_of_an_iccid_that_appears_twice_the_first_row_counts_and_the_second_is_told() -> None:
    rows = [
        [ICCID, "acme", ""],
        [f"{ICCID} ", "acme", ""],
        [ICCID, "other", ""],
        [OTHER, "acme", ""],
        [ICCID, "acme", ""],
    ]
    sheet = GivenSheet(["ICCID", "Carrier", "State"], [(at, row, None) for at, row in enumerate(rows, start=2)])
    tally = survey(Reading(sheet, Terms(COLUMNS, ["acme", "other"], {})))
    ((times, found),) = tally.by_kind()
    assert (tally.sims, tally.unusable_rows, times) == (3, 2, 2)
    assert [tally.described(finding) for finding in found] == [
        "line 3, column 'ICCID': its ICCID stands in line 2 already, and that one counts",
        "line 6, column 'ICCID': its ICCID stands in line 2 already, and that one counts",
    ]


def test_rounded_iccids_that_became_one_are_told_once_as_rounded() -> None:
    rows = [["89445000000000000000", "acme", ""]] * 3 + [[ICCID, "acme", ""]]
    sheet = GivenSheet(["ICCID", "Carrier", "State"], [(at, row, None) for at, row in enumerate(rows, start=2)])
    tally = survey(Reading(sheet, Terms(COLUMNS, ["acme", "other"], {})))
    assert (tally.sims, tally.unusable_rows, [number for number, _ in tally.by_kind()]) == (1, 3, [3])


def test_only_the_carriers_that_are_asked_for_are_looked_at() -> None:
    rows = [[ICCID, "acme", "odd"], [OTHER, "other", "odder"], ["x", "other", ""]]
    sheet = GivenSheet(["ICCID", "Carrier", "State"], [(at, row, None) for at, row in enumerate(rows, start=2)])
    tally = survey(Reading(sheet, Terms(COLUMNS, ["acme", "other"], {}), {"acme"}))
    assert (tally.sims, tally.rows_of_others, tally.unusable_rows) == (1, 2, 0)
    assert tally.unknown_status_words == {"odd": 1}
