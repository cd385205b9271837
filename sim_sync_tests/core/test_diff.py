from datetime import UTC, datetime

from sim_sync.core.pages import KnownSim, PageDiff, Upsert, diff_page
from sim_sync.core.sims import FieldChange
from sim_sync_tests.fakes.fleet import a_sim

EARLIER = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def test_a_page_is_sorted_into_new_changed_renewed_and_unchanged_sims() -> None:
    known = {sim.sim_id: KnownSim(sim, EARLIER, "night-1") for sim in (a_sim(1), a_sim(2, label="old"), a_sim(3))}
    page = [a_sim(1), a_sim(2, label="new", msisdn="+4915"), a_sim(3, attributes='{"n":2}'), a_sim(4)]
    assert diff_page(page, known, NOW) == PageDiff(
        upserts=[
            Upsert(a_sim(2, label="new", msisdn="+4915"), NOW),
            Upsert(a_sim(3, attributes='{"n":2}'), EARLIER),
            Upsert(a_sim(4), NOW),
        ],
        unchanged=["sim-0001"],
        changes=[
            FieldChange("sim-0002", "msisdn", None, "+4915"),
            FieldChange("sim-0002", "label", "old", "new"),
        ],
        added=1,
        changed=1,
        first_seen=4,
    )


def test_sims_that_the_session_has_seen_already_are_told_apart() -> None:
    known = {"sim-0001": KnownSim(a_sim(1), EARLIER, "night-1"), "sim-0002": KnownSim(a_sim(2), EARLIER, "night-2")}
    page = [a_sim(1), a_sim(2, label="new"), a_sim(3), a_sim(3)]
    assert diff_page(page, known, NOW, "night-2").first_seen == 2


def test_of_a_sim_that_appears_twice_in_a_page_the_later_record_counts() -> None:
    page = [a_sim(1, label="first"), a_sim(2), a_sim(1, label="last")]
    diff = diff_page(page, {}, NOW)
    assert {upsert.sim.sim_id: upsert.sim.label for upsert in diff.upserts} == {"sim-0001": "last", "sim-0002": None}
    assert (diff.added, diff.changed, diff.changes) == (2, 0, [])


def test_an_empty_page_changes_nothing() -> None:
    assert diff_page([], {"sim-0001": KnownSim(a_sim(1), EARLIER, "night-1")}, NOW) == PageDiff()


def test_applying_a_page_twice_changes_nothing_the_second_time() -> None:
    page = [a_sim(1, label="new"), a_sim(2)]
    first = diff_page(page, {"sim-0001": KnownSim(a_sim(1), EARLIER, "night-1")}, NOW)
    known = {upsert.sim.sim_id: KnownSim(upsert.sim, upsert.last_changed_at, "night-2") for upsert in first.upserts}
    assert diff_page(page, known, NOW, "night-2") == PageDiff(unchanged=["sim-0001", "sim-0002"])
