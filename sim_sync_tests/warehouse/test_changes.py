"""What the stream of changes tells of a few nights, on each database."""

from datetime import datetime

import pytest
import sqlalchemy as sa

from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.sweep import SweepPolicy
from sim_sync.warehouse.changes import FIELDS, Change, changes
from sim_sync_tests.fakes.fleet import CARRIER, a_sim
from sim_sync_tests.warehouse.databases import SqlUnderTest
from sim_sync_tests.warehouse.store_under_test import night, opened, walked

STRICT = SweepPolicy(max_vanished_percent=5.0, min_vanished_count=2)


@pytest.fixture
def nights(engine: sa.Engine) -> SqlUnderTest:
    """Three SIMs; one changes its status and one is missed; it vanishes, and one comes."""
    under_test = SqlUnderTest(engine)
    night(under_test, [a_sim(1), a_sim(2), a_sim(3)])
    night(under_test, [a_sim(1), a_sim(2, status="suspended")])
    night(under_test, [a_sim(1), a_sim(2, status="suspended"), a_sim(4)])
    return under_test


def told(under_test: SqlUnderTest, **filters: object) -> list[tuple[str | None, ...]]:
    rows = changes(under_test.engine, [CARRIER], **filters)  # type: ignore[arg-type] # they differ in type
    return [(row.sim_id, row.field, row.old_value, row.new_value) for row in rows]


def test_what_changed_is_told_newest_first_with_what_came_and_went(nights: SqlUnderTest) -> None:
    assert told(nights) == [
        ("sim-0003", "presence", "absent", "vanished"),
        ("sim-0004", "presence", None, "present"),
        ("sim-0002", "status", "active", "suspended"),
        ("sim-0003", "presence", "present", "absent"),
        ("sim-0001", "presence", None, "present"),
        ("sim-0002", "presence", None, "present"),
        ("sim-0003", "presence", None, "present"),
    ]


def test_a_vanished_sim_that_came_back_is_told_with_the_session_that_saw_it(nights: SqlUnderTest) -> None:
    for label in (None, "found again"):
        night(nights, [a_sim(1), a_sim(2, status="suspended"), a_sim(3, label=label), a_sim(4)])
    newest = max(nights.rows("sync_sessions"), key=lambda row: row["session_number"])
    assert told(nights)[:2] == [
        ("sim-0003", "label", None, "found again"),
        ("sim-0003", "presence", "vanished", "present"),
    ]
    (back,) = [row for row in changes(nights.engine, [CARRIER], field="presence") if row.old_value == "vanished"]
    assert back.session_id is not None
    assert back.session_id != newest["session_id"]


def test_a_change_names_its_sim_its_session_and_its_time(nights: SqlUnderTest) -> None:
    sessions = sorted(nights.rows("sync_sessions"), key=lambda row: row["session_number"])
    (changed,) = changes(nights.engine, [CARRIER], field="status")
    assert changed == Change(
        changed_at=sessions[1]["finished_at"],
        carrier=CARRIER,
        sim_id="sim-0002",
        iccid=a_sim(2).iccid,
        field="status",
        old_value="active",
        new_value="suspended",
        session_id=sessions[1]["session_id"],
        sweep_decided_by=None,
        sweep_decision_reason=None,
    )
    came = [row for row in changes(nights.engine, [CARRIER], field="presence") if row.new_value == "present"]
    assert {row.session_id for row in came} == {sessions[0]["session_id"], sessions[2]["session_id"]}


def test_since_counts_its_own_moment_and_nothing_before(nights: SqlUnderTest) -> None:
    at: datetime = max(row["finished_at"] for row in nights.rows("sync_sessions"))
    assert [row[0] for row in told(nights, since=at)] == ["sim-0003", "sim-0004"]
    assert told(nights, since=at.replace(year=at.year + 1)) == []


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_by_itself_is_what_all_fields_tell_of_it(nights: SqlUnderTest, field: str) -> None:
    assert told(nights, field=field) == [row for row in told(nights) if row[1] == field]


def test_another_carriers_changes_are_left_out(nights: SqlUnderTest) -> None:
    assert list(changes(nights.engine, ["zeta"])) == []
    other = opened(nights, carrier="zeta")
    walked(nights, other, [a_sim(7)])
    assert [row.sim_id for row in changes(nights.engine, ["zeta"])] == ["sim-0007"]
    assert "sim-0007" not in {row[0] for row in told(nights)}
    assert len(list(changes(nights.engine, [CARRIER, "zeta"]))) == len(told(nights)) + 1


@pytest.mark.parametrize(("choice", "word"), [(SweepChoice.APPROVE, "approved"), (SweepChoice.REJECT, "rejected")])
def test_a_decision_on_a_sweep_is_told_with_who_and_why(engine: sa.Engine, choice: SweepChoice, word: str) -> None:
    under_test = SqlUnderTest(engine)
    night(under_test, [a_sim(number) for number in range(8)])
    held = night(under_test, [a_sim(0)], policy=STRICT)
    under_test.store.show_held_sweep(CARRIER, most=1)
    now = under_test.clock.advance(600)
    under_test.store.decide_held_sweep(CARRIER, OperatorDecision(choice, "ann", "they moved"))
    (decision,) = changes(engine, [CARRIER], field="sweep_state")
    assert decision == Change(
        now, CARRIER, None, None, "sweep_state", "held", word, held.session_id, "ann", "they moved"
    )
    # What was decided stands before what that did.
    assert told(under_test, since=now)[0] == (None, "sweep_state", "held", word)
    went = [row for row in told(under_test, field="presence", since=now) if row[3] == "absent"]
    assert len(went) == (7 if choice is SweepChoice.APPROVE else 0)
