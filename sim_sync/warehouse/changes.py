"""What the carriers have changed, what became of SIMs, and where it concentrates. Read only."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sim_sync.core.discrepancies import MIN_CHANGES, MIN_SHARE, Concentration, can_concentrate, explained
from sim_sync.core.sims import PRESENCE, TRACKED_FIELDS
from sim_sync.warehouse.engine import reading
from sim_sync.warehouse.tables import carrier_sims, sim_changes, sync_sessions

# What the carriers have changed, and what became of SIMs: one stream out of three tables, the newest first. Read
# only.
#
# `sim_changes` has the fields; that a SIM came or went stands in its row of `carrier_sims`, and what a person decided
# on a sweep in `sync_sessions`.


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
    query = changes_since(carriers, since, field)
    told = query.selected_columns
    order = (told.changed_at.desc(), told.carrier, told.sim_id.nulls_first(), told.field, told.new_value)
    with reading(engine, "listing changes") as connection:
        streamed = connection.execution_options(yield_per=_FETCHED_AT_ONCE)
        for row in streamed.execute(query.order_by(*order)):
            yield Change(*row)


def changes_since(carriers: Sequence[str], since: datetime | None, field: str | None = None) -> sa.Select[Any]:
    """Return the query of the same, in any order; its columns are those of `Change`."""
    queries = [_of_fields(field)] if field != DECISION else []
    queries += [_came(), _missed(), _went()] if field in {None, PRESENCE} else []
    queries += [_decided()] if field in {None, DECISION} else []
    told = sa.union_all(*queries).subquery()
    query = sa.select(told).where(told.c.carrier.in_(carriers))
    return query if since is None else query.where(told.c.changed_at >= since)


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


# Where the changes of a carrier's SIMs concentrate, counted in SQL. What is worth saying is in `core.discrepancies`.


#: What SIMs may have in common. The first digits of an ICCID are its issuer, then a batch, then a smaller one.
_GROUPS: Sequence[tuple[str, str, sa.ColumnElement[str | None]]] = (
    ("plan", "rate_plan", _sims.rate_plan),
    ("account", "account", _sims.account),
    ("status", "carrier_status", _sims.carrier_status),
    *(("ICCID range", "iccid", sa.func.substr(_sims.iccid, 1, digits)) for digits in (7, 10, 13, 16)),
)
#: A field, and the carrier's own word for it: they change together, and neither explains where the other has changed.
_SAME = {"status": "carrier_status"}


def explain_drift(
    engine: sa.Engine,
    carrier: str,
    *,
    session_id: str | None = None,
    since: datetime | None = None,
    field: str | None = None,
) -> Sequence[str]:
    """Return a sentence for each field whose changes concentrate on one group of the carrier's SIMs.

    Args:
        engine: the warehouse.
        carrier: its name.
        session_id: only changes that this session found; None means all.
        since: only changes from this moment on; None means all.
        field: only changes of this field; None means all.
    """
    which = [_changes.carrier == carrier]
    which += [] if session_id is None else [_changes.session_id == session_id]
    which += [_changes.field != PRESENCE] if field is None else [_changes.field == field]
    which += [] if since is None else [_changes.changed_at >= since]
    with reading(engine, f"counting the changes of carrier {carrier}") as connection:
        sims = sa.func.count() if session_id is not None else sa.func.count(_changes.sim_id.distinct())
        counted = _Counted(connection, carrier, which, sims)
        return explained(_concentrations(counted))


def changes_by_field(engine: sa.Engine, carrier: str, session_id: str) -> Mapping[str, int]:
    """Count the changes that a session found, by field."""
    which = (_changes.carrier == carrier, _changes.session_id == session_id)
    query = sa.select(_changes.field, sa.func.count()).where(*which).group_by(_changes.field).order_by(_changes.field)
    with reading(engine, f"counting the changes of carrier {carrier}") as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


class _Counted(NamedTuple):
    """Which changes are counted, and how: of one session each SIM has one of a field, of several it may have more."""

    connection: sa.Connection
    carrier: str
    which: Sequence[sa.ColumnElement[bool]]
    sims: sa.ColumnElement[int]


def _concentrations(counted: _Counted) -> Iterator[Concentration]:
    connection, carrier = counted.connection, counted.carrier
    found = _by_field(counted)
    if not found:
        return
    all_sims = connection.execute(sa.select(sa.func.count()).where(*_of(carrier))).scalar_one()
    totals = {field: total for field, total in found.items() if can_concentrate(total, all_sims)}
    for group, column, value in _GROUPS:
        fields = {field: total for field, total in totals.items() if column not in {field, _SAME.get(field)}}
        largest = _largest(counted, value, fields) if fields else {}
        sizes = _sizes(connection, carrier, value, sorted({name for one in largest.values() for name in one}))
        for field, counts in largest.items():
            for name, count in counts.items():
                yield Concentration(field, group, name, count, fields[field], sizes.get(name, all_sims), all_sims)


def _by_field(counted: _Counted) -> Mapping[str, int]:
    """Count the SIMs of which each field changed, of those that changed on enough of them."""
    query = sa.select(_changes.field, counted.sims).where(*counted.which).group_by(_changes.field)
    rows = counted.connection.execute(query.having(counted.sims >= MIN_CHANGES))
    found = {row[0]: row[1] for row in rows}
    return {field: count for field, count in found.items() if field not in _SAME.values() or _SAME.keys() - found}


def _largest(
    counted: _Counted, value: sa.ColumnElement[Any], fields: Mapping[str, int]
) -> Mapping[str, Mapping[str, int]]:
    """Return the groups that have a large share of a field's changes, by field."""
    same = sa.and_(_sims.carrier == _changes.carrier, _sims.sim_id == _changes.sim_id)
    query = (
        sa.select(_changes.field, value, counted.sims)
        .select_from(sim_changes.join(carrier_sims, same))
        .where(*counted.which, _changes.field.in_(fields), value.is_not(None))
        .group_by(_changes.field, value)
        .having(counted.sims >= MIN_CHANGES * MIN_SHARE)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for field, name, count in counted.connection.execute(query):
        if count >= MIN_SHARE * fields[field]:
            found[field][name] = count
    return found


def _sizes(
    connection: sa.Connection, carrier: str, value: sa.ColumnElement[Any], names: Sequence[str]
) -> Mapping[str, int]:
    if not names:
        return {}
    query = sa.select(value, sa.func.count()).where(*_of(carrier), value.in_(names)).group_by(value)
    return {row[0]: row[1] for row in connection.execute(query)}


def _of(carrier: str) -> Sequence[sa.ColumnElement[bool]]:
    return (_sims.carrier == carrier, _sims.vanished_at.is_(None))
