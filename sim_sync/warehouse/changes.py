"""What the carriers have changed, and what became of SIMs: one stream out of three tables, the newest first. Read only.

`sim_changes` has the fields; that a SIM came or went stands in its row of `carrier_sims`, and what a person decided on
a sweep in `sync_sessions`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.sims import TRACKED_FIELDS
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims, sim_changes, sync_sessions

#: The field of a SIM that came (`present`), was missed by a walk (`absent`), or went (`vanished`).
PRESENCE = "presence"
#: The field of a decision on a held sweep; it is of no single SIM.
DECISION = "sweep_state"
#: What a change can be of.
FIELDS = (*TRACKED_FIELDS, PRESENCE, DECISION)
_FETCHED_AT_ONCE = 1000

_changes, _sims, _walks = sim_changes.c, carrier_sims.c, sync_sessions.c


class Change(NamedTuple):
    """One change; the last two are told of a decision only."""

    changed_at: datetime
    carrier: str
    sim_id: str | None
    iccid: str | None
    field: str
    old_value: str | None
    new_value: str | None
    session_id: str | None
    sweep_decided_by: str | None
    sweep_decision_reason: str | None


def changes(
    engine: sa.Engine, carriers: Sequence[str], *, since: datetime | None = None, field: str | None = None
) -> Iterator[Change]:
    """Yield what changed at these carriers, the newest first.

    Args:
        engine: the warehouse.
        carriers: their names.
        since: nothing from before this moment; None means all.
        field: one of `FIELDS`; None means all.
    """
    queries = [_of_fields(field)] if field not in {PRESENCE, DECISION} else []
    queries += [_came(), _missed(), _went()] if field in {None, PRESENCE} else []
    queries += [_decided()] if field in {None, DECISION} else []
    told = sa.union_all(*queries).subquery()
    query = sa.select(told).where(told.c.carrier.in_(carriers))
    if since is not None:
        query = query.where(told.c.changed_at >= since)
    order = (told.c.changed_at.desc(), told.c.carrier, told.c.sim_id.nulls_first(), told.c.field, told.c.new_value)
    with reading(engine, "listing changes") as connection:
        streamed = connection.execution_options(yield_per=_FETCHED_AT_ONCE)
        for row in streamed.execute(query.order_by(*order)):
            yield Change(*row)


def _row(**told: sa.ColumnElement[Any] | str) -> sa.Select[Any]:
    """Return a query of the columns of `Change`; those that are not told are null."""
    values = {name: sa.literal(value, sa.Text()) if isinstance(value, str) else value for name, value in told.items()}
    nothing = sa.cast(sa.null(), sa.Text())
    return sa.select(*(values.get(name, nothing).label(name) for name in Change._fields))


def _of_fields(field: str | None) -> sa.Select[Any]:
    names = ("changed_at", "carrier", "sim_id", "field", "old_value", "new_value", "session_id")
    same = sa.and_(_sims.carrier == _changes.carrier, _sims.sim_id == _changes.sim_id)
    query = _row(**{name: _changes[name] for name in names}, iccid=_sims.iccid)
    query = query.select_from(sim_changes.outerjoin(carrier_sims, same))
    return query if field is None else query.where(_changes.field == field)


def _came() -> sa.Select[Any]:
    opened = sa.and_(_walks.carrier == _sims.carrier, _walks.session_number == _sims.first_session_number)
    query = _presence(_sims.first_seen_at, new_value="present", session_id=_walks.session_id)
    return query.select_from(carrier_sims.outerjoin(sync_sessions, opened))


def _missed() -> sa.Select[Any]:
    missed = _presence(_sims.absent_since, old_value="present", new_value="absent")
    return missed.where(_sims.absent_since.is_not(None))


def _went() -> sa.Select[Any]:
    went = _presence(_sims.vanished_at, old_value="absent", new_value="vanished")
    return went.where(_sims.vanished_at.is_not(None))


def _presence(changed_at: sa.ColumnElement[Any], **told: sa.ColumnElement[Any] | str) -> sa.Select[Any]:
    of_sim = {name: _sims[name] for name in ("carrier", "sim_id", "iccid")}
    return _row(changed_at=changed_at, field=PRESENCE, **of_sim, **told)


def _decided() -> sa.Select[Any]:
    told = {name: _walks[name] for name in ("carrier", "session_id", "sweep_decided_by", "sweep_decision_reason")}
    query = _row(
        changed_at=_walks.sweep_decided_at, field=DECISION, old_value="held", new_value=_walks.sweep_state, **told
    )
    return query.where(_walks.sweep_decided_at.is_not(None))
