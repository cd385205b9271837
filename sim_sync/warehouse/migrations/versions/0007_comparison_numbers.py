"""Comparisons are numbered: what is new, and what was compared already, is no matter of clocks either."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_UTC_TIME = sa.DateTime(timezone=True)
_COUNTS = ("list_number", "comparison_number", "compared_session_number", "compared_list_number")

_LISTED = sa.table(
    "inventory_sims", sa.column("carrier"), *(sa.column(name, _UTC_TIME) for name in ("loaded_at", "removed_at"))
)
_WALKS = sa.table(
    "sync_sessions",
    *(sa.column(name) for name in ("carrier", "state", "session_number")),
    sa.column("finished_at", _UTC_TIME),
)
_KEPT = sa.table(
    "sim_discrepancies",
    *(sa.column(name) for name in ("carrier", "first_comparison_number", "last_comparison_number")),
    *(sa.column(name, _UTC_TIME) for name in ("first_seen_at", "last_seen_at", "resolved_at")),
)
_NOTED = sa.table(
    "carrier_internals",
    *(sa.column(name) for name in ("carrier", *_COUNTS)),
    *(sa.column(name, _UTC_TIME) for name in ("list_changed_at", "compared_at")),
)


def upgrade() -> None:
    """Take what is there for the first change of each list, and for the first comparison of each carrier."""
    for name in ("first_comparison_number", "last_comparison_number"):
        op.add_column("sim_discrepancies", _count(name))
    op.create_table(
        "carrier_internals",
        sa.Column("carrier", sa.Text(), nullable=False),
        _count("list_number"),
        sa.Column("list_changed_at", _UTC_TIME),
        _count("comparison_number"),
        sa.Column("compared_at", _UTC_TIME),
        _count("compared_session_number"),
        _count("compared_list_number"),
        sa.PrimaryKeyConstraint("carrier", name="pk_carrier_internals"),
    )
    lists, comparisons = _latest(_LISTED, "loaded_at", "removed_at"), _latest(_KEPT, "last_seen_at", "resolved_at")
    for carrier in sorted(lists.keys() | comparisons.keys()):
        _note_carrier(carrier, lists.get(carrier), comparisons.get(carrier))


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _latest(table: sa.TableClause, *names: str) -> dict[str, datetime]:
    """Return the latest of some times of a table, by carrier."""
    times = [table.c[name] for name in names]
    rows = op.get_bind().execute(sa.select(table.c.carrier, *map(sa.func.max, times)).group_by(table.c.carrier))
    return {carrier: max(time for time in found if time is not None) for carrier, *found in rows}


def _note_carrier(carrier: str, list_changed_at: datetime | None, compared_at: datetime | None) -> None:
    values = {"carrier": carrier, "list_number": int(list_changed_at is not None), "list_changed_at": list_changed_at}
    if compared_at is not None:
        values |= {
            "comparison_number": 1,
            "compared_at": compared_at,
            "compared_session_number": _walk_compared(carrier, compared_at),
            "compared_list_number": int(list_changed_at is not None and list_changed_at <= compared_at),
        }
        _number_discrepancies(carrier, compared_at)
    op.get_bind().execute(_NOTED.insert().values(**values))


def _walk_compared(carrier: str, compared_at: datetime) -> int:
    walks = sa.select(sa.func.max(_WALKS.c.session_number)).where(
        _WALKS.c.carrier == carrier, _WALKS.c.state == "completed", _WALKS.c.finished_at <= compared_at
    )
    return int(op.get_bind().execute(walks).scalar_one() or 0)


def _number_discrepancies(carrier: str, compared_at: datetime) -> None:
    """Number those that the latest comparison found, and of these the ones that it opened."""
    for number, time in (("first_comparison_number", "first_seen_at"), ("last_comparison_number", "last_seen_at")):
        update = _KEPT.update().where(_KEPT.c.carrier == carrier, _KEPT.c[time] == compared_at)
        op.get_bind().execute(update.values({number: 1}))
