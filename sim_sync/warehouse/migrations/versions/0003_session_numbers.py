"""Sessions of a carrier are numbered: which one is newer, and which SIMs an earlier one saw, is no matter of clocks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SESSIONS = sa.table(
    "sync_sessions",
    *(sa.column(name) for name in ("session_id", "carrier", "state", "started_at", "session_number")),
)


def upgrade() -> None:
    """Number the sessions that are there by their times, for want of anything better; the open one is the newest."""
    for table, column in (("sync_sessions", "session_number"), ("carrier_sims", "first_session_number")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    _number_sessions()
    _number_sims_of_open_sessions()
    op.drop_index("ix_sync_sessions_carrier_started_at", "sync_sessions")
    op.create_index(
        "uq_sync_sessions_carrier_session_number", "sync_sessions", ["carrier", "session_number"], unique=True
    )


def _number_sessions() -> None:
    is_open = sa.case((_SESSIONS.c.state.in_(["completed", "superseded"]), 0), else_=1)
    order = [_SESSIONS.c.carrier, is_open, _SESSIONS.c.started_at, _SESSIONS.c.session_id]
    last: dict[str, int] = {}
    for session_id, carrier in (
        op.get_bind().execute(sa.select(_SESSIONS.c.session_id, _SESSIONS.c.carrier).order_by(*order)).all()
    ):
        last[carrier] = last.get(carrier, 0) + 1
        update = _SESSIONS.update().where(_SESSIONS.c.session_id == session_id)
        op.get_bind().execute(update.values(session_number=last[carrier]))


def _number_sims_of_open_sessions() -> None:
    """Number the SIMs that an open walk has added: all others were known before it, whenever that was."""
    op.execute(
        "UPDATE carrier_sims SET first_session_number = opened.session_number FROM sync_sessions AS opened "
        "WHERE opened.state NOT IN ('completed', 'superseded') AND carrier_sims.carrier = opened.carrier "
        "AND carrier_sims.last_seen_session = opened.session_id AND carrier_sims.first_seen_at >= opened.started_at"
    )
