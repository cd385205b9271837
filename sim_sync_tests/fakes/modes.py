"""The modes of files, as tests compare them."""

import stat
from pathlib import Path


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of everything below a folder, by its path there."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
