"""What may go wrong at a place, in one sentence of ours, and none of its secrets in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sim_sync.config.export import Target
from sim_sync.core.errors import ExportRefused, ExportUnavailable, SimSyncError
from sim_sync.files import is_about_room

#: A shorter value is a part of ordinary words.
_SHORTEST_HIDDEN = 4
_MOST_CHARACTERS = 300
#: Of these a person has to change something, at the place or in the configuration.
_REFUSALS = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)


def import_driver(name: str) -> Any:
    """Return a module of the extra `export`.

    Raises:
        ExportRefused: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ExportRefused(f"an export needs the package {package}: pip install 'sim-sync[export]'") from None


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone; one that is there keeps its mode, so that others may be let in."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def as_our_errors(target: Target, failed: str) -> Iterator[None]:
    """Turn whatever a storage raises into one error of ours; those of ours pass.

    Args:
        target: whose secrets no message may repeat.
        failed: what has failed, and where.

    Raises:
        ExportRefused: somebody has to change something.
        ExportUnavailable: a later try may do.
    """
    try:
        yield
    except SimSyncError:
        raise
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own
        told = f"{failed}: {_reason(target, error)}; the last export is still there"
        raise (ExportUnavailable if _may_pass(error) else ExportRefused)(told) from None


def _may_pass(error: Exception) -> bool:
    if type(error).__name__ == "CommitFailedError":  # another writer of the same table was first
        return True
    return isinstance(error, OSError) and (is_about_room(error) or not isinstance(error, _REFUSALS))


def _reason(target: Target, error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in sorted(target.secrets(), key=len, reverse=True):
        if len(secret) >= _SHORTEST_HIDDEN:
            text = text.replace(secret, "***")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
