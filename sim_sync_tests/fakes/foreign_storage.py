"""A storage of Dagster's runs that is none of its own, as one on a server is."""

from typing import Any

from dagster._core.storage.runs import SqliteRunStorage


class StorageOnAServer(SqliteRunStorage):
    """Keeps the runs in a file all the same."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "StorageOnAServer":
        """Return the storage in the folder that `dagster.yaml` names."""
        return cls.from_local(inst_data=inst_data, **config_value)
