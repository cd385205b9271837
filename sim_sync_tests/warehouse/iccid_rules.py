"""The store's rules about SIMs that are named by their ICCID, when its form changes: no SIM comes or goes."""

import pytest

from sim_sync.core.sims import Sim
from sim_sync_tests.fakes.fleet import CARRIER, a_page, a_sim
from sim_sync_tests.warehouse.store_under_test import (
    StoreUnderTest,
    committed,
    everything,
    night,
    opened,
    table,
    walked,
)


def named(number: int, check_digit: str = "", **fields: str) -> Sim:
    """Return a SIM that its carrier names by its ICCID alone, of 19 digits and the check digit."""
    iccid = f"8988303{number:012d}{check_digit}"
    return a_sim(number, sim_id=iccid, iccid=iccid, iccid_raw=iccid, **fields)


def ids(under_test: StoreUnderTest) -> list[tuple[str, ...]]:
    """Return id and ICCID of all SIMs, and whether they are there."""
    rows = under_test.rows("carrier_sims")
    return sorted(
        (row["sim_id"], row["iccid"], *(("absent",) if row["absent_since"] else ()), *row["quality_flags"])
        for row in rows
    )


SHORT = [named(number) for number in range(1, 4)]
LONG = [named(number, str(number)) for number in range(1, 4)]


class IccidRules:
    """Mixed into `SessionStoreContract`."""

    @pytest.mark.parametrize(("before", "after"), [(SHORT, LONG), (LONG, SHORT)], ids=["longer", "shorter"])
    def test_a_sim_that_comes_under_the_other_form_of_its_iccid_keeps_its_id_and_its_history(
        self, under_test: StoreUnderTest, before: list[Sim], after: list[Sim]
    ) -> None:
        first = night(under_test, before)
        second = night(under_test, after)
        assert (second.records_added, second.records_changed, second.sweep_state) == (0, 3, "done")
        rows = sorted(under_test.rows("carrier_sims"), key=lambda row: row["sim_id"])
        assert [(row["sim_id"], row["iccid"], row["iccid_raw"]) for row in rows] == [
            (old.sim_id, new.iccid, new.iccid_raw) for old, new in zip(before, after, strict=True)
        ]
        assert {(row["first_seen_at"], row["last_seen_session"], row["absent_since"]) for row in rows} == {
            (first.updated_at, second.session_id, None)
        }
        assert table(under_test, "sim_changes", "sim_id", "session_id", "field", "old_value", "new_value") == [
            (old.sim_id, second.session_id, "iccid", old.iccid, new.iccid)
            for old, new in zip(before, after, strict=True)
        ]

    def test_the_night_after_it_is_a_night_without_changes_and_so_is_the_one_after_the_way_back(
        self, under_test: StoreUnderTest
    ) -> None:
        for fleet, changed in [(SHORT, 0), (LONG, 3), (LONG, 0), (SHORT, 3), (SHORT, 0), (LONG, 3)]:
            session = night(under_test, fleet[:2], fleet[2:])
            assert (session.records_changed, session.sweep_state) == (changed, "done")
        assert ids(under_test) == [(old.sim_id, new.iccid) for old, new in zip(SHORT, LONG, strict=True)]

    def test_other_fields_that_change_with_the_form_are_changes_of_the_same_sim(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, [named(1, status="active")])
        night(under_test, [named(1, "7", status="suspended")])
        assert table(under_test, "sim_changes", "sim_id", "field", "new_value") == [
            (named(1).sim_id, "iccid", named(1, "7").iccid),
            (named(1).sim_id, "status", "suspended"),
        ]

    def test_a_fleet_may_change_its_form_sim_by_sim_and_in_the_middle_of_a_walk(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, SHORT)
        session = night(under_test, SHORT[:1], LONG[1:2], SHORT[2:])
        assert (session.records_added, session.records_changed, session.sweep_state) == (0, 1, "done")
        session = night(under_test, LONG[:1], LONG[1:2], SHORT[2:])
        assert (session.records_added, session.records_changed, session.sweep_state) == (0, 1, "done")
        assert [iccid for _, iccid in ids(under_test)] == [LONG[0].iccid, LONG[1].iccid, SHORT[2].iccid]

    def test_a_page_in_the_other_form_that_is_committed_again_writes_nothing_more(
        self, under_test: StoreUnderTest
    ) -> None:
        night(under_test, SHORT)
        session = opened(under_test)
        page = a_page(LONG, {"page": 1})
        committed(under_test, session, page)
        before = everything(under_test)
        committed(under_test, session, page)
        assert everything(under_test) == before

    def test_a_sim_that_comes_twice_in_its_new_form_is_one_sim(self, under_test: StoreUnderTest) -> None:
        night(under_test, SHORT)
        session = night(under_test, [LONG[0], LONG[1], LONG[0]], [LONG[0], LONG[2]])
        assert (session.records_added, session.records_changed) == (0, 3)
        assert len(ids(under_test)) == 3

    def test_a_walk_that_starts_again_may_meet_its_sims_in_their_other_form(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page(SHORT, {"page": 1}))
        session = under_test.store.commit_walk_restart(session.claim, {"page": 0}, "the cursor ran out")
        walked(under_test, session, LONG)
        assert ids(under_test) == [(old.sim_id, new.iccid) for old, new in zip(SHORT, LONG, strict=True)]

    def test_a_page_that_is_read_again_may_hold_its_sims_in_their_other_form(self, under_test: StoreUnderTest) -> None:
        session = committed(under_test, opened(under_test), a_page(SHORT, {"page": 1}))
        committed(under_test, session, a_page(LONG, is_reread=True))
        assert ids(under_test) == [(old.sim_id, new.iccid) for old, new in zip(SHORT, LONG, strict=True)]

    def test_a_sim_that_was_gone_and_comes_back_in_the_other_form_is_the_same_sim(
        self, under_test: StoreUnderTest
    ) -> None:
        for fleet in (SHORT, SHORT[1:], SHORT[1:]):
            night(under_test, fleet)
        assert [row["vanished_at"] is not None for row in under_test.rows("carrier_sims")].count(True) == 1
        night(under_test, [LONG[0], *SHORT[1:]])
        assert [(row["vanished_at"], row["absent_since"]) for row in under_test.rows("carrier_sims")] == [
            (None, None)
        ] * 3

    # --- two SIMs --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("is_known", [False, True], ids=["new", "known in one form"])
    @pytest.mark.parametrize(
        "pages",
        [
            [[named(1), named(1, "7")]],
            [[named(1, "7"), named(1)]],
            [[named(1)], [named(1, "7")]],
            [[named(1, "7")], [named(1)]],
        ],
        ids=["one page", "one page, the longer first", "two pages", "two pages, the longer first"],
    )
    def test_two_forms_in_one_walk_are_two_sims_and_one_says_so(
        self, under_test: StoreUnderTest, pages: list[list[Sim]], is_known: bool
    ) -> None:
        if is_known:
            night(under_test, [named(1)])
        for changed in (True, False, False):
            session = night(under_test, *pages)
            assert (session.records_added, session.sweep_state) == (changed * (2 - is_known), "done")
            rows = ids(under_test)
            assert [row[:2] for row in rows] == [(sim.sim_id, sim.iccid) for sim in (named(1), named(1, "7"))]
            assert [flag for row in rows for flag in row[2:]] == ["iccid_both_forms"]

    @pytest.mark.parametrize("keeps", ["", "7"])
    def test_rows_of_a_form_that_no_walk_sees_any_more_are_no_sims_that_are_missing(
        self, under_test: StoreUnderTest, keeps: str
    ) -> None:
        """An earlier version took the other form for another SIM: half of such a fleet would be held forever."""
        fleet = [named(number, digit) for number in range(40) for digit in ("", "7")]
        one_form = [sim for sim in fleet if len(sim.sim_id) == 19 + len(keeps)]
        night(under_test, fleet)
        for _ in range(2):
            assert night(under_test, one_form).sweep_state == "done"
        there = {row["sim_id"] for row in under_test.rows("carrier_sims") if row["vanished_at"] is None}
        assert there == {sim.sim_id for sim in one_form}

    def test_a_fleet_that_is_missing_in_both_forms_is_held(self, under_test: StoreUnderTest) -> None:
        night(under_test, [named(number, digit) for number in range(40) for digit in ("", "7")])
        held = night(under_test, [named(1, "7")])
        assert (held.sweep_state, (held.sweep_reason or "")[:9]) == ("held", "78 of 80 ")

    def test_the_flag_goes_when_the_other_form_is_gone(self, under_test: StoreUnderTest) -> None:
        night(under_test, [named(1), named(1, "7")])
        for _ in range(3):
            night(under_test, [named(1, "7")])
        assert ids(under_test) == [(named(1).sim_id, named(1).iccid, "absent"), (named(1, "7").sim_id,) * 2]

    def test_nothing_is_taken_for_another_form_where_two_could_be_meant(self, under_test: StoreUnderTest) -> None:
        night(under_test, [named(1, "7"), named(1, "8")])
        night(under_test, [named(1), named(2)])
        assert len(ids(under_test)) == 4
        night(under_test, [named(2, "7"), named(2, "8")])
        assert len(ids(under_test)) == 6

    def test_sims_with_ids_of_the_carriers_own_are_never_found_by_their_iccid(self, under_test: StoreUnderTest) -> None:
        mine = a_sim(1, iccid=named(1).iccid)
        night(under_test, [mine])
        night(under_test, [mine._replace(iccid=named(1, "7").iccid), a_sim(2, iccid=named(1).iccid)])
        assert ids(under_test) == [("sim-0001", named(1, "7").iccid), ("sim-0002", named(1).iccid)]
        night(under_test, [named(1)])
        assert len(ids(under_test)) == 3

    def test_another_carriers_sims_are_another_carriers(self, under_test: StoreUnderTest) -> None:
        night(under_test, SHORT)
        session = opened(under_test, carrier="other")
        walked(under_test, session, LONG)
        assert {row["carrier"] for row in under_test.rows("carrier_sims")} == {CARRIER, "other"}
        assert len(under_test.rows("carrier_sims")) == 6

    def test_an_id_that_is_the_iccid_as_it_was_sent_is_found_too(self, under_test: StoreUnderTest) -> None:
        filled = replace_id(named(1), f"{named(1).iccid}F")
        night(under_test, [filled])
        session = night(under_test, [named(1)])
        assert (session.records_added, session.records_changed) == (0, 0)
        night(under_test, [named(1, "7")])
        assert ids(under_test) == [(filled.sim_id, named(1, "7").iccid)]


def replace_id(sim: Sim, sim_id: str) -> Sim:
    """Return a SIM whose id is the ICCID as its carrier writes it."""
    return sim._replace(sim_id=sim_id, iccid_raw=sim_id)
