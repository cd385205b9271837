"""What is old goes; whatever is read of the time that is left says the same before and after."""

import random
import re
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.inventory import InventorySim
from sim_sync.core.quarantine import Reread
from sim_sync.core.session import Session, SweepState
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.changes import changes, changes_by_field, explain_drift
from sim_sync.warehouse.discrepancies import Wanted, advices, count_discrepancies, discrepancies
from sim_sync.warehouse.engine import open_engine
from sim_sync.warehouse.inventory import load_inventory
from sim_sync.warehouse.knowledge import compared_of, totals_of_last_walks
from sim_sync.warehouse.migrate import migrate
from sim_sync.warehouse.overviews import carrier_figures, carrier_overviews, past_walks
from sim_sync.warehouse.quarantine import quarantined, replay
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.report import brief_figures, report_figures
from sim_sync.warehouse.retention import Deleted, delete_old, standing_sessions
from sim_sync.warehouse.tables import quarantined_records, sim_discrepancies
from sim_sync_tests.fakes.clock import START, SettableClock
from sim_sync_tests.fakes.fleet import a_fleet, a_page, a_rejected, a_request, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest, disposed, rows_of
from sim_sync_tests.warehouse.test_two_writers import url_of

A, B = CARRIERS = ("a", "b")
FIELDS = ("status", "msisdn", "rate_plan")
POLICY = SweepPolicy(max_vanished_percent=30.0, min_vanished_count=3)
NIGHTS = 14
AGES = dict.fromkeys(CARRIERS, 36.0)


class Company:
    """Two carriers and our list, over many nights in which all sorts of things happen, as chance has it."""

    def __init__(self, engine: sa.Engine, seed: int) -> None:
        self.engine, self.chance = engine, random.Random(seed)
        self.under_test = SqlUnderTest(engine, SettableClock(START))
        self.fleets = {name: {sim.sim_id: sim for sim in a_fleet(12)} for name in CARRIERS}

    def nights(self, count: int) -> None:
        """Let nights pass. Not every carrier is walked every night, and not every walk comes to its end."""
        left_alone = self.chance.randrange(2 * count)
        for number in range(count):
            for name in CARRIERS:
                if self.chance.random() < 0.8 and not (name == B and number > left_alone):
                    self._night(name)
            self.under_test.clock.advance(24 * 3600)

    def _night(self, carrier: str) -> None:
        self._change(carrier)
        store = self.under_test.store
        config = f"config-{self.chance.randrange(3)}"
        fields: dict[str, Any] = {"carrier": carrier, "config_hash": config, "restart": self.chance.random() < 0.3}
        session = store.open_session(a_request(f"run-{self.chance.random()}", **fields)).session
        sims = list(self.fleets[carrier].values())
        rejected = [a_rejected(place) for place in range(self.chance.choice([0, 0, 0, 2]))]
        half = a_page(sims[:6], {"page": 1})
        if session.cursor != {"page": 1}:
            assert session.cursor is not None
            session = store.commit_page(session.claim, session.cursor, half)
        self.under_test.clock.advance(self.chance.randrange(60, 6000))
        if self.chance.random() < 0.2:
            return  # the run died, and its lease runs out
        session = store.open_session(
            a_request(f"run-{self.chance.random()}", carrier=carrier, config_hash=config)
        ).session
        if session.cursor != {"page": 1}:
            return
        session = store.commit_page(session.claim, session.cursor, a_page(sims[6:], rejected=rejected))
        store.close_session(session.claim, POLICY, session.config_hash)
        if self.chance.random() < 0.6:
            self._load(carrier)
            reconcile(self.engine, carrier, FIELDS)
        self._decide(carrier)
        self._settle_some_records(carrier)

    def _change(self, carrier: str) -> None:
        fleet = self.fleets[carrier]
        for _ in range(self.chance.randrange(4)):
            number = self.chance.randrange(20)
            plan = self.chance.choice(["P1", "P2"])
            fleet[a_sim(number).sim_id] = a_sim(
                number, rate_plan=plan, status=self.chance.choice(["active", "suspended"])
            )
        for _ in range(self.chance.choice([0, 1, 1, 2, 7])):
            if len(fleet) > 8:
                fleet.pop(self.chance.choice(sorted(fleet)))

    def _load(self, carrier: str) -> None:
        numbers = self.chance.sample(range(14), 10)
        rows = [InventorySim(carrier, a_sim(one).iccid or "", iccid_raw="", status="active") for one in numbers]
        load_inventory(self.engine, carrier, rows, min_percent=0, now=self.under_test.clock.now())

    def _decide(self, carrier: str) -> None:
        history = self.under_test.store.sweep_history(carrier)
        if history.last is not None and history.last.sweep_state is SweepState.HELD and self.chance.random() < 0.5:
            shown = self.under_test.store.show_held_sweep(carrier, most=5)
            choice = self.chance.choice(list(SweepChoice))
            self.under_test.clock.advance(3600)
            self.under_test.store.decide_held_sweep(carrier, OperatorDecision(choice, "ann", None, shown.digest))

    def _settle_some_records(self, carrier: str) -> None:
        if self.chance.random() < 0.7:
            is_open = sa.and_(quarantined_records.c.carrier == carrier, quarantined_records.c.resolved_at.is_(None))
            values = {"resolved_at": self.under_test.clock.now(), "resolution": "dropped: known"}
            with self.engine.begin() as connection:
                connection.execute(quarantined_records.update().where(is_open).values(**values))

    def told(self, since: datetime) -> Mapping[str, Any]:
        """Return all that commands, reports, metrics and alerts say of the time since a moment."""
        engine, store = self.engine, self.under_test.store
        overviews = carrier_overviews(engine, CARRIERS)
        walks = [walk for one in overviews for walk in (one.last_completed, one.newest) if walk is not None]
        of_all, of_open = Wanted(carriers=CARRIERS, include_hidden=True), Wanted(carriers=CARRIERS)
        settled = [row for row in quarantined(engine, include_resolved=True) if row.resolved_at is not None]
        return {
            "status": overviews,
            "sessions": [walk for walk in past_walks(engine, CARRIERS, 1000) if ended(walk.session) >= since],
            "metrics": carrier_figures(engine, AGES, START),
            "changes": list(changes(engine, CARRIERS, since=since)),
            "drift": [explain_drift(engine, name, since=since) for name in CARRIERS],
            "drift of the last night": [explain_drift(engine, one.carrier, session_id=one.session_id) for one in walks],
            "changes of the last night": [changes_by_field(engine, one.carrier, one.session_id) for one in walks],
            "report": replace(report_figures(engine, CARRIERS, since, rows=50), as_of=START),
            "in short": replace(brief_figures(engine, CARRIERS, since), as_of=START),
            "discrepancies": list(discrepancies(engine, of_open)),
            "resolved": [row for row in discrepancies(engine, of_all) if (row.resolved_at or since) >= since],
            "counted": count_discrepancies(engine, of_open),
            "new": list(discrepancies(engine, Wanted(carriers=CARRIERS, only_new=True))),
            "advice": advices(engine, of_open),
            "quarantine": list(quarantined(engine, include_resolved=False)),
            "settled": [row for row in settled if row.resolved_at is not None and row.resolved_at >= since],
            "compared": compared_of(engine, CARRIERS),
            "totals": totals_of_last_walks(engine, CARRIERS),
            "sweeps": [store.sweep_history(name) for name in CARRIERS],
            "held": [self._held(name) for name in CARRIERS],
        }

    def _held(self, carrier: str) -> Any:
        store = self.under_test.store
        return store.show_held_sweep(carrier, most=50) if store.sweep_history(carrier).held else None

    def delete(self, before: datetime, **options: Any) -> list[Deleted]:
        return list(delete_old(self.engine, CARRIERS, before, wait=lambda _seconds: None, **options))


def ended(session: Session) -> datetime:
    return max(session.updated_at, session.sweep_decided_at or session.updated_at)


def without_chance(told: object) -> str:
    """Return what is told as text, without the digits by which ids of sessions differ, and digests of those."""
    return re.sub(r"digest='\w+'", "", re.sub(r"(-\d{8}T\d{6})-[0-9a-f]{4}", r"\1", repr(told)))


@pytest.mark.parametrize("seed", [3])
def test_whatever_is_read_of_the_time_that_is_left_says_the_same(engine: sa.Engine, seed: int) -> None:
    company = Company(engine, seed)
    company.nights(NIGHTS)
    since = company.under_test.clock.now() - timedelta(days=company.chance.choice([1, 3, 5]))
    company.told(since)  # that a held sweep was shown is written down
    before = company.told(since)
    done = company.delete(since, at_once=company.chance.choice([5, 1000]))
    after = company.told(since)
    assert {name: without_chance(told) for name, told in after.items()} == {
        name: without_chance(told) for name, told in before.items()
    }
    assert {one.table for one in done} >= {"sim_changes", "sim_discrepancies"}
    assert company.delete(since) == []


@pytest.mark.parametrize("seed", [2])
def test_the_nights_that_follow_come_to_the_same_as_if_nothing_had_been_deleted(tmp_path: Path, seed: int) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(disposed(open_engine(f"sqlite:///{tmp_path / 'kept.db'}")))
        migrate(engine)
        Company(engine, seed).nights(NIGHTS)
        with sqlite3.connect(tmp_path / "kept.db") as connection:
            connection.execute("VACUUM INTO ?", [str(tmp_path / "twin.db")])
        twin = stack.enter_context(disposed(open_engine(f"sqlite:///{tmp_path / 'twin.db'}")))
        since = START + timedelta(days=NIGHTS - 3)
        list(delete_old(twin, CARRIERS, since, wait=lambda _seconds: None))
        later = [Company(each, seed + 100) for each in (engine, twin)]
        for company in later:
            company.under_test.clock.set(START + timedelta(days=NIGHTS + 2))
            company.nights(4)
        told = [without_chance(company.told(since)) for company in later]
        assert told[0] == told[1]


def walk(company: Company, rejected: int = 0) -> Session:
    """Walk over carrier a on one page, and let a day pass."""
    under_test = company.under_test
    session = under_test.store.open_session(a_request(carrier=A)).session
    assert session.cursor is not None
    page = a_page(list(company.fleets[A].values()), rejected=[a_rejected(place) for place in range(rejected)])
    session = under_test.store.commit_page(session.claim, session.cursor, page)
    under_test.store.close_session(session.claim, POLICY, session.config_hash)
    under_test.clock.advance(24 * 3600)
    return session


def numbers_left(company: Company, days: int) -> list[int]:
    """Delete what is older than so many days, and return the numbers of the sessions that are left."""
    company.delete(company.under_test.clock.now() - timedelta(days=days))
    return sorted(row["session_number"] for row in rows_of(company.engine, "sync_sessions"))


def test_sessions_stay_by_their_age_and_seven_more_that_they_are_compared_with(sqlite_engine: sa.Engine) -> None:
    company = Company(sqlite_engine, 0)
    for _ in range(20):
        walk(company)
    assert numbers_left(company, days=4) == list(range(10, 21))


def test_a_carrier_that_is_not_walked_any_more_keeps_what_it_is_judged_by(sqlite_engine: sa.Engine) -> None:
    company = Company(sqlite_engine, 0)
    for _ in range(12):
        walk(company)
    company.under_test.clock.advance(400 * 24 * 3600)
    assert numbers_left(company, days=30) == list(range(4, 13))
    assert standing_sessions(sqlite_engine, CARRIERS) == {
        row["session_id"] for row in rows_of(sqlite_engine, "sync_sessions") if row["session_number"] > 10
    }


def test_an_open_record_keeps_its_session_and_can_be_replayed(sqlite_engine: sa.Engine) -> None:
    company = Company(sqlite_engine, 0)
    for number in range(1, 21):
        walk(company, rejected=number == 11)
    assert numbers_left(company, days=2) == list(range(4, 21))
    found = list(replay(sqlite_engine, A, lambda _payload: Reread([a_sim(99)])))
    assert [one.resolution for one in found] == ["replayed"]
    # What it brought is told of with the session that found it, which is why that one stays now.
    assert numbers_left(company, days=2) == list(range(4, 21))


def test_a_job_that_dies_is_continued_by_the_next_one(sqlite_engine: sa.Engine) -> None:
    company = Company(sqlite_engine, 0)
    for _ in range(20):
        walk(company)
    pages = carrier_figures(sqlite_engine, {A: 36.0}, START)[0].totals.pages
    steps = delete_old(sqlite_engine, [A], company.under_test.clock.now(), wait=lambda _seconds: None, at_once=2)
    assert next(steps) == Deleted(A, "sync_sessions", 2)
    del steps
    assert numbers_left(company, days=0) == list(range(12, 21))
    assert carrier_figures(sqlite_engine, {A: 36.0}, START)[0].totals.pages == pages == 20


def test_others_get_their_turn_between_two_transactions(sqlite_engine: sa.Engine) -> None:
    company = Company(sqlite_engine, 0)
    for _ in range(20):
        walk(company)
    waited: list[float] = []

    def another_writes(seconds: float) -> None:
        waited.append(seconds)
        company.under_test.store.open_session(a_request(carrier=B))

    before = company.under_test.clock.now()
    done = list(delete_old(sqlite_engine, [A], before, wait=another_writes, at_once=2))
    assert len(waited) >= len(done) > 3
    assert all(seconds > 0 for seconds in waited)


def test_a_finding_that_comes_back_at_this_very_moment_stays_and_nobody_waits(postgres_engine: sa.Engine) -> None:
    """Under SQLite a writer is alone."""
    company = Company(postgres_engine, 1)
    walk(company)
    found = {"carrier": A, "kind": "mismatch", "field": "status", "severity": "high", "times_seen": 1}
    days = {"first_seen_at": START, "last_seen_at": START, "resolved_at": START}
    with postgres_engine.begin() as connection:
        rows = [{**found, **days, "iccid": str(number)} for number in range(5)]
        connection.execute(sim_discrepancies.insert(), rows)
    before = START + timedelta(days=1)
    with disposed(open_engine(url_of(postgres_engine), lock_timeout="'5s'")) as hurried:
        with postgres_engine.begin() as comparing:
            comes_back = sim_discrepancies.update().where(sim_discrepancies.c.iccid == "3").values(resolved_at=None)
            comparing.execute(comes_back)
            deleted = list(delete_old(hurried, [A], before, wait=lambda _: None))
        assert deleted == [Deleted(A, "sim_discrepancies", 4)]
        assert list(delete_old(hurried, [A], before, wait=lambda _: None)) == []
    (left,) = rows_of(postgres_engine, "sim_discrepancies")
    assert (left["iccid"], left["resolved_at"]) == ("3", None)
