"""Writes a config file and loads it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sim_sync.config import Config, load_config

#: The smallest carrier that is sound.
CARRIER = """
  acme:
    type: twilio_super_sim
    auth: {username: AC1, password: {env: ACME_TOKEN}}
"""
ENVIRON = {"ACME_TOKEN": "a-token-that-nobody-sees"}

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that writes `carriers.yaml` and loads it with some environment."""

    def load_text(text: str, **environ: str) -> Config:
        path = tmp_path / "carriers.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ=ENVIRON | environ)

    return load_text
