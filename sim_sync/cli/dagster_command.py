"""The `dagster` of this project's own environment: Dagster's command, and beside it `dagster job execute -w FILE`.

Dagster 1.13 takes a workspace file in every command but this one, which wants the module by itself. `make` puts a
`.venv/bin/dagster` there that goes through here; everything else is handed on as it is.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sim_sync.cli.output import complain
from sim_sync.core.errors import InputError

_COMMAND = ("job", "execute")
_OPTIONS = ("-w", "--workspace")


def dagster_arguments(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments for Dagster's own command: of `job execute`, a workspace file as the module that it names.

    Raises:
        InputError: the file cannot be read, or names something else than one Python module.
    """
    if tuple(arguments[:2]) != _COMMAND:
        return arguments
    handed_on: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, _, value = argument.partition("=")
        if option in _OPTIONS:
            handed_on += _module_options(Path(value or next(rest, "")))
        else:
            handed_on.append(argument)
    return handed_on


def _module_options(workspace: Path) -> Sequence[str]:
    module = _only_module(workspace)
    name = module.get("module_name")
    if not isinstance(name, str):
        raise InputError(f"{workspace}: expected one `python_module` under `load_from`, found something else")
    return ["-m", name, "-d", str(module.get("working_directory") or ".")]


def _only_module(workspace: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(workspace.read_text(encoding="utf-8"))
        (target,) = document["load_from"]
        module = target["python_module"]
    except OSError as error:
        raise InputError(f"the workspace file {workspace} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return {}
    return module if isinstance(module, Mapping) else {"module_name": module}


def main() -> None:
    """Become Dagster's own command."""
    try:
        arguments = dagster_arguments(sys.argv[1:])
    except InputError as error:
        complain(str(error), program="dagster")
        sys.exit(2)
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *arguments])  # noqa: S606 - our interpreter, no shell


if __name__ == "__main__":
    main()
