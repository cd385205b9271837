"""A person's desk: a folder with a config and a warehouse, and `sim-sync` to be typed, in this process or another."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim_sync.cli import main
from sim_sync.core.opening import Trigger
from sim_sync.core.session import Session
from sim_sync.core.sims import Sim
from sim_sync.core.sweep import SweepPolicy
from sim_sync.simulator.credentials import SIMULATED_CREDENTIALS
from sim_sync.warehouse import Warehouse, open_warehouse
from sim_sync_tests.fakes.databases import make_migrated_sqlite
from sim_sync_tests.fakes.fleet import a_page, a_rejected, a_request, a_sim

PROJECT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """All of standard output, which must be one JSON document."""
        return json.loads(self.out)


@dataclass
class CommandLine:
    """`type_in` runs a command in this process, `run` in one of its own."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        for name in list(os.environ):
            if name.startswith(("SIM_SYNC_", "DAGSTER_")):
                self.monkeypatch.delenv(name)
        self.monkeypatch.setenv("COLUMNS", "80")
        self.monkeypatch.chdir(self.folder)
        (self.folder / "dagster_home").mkdir()
        (self.folder / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        self.monkeypatch.setenv("DAGSTER_HOME", str(self.folder / "dagster_home"))
        self.write_carriers(acme=an_account("http://127.0.0.1:9"), zeta=an_account("http://127.0.0.1:9"))

    def write_carriers(self, **carriers: Mapping[str, Any]) -> None:
        """Write `carriers.yaml` with these carriers and no inventory."""
        self.write_config({"carriers": carriers})

    def write_config(self, document: Mapping[str, Any]) -> None:
        """Write `carriers.yaml`."""
        (self.folder / "carriers.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def set(self, **environment: str) -> None:
        """Set variables for the commands to come."""
        for name, value in environment.items():
            self.monkeypatch.setenv(name, value)

    def type_in(self, *arguments: str) -> Said:
        """Run a command in this process."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self.capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else int(code is not None), out, err)

    def start(self, *arguments: str, in_a_group: bool = False, **environment: str) -> "subprocess.Popen[str]":
        """Start a command in a process of its own, and in a group of its own as a terminal does, if so wished."""
        return self._python(environment, "-m", "sim_sync", *arguments, in_a_group=in_a_group)

    def run(self, *arguments: str, **environment: str) -> Said:
        """Run a command in a process of its own to its end."""
        return self.python("-m", "sim_sync", *arguments, **environment)

    def python(self, *arguments: str, **environment: str) -> Said:
        """Run Python in a process of its own to its end."""
        with self._python(environment, *arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
            return Said(process.returncode, out, err)

    def _python(
        self, environment: Mapping[str, str], *arguments: str, in_a_group: bool = False
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=in_a_group,
        )

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that the commands use unless told otherwise."""
        path = self.folder / ".sim_sync" / "warehouse.db"
        if not path.exists():
            make_migrated_sqlite(path)
        return open_warehouse(f"sqlite:///{path}")

    def open_session(self, carrier: str = "acme", *, pages: int = 0, owner: str = "run-1") -> Session:
        """Open a carrier's session and commit that many pages of two SIMs."""
        store = self.warehouse.sessions
        session = store.open_session(a_request(owner, Trigger.OPERATOR, carrier=carrier)).session
        for number in range(pages):
            assert session.cursor is not None
            page = a_page([a_sim(2 * number), a_sim(2 * number + 1)], {"page": number + 1}, records_total=10)
            session = store.commit_page(session.claim, session.cursor, page)
        return session

    def walk(self, *sims: Sim, carrier: str = "acme", rejected: int = 0, policy: SweepPolicy | None = None) -> Session:
        """Walk over these SIMs and that many unreadable records in a new session, and close it."""
        session, store = self.open_session(carrier), self.warehouse.sessions
        assert session.cursor is not None
        page = a_page(sims, rejected=[a_rejected(place) for place in range(rejected)])
        session = store.commit_page(session.claim, session.cursor, page)
        return store.close_session(session.claim, policy or SweepPolicy(), session.config_hash)


def an_account(base_url: str, **settings: Any) -> dict[str, Any]:
    """Return a carrier's section with the credentials that simulators accept, and little patience."""
    return {
        "type": "twilio_super_sim",
        "base_url": base_url,
        "auth": {name: SIMULATED_CREDENTIALS[name] for name in ("username", "password")},
        "page_size": 10,
        "lease_seconds": 3,
        "retry": {"base_seconds": 0.05, "ceiling_seconds": 0.1, "max_attempts": 2, "park_after_seconds": 60},
        **settings,
    }


def assert_one_message(said: Said, code: int, *words: str) -> None:
    """Assert that a command failed with this code and one message on standard error, no traceback, no output."""
    assert said.code == code, said
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.count("sim-sync: ") == 1, said.err
    for word in words:
        assert word in said.err
