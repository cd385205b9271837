"""The files of `deploy/`, and the programs that can tell whether they are right."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

PROJECT = Path(__file__).parents[2]
HOSTS = PROJECT / "deploy" / "hosts"
KUBERNETES = PROJECT / "deploy" / "kubernetes"
COMPOSE = PROJECT / "deploy" / "compose"


def documents(*paths: Path) -> Iterator[dict[str, Any]]:
    """Yield every document of some YAML files."""
    for path in paths:
        yield from (one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None)


def document(path: Path) -> Any:
    """Return the one document of a YAML file."""
    (found,) = documents(path)
    return found


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not there, and say so."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def run(command: Sequence[str], *, timeout_seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)


def storage_environment(postgres_url: str) -> dict[str, str]:
    """Return what the shipped instances take from the environment, for a database behind a socket in a folder."""
    url = sa.make_url(postgres_url)
    return {
        "DAGSTER_PG_HOST": "",  # then libpq takes PGHOST, which may name a folder
        "PGHOST": str(url.query["host"]),
        "DAGSTER_PG_USERNAME": str(url.username),
        "DAGSTER_PG_PASSWORD": url.password or "",
        "DAGSTER_PG_DB": str(url.database),
    }
