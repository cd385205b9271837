"""Runs that Dagster's launcher makes Jobs of Kubernetes, by the instance of `deploy/kubernetes`, on a played cluster.

The pod of one carrier is killed, and a person ends the next one; that of the other carrier waits long for a node.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sim_sync.core.session import State
from sim_sync.simulator.control import RunningSimulator, running_simulator
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.deploy.files import KUBERNETES, document, storage_environment
from sim_sync_tests.fakes.containers import needs_namespaces
from sim_sync_tests.fakes.databases import fresh_postgres_database
from sim_sync_tests.stories.place import Workspace, a_carrier

pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed")
pytest.importorskip("dagster_postgres", reason="dagster-postgres is not installed")
pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

from sim_sync_tests.fakes.kubernetes_api import KubernetesApi, Pod, running_kubernetes_api

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_namespaces]

KILLED, LATE = "killed", "late"
PAGES, LATENCY_MS = 300, 500.0
IMAGE = "registry.example/sim-sync:1"
#: So long does a pod wait for its node.
WAIT_SECONDS = 120
LONG_LEASE_SECONDS = 600


class Cluster:
    """The place, the carriers, and the API server whose nodes are all taken for one of them until somebody says so."""

    def __init__(self, place: Workspace, carriers: RunningSimulator) -> None:
        self.place, self.carriers = place, carriers
        self.has_room = False
        self.api = KubernetesApi(
            place.folder / "kubernetes",
            own_folders=[place.folder / "dagster_home"],
            environment=place.environment,
            has_a_node=lambda job: self.has_room or self._carrier(job) != LATE,
        )

    def _carrier(self, job: Mapping[str, Any]) -> str:
        return self.place.run(Pod(job).run_id).tags["dagster/partition"]

    def pod(self, run_id: str | None) -> Pod:
        pod = self.api.pod_of(str(run_id))
        assert pod is not None
        return pod


@pytest.fixture
def cluster(
    tmp_path: Path, postgres_url: str, postgres_server_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    mounts = [MountOptions(name=name, sims=PAGES * 10, latency_ms=LATENCY_MS) for name in (KILLED, LATE)]
    with running_simulator(*mounts) as carriers, fresh_postgres_database(postgres_server_url) as dagsters:
        for name, value in storage_environment(dagsters).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DAGSTER_CURRENT_IMAGE", IMAGE)
        settings = {name: a_carrier(carriers.base_urls[name]) for name in (KILLED, LATE)}
        # Nobody waits for this lease: that the pod is gone is known before.
        settings[KILLED]["lease_seconds"] = LONG_LEASE_SECONDS
        place = Workspace(tmp_path, carriers, postgres_url, extra_carriers=settings)
        cluster = Cluster(place, carriers)
        instance = document(KUBERNETES / "instance" / "dagster.yaml")
        own = {"load_incluster_config": False, "kubeconfig_file": str(cluster.api.kubeconfig)}
        instance["run_launcher"]["config"] |= own
        with running_kubernetes_api(cluster.api):
            place.write_dagster_yaml(instance)
            assert place.ticks() == []  # its tables are there before two programs open it side by side
            yield cluster
        place.warehouse.close()


def test_a_pod_that_is_killed_ended_or_late_costs_its_walk_nothing(cluster: Cluster) -> None:
    place = cluster.place
    for name in (KILLED, LATE):
        place.leave_interrupted(name)
    with place.daemon():
        # Killed: Dagster asks for the pod's health, and the sensor for another run.
        first = place.wait_for_pages(3, KILLED)
        cluster.pod(first.owner).kill()
        place.wait_for_run(str(first.owner), dg.DagsterRunStatus.FAILURE)
        stopped = place.session(KILLED)
        assert stopped is not None
        second = place.wait_for_pages(stopped.pages_done + 1, KILLED)
        assert (second.session_id, second.fence) == (first.session_id, stopped.fence + 1)

        # Ended by a person: paused, and nobody continues it by himself.
        with place.instance() as instance:
            assert instance.run_launcher.terminate(str(second.owner)) is True
        place.wait_for_state(State.PAUSED, KILLED)
        place.wait_for_run(str(second.owner), dg.DagsterRunStatus.CANCELED)
        for name in (KILLED, LATE):
            cluster.carriers.carrier(name).set_latency(0)
        assert place.sim_sync("resume", KILLED).returncode == 0
        completed = place.wait_for_state(State.COMPLETED, KILLED)
        assert (completed.session_id, completed.pages_done) == (first.session_id, PAGES)

        # Late: it was waited for all the while.
        (late,) = place.runs(LATE)
        assert late.status is dg.DagsterRunStatus.STARTING
        with place.instance() as instance:
            begun = instance.get_run_records(dg.RunsFilter([late.run_id]))[0].create_timestamp
        seconds = WAIT_SECONDS - (datetime.now(UTC) - begun).total_seconds()
        place.wait_for(lambda: begun_long_ago(begun), "the time that a node may take", seconds=max(seconds, 0) + 60)
        cluster.has_room = True
        cluster.api.place_pods()
        walked = place.wait_for_state(State.COMPLETED, LATE)
        assert (walked.owner, walked.pages_done, len(place.runs(LATE))) == (late.run_id, PAGES, 1)

    assert cluster.api.refused == []  # every Job was valid
    images = {pod.job["spec"]["template"]["spec"]["containers"][0]["image"] for pod in cluster.api.pods}
    assert images == {IMAGE}


def begun_long_ago(begun: datetime) -> bool | None:
    return True if (datetime.now(UTC) - begun).total_seconds() >= WAIT_SECONDS else None
