"""The folder in which commands work: its files, its environment, its lock."""

import fcntl
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sim_sync.core.errors import ConfigError, InputError, Problem
from sim_sync.files import make_private_folder, opened_privately

# The folder in which `make run` and `make dev` work, one of them at a time: its files, its environment, its lock.


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
    from sim_sync.config import load_config  # here, because every command imports this module

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


# `.env` of the working folder: variables for whoever does not want to export them. Dagster reads the same file.
#
# The environment wins. Dagster's own commands let the file win, so a variable with two different values is worth a
# word.


DOTENV = Path(".env")


def add_dotenv(environ: MutableMapping[str, str], path: Path = DOTENV) -> None:
    """Put the variables of a `.env` file into the environment; those that are there already stay, empty ones too.

    Raises:
        ConfigError: the file is there and cannot be read.
    """
    if not (path.is_file() or path.is_fifo()):  # a folder of this name is a virtual environment
        return
    try:
        for name, value in _variables(path).items():
            environ.setdefault(name, value)
    except OSError as error:
        raise _problem(path, error.strerror or type(error).__name__) from None
    except ValueError:  # bytes that are no UTF-8, or a NUL; its text may quote a secret
        raise _problem(path, "other bytes") from None


def dotenv_names(path: Path = DOTENV) -> Sequence[str]:
    """Return the names of the variables in a `.env` file that was read before."""
    return list(_variables(path)) if path.is_file() else []


def conflict_lines(environ: Mapping[str, str], path: Path = DOTENV) -> Sequence[str]:
    """Return a line for each variable that a `.env` file and the environment have with different values."""
    if not path.is_file():
        return []
    return [
        f"{name} has one value in {path} and another one in the environment: sim-sync takes that of the environment, "
        "Dagster's own commands that of the file"
        for name, value in _variables(path).items()
        if environ.get(name, value) != value
    ]


def _variables(path: Path) -> Mapping[str, str]:
    from dotenv import dotenv_values  # the parser that Dagster uses

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _problem(path: Path, found: str) -> ConfigError:
    return ConfigError([Problem(str(path), "the file", "lines NAME=VALUE in UTF-8 that this user may read", found)])
