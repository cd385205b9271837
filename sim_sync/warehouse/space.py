"""Whether the warehouse has room left for what comes next: found out before a long work begins, by trying."""

import sqlalchemy as sa

from sim_sync.core.errors import WarehouseFull
from sim_sync.room import is_full, no_room_text
from sim_sync.warehouse.engine import transaction
from sim_sync.warehouse.sqlite_files import sqlite_file
from sim_sync.warehouse.urls import shown_url

#: PostgreSQL extends a file for it at once, and takes it back with the transaction.
_PROBE = "CREATE TEMPORARY TABLE sim_sync_room ON COMMIT DROP AS SELECT repeat('x', 1000) FROM generate_series(1, 200)"


def require_room(engine: sa.Engine) -> None:
    """Raise `WarehouseFull` where nothing more can be written. Leaves nothing behind.

    Raises:
        WarehouseUnavailable, ConfigError: PostgreSQL cannot be reached, or this user may not write.
    """
    file = sqlite_file(engine.url)
    if file is not None and is_full(file.parent):
        raise WarehouseFull(f"the warehouse {shown_url(engine.url)}: {no_room_text([file.parent])}")
    if engine.dialect.name == "postgresql":
        with transaction(engine, "looking whether there is room left") as connection:
            connection.exec_driver_sql(_PROBE)
