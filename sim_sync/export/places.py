"""What may go wrong at a place, in one sentence of ours, and none of its secrets in it."""

import errno
import os
import re
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
#: delta-rs colours its messages.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m↳?")
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


def whose_export(carrier: str) -> str:
    """Return what an error is about: the export of a carrier, or of none where a place is only looked at."""
    return f"export of carrier {carrier}" if carrier else "export"


def is_local(place: str) -> bool:
    """Return whether a place is a folder of this host, and not a URL."""
    return "://" not in place


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner alone; one that is there keeps its mode, so that others may be let in."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def as_our_errors(target: Target, failed: str, kept: str = "the last export is still there") -> Iterator[None]:
    """Turn whatever a storage raises into one error of ours; those of ours pass.

    Args:
        target: whose secrets no message may repeat.
        failed: what has failed, and where.
        kept: what is at the place now.

    Raises:
        ExportRefused: somebody has to change something.
        ExportUnavailable: a later try may do.
    """
    try:
        yield
    except SimSyncError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # that is delta-rs giving up
            raise
        told = f"{failed}: {_reason(target, error)}; {kept}"
        raise (ExportUnavailable if _may_pass(error) else ExportRefused)(told) from None


def _may_pass(error: BaseException) -> bool:
    if type(error).__name__ == "CommitFailedError":  # another writer of the same table was first
        return True
    if is_about_room(error) or os.strerror(errno.ENOSPC) in str(error):  # delta-rs raises errors of its own
        return True
    return isinstance(error, OSError) and not isinstance(error, _REFUSALS)


def _reason(target: Target, error: BaseException) -> str:
    text = " ".join(_COLOURS.sub("", str(error)).split()) or type(error).__name__
    for secret in sorted(target.secrets(), key=len, reverse=True):
        if len(secret) >= _SHORTEST_HIDDEN:
            text = text.replace(secret, "***")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
