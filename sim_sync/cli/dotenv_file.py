"""`.env` of the working folder: variables for whoever does not want to export them. Dagster reads the same file.

The environment wins. Dagster's own commands let the file win, so a variable with two different values is worth a word.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from sim_sync.core.errors import ConfigError, Problem

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
