"""Which code locations of Dagster look after which carriers: two with the same ones walk them twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

import sqlalchemy as sa

from sim_sync.core.text import bounded_list
from sim_sync.warehouse.engine import insert_into, read_clock, reading, transaction
from sim_sync.warehouse.tables import code_locations

#: A code location whose sensor has not looked for so long is not at work: it looks every few seconds.
AT_WORK_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class CodeLocation:
    """One that is at work: its name with that of its sensor, its Dagster instance, and its carriers."""

    name: str
    instance: str
    carriers: Sequence[str]

    @property
    def shown(self) -> str:
        """How people find it."""
        return f"{self.name} (Dagster instance {self.instance[:8]})"


class SqlCodeLocations:
    """The code locations of one warehouse; `clock` replaces the database's clock where that was read already."""

    def __init__(self, engine: sa.Engine, *, clock: Callable[[], datetime] | None = None) -> None:
        self._engine = engine
        self._clock = clock

    def note(self, location: CodeLocation) -> Sequence[CodeLocation]:
        """Write down that one is at work, and return all that are; those that are not any more are forgotten."""
        with transaction(self._engine, "noting which code location is at work") as connection:
            now = self._now(connection)
            values = {
                "name": location.name,
                "instance": location.instance,
                "carriers": list(location.carriers),
                "seen_at": now,
            }
            insert = insert_into(connection, code_locations).values(values)
            connection.execute(insert.on_conflict_do_update(index_elements=["instance", "name"], set_=values))
            since = now - timedelta(seconds=AT_WORK_SECONDS)
            found = _read(connection)
            if any(seen_at < since for _, seen_at in found):
                connection.execute(code_locations.delete().where(code_locations.c.seen_at < since))
            return [location for location, seen_at in found if seen_at >= since]

    def at_work(self) -> Sequence[CodeLocation]:
        """Return all code locations that are at work."""
        with reading(self._engine, "reading which code locations are at work") as connection:
            since = self._now(connection) - timedelta(seconds=AT_WORK_SECONDS)
            return [location for location, seen_at in _read(connection) if seen_at >= since]

    def _now(self, connection: sa.Connection) -> datetime:
        return read_clock(connection) if self._clock is None else self._clock()


def doubled(locations: Sequence[CodeLocation], carriers: Sequence[str]) -> Sequence[str]:
    """Return a sentence for each two code locations that both look after some of these carriers."""
    found = []
    for one, other in combinations(locations, 2):
        shared = {*other.carriers} & {*carriers}
        if both := [name for name in one.carriers if name in shared]:
            found.append(
                f"{bounded_list(both, 'carrier', _LONGEST_NAMES)}: two code locations look after this, "
                f"{one.shown} and {other.shown}, and each walks it every night: "
                "stop the schedule and the sensor of one of them, or give each its own carriers"
            )
    return found


#: Names of carriers in one sentence, in bytes.
_LONGEST_NAMES = 200


def _read(connection: sa.Connection) -> Sequence[tuple[CodeLocation, datetime]]:
    rows = connection.execute(sa.select(code_locations).order_by(code_locations.c.instance, code_locations.c.name))
    return [(CodeLocation(row.name, row.instance, row.carriers), row.seen_at) for row in rows]
