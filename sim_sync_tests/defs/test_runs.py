from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from sim_sync.core.opening import Trigger
from sim_sync.defs.runs import trigger_of, was_terminated
from sim_sync_tests.defs.stage import DagsterHarness

FAILURE, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED


def context_of(stage: DagsterHarness, run: dg.DagsterRun) -> Any:
    return SimpleNamespace(run=run, instance=stage.instance)


@pytest.mark.parametrize(
    ("tags", "trigger"),
    [
        ({"dagster/sensor_name": "resume_interrupted_syncs"}, Trigger.SENSOR),
        ({"dagster/schedule_name": "nightly_reconciliation"}, Trigger.NIGHTLY),
        ({"dagster/from_automation_condition": "true"}, Trigger.NIGHTLY),
        ({"dagster/auto_materialize": "true"}, Trigger.NIGHTLY),
        ({"dagster/from_ui": "true"}, Trigger.OPERATOR),
        ({"dagster/backfill": "abcdef"}, Trigger.OPERATOR),
        ({}, Trigger.OPERATOR),
    ],
)
def test_who_started_a_run_is_told_by_dagsters_own_tags(
    stage: DagsterHarness, tags: dict[str, str], trigger: Trigger
) -> None:
    assert trigger_of(context_of(stage, stage.stored_run(STARTED, tags=tags))) is trigger


def test_whoever_executes_a_run_again_is_a_person_whatever_tags_it_inherits(stage: DagsterHarness) -> None:
    parent = stage.stored_run(FAILURE, tags={"dagster/sensor_name": "resume_interrupted_syncs"})
    again = stage.stored_run(
        STARTED, parent_run_id=parent.run_id, tags={"dagster/sensor_name": "resume_interrupted_syncs"}
    )

    assert trigger_of(context_of(stage, again)) is Trigger.OPERATOR


@pytest.mark.parametrize(
    ("tags", "trigger"),
    [
        ({"dagster/sensor_name": "resume_interrupted_syncs"}, Trigger.SENSOR),
        ({"dagster/schedule_name": "nightly_reconciliation"}, Trigger.NIGHTLY),
        ({"dagster/from_ui": "true"}, Trigger.SENSOR),
        ({}, Trigger.SENSOR),
    ],
)
def test_an_automatic_retry_is_no_person_whoever_started_the_first_run(
    stage: DagsterHarness, tags: dict[str, str], trigger: Trigger
) -> None:
    parent = stage.stored_run(FAILURE, tags=tags)
    retry = stage.stored_run(STARTED, parent_run_id=parent.run_id, tags=tags | {"dagster/retry_number": "1"})
    second = stage.stored_run(STARTED, parent_run_id=retry.run_id, tags=tags | {"dagster/retry_number": "2"})

    assert [trigger_of(context_of(stage, run)) for run in (retry, second)] == [trigger, trigger]


def test_a_person_who_executes_an_automatic_retry_again_is_one_though_the_number_is_inherited(
    stage: DagsterHarness,
) -> None:
    tags = {"dagster/sensor_name": "resume_interrupted_syncs", "dagster/retry_number": "1"}
    parent = stage.stored_run(FAILURE, tags=tags)
    again = stage.stored_run(STARTED, parent_run_id=parent.run_id, tags=tags)

    assert trigger_of(context_of(stage, again)) is Trigger.OPERATOR


def test_only_a_person_terminates(stage: DagsterHarness) -> None:
    terminated, outlived, deployed = (stage.stored_run(STARTED) for _ in range(3))
    stage.instance.report_run_canceling(terminated)
    stage.instance.report_run_canceling(outlived, message="Canceling due to exceeding maximum runtime of 60 seconds.")
    stage.instance.report_run_canceling(outlived)
    stage.instance.report_run_canceled(deployed)

    assert [was_terminated(stage.instance, run.run_id) for run in (terminated, outlived, deployed)] == [
        True,
        False,
        False,
    ]


def test_dagsters_run_monitoring_says_that_it_ends_a_run_for_its_age() -> None:
    """The text that tells it from a person is Dagster's own; this fails when a new version words it otherwise."""
    import inspect

    from dagster._daemon.monitoring.run_monitoring import check_run_timeout

    assert "exceeding maximum runtime" in inspect.getsource(check_run_timeout)
