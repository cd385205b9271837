"""Which SIMs a walk has seen: the one place that knows how that is written down, and that answers it in SQL.

Who asks: the end of a walk (counts, the sweep, whom to look up), a held sweep, a replay of quarantined records. Runs
inside the transaction that `store` opened; nothing here commits.
"""

from typing import Any

import sqlalchemy as sa

from sim_sync.core.session import Session
from sim_sync.warehouse.tables import carrier_sims, sync_sessions

_walks = sync_sessions.c


def is_seen(session: Session, sims: sa.FromClause = carrier_sims) -> sa.ColumnElement[bool]:
    """Return the condition of the SIMs that the session has seen, on `carrier_sims` or an alias of it."""
    return sims.c.last_seen_session == session.session_id


def is_unseen(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition of the carrier's SIMs that are there, as far as is known, and that the session misses."""
    sims = carrier_sims.c
    return sa.and_(sims.carrier == session.carrier, sims.vanished_at.is_(None), ~is_seen(session))


def is_unseen_since(session: Session) -> sa.ColumnElement[bool]:
    """Return the condition of such SIMs that neither the session nor any later one has seen."""
    sims = carrier_sims.c
    since = sa.select(_walks.session_id).where(
        _walks.carrier == session.carrier, _walks.session_number >= session.session_number
    )
    return sa.and_(sims.carrier == session.carrier, sims.vanished_at.is_(None), sims.last_seen_session.not_in(since))


def last_seen_in() -> sa.ColumnElement[Any]:
    """Return the expression of the number of the session that saw a SIM last; `carrier_sims` joined with sessions."""
    return sa.func.coalesce(_walks.session_number, 0)
