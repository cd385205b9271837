"""The sensor that sends alerts: a real tick, real receivers, and no wait for one that hangs."""

import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from sim_sync.config import Config, load_config
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Event, Release
from sim_sync.dagster import build_defs
from sim_sync.defs.jobs import Names
from sim_sync.defs.sensors import SEND_EVERY_SECONDS, build_send_alerts
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync_tests.defs.stage import wait_until
from sim_sync_tests.defs.test_build_defs import a_config
from sim_sync_tests.fakes.fleet import a_request
from sim_sync_tests.fakes.raw_server import RawServer, reply, serving


def with_alerts(folder: Path, **alerts: Any) -> Path:
    path = a_config(folder)
    document = yaml.safe_load(path.read_text(encoding="utf-8")) | {"alerts": alerts}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def tick(sensor: dg.SensorDefinition) -> str:
    """Let the sensor look once, as the daemon does; return what it says."""
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        data = sensor.evaluate_tick(context)
    assert not data.run_requests
    return data.skip_message or ""


def fail_the_session(warehouse: Warehouse) -> None:
    session = warehouse.sessions.open_session(a_request("run-1", Trigger.OPERATOR)).session
    warehouse.sessions.release(session.claim, Release(Event.GAVE_UP, error="HTTP 401"))


def sensor_of(path: Path, **options: Any) -> tuple[dg.SensorDefinition, Warehouse]:
    warehouse = open_warehouse(load_config(path).warehouse_url)

    def open_context() -> tuple[Config, Warehouse]:
        return load_config(path), warehouse

    return build_send_alerts(open_context, Names(), **options), warehouse


def events(server: RawServer) -> list[tuple[str, str]]:
    return [(request.json()["kind"], request.json()["event"]) for request in server.received]


def test_there_is_no_such_sensor_unless_alerts_are_configured(tmp_path: Path) -> None:
    repository = build_defs(a_config(tmp_path)).get_repository_def()
    assert [sensor.name for sensor in repository.sensor_defs] == ["resume_interrupted_syncs"]


def test_with_alerts_it_stands_beside_the_other_under_the_deployments_name(tmp_path: Path) -> None:
    path = with_alerts(tmp_path, webhook={"url": "http://127.0.0.1:9"})
    repository = build_defs(path, name_prefix="eu").get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {"eu_resume_interrupted_syncs", "eu_send_alerts"}
    sensor = repository.get_sensor_def("eu_send_alerts")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == SEND_EVERY_SECONDS == 30
    assert [one.name for one in build_defs(path, sensor=False).get_repository_def().sensor_defs] == []


def test_the_ticks_of_a_deployment_tell_an_event_once_and_its_end_once(tmp_path: Path) -> None:
    with serving(lambda _request: reply(200, {})) as server:
        path = with_alerts(tmp_path, webhook={"url": f"{server.url}/hook"}, on=["session_failed"])
        sensor = build_defs(path, name_prefix="eu").get_repository_def().get_sensor_def("eu_send_alerts")
        warehouse = open_warehouse(load_config(path).warehouse_url)
        fail_the_session(warehouse)
        assert tick(sensor) == "1 opened, 0 over, 1 message delivered"
        assert tick(sensor) == "0 opened, 0 over, 0 messages delivered"
        warehouse.sessions.move_by_operator("acme", Event.PAUSED_BY_OPERATOR)
        assert tick(sensor) == "0 opened, 1 over, 1 message delivered"
    assert events(server) == [("session_failed", "opened"), ("session_failed", "closed")]


def test_a_tick_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    may_answer = threading.Event()

    def hang(connection: Any) -> bool:
        may_answer.wait(60)
        connection.sendall(reply(200, {}))
        return False

    with serving(lambda _request: hang) as server:
        sensor, warehouse = sensor_of(
            with_alerts(tmp_path, webhook={"url": server.url}, on=["session_failed"]), tick_seconds=0.0
        )
        fail_the_session(warehouse)
        assert tick(sensor).startswith("a receiver takes long")
        wait_until(lambda: len(server.received) == 1)
        assert tick(sensor).startswith("a receiver takes long")  # and no second round began beside it
        may_answer.set()
        wait_until(lambda: tick(sensor) == "1 opened, 0 over, 1 message delivered")
        assert len(server.received) == 1


def test_a_dead_receiver_is_named_and_nothing_of_its_address_is(tmp_path: Path) -> None:
    path = with_alerts(tmp_path, webhook={"url": "http://127.0.0.1:9/s3cr3t-hook"}, on=["session_failed"])
    sensor, warehouse = sensor_of(path)
    fail_the_session(warehouse)
    told = tick(sensor)
    assert "not delivered: webhook: " in told
    assert "s3cr3t" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [("carriers: {}\n", "cannot look: "), (None, "has no section `alerts` any more")],
    ids=["broken", "without alerts"],
)
def test_a_configuration_that_has_changed_is_a_reason_to_skip(tmp_path: Path, text: str | None, told: str) -> None:
    path = with_alerts(tmp_path, webhook={"url": "http://127.0.0.1:9"})
    sensor, _ = sensor_of(path)
    if text is None:
        a_config(tmp_path)
    else:
        path.write_text(text, encoding="utf-8")
    assert told in tick(sensor)


def test_a_secret_that_is_not_set_stops_the_alerts_and_nothing_else(tmp_path: Path) -> None:
    path = with_alerts(tmp_path, webhook={"url": {"env": "NO_SUCH_ALERT_URL"}})
    repository = build_defs(path).get_repository_def()
    assert "NO_SUCH_ALERT_URL" in tick(repository.get_sensor_def("send_alerts"))
    assert tick(repository.get_sensor_def("resume_interrupted_syncs")) == (
        "no session is open at the carriers of this code location"
    )
