"""Every manifest, and every Job that the launcher makes by the shipped instance, is what Kubernetes takes."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from sim_sync.config import load_config
from sim_sync_tests.deploy.files import KUBERNETES, document, documents, needs, run

pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

import kubernetes_validate

from sim_sync_tests.fakes.kubernetes_api import client_settings

#: Those of today, and of a cluster that nobody has renewed for two years.
VERSIONS = ("1.31", "1.37")
FOLDERS = (KUBERNETES / "instance", KUBERNETES / "services")


def manifests() -> Sequence[dict[str, Any]]:
    """Return what the kustomizations name."""
    listed = [folder / name for folder in FOLDERS for name in document(folder / "kustomization.yaml")["resources"]]
    return list(documents(*listed))


def named(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def pods(found: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Return what the manifests say of their pods."""
    return [one["spec"]["template"]["spec"] for one in found if one["kind"] in {"Deployment", "Job"}]


def validate(manifest: dict[str, Any]) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("manifest", manifests(), ids=named)
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    validate(manifest)


@pytest.mark.parametrize("manifest", [one for one in manifests() if one["kind"] == "Deployment"], ids=named)
def test_a_typo_in_a_manifest_is_refused(manifest: dict[str, Any]) -> None:
    wrong = copy.deepcopy(manifest)
    container = wrong["spec"]["template"]["spec"]["containers"][0]
    container["argz"] = container.pop("args")
    with pytest.raises(kubernetes_validate.ValidationError, match="argz"):
        validate(wrong)


@needs("kubectl")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kubectl_makes_valid_manifests_with_the_chosen_image_of_a_kustomization(folder: Any) -> None:
    made = run(["kubectl", "kustomize", str(folder)])
    assert made.returncode == 0, made.stderr
    found = list(yaml.safe_load_all(made.stdout))
    for manifest in found:
        validate(manifest)
    assert {pod["containers"][0]["image"] for pod in pods(found)} == {"registry.example/sim-sync:1"}


def test_there_is_one_daemon_also_while_a_new_one_replaces_it() -> None:
    (daemon,) = [one["spec"] for one in manifests() if named(one) == "Deployment-sim-sync-daemon"]
    assert (daemon["replicas"], daemon["strategy"]) == (1, {"type": "Recreate"})


def test_what_the_pods_refer_to_is_there_or_made_by_hand() -> None:
    made = {one["name"] for one in document(KUBERNETES / "instance" / "kustomization.yaml")["configMapGenerator"]}
    accounts = {one["metadata"]["name"] for one in manifests() if one["kind"] == "ServiceAccount"}
    for pod in pods(manifests()):
        assert pod["serviceAccountName"] in accounts
        assert {volume["configMap"]["name"] for volume in pod["volumes"]} <= made
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        assert container["envFrom"] == [
            {"configMapRef": {"name": "sim-sync-environment"}},
            {"secretRef": {"name": "sim-sync-secrets"}},
        ]


def test_runs_have_the_image_of_the_code_server_and_the_id_changes_with_it() -> None:
    (image,) = document(KUBERNETES / "services" / "kustomization.yaml")["images"]
    chosen = f"{image['newName']}:{image['newTag']}"
    (code,) = [one["spec"]["template"]["spec"] for one in manifests() if named(one) == "Deployment-sim-sync-code"]
    (container,) = code["containers"]
    assert {"name": "DAGSTER_CURRENT_IMAGE", "value": chosen} in container["env"]
    assert f"--fixed-server-id=sim-sync-{image['newTag']}" in container["args"]


def test_no_secret_is_in_a_manifest_and_carriers_are_configured_by_reference() -> None:
    assert [named(one) for one in manifests() if one["kind"] == "Secret"] == []
    by_hand = dict.fromkeys(("INVENTORY_URL",), "postgresql://host/list")
    by_hand |= {"TWILIO_SID": "AC51500000000000000000000000000515", "TWILIO_TOKEN": "word"}
    config = load_config(KUBERNETES / "instance" / "carriers.yaml", environ=by_hand)
    assert config.carrier("twilio-eu").name == "twilio-eu"


# The Jobs of runs


def job_by(settings: dict[str, Any], home: Path) -> dict[str, Any]:
    """Return the Job that the launcher of an instance makes of a run."""
    kubernetes = pytest.importorskip("kubernetes", reason="dagster-k8s is not installed")
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job

    (home / "kubeconfig").write_text(yaml.safe_dump(client_settings(port=1)), encoding="utf-8")
    own = {"load_incluster_config": False, "kubeconfig_file": str(home / "kubeconfig")}
    settings["run_launcher"]["config"] |= own
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    launcher: Any = InstanceRef.from_dir(str(home)).run_launcher
    context = K8sContainerContext.create_for_run(dg.DagsterRun("reconcile_carrier"), launcher, include_run_tags=False)
    made = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config("registry.example/sim-sync:1", launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    )
    return dict(kubernetes.client.ApiClient().sanitize_for_serialization(made))


def test_the_job_of_a_run_is_valid_and_has_what_the_other_pods_have(tmp_path: Path) -> None:
    job = job_by(document(KUBERNETES / "instance" / "dagster.yaml"), tmp_path)
    validate(job)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (code,) = [one["spec"]["template"]["spec"] for one in manifests() if named(one) == "Deployment-sim-sync-code"]
    assert (spec["restartPolicy"], job["spec"]["backoffLimit"]) == ("Never", 0)  # sim_sync continues, not the Job
    assert spec["terminationGracePeriodSeconds"] == 120
    for name in ("serviceAccountName", "automountServiceAccountToken", "securityContext"):
        assert spec[name] == code[name]
    for name in ("resources", "securityContext"):
        assert container[name] == code["containers"][0][name]
    references = [{**one} for source in container["envFrom"] for one in source.values()]
    assert [one["name"] for one in references] == ["sim-sync-environment", "sim-sync-secrets"]


@pytest.mark.parametrize("section", ["pod_spec_config", "container_config", "job_spec_config"])
def test_a_typo_in_what_the_instance_says_of_its_jobs_is_refused(section: str, tmp_path: Path) -> None:
    settings = document(KUBERNETES / "instance" / "dagster.yaml")
    settings["run_launcher"]["config"]["run_k8s_config"][section]["secority_context"] = {}
    with pytest.raises(Exception, match="secority_context"):
        job_by(settings, tmp_path)
