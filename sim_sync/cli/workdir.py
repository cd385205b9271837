"""The folder in which `make run` and `make dev` work, one of them at a time: its files, its environment, its lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim_sync.config import load_config
from sim_sync.core.errors import ConfigError, InputError, Problem
from sim_sync.private_files import make_private_folder, opened_privately

#: The carrier of the shipped `carriers.yaml`, and the variable that says where its simulator listens.
SIMULATED_CARRIER = "simulated-eu"
SIMULATOR_VARIABLE = "SIM_SYNC_SIMULATOR_URL"
SIMULATED_SIMS = 20_000


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep a second `make run` or `make dev` out of this folder; the lock ends with this process.

    Raises:
        InputError: somebody else works here.
    """
    place = root / ".sim_sync"
    make_private_folder(place)
    with opened_privately(place / "lock", "r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().decode("ascii", "replace").strip() or "unknown"
            raise InputError(
                f"`make run` or `make dev` is at work in this folder already (process {holder}); end it first"
            ) from None
        lock.truncate(0)
        lock.write(b"%d" % os.getpid())
        lock.flush()
        yield


def require_project_folder(root: Path) -> None:
    """Raise `InputError` unless the folder holds what Dagster needs to start here."""
    missing = [name for name in ("workspace.yaml", "dagster.yaml") if not (root / name).exists()]
    if missing:
        raise InputError(f"{root} has no {' and no '.join(missing)}; run this in the folder of the project")


def require_simulated(root: Path) -> None:
    """Raise `ConfigError` unless `carriers.yaml` is about the simulated carrier alone: a demonstration kills syncs."""
    config = load_config(root / "carriers.yaml")
    if tuple(config.carrier_names) != (SIMULATED_CARRIER,):
        raise ConfigError(
            [
                Problem(
                    "carriers.yaml",
                    "carriers",
                    f"only {SIMULATED_CARRIER}, as shipped: `make run` is a demonstration that kills a sync on "
                    "purpose; use `sim-sync backfill` or `make dev` with carriers of your own",
                    ", ".join(config.carrier_names),
                )
            ]
        )
