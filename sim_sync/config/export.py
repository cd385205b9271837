"""The section `export` of `carriers.yaml`: where the tables of a night go, and what the storage there wants to know."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sim_sync.carriers.settings import Settings

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: The schemes of storages, and what the drivers of pyarrow's and Delta's side are called.
SCHEMES = ("s3", "gs", "az", "abfs", "abfss")


def _parse_place(place: str) -> str:
    """Return a folder, or the URL of one.

    Raises:
        ValueError: it is neither, or holds a password.
    """
    expected = f"a folder, or a URL such as s3://bucket/folder ({', '.join(f'{scheme}://' for scheme in SCHEMES)})"
    if not place.strip():
        raise ValueError(expected)
    if not _SCHEME.match(place):
        return place
    parts = urlsplit(place)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise ValueError(expected)
    if ":" in parts.netloc.rpartition("@")[0] or parts.query or parts.fragment:
        raise ValueError(f"{expected} without credentials: those are keys of `storage`")
    return place


_Place: TypeAlias = Annotated[str, AfterValidator(_parse_place)]


class Target(Settings):
    """One form of the export: a folder, relative to the config file, or the URL of one."""

    path: _Place
    #: What the storage there wants to know, in its own words. May hold secrets.
    storage: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    def place(self, folder: Path) -> str:
        """Return the URL, or the folder as a whole path."""
        return self.path if _SCHEME.match(self.path) else str((folder / Path(self.path).expanduser()).absolute())

    def secrets(self) -> Iterator[str]:
        """Yield what no message may repeat: all texts of `storage`."""
        yield from _texts(self.storage)


class DeltaTarget(Target):
    """The export as Delta tables."""

    #: For so many days, readers of an earlier version find its files.
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 7


class Export(Settings):
    """What `sim_export` writes after each night, and where to. Without the section, there is no such asset."""

    parquet: Target | None = None
    delta: DeltaTarget | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.parquet is None and self.delta is None:
            raise ValueError("`parquet`, `delta` or both")
        return self


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, str):
        yield value
