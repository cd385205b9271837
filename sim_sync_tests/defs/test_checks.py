from typing import Any

import dagster as dg

from sim_sync.core.pages import canonical_json
from sim_sync.core.sims import UNKNOWN_STATUS_FLAG
from sim_sync.inventory import Inventory
from sim_sync_tests.defs.stage import Stage
from sim_sync_tests.fakes.carrier import Unreadable, paged
from sim_sync_tests.fakes.fleet import a_fleet, a_sim


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def passed(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {name: evaluation.passed for name, evaluation in checks(result).items()}


def test_after_a_good_night_all_checks_pass(stage: Stage) -> None:
    assert passed(stage.run()) == {
        "walks_are_certified": True,
        "status_words_are_known": True,
        "no_severe_discrepancy": True,
    }


def test_a_walk_that_marked_nothing_is_a_warning_that_says_why(stage: Stage) -> None:
    stage.carrier.pages = [[a_sim(1), Unreadable()]]

    evaluation = checks(stage.run())["walks_are_certified"]

    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.description is not None
    assert evaluation.description.startswith(
        "walks that marked nothing: acme: skipped: not certified complete: 1 records could not be read"
    )


def test_an_unknown_status_word_is_a_warning_that_names_it(stage: Stage) -> None:
    odd: Any = {"status": "unknown", "carrier_status": "Frozen", "quality_flags": canonical_json([UNKNOWN_STATUS_FLAG])}
    stage.carrier.pages = [[a_sim(1), a_sim(2, **odd)]]

    evaluation = checks(stage.run())["status_words_are_known"]

    assert not evaluation.passed
    assert evaluation.metadata["acme"].value == "'Frozen' (1)"


def test_a_carrier_that_is_well_does_not_hide_another_one_that_is_not(stage: Stage) -> None:
    stage.carrier.pages = [[a_sim(1), Unreadable()]]
    stage.run()
    other = stage.config.carriers["other"].carrier
    other.pages = paged(a_fleet(2), 2)

    job = stage.definitions.resolve_job_def("reconcile_carrier")
    result = job.execute_in_process(partition_key="other", instance=stage.instance, resources=stage.resources)

    assert list(checks(result)["walks_are_certified"].metadata) == ["acme"]


def test_a_severe_discrepancy_is_a_warning_with_its_number(stage: Stage) -> None:
    stage.config.inventory = Inventory(rows=[], findings=[], unknown_status_words={}, unknown_carriers={})

    evaluation = checks(stage.run())["no_severe_discrepancy"]

    # Ten active SIMs that nobody here knows of.
    assert (evaluation.passed, evaluation.metadata["acme"].value) == (False, "10")
