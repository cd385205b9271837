"""Every manifest, and every Job that the launcher makes by the shipped instance, is what Kubernetes takes."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import yaml

from sim_sync.config import load_config
from sim_sync_tests.deploy.files import KUBERNETES, document, documents, needs, run

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

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
