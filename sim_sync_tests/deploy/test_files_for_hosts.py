"""What `deploy/hosts` and `deploy/compose` ship is what HAProxy, systemd, compose and Dagster take."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from sim_sync_tests.deploy.files import COMPOSE, HOSTS, KUBERNETES, PROJECT, document, needs, run

UNITS = sorted((HOSTS / "systemd").glob("*.service"))
_VARIABLE = re.compile(r"\$\{(\w+)")
_DIRECTIVE = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


def directives(unit: Path) -> dict[str, str]:
    return dict(_DIRECTIVE.findall(unit.read_text(encoding="utf-8")))


# HAProxy and systemd


def haproxy_says(text: str, folder: Path) -> tuple[int, str]:
    config = folder / "haproxy.cfg"
    config.write_text(text, encoding="utf-8")
    checked = run(["haproxy", "-c", "-f", str(config)])
    return checked.returncode, checked.stderr


@needs("haproxy")
def test_haproxy_takes_its_file_and_refuses_a_typo(tmp_path: Path) -> None:
    text = (HOSTS / "haproxy.cfg").read_text(encoding="utf-8")
    assert haproxy_says(text, tmp_path)[0] == 0
    code, said = haproxy_says(text.replace("option redispatch", "option redispach"), tmp_path)
    assert (code, "redispach" in said) == (1, True)


def units_as_installed(folder: Path) -> list[str]:
    """Return the units as they are where sim_sync is installed in this environment instead of in /opt."""
    installed = f"ExecStart={Path(sys.executable).parent}/"
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("ExecStart=/opt/sim-sync/bin/", installed)
        (folder / unit.name).write_text(text, encoding="utf-8")
    return [str(folder / unit.name) for unit in UNITS]


@needs("systemd-analyze")
def test_systemd_takes_the_units_and_finds_a_typo(tmp_path: Path) -> None:
    units = units_as_installed(tmp_path)
    checked = run(["systemd-analyze", "verify", *units])
    ours = [line for line in checked.stderr.splitlines() if "sim-sync" in line]
    assert (checked.returncode, ours) == (0, [])
    wrong = Path(units[0])
    wrong.write_text(wrong.read_text(encoding="utf-8").replace("Restart=always", "Restart=allways"), encoding="utf-8")
    assert "allways" in run(["systemd-analyze", "verify", str(wrong)]).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_runs_a_program_that_is_installed_as_a_user_of_its_own(unit: Path) -> None:
    told = directives(unit)
    assert (told["User"], told["EnvironmentFile"]) == ("sim-sync", "/etc/sim-sync/sim-sync.env")
    program = Path(told["ExecStart"].split()[0])
    assert program.parent == Path("/opt/sim-sync/bin")
    assert (Path(sys.executable).parent / program.name).exists()


def test_every_variable_of_the_units_and_of_the_instance_is_in_the_environment_file() -> None:
    set_there = set(re.findall(r"^(\w+)=", (HOSTS / "sim-sync.env").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for unit in UNITS for name in _VARIABLE.findall(unit.read_text(encoding="utf-8"))}
    named |= set(re.findall(r"\{env: (\w+)\}", (HOSTS / "dagster.yaml").read_text(encoding="utf-8")))
    assert len(named) > 4
    assert named <= set_there


def test_the_code_servers_listen_where_the_balancer_looks_and_dagster_asks_the_balancer() -> None:
    balancer = (HOSTS / "haproxy.cfg").read_text(encoding="utf-8")
    servers = re.findall(r"^    server (\S+) \S+:(\d+)$", balancer, re.MULTILINE)
    (bound,) = re.findall(r"^    bind (\S+):(\d+) proto h2$", balancer, re.MULTILINE)
    (code,) = [directives(unit)["ExecStart"] for unit in UNITS if unit.name == "sim-sync-code.service"]
    (location,) = document(HOSTS / "workspace.yaml")["load_from"]
    assert len(servers) >= 2
    assert {port for _, port in servers} == set(re.findall(r"--port (\d+)", code))
    assert bound == (location["grpc_server"]["host"], str(location["grpc_server"]["port"]))
    assert "--fixed-server-id" in code


@pytest.mark.parametrize("folder", [HOSTS, COMPOSE, KUBERNETES / "instance"], ids=lambda folder: folder.name)
def test_the_code_location_has_the_same_name_in_every_way_of_deploying(folder: Path) -> None:
    (location,) = document(folder / "workspace.yaml")["load_from"]
    (here,) = document(PROJECT / "workspace.yaml")["load_from"]
    assert location["grpc_server"]["location_name"] == here["python_module"]["location_name"]


# Compose


def test_every_container_has_a_pinned_image_a_check_of_its_health_and_no_password_in_the_file() -> None:
    composed = document(COMPOSE / "compose.yaml")
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    for name, service in composed["services"].items():
        assert re.fullmatch(r"[\w/.-]+:\d[\w.-]*", service["image"]), name
    # The code server's check is that of the image.
    assert {name for name, service in composed["services"].items() if "healthcheck" not in service} == {"code"}
    passwords = re.findall(r"PASSWORD: (.*)$|://\w+:([^@]*)@", text, re.MULTILINE)
    assert passwords
    assert {one or other for one, other in passwords} == {"${POSTGRES_PASSWORD:?say which}"}


def test_every_file_that_compose_mounts_or_builds_from_is_there() -> None:
    composed = document(COMPOSE / "compose.yaml")
    mounted = {
        volume.split(":")[0]
        for service in composed["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    }
    assert len(mounted) == 3
    assert [path for path in mounted if not (COMPOSE / path).exists()] == []
    build = composed["services"]["migrate"]["build"]
    assert (COMPOSE / build["context"] / build["dockerfile"]).resolve() == COMPOSE / "Dockerfile"


@needs("docker")
def test_compose_takes_its_file() -> None:
    if run(["docker", "compose", "version"]).returncode != 0:
        pytest.skip("docker has no compose here")
    settings = ["env", "POSTGRES_PASSWORD=word", "SIM_SYNC_FOLDER=/etc/sim-sync"]
    checked = run([*settings, "docker", "compose", "-f", str(COMPOSE / "compose.yaml"), "config", "--quiet"])
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_image_is_slim_pinned_of_nobodys_rights_and_tells_its_health() -> None:
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert "\nHEALTHCHECK " in text
    assert "PIP_CONSTRAINT=/build/constraints.txt" in text
    copied = [name for names in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in names.split()]
    assert [name for name in copied if not (PROJECT / name).exists()] == []


@pytest.mark.slow
@needs("docker")
def test_the_image_builds() -> None:
    if run(["docker", "info"]).returncode != 0:
        pytest.skip("no container builder answers here")
    command = ["docker", "build", "--quiet", "--file", str(COMPOSE / "Dockerfile"), str(PROJECT)]
    assert run(command, timeout_seconds=280).returncode == 0


# The instances


def test_all_instances_decide_alike() -> None:
    """What differs is where runs are kept, and what launches them."""
    differ = {"storage", "local_artifact_storage", "compute_logs", "run_launcher"}
    hosts, pods = (document(folder / "dagster.yaml") for folder in (HOSTS, KUBERNETES / "instance"))
    assert hosts == {name: value for name, value in pods.items() if name != "run_launcher"}
    desk = document(PROJECT / "dagster.yaml")
    for settings in (hosts, desk):
        settings["concurrency"]["runs"].pop("max_concurrent_runs")
        for name in ("start_timeout_seconds", "poll_interval_seconds"):
            settings["run_monitoring"].pop(name)
    more = {"schedules", "sensors"}
    assert {name: value for name, value in hosts.items() if name not in differ | more} == {
        name: value for name, value in desk.items() if name not in differ
    }


def test_the_webserver_uses_a_driver_that_it_works_with() -> None:
    for folder in (HOSTS, KUBERNETES / "instance"):
        assert document(folder / "dagster.yaml")["storage"]["postgres"]["postgres_db"]["scheme"] == (
            "postgresql+psycopg2"
        )


def test_no_file_of_a_deployment_names_a_registry_or_a_host_that_exists() -> None:
    """What is to be replaced is from the names and addresses that are set aside for documents."""
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in (PROJECT / "deploy").rglob("*")
        if path.is_file() and "grafana" not in path.parts
    }
    addresses = {found for text in texts.values() for found in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)}
    assert {one for one in addresses if not one.startswith(("192.0.2.", "127.0.0."))} == {"0.0.0.0"}  # noqa: S104
    assert any("registry.example/" in text for text in texts.values())


def test_yaml_files_say_each_thing_once() -> None:
    """A key that is there twice is taken once by YAML, without a word."""
    for path in (PROJECT / "deploy").rglob("*.yaml"):
        for node in yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader):
            assert list(_repeated(node)) == [], path


def _repeated(node: yaml.Node | None) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [name for value in node.value for name in _repeated(value)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    below = [name for _, value in node.value for name in _repeated(value)]
    return [key for key in set(keys) if keys.count(key) > 1] + below
