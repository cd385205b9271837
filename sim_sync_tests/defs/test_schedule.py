from datetime import UTC, datetime

import dagster as dg
import pytest

from sim_sync.config import Schedule
from sim_sync.defs.jobs import Names, build_nightly_reconciliation, build_reconcile_carrier, carrier_partitions
from sim_sync_tests.defs.stage import DagsterHarness


def requests(stage: DagsterHarness, night: datetime) -> list[dg.RunRequest]:
    with dg.build_schedule_context(
        instance=stage.instance,
        scheduled_execution_time=night,
        repository_def=stage.definitions.get_repository_def(),
    ) as context:
        return list(stage.schedule.evaluate_tick(context).run_requests or [])


def test_every_carrier_gets_one_run_a_night(stage: DagsterHarness) -> None:
    found = requests(stage, datetime(2026, 3, 2, 2, 0, tzinfo=UTC))

    assert [(request.partition_key, request.run_key, request.tags["sim_sync/carrier"]) for request in found] == [
        ("acme", "acme:2026-03-02T02:00", "acme"),
        ("other", "other:2026-03-02T02:00", "other"),
    ]


def test_another_night_has_other_run_keys(stage: DagsterHarness) -> None:
    nights = [datetime(2026, 3, day, 2, 0, tzinfo=UTC) for day in (2, 3)]

    keys = [{request.run_key for request in requests(stage, night)} for night in nights]
    assert keys[0].isdisjoint(keys[1])


@pytest.mark.parametrize(("cron", "timezone"), [("0 2 * * *", "Europe/Berlin"), ("*/5 * * * *", "UTC")])
def test_it_ticks_as_the_config_says(cron: str, timezone: str) -> None:
    job = build_reconcile_carrier(carrier_partitions(["acme"]), Names())

    schedule = build_nightly_reconciliation(job, ["acme"], Schedule(cron=cron, timezone=timezone), Names())

    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, timezone)
