"""The leases of runs in both databases: taken, renewed, given back, and seen by everybody."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sim_sync.core.liveness import RunLease
from sim_sync.core.session import Process
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.run_leases import SqlRunLeases
from sim_sync_tests.fakes.clock import START, SettableClock

HERE, ELSEWHERE = Process("host#boot#table", 7, "1.00"), Process("another", 8, "2.00")


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def leases(engine: sa.Engine, clock: SettableClock) -> SqlRunLeases:
    return SqlRunLeases(engine, clock=clock.now)


def test_a_lease_is_taken_and_renewed_by_the_same_word(leases: SqlRunLeases, clock: SettableClock) -> None:
    leases.renew("run-1", HERE, 30)
    taken = RunLease("run-1", HERE, START + timedelta(seconds=30))
    assert leases.read() == [taken]
    clock.advance(20)
    leases.renew("run-1", HERE, 30)
    assert leases.read() == [replace(taken, expires_at=START + timedelta(seconds=50))]


def test_a_run_that_continues_in_another_process_is_known_by_that_one(leases: SqlRunLeases) -> None:
    leases.renew("run-1", HERE, 30)
    leases.renew("run-1", ELSEWHERE, 30)
    assert [lease.process for lease in leases.read()] == [ELSEWHERE]


def test_a_granted_lease_is_of_no_process_and_the_run_takes_it_over(leases: SqlRunLeases, clock: SettableClock) -> None:
    leases.grant(["run-1"], 60)
    assert leases.read() == [RunLease("run-1", Process("", 0, ""), START + timedelta(seconds=60))]
    clock.advance(20)
    leases.grant(["run-1"], 60)
    assert [lease.expires_at for lease in leases.read()] == [START + timedelta(seconds=60)], "it was granted once"
    leases.renew("run-1", HERE, 30)
    taken = leases.read()
    assert taken == [RunLease("run-1", HERE, START + timedelta(seconds=50))]
    leases.grant(["run-1"], 60)
    assert leases.read() == taken


def test_a_lease_that_is_given_back_is_gone_and_those_of_others_are_not(leases: SqlRunLeases) -> None:
    leases.renew("run-1", HERE, 30)
    leases.renew("run-2", ELSEWHERE, 30)
    leases.give_back("run-1")
    leases.give_back("run-1")
    assert [lease.run_id for lease in leases.read()] == ["run-2"]


def test_a_lease_that_ran_out_is_kept_for_a_week(leases: SqlRunLeases, clock: SettableClock) -> None:
    leases.renew("run-1", HERE, 30)
    clock.advance(7 * 24 * 3600)
    leases.give_back("run-2")
    assert len(leases.read()) == 1
    clock.advance(31)
    leases.give_back("run-2")
    assert leases.read() == []


def test_without_a_clock_of_its_own_it_goes_by_that_of_the_database(engine: sa.Engine) -> None:
    leases = SqlRunLeases(engine)
    leases.renew("run-1", HERE, 3600)
    (first,) = leases.read()
    leases.renew("run-1", HERE, 3600)
    (second,) = leases.read()
    assert first.expires_at <= second.expires_at < first.expires_at + timedelta(hours=1)


def test_leases_can_be_renewed_unless_another_process_holds_up_all_writers(engine: sa.Engine) -> None:
    """SQLite has one writer at a time: of a long comparison of one carrier, no run of another one has died."""
    leases = SqlRunLeases(engine)
    assert leases.can_be_renewed()
    with transaction(engine, "writing something else"):
        assert leases.can_be_renewed() is (engine.dialect.name == "postgresql")
    assert leases.can_be_renewed()
