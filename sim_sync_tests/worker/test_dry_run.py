"""A dry run says what a run would do, to the last figure, and leaves the warehouse as it is, to the last byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sim_sync.core.errors import CarrierError, InputError
from sim_sync.core.session import Session
from sim_sync.core.sweep import SweepPolicy
from sim_sync.core.sync import StopReason
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync.warehouse.reconcile import reconcile
from sim_sync.warehouse.rehearsal import opened_as_it_is, rehearsal_of
from sim_sync.warehouse.scratch import exact_digests
from sim_sync.worker.dry_run import DryRun, document_of, lines_of, run_dry
from sim_sync.worker.our_list import load_our_list
from sim_sync.worker.stopping import StopSignal
from sim_sync.worker.work import sync_once
from sim_sync_tests.defs.stage import ACME, FakeCarrierConfig, FakeConfig, GivenList
from sim_sync_tests.fakes.carrier import ScriptedCarrier, Unreadable, paged
from sim_sync_tests.fakes.fleet import a_sim
from sim_sync_tests.warehouse.databases import rows_of


@pytest.fixture
def warehouse(migrated_url: str) -> Iterator[Warehouse]:
    """Each database in turn, with the tables of this version."""
    opened = open_warehouse(migrated_url)
    yield opened
    opened.close()


class Company:
    """A carrier with its pages, our list, and the nights that were."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.carrier = ScriptedCarrier(pages=paged([a_sim(number) for number in range(30)], 10), tells_totals=True)
        self.config = FakeConfig({ACME: FakeCarrierConfig(self.carrier)})
        self.own([*range(28), 90, 91])

    def own(self, numbers: list[int]) -> None:
        self.config.inventory = GivenList([(str(a_sim(number).iccid), ACME, "active") for number in numbers])

    def night(self) -> tuple[Session, int, int]:
        """Do what a run does, and return its session and how many discrepancies it opened and resolved."""
        load_our_list(self.config.inventory, self.warehouse, ACME)  # type: ignore[arg-type]
        session = sync_once(self.config.carrier(ACME), self.warehouse.sessions, owner="run", gone_owners=())  # type: ignore[arg-type]
        kinds = reconcile(self.warehouse.engine, ACME, self.config.reconcile.fields).kinds.values()
        return session, sum(kind.opened for kind in kinds), sum(kind.resolved for kind in kinds)

    def dry(self, engine: sa.Engine | None = None, max_pages: int | None = None) -> DryRun:
        carrier = self.config.carrier(ACME)
        place = self.warehouse.engine if engine is None else engine
        with rehearsal_of(place) as copy:
            return run_dry(carrier, self.config, copy, stop=StopSignal(), max_pages=max_pages)  # type: ignore[arg-type]


@pytest.fixture
def company(warehouse: Warehouse) -> Company:
    return Company(warehouse)


def marked(warehouse: Warehouse, column: str) -> int:
    return sum(row[column] is not None for row in rows_of(warehouse.engine, "carrier_sims"))


def test_what_a_dry_run_says_is_what_the_next_night_does_and_nothing_was_written(company: Company) -> None:
    company.night()
    company.carrier.pages = paged([*(a_sim(number) for number in range(29)), a_sim(50)], 10)
    company.night()
    changed = [a_sim(0, status="suspended"), a_sim(1, label="new"), *(a_sim(number) for number in range(2, 28))]
    company.carrier.pages = [*paged([*changed, a_sim(50), a_sim(51)], 10), []]
    company.own([*range(27), 50, 90, 95])
    before = exact_digests(company.warehouse.engine)
    run = company.dry()
    assert exact_digests(company.warehouse.engine) == before
    told = document_of(run)

    session, opened, resolved = company.night()
    assert (told["added"], told["changed"]) == (session.records_added, session.records_changed) == (1, 2)
    assert (told["opened"], told["resolved"]) == (opened, resolved)
    assert opened > 0 < resolved
    assert (told["absent"], told["vanished"]) == (1, 1)
    assert (marked(company.warehouse, "absent_since"), marked(company.warehouse, "vanished_at")) == (2, 1)
    assert (told["sweep_state"], told["pages"], told["records"]) == (session.sweep_state.value, 4, 30)
    assert told["our_list"]["added"] == 2
    assert sum(told["opened_by_kind"].values()) == opened


def test_examples_say_what_is_meant(company: Company) -> None:
    company.night()
    company.carrier.pages = [[a_sim(0, status="suspended"), *(a_sim(number) for number in range(1, 28))], [a_sim(77)]]
    run = company.dry()
    examples = document_of(run)["examples"]
    assert examples["changed"] == [
        {"sim_id": a_sim(0).sim_id, "field": "status", "old_value": "active", "new_value": "suspended"}
    ]
    assert [example["iccid"] for example in examples["added"]] == [a_sim(77).iccid]
    assert [example["iccid"] for example in examples["absent"]] == [a_sim(28).iccid, a_sim(29).iccid]
    assert {example["kind"] for example in examples["opened"]} == {"mismatch", "unknown_to_us"}
    lines = lines_of(run)
    assert lines[0].startswith(
        "dry run over acme, nothing written: 2 pages (the whole list), 29 records; 1 would be added"
    )
    assert "2 would be marked absent, 0 vanished; the sweep would be done" in lines
    assert f"  changed: {a_sim(0).sim_id}: status active -> suspended" in lines


def test_a_sweep_that_would_be_held_is_said_and_marks_nothing(company: Company) -> None:
    company.config.carriers[ACME].sweep = SweepPolicy(max_vanished_percent=5, min_vanished_count=2)
    company.night()
    company.carrier.pages = paged([a_sim(number) for number in range(10)], 10)
    told = document_of(company.dry())
    assert (told["sweep_state"], told["absent"]) == ("held", 0)
    assert "20 of 30 known SIMs (66.7 %) were missing at once" in told["sweep_reason"]


def test_a_list_that_would_not_be_taken_is_said_and_the_last_one_compared(company: Company) -> None:
    company.night()
    company.own([0, 1])
    run = company.dry()
    assert run.list_is_held
    assert "has 2 SIMs of carrier acme any more, and 30 are known" in str(run.list_problem)
    assert (document_of(run)["opened"], run.our_list) == (0, None)


def test_a_walk_that_does_not_come_to_its_end_promises_no_marks(company: Company) -> None:
    company.night()
    run = company.dry(max_pages=2)
    told = document_of(run)
    assert (told["whole"], told["pages"], told["opened"], told["sweep_state"]) == (False, 2, None, None)
    assert told["stopped"] == StopReason.PAGE_BUDGET.value
    company.carrier.faults = {len(company.carrier.fetched): CarrierError("carrier acme: the answer is unknown")}
    failed = company.dry()
    assert (failed.stopped_by, "the answer is unknown" in str(failed.error)) == (StopReason.FAILED, True)


def test_an_open_walk_is_left_alone_and_unreadable_records_are_counted(company: Company) -> None:
    company.night()
    sync_pages = company.carrier.pages
    company.carrier.pages = [[*sync_pages[0], Unreadable()]]
    before = exact_digests(company.warehouse.engine)
    assert document_of(company.dry())["quarantined"] == 1
    assert exact_digests(company.warehouse.engine) == before


def test_a_place_where_no_warehouse_is_stays_without_one(tmp_path: Path, company: Company) -> None:
    url = f"sqlite:///{tmp_path / 'nothing' / 'there.db'}"
    with opened_as_it_is(url) as engine:
        assert engine is None
    carrier = company.config.carrier(ACME)
    with rehearsal_of(None) as copy:
        run = run_dry(carrier, company.config, copy, stop=StopSignal())  # type: ignore[arg-type]
    assert document_of(run)["added"] == 30
    assert list(tmp_path.glob("nothing*")) == []


def test_tables_of_an_earlier_version_are_not_upgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    opened = open_warehouse(url)
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sim_sync_schema_version SET version_num = '0001'")
    opened.close()
    with (
        pytest.raises(InputError, match="are of an earlier version, and a dry run writes nothing"),
        opened_as_it_is(url),
    ):
        pass


def test_the_file_of_a_warehouse_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    warehouse = open_warehouse(url)
    company = Company(warehouse)
    company.night()
    warehouse.close()
    before = (tmp_path / "warehouse.db").read_bytes()
    company.carrier.pages = paged([a_sim(number) for number in range(5, 40)], 10)
    with opened_as_it_is(url) as engine:
        assert document_of(company.dry(engine))["added"] == 10
    assert (tmp_path / "warehouse.db").read_bytes() == before
