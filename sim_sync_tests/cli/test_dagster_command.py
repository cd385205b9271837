import tomllib
from pathlib import Path

import pytest
import yaml

from sim_sync.cli.dagster_command import dagster_arguments
from sim_sync.core.errors import InputError
from sim_sync_tests.cli.desk import PROJECT

EXECUTE = ("job", "execute")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace.yaml"
    path.write_text("load_from: [{python_module: {module_name: ours.definitions, working_directory: here}}]")
    return path


@pytest.mark.parametrize("option", [["-w", "{}"], ["--workspace", "{}"], ["--workspace={}"]])
def test_job_execute_gets_the_module_of_its_workspace_file(workspace: Path, option: list[str]) -> None:
    given = [*EXECUTE, *(part.format(workspace) for part in option), "-j", "reconcile_carrier"]
    module = ["-m", "ours.definitions", "-d", "here"]
    assert dagster_arguments(given) == [*EXECUTE, *module, "-j", "reconcile_carrier"]


def test_a_module_without_a_folder_is_looked_for_here(workspace: Path) -> None:
    workspace.write_text("load_from: [{python_module: ours.definitions}]")
    given = [*EXECUTE, "-w", str(workspace)]
    assert dagster_arguments(given) == [*EXECUTE, "-m", "ours.definitions", "-d", "."]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dev", "-w", "workspace.yaml"),
        ("job", "launch", "-w", "workspace.yaml"),
        ("job", "execute", "-m", "ours.definitions", "-j", "reconcile_carrier"),
        ("job", "execute", "-j", "x", "--tags", '{"-w": "workspace.yaml"}'),
    ],
)
def test_everything_else_is_handed_on_as_it_is(arguments: tuple[str, ...]) -> None:
    assert list(dagster_arguments(arguments)) == list(arguments)


@pytest.mark.parametrize("text", ["load_from: []", "load_from: [{grpc_server: {port: 1}}]", "a list", "- [", "{}"])
def test_a_workspace_of_something_else_is_refused(workspace: Path, text: str) -> None:
    workspace.write_text(text)
    with pytest.raises(InputError, match="expected one `python_module`"):
        dagster_arguments([*EXECUTE, "-w", str(workspace)])


def test_a_workspace_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        dagster_arguments([*EXECUTE, "-w", str(tmp_path / "nowhere.yaml")])


def test_our_own_workspace_is_one_module() -> None:
    given = [*EXECUTE, "-w", str(PROJECT / "workspace.yaml")]
    assert dagster_arguments(given) == [*EXECUTE, "-m", "sim_sync.definitions", "-d", "."]
    # Dagster prefers what stands here where no workspace file is named.
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["dagster"]["module_name"] == "sim_sync.definitions"
    location = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    assert location["location_name"] == "sim_sync"
