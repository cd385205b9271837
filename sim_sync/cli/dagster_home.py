"""Which Dagster home a command works with: the one of the environment, this folder if it is one, or one of our own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim_sync.core.errors import InputError, NoRoomLeft
from sim_sync.private_files import make_private_folder, opened_privately, private_by_default
from sim_sync.room import is_about_room, no_room_text

HOME_VARIABLE = "DAGSTER_HOME"
_OWN_HOME = Path(".sim_sync") / "dagster_home"


@contextmanager
def chosen_dagster_home() -> Iterator[None]:
    """Point Dagster at a home that lasts. What it writes into one of ours is its owner's alone.

    Raises:
        InputError: the one in the environment cannot be used, or ours cannot be made.
        NoRoomLeft: there is no room to make ours.
    """
    if given := os.environ.get(HOME_VARIABLE):
        _require_home(Path(given))
        yield
        return
    home = dagster_home()
    if home != Path.cwd():
        _make_own_home(home)
    os.environ[HOME_VARIABLE] = str(home)
    with private_by_default():
        yield


def dagster_home() -> Path:
    """Return the home that the commands work with; it may not be there yet."""
    if given := os.environ.get(HOME_VARIABLE):
        return Path(given)
    return Path.cwd() if Path("dagster.yaml").exists() else Path.cwd() / _OWN_HOME


def _make_own_home(home: Path) -> None:
    settings = home / "dagster.yaml"
    try:
        make_private_folder(home)
        if not settings.exists():
            with opened_privately(settings, "wb") as file:
                file.write(b"telemetry: {enabled: false}\n")
    except OSError as error:
        if is_about_room(error):
            raise NoRoomLeft(no_room_text([home])) from None
        raise InputError(f"the Dagster home {home} cannot be made: {error.strerror}") from None


def _require_home(home: Path) -> None:
    if not (home.is_absolute() and home.is_dir() and os.access(home, os.W_OK)):
        raise InputError(
            f"DAGSTER_HOME is {home}, but Dagster needs the absolute path of a folder that this user may write; "
            "set it to one, or unset it"
        )
