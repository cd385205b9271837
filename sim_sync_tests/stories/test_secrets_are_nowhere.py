"""A search of everything that a sync leaves behind, for every secret that it was given, got, or was sent."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import yaml

from sim_sync.simulator.control import running_simulator
from sim_sync.simulator.credentials import SECRET_MARKS, simulated_credentials
from sim_sync.simulator.faults import ErrorStatus, MalformedRecord, Throttled, Trigger
from sim_sync.simulator.messages import MountOptions
from sim_sync_tests.stories.every_carrier import CASES, Case

_PATIENCE_SECONDS = 240
#: Names of accounts: told apart in the config, and no secret.
_NO_SECRETS = frozenset({"username", "client_id", "auth_key_id", "type", "token_url", "name"})
_SHOWN = [case for case in CASES if case.type != "rest" or case.name.endswith("number")]

#: Runs the job for each carrier in one process: the start of Dagster is what takes long.
_SCRIPT = """
import sys
from sim_sync.definitions import reconcile_carrier
from sim_sync.defs.launch import run_in_this_process
for carrier in sys.argv[1:]:
    ended = run_in_this_process(reconcile_carrier, carrier, restart=False, max_pages=None)
    print(carrier, ended.succeeded, *ended.messages, sep="\\n")
"""


@pytest.mark.slow
def test_no_secret_is_in_the_warehouse_the_event_log_the_run_logs_or_anything_printed(tmp_path: Path) -> None:
    mounts = [
        MountOptions(name=f"m{number}", vendor=case.type, sims=300, options=dict(case.options))
        for number, case in enumerate(_SHOWN)
    ]
    with running_simulator(*mounts) as simulator:
        carriers: dict[str, dict[str, Any]] = {}
        for number, case in enumerate(_SHOWN):
            carrier = case.carrier(simulator.base_urls[f"m{number}"])
            carriers[f"c{number}"] = carrier
            carriers[f"c{number}-refused"] = carrier | {"auth": _wrong(carrier["auth"])}
            control = simulator.carrier(f"m{number}")
            control.arm(ErrorStatus(status=503))
            control.arm(Throttled(wait_seconds=0), Trigger(nth=2))
            control.arm(MalformedRecord(form="no_id"), Trigger(nth=3))
        folder = tmp_path / "place"
        printed = _run_everything(folder, carriers)
    assert printed.count("True") == len(_SHOWN)
    assert printed.count("False") == len(_SHOWN)
    secrets = set(_secrets_of(carriers))
    assert len(secrets) > 40
    leaks = [
        f"{name}: {secret}"
        for name, content in _left_behind(folder, printed)
        for secret in secrets
        if secret in content
    ]
    assert leaks == []


def _run_everything(folder: Path, carriers: Mapping[str, Any]) -> str:
    """Sync every carrier, ask every command, and return all that was printed."""
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    config = folder.parent / "carriers.yaml"
    config.write_text(yaml.safe_dump({"carriers": dict(carriers)}), encoding="utf-8")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(folder / "home"),
        "SIM_SYNC_CONFIG": str(config),
        "SIM_SYNC_WAREHOUSE_URL": f"sqlite:///{folder / 'warehouse.db'}",
        "SIM_SYNC_STATE_DIR": str(folder / "state"),
    }
    commands = [["-c", _SCRIPT, *carriers], *(["-m", "sim_sync", *words] for words in _COMMANDS)]
    printed = []
    for command in commands:
        ended = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        printed += [ended.stdout, ended.stderr]
    return "\n".join(printed)


_COMMANDS = [["status"], ["status", "--json"], ["check"], ["check", "--json"], ["discrepancies", "--format", "csv"]]


def _wrong(auth: Mapping[str, Any]) -> dict[str, Any]:
    """Return credentials that the carrier refuses, and that are secrets all the same."""
    return {name: value if name in _NO_SECRETS else f"wrong-{value}" for name, value in auth.items()}


def _secrets_of(carriers: Mapping[str, Any]) -> Iterator[str]:
    """Yield every secret in every form in which it travels; those that a carrier issues or lists begin with a mark."""
    yield from SECRET_MARKS
    for carrier in carriers.values():
        auth = carrier["auth"]
        for name, value in auth.items():
            if name not in _NO_SECRETS:
                yield from {value, quote_plus(value), base64.b64encode(value.encode()).decode().rstrip("=")}
        for user in ("username", "client_id"):
            for password in ("password", "client_secret", "api_key"):
                if user in auth and password in auth:
                    pair = f"{auth[user]}:{auth[password]}"
                    yield base64.b64encode(pair.encode()).decode().rstrip("=")
        if carrier["type"] == "hologram":
            yield base64.b64encode(f"apikey:{auth['api_key']}".encode()).decode().rstrip("=")


def _left_behind(folder: Path, printed: str) -> Iterator[tuple[str, str]]:
    """Yield what was printed, and the content of every file that was written."""
    yield "what was printed", printed
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "warehouse.db" for path in found)
    assert any("storage" in path.parts and path.suffix in {".out", ".err"} for path in found)
    for path in found:
        yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", errors="replace")


def test_the_search_would_find_a_secret_that_was_written(tmp_path: Path) -> None:
    case: Case = _SHOWN[0]
    secrets = set(_secrets_of({"c": case.carrier("http://127.0.0.1")}))
    assert simulated_credentials(case.type)["password"] in secrets
    (tmp_path / "home" / "storage").mkdir(parents=True)
    (tmp_path / "home" / "storage" / "a.out").write_text("simulated-password", encoding="utf-8")
    (tmp_path / "warehouse.db").write_bytes(b"\x00nothing")
    assert any(secret in content for _, content in _left_behind(tmp_path, "") for secret in secrets)
