"""What the warehouse holds of the SIMs of a page: under their ids, or under the other form of the ICCID that is the id.

Runs inside the transaction that `store` opened; which stored SIM is which is decided in `core.iccid_forms`.
"""

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa

from sim_sync.core.diff import KnownSim
from sim_sync.core.iccid_forms import Settled, iccids_to_look_up, settle_ids
from sim_sync.core.sims import Sim
from sim_sync.warehouse.dialects import is_one_of, list_parameter, text_of_json
from sim_sync.warehouse.tables import UtcDateTime, carrier_sims

_BESIDE = ("last_changed_at", "last_seen_session", "vanished_at")


def stored_beside(
    connection: sa.Connection,
    carrier: str,
    sims: Sequence[Sim],
    session_id: str | None = None,
    *,
    may_come_again: bool = False,
) -> Settled:
    """Return the SIMs of a page under the ids that they are stored under, with what is stored of them."""
    known = {row.sim.sim_id: row for row in _rows(connection, carrier, "sim_id", [sim.sim_id for sim in sims])}
    iccids = iccids_to_look_up(sims, known)
    found = _rows(connection, carrier, "iccid", iccids) if iccids else ()
    return settle_ids(sims, known, found, session_id, may_come_again=may_come_again)


def _rows(connection: sa.Connection, carrier: str, column: str, values: Sequence[str]) -> Sequence[KnownSim]:
    dialect = connection.dialect
    parameters = {"carrier": carrier, "wanted": list_parameter(dialect, values)}
    return [
        KnownSim(Sim._make(told), changed_at, session_id, vanished_at is not None)
        for *told, changed_at, session_id, vanished_at in connection.execute(_query(dialect.name, column), parameters)
    ]


@cache
def _query(dialect_name: str, column: str) -> sa.TextualSelect:
    json_columns = {"attributes", "quality_flags"}
    columns = ", ".join(text_of_json(dialect_name, name) if name in json_columns else name for name in Sim._fields)
    condition = is_one_of(dialect_name, column, "wanted")
    query = f"SELECT {columns}, {', '.join(_BESIDE)} FROM carrier_sims WHERE carrier = :carrier AND {condition}"
    return sa.text(query).columns(*(_read_as(name) for name in (*Sim._fields, *_BESIDE)))


def _read_as(name: str) -> sa.ColumnClause[object]:
    kind = carrier_sims.c[name].type
    return sa.column(name, kind if isinstance(kind, UtcDateTime | sa.Boolean) else sa.Text())
