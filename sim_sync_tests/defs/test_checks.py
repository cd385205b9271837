from typing import Any, cast

import dagster as dg
import pytest

from sim_sync.config import Config
from sim_sync.config.sections import Reconcile
from sim_sync.core.held_sweep import OperatorDecision, SweepChoice
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release, State
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG
from sim_sync.core.storable import canonical_json
from sim_sync.defs.checks import CHECKS, answer
from sim_sync.warehouse.discrepancies import acknowledge
from sim_sync.warehouse.tables import session_internals
from sim_sync_tests.defs.stage import OTHER, DagsterHarness, GivenList
from sim_sync_tests.fakes.carrier import Unreadable, paged
from sim_sync_tests.fakes.fleet import a_fleet, a_sim


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def passed(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {name: evaluation.passed for name, evaluation in checks(result).items()}


def test_after_a_good_night_of_all_carriers_all_checks_pass(stage: DagsterHarness) -> None:
    stage.run(carrier="other")
    assert passed(stage.run()) == {
        "walks_are_certified": True,
        "carriers_are_fresh": True,
        "no_session_has_failed": True,
        "every_record_was_read": True,
        "status_words_are_known": True,
        "totals_agree": True,
        "identifiers_are_sound": True,
        "each_carrier_has_one_code_location": True,
        "no_severe_discrepancy": True,
        "discrepancies_are_few": True,
    }


def test_a_walk_that_marked_nothing_is_a_warning_that_says_why(stage: DagsterHarness) -> None:
    stage.carrier.pages = [[a_sim(1), Unreadable()]]

    evaluation = checks(stage.run())["walks_are_certified"]

    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.description is not None
    assert evaluation.description.startswith("acme: sweep skipped: not certified complete: 1 record could not be read")


def test_an_unknown_status_word_is_a_warning_that_names_it(stage: DagsterHarness) -> None:
    odd: Any = {"status": "unknown", "carrier_status": "Frozen", "quality_flags": canonical_json([UNKNOWN_STATUS_FLAG])}
    stage.carrier.pages = [[a_sim(1), a_sim(2, **odd)]]

    evaluation = checks(stage.run())["status_words_are_known"]

    assert not evaluation.passed
    assert evaluation.metadata["acme"].value == "'Frozen' (1)"


def told_of_acme(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Return what the checks that failed say of the carrier."""
    said = {name: evaluation.metadata.get("acme") for name, evaluation in checks(result).items()}
    return {name: str(value.value) for name, value in said.items() if value is not None}


def a_held_night(stage: DagsterHarness) -> None:
    """Live through a night with 100 SIMs and one with half of them."""
    for size in (100, 50):
        stage.carrier.pages = paged(a_fleet(size), 50)
        stage.run()
        stage.clock.advance(60)


@pytest.mark.parametrize("what_then", ["opened", "failed", "paused", "parked", "superseded"])
def test_a_held_sweep_stays_unresolved_whatever_later_sessions_come_to(stage: DagsterHarness, what_then: str) -> None:
    a_held_night(stage)
    held = (
        "sweep held: 50 of 100 known SIMs (50.0 %) were missing at once, more than 5 % and 20; nothing was marked; "
        "`sim-sync sweep show acme` lists the SIMs, then approve or reject it"
    )
    assert told_of_acme(stage.run(carrier="other")) == {"walks_are_certified": held}

    bring_a_later_walk(stage, what_then)

    assert told_of_acme(stage.run(carrier="other"))["walks_are_certified"] == held


@pytest.mark.parametrize("choice", SweepChoice)
def test_a_held_sweep_is_resolved_by_whoever_decides_on_it(stage: DagsterHarness, choice: SweepChoice) -> None:
    a_held_night(stage)
    stage.warehouse.sessions.show_held_sweep("acme", most=1)
    stage.warehouse.sessions.decide_held_sweep("acme", OperatorDecision(choice, "ann"))
    assert passed(stage.run(carrier="other"))["walks_are_certified"]


def test_a_complete_walk_resolves_what_the_last_one_held(stage: DagsterHarness) -> None:
    a_held_night(stage)
    stage.carrier.pages = paged(a_fleet(100), 50)
    assert passed(stage.run())["walks_are_certified"]


def test_a_session_that_failed_is_a_warning_with_its_error_until_it_is_complete(stage: DagsterHarness) -> None:
    session = stage.opened_by("the first night", trigger=Trigger.NIGHTLY)
    stage.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="page 1: HTTP 401 for the account"))
    told = told_of_acme(stage.run(carrier="other"))
    assert told["no_session_has_failed"] == "failed after page 0: page 1: HTTP 401 for the account"
    assert told["carriers_are_fresh"] == "never walked to its end"
    assert told_of_acme(stage.run()) == {}


def test_a_carrier_without_a_completed_walk_for_too_long_is_not_fresh(stage: DagsterHarness) -> None:
    stage.run()
    stage.clock.advance(35 * 3600)
    stage.opened_by("a walk without an end", trigger=Trigger.NIGHTLY)
    assert told_of_acme(stage.run(carrier="other")) == {}
    stage.clock.advance(3 * 3600)
    told = told_of_acme(stage.run(carrier="other"))
    assert told.keys() == {"carriers_are_fresh"}
    assert told["carriers_are_fresh"].endswith("38 h ago; max_age_hours is 36")


def red_of(stage: DagsterHarness) -> dict[str, str]:
    """Return what the checks say of completed walks that do not pass."""
    found = {
        check.__name__: answer(check, cast(Config, stage.config), stage.warehouse)
        for checks in CHECKS.values()
        for check in checks
        if check.__name__ not in {"no_session_has_failed", "each_carrier_has_one_code_location"}
    }
    return {name: result.description or "" for name, result in found.items() if not result.passed}


@pytest.mark.parametrize("what_then", ["running", "paused", "parked", "failed", "superseded", "completed"])
def test_what_a_completed_walk_made_red_stays_so_and_names_the_later_one_until_a_good_one(
    stage: DagsterHarness, what_then: str
) -> None:
    odd: Any = {"status": "unknown", "carrier_status": "Frozen", "imsi": "12"}
    flags = canonical_json([UNKNOWN_STATUS_FLAG, "imsi_length"])
    stage.carrier.pages = [[a_sim(1, **odd, quality_flags=flags), a_sim(2), Unreadable()]]
    stage.config.inventory, stage.config.without_list = GivenList([("89445000000000000001", "acme", "active")]), {OTHER}
    stage.config.reconcile = Reconcile(max_discrepancies=1)
    stage.run()
    with stage.warehouse.engine.begin() as connection:
        connection.execute(session_internals.update().values(carrier_total=19))
    stage.clock.advance(40 * 3600)
    stage.run(carrier="other")
    red = red_of(stage)
    assert len(red) == 8, "all that speak of completed walks"

    match what_then:
        case "completed":
            stage.run()
            assert red_of(stage).keys() == red.keys() - {"carriers_are_fresh", "totals_agree"}
        case _:
            bring_a_later_walk(stage, what_then)
            assert {name: text.split("; since then, ")[1:] for name, text in red_of(stage).items()} == {
                name: [f"acme: a later walk is {'running' if what_then == 'superseded' else what_then} after page 0"]
                for name in red
            }
    stage.config.inventory = GivenList([(str(sim.iccid), "acme", "active") for sim in (a_sim(1), a_sim(2))])
    stage.carrier.pages = [[a_sim(1), a_sim(2)]]
    open_one = stage.warehouse.sessions.open_session_of("acme")
    if open_one is not None:
        event = Event.OWNER_LOST if open_one.state is State.RUNNING else Event.RELEASED_BY_OPERATOR
        stage.warehouse.sessions.move_by_operator("acme", event)
    stage.run()
    assert red_of(stage) == {}


def bring_a_later_walk(stage: DagsterHarness, state: str) -> None:
    """Open another walk, and bring it into this state."""
    session = stage.opened_by("the next night", trigger=Trigger.NIGHTLY)
    match state:
        case "failed":
            stage.warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))
        case "paused":
            stage.warehouse.sessions.release(session.claim, Release(Event.PAUSED_BY_OPERATOR))
        case "parked":
            stage.warehouse.sessions.release(session.claim, Release(Event.WAIT_TOO_LONG, wait_seconds=3600))
        case "superseded":
            stage.clock.advance(60)
            stage.opened_by("another one", trigger=Trigger.OPERATOR, restart=True)


def test_how_long_a_carrier_is_fresh_is_its_own_setting(stage: DagsterHarness) -> None:
    stage.run()
    stage.config.carriers["acme"].max_age_hours = 100
    stage.clock.advance(50 * 3600)
    assert told_of_acme(stage.run(carrier="other")) == {}


def test_records_in_quarantine_are_a_warning_until_a_complete_walk_could_read_them(stage: DagsterHarness) -> None:
    stage.carrier.pages = [[a_sim(1), Unreadable()]]
    stage.run()
    assert (
        told_of_acme(stage.run(carrier="other"))["every_record_was_read"]
        == "1 record could not be read; `sim-sync quarantine list` shows them"
    )
    stage.clock.advance(60)
    stage.opened_by("the next night", trigger=Trigger.NIGHTLY)
    assert (
        told_of_acme(stage.run(carrier="other"))["every_record_was_read"]
        == "1 record could not be read; `sim-sync quarantine list` shows them"
    )
    stage.warehouse.sessions.move_by_operator("acme", Event.OWNER_LOST)
    stage.carrier.pages = [[a_sim(1), a_sim(2)]]
    assert "every_record_was_read" not in told_of_acme(stage.run())


def test_that_no_discrepancy_is_open_is_told_only_of_what_was_compared(stage: DagsterHarness) -> None:
    told = checks(stage.run())["no_severe_discrepancy"]
    assert (told.passed, told.description) == (True, "nothing is compared: no inventory is configured")
    stage.config.inventory = GivenList([(str(sim.iccid), "acme", "active") for sim in a_fleet(10)])
    told = checks(stage.run())["no_severe_discrepancy"]
    assert (told.passed, told.description) == (True, "none is open; not compared yet: other")
    stage.config.without_list = {"other"}
    told = checks(stage.run())["no_severe_discrepancy"]
    assert (told.passed, told.description) == (True, "none is open; without a list of ours: other")


def test_a_severe_discrepancy_is_a_warning_with_its_number(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([("89445000000000000001", "other", "active")])

    evaluation = checks(stage.run())["no_severe_discrepancy"]

    # Ten active SIMs that nobody here knows of.
    assert (evaluation.passed, evaluation.metadata["acme"].value) == (False, 10)
    assert evaluation.description == "10 open differences of high severity at acme: see `sim-sync discrepancies`"


def test_too_many_open_discrepancies_are_a_warning_until_they_are_acknowledged(stage: DagsterHarness) -> None:
    stage.config.inventory = GivenList([("89445000000000000001", "other", "active")])
    stage.config.reconcile = Reconcile(max_discrepancies=9)
    assert told_of_acme(stage.run())["discrepancies_are_few"] == "10 open discrepancies, more than 9"
    acknowledge(stage.warehouse.engine, ["acme"], [str(a_sim(1).iccid)], by="eve")
    assert "discrepancies_are_few" not in told_of_acme(stage.run(carrier="other"))


def test_an_identifier_that_cannot_be_one_is_a_warning_with_its_sort(stage: DagsterHarness) -> None:
    odd: Any = {"imsi": "12", "quality_flags": canonical_json(["iccid_check_digit", "imsi_length"])}
    stage.carrier.pages = [[a_sim(1), a_sim(2, **odd), a_sim(3, **odd)]]
    assert told_of_acme(stage.run())["identifiers_are_sound"] == "IMSI (2)"


def test_a_total_that_its_walk_does_not_come_to_is_a_warning_also_while_a_later_one_is_open(
    stage: DagsterHarness,
) -> None:
    stage.run()
    with stage.warehouse.engine.begin() as connection:
        connection.execute(session_internals.update().values(carrier_total=19))
    said = "it says it has 19 SIMs, and its last complete walk saw 10"
    assert told_of_acme(stage.run(carrier="other"))["totals_agree"] == said
    stage.clock.advance(60)
    stage.opened_by("the next night", trigger=Trigger.NIGHTLY)
    assert told_of_acme(stage.run(carrier="other"))["totals_agree"] == said
