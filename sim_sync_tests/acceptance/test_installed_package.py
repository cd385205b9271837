"""The wheel, installed elsewhere and run from an empty folder: nothing of the checkout may be needed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sim_sync import __version__
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "sim_sync")


@dataclass
class Installed:
    """An installed package, and an empty folder to run it in."""

    package: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user of the installed package."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("SIM_SYNC_", "DAGSTER_"))}
        return own | {"PYTHONPATH": str(self.package)}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.package / "bin" / "sim-sync"), *arguments]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `sim-sync` to its end."""
        return run(*self.command(*arguments), cwd=self.folder, env=self.environment)

    @contextmanager
    def simulate(self, sims: int) -> Iterator[str]:
        """Run the simulated carrier of the installed package and yield its URL."""
        process = subprocess.Popen(
            self.command("simulate", "--quiet", "--sims", str(sims)),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 0


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `SIM_SYNC_WHEEL` names, or else one built from a copy of the sources, without the network."""
    if given := os.environ.get("SIM_SYNC_WHEEL"):
        return (PROJECT / given).resolve(strict=True)
    tree = tmp_path_factory.mktemp("tree")
    for name in _SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    built = run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", "dist", ".", cwd=tree)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def package(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in."""
    package = tmp_path_factory.mktemp("package")
    options = ("--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(package))
    installed = run(sys.executable, "-m", "pip", "install", *options, str(wheel), cwd=package)
    assert installed.returncode == 0, installed.stderr
    return package


@pytest.fixture
def installed(package: Path, tmp_path: Path) -> Installed:
    return Installed(package, tmp_path)


def test_the_installed_command_is_of_the_installed_package(installed: Installed) -> None:
    assert installed.run("--version").stdout == f"{__version__}\n"
    where = run(
        sys.executable,
        "-c",
        "import sim_sync; print(sim_sync.__file__)",
        cwd=installed.folder,
        env=installed.environment,
    )
    assert Path(where.stdout.strip()) == installed.package / "sim_sync" / "__init__.py"


def test_the_version_is_written_in_one_place(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == __version__
    assert "version" not in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_the_package_and_not_its_tests(package: Path) -> None:
    assert (package / "sim_sync" / "py.typed").exists()
    assert not (package / "sim_sync_tests").exists()
    shipped = {path.relative_to(package) for path in package.glob("sim_sync/**/*.py")}
    assert shipped == {path.relative_to(PROJECT) for path in PROJECT.glob("sim_sync/**/*.py")}


def test_from_an_empty_folder_a_carrier_is_checked_reconciled_and_told(installed: Installed) -> None:
    with installed.simulate(sims=25) as url:
        carrier = {"type": "twilio_super_sim", "base_url": url, "page_size": 10, "auth": dict(SIMULATED_CREDENTIALS)}
        (installed.folder / "carriers.yaml").write_text(yaml.safe_dump({"carriers": {"acme": carrier}}))
        checked = installed.run("check", "--json")
        assert (checked.returncode, checked.stderr) == (0, "")
        assert json.loads(checked.stdout)["carriers"][0]["ok"]

        filled = installed.run("backfill", "acme")
        assert (filled.returncode, filled.stderr) == (0, "")

    (session,) = json.loads(installed.run("status", "--json").stdout)
    assert (session["state"], session["pages_done"], session["records_seen"]) == ("completed", 3, 25)
