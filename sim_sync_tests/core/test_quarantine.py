from dataclasses import replace
from datetime import timedelta

import pytest

from sim_sync.core.pages import PageDiff
from sim_sync.core.quarantine import StoredSim, is_outdated, missed_by, records_replayed
from sim_sync.core.session import Session, SessionInternals, SessionRecord, State
from sim_sync_tests.fakes.clock import START
from sim_sync_tests.fakes.fleet import a_sim

LATER = START + timedelta(hours=1)
WALK = 5


@pytest.mark.parametrize(
    ("stored", "sweeps_since", "outdated"),
    [
        (None, 0, False),
        (None, 2, False),
        (StoredSim(4, is_present=True), 0, False),
        (StoredSim(4, is_present=False), 2, False),
        # Nothing has marked it, so every sweep since has seen it.
        (StoredSim(4, is_present=True), 1, True),
        (StoredSim(6, is_present=True), 0, True),
        (StoredSim(6, is_present=False), 2, True),
        (StoredSim(5, is_present=True), 0, False),
    ],
)
def test_only_what_a_later_walk_has_seen_is_newer(stored: StoredSim | None, sweeps_since: int, outdated: bool) -> None:
    assert is_outdated(a_sim(), stored, WALK, sweeps_since) is outdated


def test_of_two_records_of_one_walk_the_carriers_clock_says_which_is_newer() -> None:
    stored = StoredSim(WALK, is_present=True, carrier_updated_at=LATER)
    assert is_outdated(a_sim(carrier_updated_at=START), stored, WALK, 0)
    assert not is_outdated(a_sim(carrier_updated_at=LATER), stored, WALK, 0)
    assert not is_outdated(a_sim(), stored, WALK, 0)


def test_the_first_sweep_that_missed_a_sim_makes_it_absent_and_the_second_vanished() -> None:
    assert missed_by([]) == (None, None)
    assert missed_by([START]) == (START, None)
    assert missed_by([START, LATER, LATER]) == (START, LATER)


def a_record(state: State, walk_restarts: int = 0) -> SessionRecord:
    session = Session(
        session_id="s-1",
        session_number=1,
        carrier="acme",
        state=state,
        cursor={"page": 3},
        fence=2,
        config_hash="c",
        records_quarantined=3,
        started_at=START,
        updated_at=START,
    )
    return SessionRecord(session, SessionInternals(lease_seconds=30.0, sims_listed=10, walk_restarts=walk_restarts))


def test_an_open_session_has_fewer_unread_records_and_otherwise_stays() -> None:
    before = a_record(State.FAILED)
    after = records_replayed(before, PageDiff(added=1, changed=1), sims=2, readable=2)
    expected = replace(before.session, records_added=1, records_changed=1, records_quarantined=1)
    assert (after.session, after.internals.sims_listed) == (expected, 12)


def test_after_a_start_over_unread_records_stay_counted() -> None:
    after = records_replayed(a_record(State.RUNNING, walk_restarts=1), PageDiff(added=2), sims=2, readable=2)
    assert after.session.records_quarantined == 3


@pytest.mark.parametrize("state", [State.COMPLETED, State.SUPERSEDED])
def test_a_final_session_stays_what_it_was(state: State) -> None:
    before = a_record(state)
    assert records_replayed(before, PageDiff(added=1), sims=1, readable=1) == before
